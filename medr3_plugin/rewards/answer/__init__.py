"""Is the answer right: rules for choices, yes/no/maybe and names."""
