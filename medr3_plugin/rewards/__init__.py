"""The parts of a reward, how a sample is measured, and the scorer that composes them."""
