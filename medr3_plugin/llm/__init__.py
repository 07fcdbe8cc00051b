"""Asking language models behind OpenAI-compatible servers: client, reading of replies, store, statistics."""
