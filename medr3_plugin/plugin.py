"""Entry point of `verl.plugins`."""
