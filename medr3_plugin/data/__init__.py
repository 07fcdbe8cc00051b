"""Question sets as training parquet, references, and the quickstart's files."""
