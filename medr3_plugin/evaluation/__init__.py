"""Benchmarks, metrics and the report."""
