"""Shipped recipes, and what is checked of a recipe before it runs."""
