"""MedMCQA (Pal et al. 2022): `{"id", "question", "opa", "opb", "opc", "opd", "cop", "subject_name", …}`.

`cop` counts from 1 in the original JSON files and from 0 on the Hub; a file that never says which (no 0 and
no 4 in it) cannot be read safely and is refused. The test split has no labels (-1, or none): those rows are
skipped.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from medr3_plugin.data.layouts import generic
from medr3_plugin.data.questions.items import Item, choice_item, options_of, require
from medr3_plugin.data.questions.reading import RawRow
from medr3_plugin.errors import RowError, RowSkipped, UserError

_COLUMNS = ("opa", "opb", "opc", "opd")


def parser(rows: Sequence[RawRow]) -> Callable[[RawRow], Item]:
    """The parser for these rows, with the base that their labels count from."""
    first: dict[int, str] = {}  # where each label is seen first
    for row in rows:
        try:
            label = _label(row)
        except RowError:  # named when its turn comes
            continue
        if label is not None and label >= 0:
            first.setdefault(label, row.where)
    labels = first.keys()
    if 0 in labels and len(_COLUMNS) in labels:
        raise UserError(
            f"medmcqa: 'cop' is 0 in {first[0]} and 4 in {first[len(_COLUMNS)]} (the first such rows); "
            "correct the wrong one, or split files that count from 0 and from 1"
        )
    if labels and not labels & {0, len(_COLUMNS)}:
        raise UserError(
            "medmcqa: 'cop' is never 0 and never 4, so it is not clear whether it counts from 0 or from 1; "
            "use the whole file, or rows with 'answer_idx' A to D"
        )
    base = 0 if 0 in labels else 1

    def parse(row: RawRow) -> Item:
        if "opa" not in row.data and generic.fits(row.data):
            return generic.item("medmcqa", row)
        label = _label(row)
        if label is None or label < 0:
            raise RowSkipped("no label (the test split is unlabelled)")
        options = options_of(
            {letter: row.data.get(key) for letter, key in zip("ABCD", _COLUMNS, strict=True)}
        )
        letter = "ABCD"[label - base] if base <= label < base + len(_COLUMNS) else ""
        if letter not in options:
            raise RowError(f"key 'cop' is {label}, which names no option (it counts from {base})")
        question = require(row.data, "question")
        return choice_item(
            "medmcqa", row.data.get("id"), question, options, letter, split=row.split or "train"
        )

    return parse


def _label(row: RawRow) -> int | None:
    """The row's `cop`; None if it has none.

    Raises:
        RowError: it is not a whole number.
    """
    value = row.data.get("cop")
    if value is None or str(value).strip().lower() in ("", "nan"):  # NaN: how pandas writes null
        return None
    try:
        number = float("nan" if isinstance(value, bool) else str(value))
    except ValueError:
        number = float("nan")
    if not number.is_integer():
        raise RowError(
            f"key 'cop' is {value!r}; expected the number of the right option, or -1 or null for none"
        )
    return int(number)
