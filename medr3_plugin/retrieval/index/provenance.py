"""What an index is made of: the checksums of its corpus and every option its content depends on.

The record stands in the manifest of a finished index and beside encoded vectors. Comparing it with what is asked for
now tells whether they can be used, and if not, why.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from medr3_plugin.hub_name import is_hub_name
from medr3_plugin.retrieval.corpus.rows import files_of
from medr3_plugin.retrieval.index.encoder import EncoderConfig
from medr3_plugin.retrieval.index.manifest import file_digest

Provenance = dict[str, Any]


def provenance(
    corpus: Sequence[str | Path],
    engine: str,
    encoder: EncoderConfig | None,
    options: Mapping[str, Any],
    *,
    skip_bad: bool,
) -> Provenance:
    """The record of a build.

    Args:
        corpus: its sources. Files are known by their content, a Hugging Face dataset by its name.
        encoder: of a dense or hybrid index. A model folder is known by its files, a hub model by its name.
        options: of the build, those that change its result.
    """
    return {
        "corpus": [{"source": str(source), "files": _described(source)} for source in corpus],
        "engine": engine,
        "encoder": None if encoder is None else _identity(encoder),
        "options": dict(options),
        "skip_bad": skip_bad,
    }


def difference(recorded: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """The first thing in which two records differ, in words; empty if their results are the same."""
    old, new = _contents(recorded["corpus"]), _contents(wanted["corpus"])
    if [content for _, content in old] != [content for _, content in new]:  # whatever the files are called
        known = {content for _, content in old}
        changed = [name for name, content in new if content not in known]
        if changed:
            return f"{changed[0]} is new or has changed"
        return "files of the corpus are missing or in a different order"
    before, now = _settings(recorded), _settings(wanted)
    for key, value in now.items():
        if before.get(key) != value:
            return (
                "the encoder is different"
                if key == "the encoder's files"
                else f"{key} was {before.get(key)!r}, now {value!r}"
            )
    # without wrong rows to skip the result is the same
    return "wrong rows were skipped, now they are not" * (recorded["skip_bad"] and not wanted["skip_bad"])


def _described(source: str | Path) -> dict[str, dict[str, Any]]:
    files = [] if is_hub_name(source) else files_of(source)
    root = Path(source) if Path(source).is_dir() else Path(source).parent
    return {
        file.relative_to(root).as_posix(): {"bytes": file.stat().st_size, "sha256": file_digest(file)}
        for file in tqdm(files, desc="checksums", unit=" files", delay=2, disable=None)
    }


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


def _settings(record: Mapping[str, Any]) -> dict[str, Any]:
    encoder = {f"the encoder's {key}": value for key, value in (record["encoder"] or {}).items()}
    named = {"engine": record["engine"], **record["options"], **encoder}
    return {key.replace("_", " "): value for key, value in named.items()}
