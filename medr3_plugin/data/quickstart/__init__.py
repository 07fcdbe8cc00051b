"""The quickstart: data, model and encoder from PyPI packages alone."""
