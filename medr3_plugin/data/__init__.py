"""Loaders to verl parquet, and reference construction."""
