"""Rehearsal: a recipe run whole on this machine's CPU with a tiny model, before GPUs are paid for."""
