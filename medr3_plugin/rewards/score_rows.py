"""Rows of `medr3 score`: jsonl in, samples out, records back.

A row is one trajectory of any model::

    {"id", "question", "response", "answer",             # answer: the accepted one, or a list of them
     "options"?: {"A": text} or [text], "dataset"?, "gold_docs"?: [id],
     "retrieved"?: [[{"id", "text", "evidence_type", …}]],             # one list a search
     "references"?: [{"triples": [[head, relation, tail, from_retrieval]], "text"}],
     "triples"?: [[head, relation, tail, from_retrieval]]}             # the model's own graph

Other keys are ignored. A wrong row raises `RowError`, which names file, line and field; the caller goes on
with the next one.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from string import ascii_uppercase
from typing import Any

from medr3_plugin.errors import UserError
from medr3_plugin.records import Document, Hit, Reference, Sample, SearchTurn, Triple
from medr3_plugin.retrieval.corpus.documents import document_of
from medr3_plugin.trajectory import parse

_WRITTEN = (
    "id",
    "question",
    "response",
    "answer",
    "options",
    "dataset",
    "gold_docs",
    "references",
    "triples",
)


class RowError(UserError):
    """One row is wrong; the others can be used."""


def read_rows(path: Path, stage: str) -> Iterator[Sample | RowError]:
    """The samples of a file, in order; a `RowError` in place of a wrong row.

    Raises:
        UserError: the file cannot be read.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    with file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                try:
                    yield sample_of(_decode(line, f"{path}:{number}"), f"{path}:{number}", stage)
                except RowError as error:
                    yield error
                except UserError as error:  # a document's, it names its place already
                    yield RowError(str(error))
                except RecursionError:
                    yield RowError(f"{path}:{number}: nested too deeply")


def sample_of(row: Mapping[str, Any], where: str, stage: str) -> Sample:
    """A checked sample.

    Args:
        row: see the module's text.
        where: file and line, for messages.
        stage: the stage whose formula is to score it.

    Raises:
        UserError: names `where` and the field.
    """
    _check_encodable(row, where)
    response = _string(row, "response", where)
    searches = _searches(row.get("retrieved"), response, where)
    return Sample(
        id=_identity(row, where),
        question=_string(row, "question", where),
        response=response,
        answers=_answers(row.get("answer"), where),
        options=_options(row.get("options"), where),
        dataset=_string(row, "dataset", where, optional=True),
        gold_docs=tuple(_strings(row.get("gold_docs") or (), f"{where}: field 'gold_docs'")),
        references=_references(row.get("references"), where),
        searches=searches,
        triples=None if row.get("triples") is None else _triples(row["triples"], f"{where}: field 'triples'"),
        stage=stage,
        forged=_shows_more_than_was_retrieved(response, searches) or None,
    )


def _decode(line: bytes, where: str) -> Mapping[str, Any]:
    try:
        row = json.loads(line)
    except UnicodeDecodeError as error:
        raise RowError(f"{where}: not UTF-8 at byte {error.start}") from None
    except json.JSONDecodeError as error:
        raise RowError(f"{where}: not JSON: {error.msg} at character {error.pos}") from None
    except ValueError:  # Python reads no longer numbers, as their conversion takes quadratic time
        raise RowError(
            f"{where}: a number of more than {sys.get_int_max_str_digits()} digits; write it as a string"
        ) from None
    if not isinstance(row, Mapping):
        raise RowError(f"{where}: expected an object, got {_shown(row)}")
    return row


