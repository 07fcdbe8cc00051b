"""Wording shared by the commands."""

from __future__ import annotations


def counted(number: int, noun: str, plural: str = "") -> str:
    """A number and its noun.

    >>> counted(1, "document"), counted(1200, "document"), counted(2, "query", "queries")
    ('1 document', '1,200 documents', '2 queries')
    """
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"
