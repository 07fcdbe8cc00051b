"""Thin adapters to verl's extension points: reward manager, advantages, invalid samples."""
