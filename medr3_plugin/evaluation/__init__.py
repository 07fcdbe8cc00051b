"""Benchmarks in the environment of training: policies, trajectories, verdicts, tables."""
