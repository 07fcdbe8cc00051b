"""Answer judges: rule-based, OpenAI-compatible, verl reward router; verdict cache."""
