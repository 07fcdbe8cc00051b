"""The embedded default: data, model and encoder that come from PyPI packages alone."""
