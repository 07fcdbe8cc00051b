"""What a text says: its graph of triples, its statements and denials, and whether two texts agree."""
