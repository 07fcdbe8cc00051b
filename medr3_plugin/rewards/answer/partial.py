"""How an answer's name lies to the accepted one: broader, narrower, or another subtype.

Only qualifiers of a closed list are weighed (type, number, onset, inheritance, side, severity, course). Two
names that differ in any other word are not compared: the rule cannot know.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

from medr3_plugin.text import fold, listed

Relation = Literal["same", "broader", "narrower", "sibling"]

_TYPES = frozenset(listed("type subtype"))
_GRADES = frozenset(listed("stage grade class group phase level"))
QUALIFIERS = frozenset(
    part
    for word in listed(
        "acute chronic subacute primary secondary tertiary familial congenital hereditary inherited sporadic "
        "idiopathic juvenile infantile neonatal adult childhood early late onset autosomal dominant "
        "recessive x-linked linked severe mild moderate left right bilateral unilateral isolated classic "
        "classical typical progressive recurrent relapsing syndromic nonsyndromic complete incomplete "
        "generalized localized uncomplicated variant form"
    )
    for part in fold(word).split()
)
# alone they name nothing: an answer of such words is not "broader", it is empty
_GENERIC = frozenset(
    fold(word)
    for word in listed(
        "syndrome disease disorder deficiency condition cancer tumor carcinoma neoplasm infection disability "
        "failure injury anemia inflammation abnormality malformation defect dysfunction pain fever genetic "
        "mutation gene drug therapy treatment surgery antibiotic vitamin hormone factor protein acid virus "
        "intellectual developmental neurodevelopmental immune metabolic multisystem with and of the a"
    )
)
# pairs that exclude each other
_OPPOSITES = tuple(
    (fold(one), fold(other))
    for one, other in (
        ("acute", "chronic"),
        ("primary", "secondary"),
        ("dominant", "recessive"),
        ("left", "right"),
        ("early", "late"),
        ("bilateral", "unilateral"),
        ("congenital", "acquired"),
        ("mild", "severe"),
        ("syndromic", "nonsyndromic"),
        ("complete", "incomplete"),
        ("juvenile", "adult"),
        ("infantile", "adult"),
    )
)


def relation(name: str, accepted: str) -> Relation | None:
    """Relation of `name` to `accepted`; None if the rule cannot tell.

    >>> relation("Coffin-Siris syndrome", "Coffin-Siris syndrome 8")
    'broader'
    >>> relation("Coffin-Siris syndrome 3", "Coffin-Siris syndrome 8")
    'sibling'
    >>> relation("acute pancreatitis", "pancreatitis"), relation("syndrome", "syndrome 8")
    ('narrower', None)
    >>> relation("Diabetes mellitus type 2", "Type 2 diabetes mellitus")
    'same'
    """
    core, marks = _split(name)
    gold_core, gold_marks = _split(accepted)
    # "right arch with left artery": which is which?
    unclear = any({one, other} <= marks for one, other in _OPPOSITES)
    if unclear or sorted(core) != sorted(gold_core) or not _names_something(core):
        return None
    numbers = {mark for mark in marks if _is_index(mark.split()[-1])}
    gold_numbers = {mark for mark in gold_marks if _is_index(mark.split()[-1])}
    if marks == gold_marks:
        # with two numbers ("GM1, type 2") the place of each matters
        return "same" if core == gold_core and len(numbers) < 2 else None
    excluded = any(
        (one in marks and other in gold_marks) or (other in marks and one in gold_marks)
        for one, other in _OPPOSITES
    )
    if excluded or (numbers and gold_numbers and numbers != gold_numbers):
        return "sibling"
    if marks < gold_marks:
        # "3 years" without its number says nothing
        return None if fold(accepted)[0].isdigit() else "broader"
    return "narrower" if marks > gold_marks else None


@lru_cache(maxsize=8192)
def _split(name: str) -> tuple[tuple[str, ...], frozenset[str]]:
    """(the words that name the thing; the qualifiers, with the indices of subtypes)."""
    core: list[str] = []
    marks: set[str] = set()
    previous = ""
    for word in fold(name).split():
        if _is_index(word) and (word.isdigit() or core or previous in _TYPES or previous in _GRADES):
            if previous in _GRADES:
                core.pop()
                word = f"{previous} {word}"  # noqa: PLW2901
            marks.add(word)
        elif word in QUALIFIERS:
            marks.add(word)
        elif word not in _TYPES:
            core.append(word)
        previous = word
    return tuple(core), frozenset(marks)


def _is_index(word: str) -> bool:
    """A number or a single Latin letter, as in "type 2" or "hepatitis B"."""
    return word.isdigit() or (len(word) == 1 and "a" <= word <= "z")


def _names_something(core: tuple[str, ...]) -> bool:
    return any(word not in _GENERIC and len(word) > 3 for word in core)
