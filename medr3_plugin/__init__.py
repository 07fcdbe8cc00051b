"""Med-R^3 for verl: progressive reinforcement learning of medical retrieval-augmented reasoning."""

__version__ = "0.1.0"
