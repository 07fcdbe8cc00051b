"""Rows that are left out on purpose, as opposed to rows that are wrong."""

from __future__ import annotations


class RowSkipped(Exception):  # noqa: N818 (nothing is wrong with the row)
    """The row is sound but not wanted: no label, images needed, a question type nobody asked for."""
