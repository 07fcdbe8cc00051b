"""Reward parts, verifiers and their composition: pure functions over a Sample."""