def _check_encodable(row: Mapping[str, Any], where: str) -> None:
    """Half a surrogate pair is valid JSON, but no text that a judge or a file could be given."""
    for key in _WRITTEN:
        try:
            json.dumps(row.get(key), ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise RowError(
                f"{where}: field {key!r}: half a surrogate pair, \\u{ord(error.object[error.start]):04x}; "
                "leave it out or write both halves"
            ) from None


def _identity(row: Mapping[str, Any], where: str) -> str:
    identity = row.get("id")
    if isinstance(identity, int) and not isinstance(identity, bool):
        return str(identity)
    return _string(row, "id", where)


def _string(row: Mapping[str, Any], key: str, where: str, *, optional: bool = False) -> str:
    value = row.get(key)
    if value is None and optional:
        return ""
    if value is None:
        raise RowError(f"{where}: field {key!r} is missing")
    if not isinstance(value, str) or (key == "id" and not value.strip()):
        raise RowError(f"{where}: field {key!r}: expected a string, got {_shown(value)}")
    return value


def _answers(value: Any, where: str) -> tuple[str, ...]:
    if value is None:
        raise RowError(f"{where}: field 'answer' is missing")
    answers = [value] if isinstance(value, str) else _strings(value, f"{where}: field 'answer'")
    if not answers or not all(answer.strip() for answer in answers):
        raise RowError(f"{where}: field 'answer': expected an accepted answer, or a list of them, none empty")
    return tuple(answers)


def _options(value: Any, where: str) -> dict[str, str] | None:
    if not value and not isinstance(value, str | int):
        return None
    if isinstance(value, list) and 2 <= len(value) <= len(ascii_uppercase):
        value = dict(zip(ascii_uppercase, value, strict=False))
    if not isinstance(value, Mapping):
        raise RowError(
            f"{where}: field 'options': expected an object of letter and text, or a list of texts, got {_shown(value)}"
        )
    # parquet merges rows of four and five options by giving the four a fifth without text
    options = {str(letter): text for letter, text in value.items() if text is not None}
    for letter, text in options.items():
        if not isinstance(text, str):
            raise RowError(f"{where}: field 'options.{letter}': expected a string, got {_shown(text)}")
    return options


def _references(value: Any, where: str) -> tuple[Reference, ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise RowError(f"{where}: field 'references': expected a list, got {_shown(value)}")
    references = []
    for number, item in enumerate(value):
        place = f"{where}: field 'references[{number}]"
        if not isinstance(item, Mapping):
            raise RowError(f"{place}': expected an object, got {_shown(item)}")
        text = item.get("text") or ""
        if not isinstance(text, str):
            raise RowError(f"{place}.text': expected a string, got {_shown(text)}")
        references.append(Reference(_triples(item.get("triples") or [], f"{place}.triples'"), text))
    return tuple(references)


def _triples(value: Any, place: str) -> tuple[Triple, ...]:
    if not isinstance(value, list):
        raise RowError(
            f"{place}: expected a list of [head, relation, tail, from_retrieval], got {_shown(value)}"
        )
    triples = []
    for number, item in enumerate(value):
        fits = (
            isinstance(item, list) and len(item) in (3, 4) and all(isinstance(part, str) for part in item[:3])
        )
        if not fits or not isinstance(item[3] if len(item) == 4 else False, bool):
            raise RowError(
                f"{place} item {number}: expected [head, relation, tail, true or false], got {_shown(item)}"
            )
        triples.append(Triple(item[0], item[1], item[2], bool(item[3]) if len(item) == 4 else False))
    return tuple(triples)


def _searches(value: Any, response: str, where: str) -> tuple[SearchTurn, ...]:
    """One turn for each list under `retrieved`, with the query of the text's search of that number."""
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(hits, list) for hits in value):
        raise RowError(f"{where}: field 'retrieved': expected a list of lists, one a search")
    queries = parse(response).queries
    turns = []
    seen: set[str] = set()
    for turn, items in enumerate(value):
        documents = [_document(item, f"{where}: retrieved[{turn}][{n}]") for n, item in enumerate(items)]
        new = {document.id: None for document in documents if document.id not in seen}
        seen.update(new)
        turns.append(
            SearchTurn(
                query=queries[turn] if turn < len(queries) else "",
                hits=tuple(Hit(document, 0.0) for document in documents),
                shown=tuple(new),
                outcome="ok" if new else "duplicate" if documents else "empty",
            )
        )
    return tuple(turns)


def _document(item: Any, where: str) -> Document:
    if not isinstance(item, Mapping):
        raise RowError(f"{where}: expected an object with 'id' and 'text', got {_shown(item)}")
    return document_of(item, where)


def _shows_more_than_was_retrieved(response: str, searches: Sequence[SearchTurn]) -> bool:
    """Documents after more searches than returned any: the rest were never retrieved."""
    if not searches:
        return False
    previous = ""
    with_documents = 0
    for span in parse(response).spans:
        with_documents += span.kind == "document" and previous == "search"
        if span.kind in ("search", "document", "answer") or response[span.start : span.end].strip():
            previous = span.kind
    return with_documents > len(searches)


def _strings(value: Any, place: str) -> list[str]:
    if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
        raise RowError(f"{place}: expected a list of strings, got {_shown(value)}")
    return list(value)


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."
