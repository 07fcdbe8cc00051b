"""What verl and vLLM need to run on a machine without a GPU; nothing else imports it."""
