"""From files of questions to rows of verl's parquet: reading, items, prompts, overlaps with evaluation files."""
