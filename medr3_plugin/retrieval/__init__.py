"""Corpus, evidence levels, engines, service and client."""
