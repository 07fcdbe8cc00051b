"""Rows that are left out on purpose, as opposed to rows that are wrong."""

from __future__ import annotations


class RowSkipped(Exception):
    """The row is sound but not wanted: no label, images needed, a question type nobody asked for."""
