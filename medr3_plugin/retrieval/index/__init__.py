"""Indexes on disk: lexical and dense, built and opened, with a manifest."""
