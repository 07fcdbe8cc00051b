"""Documents: rows of a corpus, chunks, evidence levels."""
