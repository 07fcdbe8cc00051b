"""The search environment: verl agent loops for tags and for tool calls."""
