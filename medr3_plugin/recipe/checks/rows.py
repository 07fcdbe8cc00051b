"""The rows of a run's data, read once: what the checks ask of them, and of a recipe whose questions are Chinese."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from medr3_plugin import tables
from medr3_plugin.environment.settings import EnvironmentSettings
from medr3_plugin.errors import RowError, UserError
from medr3_plugin.recipe.checks.finding import Finding, section
from medr3_plugin.records import canonical_id
from medr3_plugin.rewards.answer.names import is_outside
from medr3_plugin.rewards.language import language
from medr3_plugin.rows import sample_of
from medr3_plugin.text import has_cjk

LANGUAGE = "language of the questions"
_NAMES = 5000  # lines of a vocabulary
_SEARCHED = 1_000_000
"""Largest index that is searched for gold documents; larger ones are not checked."""
_LOOKED_AT = 200
"""Questions of a file whose language is looked at."""


@dataclass
class Rows:
    """What the parquet files of one key hold.

    Attributes:
        key: names the files in findings.
        prompt: the column of the prompts.
        count: rows of the `opened` files.
        whole: whether all of their rows could be read.
        sources: the datasets.
        agents: each agent loop that rows name, and the first file with such rows.
        gold: the gold documents.
        outside: places of rows whose accepted answer is none of the options.
        chinese: whether most of the first questions of a file are.
    """

    key: str
    prompt: str = "prompt"
    opened: int = 0
    count: int = 0
    whole: bool = True
    sources: set[str] = field(default_factory=set)
    agents: dict[str, str] = field(default_factory=dict)
    gold: set[str] = field(default_factory=set)
    outside: list[str] = field(default_factory=list)
    chinese: bool = False

    def read(self, file: str) -> Iterator[Finding]:
        """Read a file; findings of what is wrong with it."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        columns = ["data_source", self.prompt, "reward_model", "extra_info"]
        number, languages = 0, []
        whole, self.whole = self.whole, False
        try:
            table = pq.ParquetFile(Path(file).expanduser())
        except (pa.ArrowException, OSError) as error:
            reason = f"{file} cannot be read as parquet ({error}): rewrite it with `medr3 data prepare`"
            yield Finding.error(self.key, reason)
            return
        self.opened += 1
        self.count += table.metadata.num_rows
        if absent := sorted(set(columns) - set(table.schema_arrow.names)):
            yield Finding.error(self.key, f"{file} lacks the column {absent[0]!r}")
            return
        columns += {"agent_name"}.intersection(table.schema_arrow.names)
        try:
            batches = table.iter_batches(batch_size=1024, columns=columns)
            for number, row in enumerate((row for batch in batches for row in batch.to_pylist()), start=1):
                self.sources.add(str(row["data_source"]))
                if agent := row.get("agent_name"):
                    self.agents.setdefault(agent, file)
                sample = sample_of({**row, "prompt": row[self.prompt]}, f"{file}#{number}")
                self.gold.update(sample.gold_docs)
                if is_outside(sample.answers, sample.options):
                    self.outside.append(f"{file}#{number}")
                if number <= _LOOKED_AT:
                    languages.append(language(sample.question))
            self.whole = whole
        except RowError as error:
            wrong = f"{error}; the rewards cannot read it: rewrite the file with `medr3 data prepare`"
            yield Finding.error(self.key, wrong)
        except (pa.ArrowException, OSError, ValueError) as error:  # ValueError: bytes that are not text
            damage = f"{file}#{number + 1}: damaged from here on: {error}; get the file again"
            yield Finding.error(self.key, damage)
        self.chinese |= languages.count("zh") > len(languages) / 2

    def fit(self, indexes: Sequence[Any]) -> Iterator[Finding]:
        """Whether rules can decide the answers, and the indexes (folders) that are searched have the documents."""
        if self.outside:
            yield Finding.note(
                self.key,
                f"{self.outside[0]}: the accepted answer is not one of the options (as in {len(self.outside)} of the "
                "rows), so no rule can decide: name the option by its letter or its text, or use a judge",
            )
        yield from _gold_is_indexed(self.key, self.gold, [str(index) for index in indexes if index])


def _gold_is_indexed(key: str, gold: set[str], indexes: Sequence[str]) -> Iterator[Finding]:
    """Whether any gold document is in an index of this machine; silent where no index can be read."""
    wanted = set(map(canonical_id, gold))
    known = False
    for index in indexes:
        if not wanted or not Path(index).expanduser().is_dir():
            continue
        try:
            found = indexed(Path(index).expanduser(), wanted)
        except (UserError, OSError):
            continue
        if found:
            return
        known = True
    if known:
        example = min(gold)
        yield Finding.error(
            key,
            f"none of its gold documents, such as {example}, is in {', '.join(indexes)}, so no search could "
            "find one: index the corpus they come from, or one with a column pmid or doi",
        )


def indexed(index: Path, wanted: set[str]) -> set[str]:
    """Those of the canonical ids `wanted` that documents of an index are known by; reads until the first is found."""
    from medr3_plugin.retrieval.index.store import DocumentStore

    with closing(DocumentStore(index / "documents")) as store:
        for document in islice(store, _SEARCHED):
            if found := wanted & document.ids:
                return found
        if len(store) > _SEARCHED:
            raise UserError(f"{index}: too large to check")
    return set()


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
        yield Finding.note(LANGUAGE, f"Chinese, but {'; '.join(parts)} (docs/DATA.md, Languages)")


def _holds_no_chinese(file: str) -> bool:
    try:
        rows = islice(tables.read_file(Path(file).expanduser()), _NAMES)
        return not any(has_cjk(str(row.data)) for row in rows)
    except (UserError, OSError):
        return False
