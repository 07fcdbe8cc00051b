"""Disease names as the sources write them -> names people write, aliases, and families.

OMIM writes `Ciliary dyskinesia, primary, 29` and `CHOLANGIOCARCINOMA`, and glues `…included` entries to a
title. The official name stays an accepted answer; these functions only add readable forms beside it.
"""

from __future__ import annotations

import re

from medr3_plugin.text import bare_words

_NUMBER = r"(?:\d+[a-z]?|[ivx]+)"
# "type 2B", ", 17", " III", "(digenic)" at the end of a name: what tells members of one family apart.
_MEMBER = re.compile(
    rf"(?:[,\s]+(?:(?:type|form|variant|group|subtype)\s+)?{_NUMBER}|\s*\([^()]*\))\s*$", re.IGNORECASE
)
_INHERITANCE = re.compile(
    r",?\s*\b(?:autosomal|x-linked|y-linked|digenic|somatic)(?:\s+(?:dominant|recessive))?\b,?\s*",
    re.IGNORECASE,
)
_SYMBOL = re.compile(r"^[A-Z][A-Z0-9]{1,5}$")


def display_name(name: str) -> str:
    """The name in sentence case when the source shouts it; otherwise unchanged."""
    letters = [character for character in name if character.isalpha()]
    if len(letters) < 6 or any(character.islower() for character in letters) or _SYMBOL.match(name):
        return name
    lowered = name.lower()
    return lowered[:1].upper() + lowered[1:]


# glued `included` titles, `?`, brackets, retired entries
_DEBRIS = re.compile(r"\bincluded\b|\bformerly\b|\bobsolete\b|[?{}\[\]]", re.IGNORECASE)


def is_readable(name: str) -> bool:
    """Whether a name is short and plain enough to be asked for: no commas, digits or catalogue debris."""
    return (
        0 < len(name) <= 40
        and not re.search(r"[,;:/()\d+]", name)
        and not _DEBRIS.search(name)
        and not re.search(r"\b(?:[IVX]{2,}|type)\b", name)
        and any(character.islower() for character in name)
        and name.isascii()
    )


def aliases(name: str) -> list[str]:
    """Accepted ways to write a disease name, the display form first, the official form among them.

    `Ciliary dyskinesia, primary, 29` -> also `Primary ciliary dyskinesia 29`. Forms that differ only in case
    or punctuation appear once. Forms that would name a wider disease (the number dropped) are not aliases.
    """
    shown = display_name(name)
    forms = [shown]
    parts = [part.strip() for part in shown.split(",")]
    number = parts.pop() if len(parts) > 1 and re.fullmatch(_NUMBER, parts[-1], re.IGNORECASE) else ""
    if (
        len(parts) == 2
        and parts[1]
        and len(parts[1].split()) <= 2
        and not parts[1].lower().startswith(("with", "and", "due"))
    ):
        head, modifier = parts
        flipped = f"{modifier} {head if head[:2].isupper() else head[:1].lower() + head[1:]} {number}".strip()
        forms.append(flipped[:1].upper() + flipped[1:])
    forms.append(name)
    kept: dict[str, str] = {}
    for form in forms:
        kept.setdefault(bare_words(form), form)
    return list(kept.values())


def family(name: str) -> str:
    """Key of the disease family: the folded name without member numbers, inheritance and bracketed parts.

    `Noonan syndrome 2` and `Noonan syndrome` share one key, so that a split by family keeps near-duplicates
    of a disease on one side.
    """
    rest = _INHERITANCE.sub(" ", name)
    while (shorter := _MEMBER.sub("", rest)) != rest and shorter.strip():
        rest = shorter
    words = sorted(
        set(bare_words(rest).split())
        - {"of", "the", "and", "with", "type", "familial", "hereditary", "primary"}
    )
    return " ".join(words) or bare_words(name)
