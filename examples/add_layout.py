"""Read a dataset in its own format: your own layout, in a `medr3` that knows it.

    python examples/add_layout.py data prepare quiz --source quiz.jsonl --out quiz.parquet

A layout turns one row of a source into a question, or says what is wrong with it; the package does everything else
(files, splits, duplicates, overlap with evaluation questions, prompts). Without arguments this writes a small
`quiz.jsonl` and prepares it. To make a layout part of the package, put it into `medr3_plugin/data/layouts/`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from medr3_plugin import RowError
from medr3_plugin.cli import main as medr3
from medr3_plugin.data.layouts import DATASETS, Layout
from medr3_plugin.data.questions.items import Item, choice_item, require
from medr3_plugin.data.questions.reading import RawRow

ROWS = [
    {"nr": 1, "stem": "Which vitamin prevents scurvy?", "choices": "A|vitamin C;B|vitamin D", "key": "A"},
    {"nr": 2, "stem": "Which vitamin prevents rickets?", "choices": "A|vitamin C;B|vitamin D", "key": "B"},
    {"nr": 3, "stem": "Which vitamin prevents beriberi?", "choices": "A|thiamine;B|niacin", "key": "C"},
]


def parser(_: Sequence[RawRow]) -> Callable[[RawRow], Item]:
    """The parser of a source; some layouts must look at all rows first, this one does not."""
    return question


def question(row: RawRow) -> Item:
    """One question. `require` raises a RowError that names the key; the row's file and line are added by the caller."""
    options = dict(choice.split("|") for choice in require(row.data, "choices").split(";"))
    letter = require(row.data, "key")
    if letter not in options:
        raise RowError(f"key 'key' is {letter!r}; expected one of {', '.join(options)}")
    return choice_item(
        "quiz",
        own_id=row.data.get("nr"),
        question=require(row.data, "stem"),
        options=options,
        letter=letter,
        split=row.split or "train",
    )


DATASETS["quiz"] = Layout(parser, "our own quiz")


if __name__ == "__main__":
    if len(sys.argv) == 1:
        Path("quiz.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS), encoding="utf-8")
        sys.argv += [
            "data",
            "prepare",
            "quiz",
            "--source",
            "quiz.jsonl",
            "--out",
            "quiz.parquet",
            "--skip-bad",
        ]
    medr3()
