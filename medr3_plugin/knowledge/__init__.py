"""Knowledge graphs: extraction, normalisation, scoring."""
