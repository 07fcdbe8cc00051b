"""A run's folder: its files, who writes and who reads them, and the report."""
