"""Public question sets to verl parquet: reading, layouts, prompts, overlaps, evaluation files."""
