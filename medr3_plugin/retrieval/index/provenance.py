"""What an index is made of: the checksums of its corpus and every option its content depends on.

The record stands in the state of a build under way and in the manifest of a finished index. Comparing it with what
is asked for now tells whether a build may go on where it stopped, whether a finished index is up to date, and if
not, why.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from medr3_plugin.errors import UserError
from medr3_plugin.hub_name import is_hub_name
from medr3_plugin.retrieval.corpus.rows import files_of
from medr3_plugin.retrieval.index.encoder import EncoderConfig
from medr3_plugin.retrieval.index.manifest import file_digest

Provenance = dict[str, Any]


class CorpusFiles:
    """The files of a corpus as they are now.

    Args:
        sources: as `corpus.read_corpus` takes them.

    Attributes:
        record: for each source `{"source", "files": {name: {"bytes", "sha256"}}}`, in reading order. A Hugging Face
            dataset has no files here: of it only the name is known.
    """

    def __init__(self, sources: Sequence[str | Path]) -> None:
        self._seen: dict[Path, tuple[int, int]] = {}
        self.record = [{"source": str(source), "files": self._describe(source)} for source in sources]

    def check_unchanged(self) -> None:
        """Refuse a corpus that was written to since.

        Raises:
            UserError: names the file.
        """
        for path, seen in self._seen.items():
            if _stamp(path) != seen:
                raise UserError(f"{path}: changed while it was read; start the build again")

    def _describe(self, source: str | Path) -> dict[str, dict[str, Any]]:
        described = {}
        files = [] if is_hub_name(source) else files_of(source)
        for file in tqdm(files, desc="checksums", unit=" files", delay=2, disable=None):
            name = file.relative_to(source).as_posix() if Path(source).is_dir() else file.name
            self._seen[file] = _stamp(file)
            described[name] = {"bytes": file.stat().st_size, "sha256": file_digest(file)}
        return described


def provenance(
    corpus: CorpusFiles,
    engine: str,
    encoder: EncoderConfig | None,
    options: Mapping[str, Any],
    *,
    skip_bad: bool,
) -> Provenance:
    """The record of a build.

    Args:
        encoder: of a dense or hybrid index. A model folder is known by its files, a hub model by its name.
        options: of the build, those that change its result.
    """
    return {
        "corpus": corpus.record,
        "engine": engine,
        "encoder": None if encoder is None else _identity(encoder),
        "options": dict(options),
        "skip_bad": skip_bad,
    }


def difference(recorded: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """The first thing in which two records differ, in words; empty if their results are the same."""
    if changed := _changed_file(_contents(recorded["corpus"]), _contents(wanted["corpus"])):
        return changed
    for name, old, new in (
        ("engine", recorded["engine"], wanted["engine"]),
        *((key, recorded["options"].get(key), value) for key, value in wanted["options"].items()),
    ):
        if old != new:
            return f"{name.replace('_', ' ')} was {old!r}, now {new!r}"
    old, new = recorded["encoder"] or {}, wanted["encoder"] or {}
    for key in [key for key in new if old.get(key) != new[key]]:
        if key == "files":
            return "the encoder is another one"
        return f"the encoder's {key.replace('_', ' ')} was {old.get(key)!r}, now {new[key]!r}"
    # without wrong rows to skip the result is the same
    return "wrong rows were skipped, now they are not" * (recorded["skip_bad"] and not wanted["skip_bad"])


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def _identity(encoder: EncoderConfig) -> dict[str, Any]:
    identity = encoder.identity()
    places = {"query": encoder.path, "article": encoder.article_path}
    unread = {f"{which}_model": places[which] for which, files in identity["files"].items() if not files}
    return {**identity, **unread}


def _contents(corpus: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """(name, checksum) of every file in reading order; a dataset of the hub has its name for both."""
    return [
        item
        for part in corpus
        for item in (
            [(name, entry["sha256"]) for name, entry in part["files"].items()]
            or [(part["source"], part["source"])]
        )
    ]


def _changed_file(old: list[tuple[str, str]], new: list[tuple[str, str]]) -> str:
    if [checksum for _, checksum in old] == [checksum for _, checksum in new]:
        return ""  # the same content, whatever the files are called
    before, now = dict(old), dict(new)
    for name, checksum in new:
        if name not in before:
            return f"{name} is new in the corpus"
        if before[name] != checksum:
            return f"{name} has changed"
    for name, _ in old:
        if name not in now:
            return f"{name} is no longer in the corpus"
    return "the corpus comes in another order"
