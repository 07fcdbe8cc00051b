"""The parts of a recipe that only handle English, reported if its questions are Chinese."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from medr3_plugin import tables
from medr3_plugin.environment.settings import EnvironmentSettings
from medr3_plugin.errors import UserError
from medr3_plugin.recipe.checks.finding import Finding, section
from medr3_plugin.text import has_cjk

WHERE = "language of the questions"
_NAMES = 5000  # lines of a vocabulary


def english_only(config: Any) -> Iterator[Finding]:
    """One note that names these parts, to be shown where questions are Chinese; none without such parts."""
    parts = []
    settings = section(config, "environment")
    lines = [name for name in EnvironmentSettings.model_fields if name.endswith("_line")]
    if english := [name for name in lines if not has_cjk(str(settings.get(name) or ""))]:
        parts.append(f"medr3.environment.{', '.join(english)}: the model is shown English lines")
    vocabularies = section(config, "reward", "extractor").get("vocabularies") or ()
    if without := [str(name) for name in vocabularies if _holds_no_chinese(str(name))]:
        parts.append(f"the vocabulary {', '.join(without)} has no Chinese names")
    encoder = str(section(config, "reward", "encoder").get("path") or "")
    if "minilm" in encoder.lower() and "multilingual" not in encoder.lower():
        parts.append(f"the encoder {Path(encoder).name}: use a multilingual one")
    if section(config, "reward", "judge").get("kind", "rule") == "rule":
        parts.append(
            "the answer rules know fewer Chinese forms than English ones, and no judge reads the rest"
        )
    if parts:
        yield Finding.note(WHERE, f"Chinese, but {'; '.join(parts)} (docs/DATA.md, Languages)")


def _holds_no_chinese(file: str) -> bool:
    try:
        rows = islice(tables.read_file(Path(file).expanduser()), _NAMES)
        return not any(has_cjk(str(row.data)) for row in rows)
    except (UserError, OSError):
        return False
