"""Thin adapters to verl's extension points: reward manager, advantage, dataset."""
