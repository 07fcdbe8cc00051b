"""verl agent loop for the tag protocol, verl tool for tool-calling models."""
