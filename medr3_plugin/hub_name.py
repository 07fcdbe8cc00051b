"""Tells a name on the Hugging Face Hub from a local path."""

from __future__ import annotations

import re
from pathlib import Path

_NAME = re.compile(r"[\w.-]+/[\w.-]+(?::[\w.-]*)*", re.ASCII)
_FILES = (".jsonl", ".json", ".csv", ".tsv", ".parquet", ".txt", ".md", ".yaml", ".yml")


def is_hub_name(source: str | Path) -> bool:
    """Whether `source` is of the form `owner/name[[:config]:split]` and names nothing on this machine.

    >>> is_hub_name("qiaojin/PubMedQA:pqa_labeled:train"), is_hub_name("data/mine.jsonl"), is_hub_name("./a/b")
    (True, False, False)
    """
    name = str(source)
    return (
        not name.startswith((".", "/", "~"))
        and _NAME.fullmatch(name) is not None
        and Path(name.partition(":")[0].removesuffix(".gz").removesuffix(".zst")).suffix.lower()
        not in _FILES  # a file that is missing
        and not Path(name).exists()
    )
