"""Rows of verl's training parquet: the chat prompt, the ground truth and what rewards need beside it.

Ragged parts (options, references) are JSON strings: parquet would merge their keys over all rows, and an item
with four options would get a fifth one that is null.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from medr3_plugin.errors import MissingExtra, UserError
from medr3_plugin.outputs import whole
from medr3_plugin.records import Reference

AGENT_NAME = "medr3_search"


def reference_json(references: Sequence[Reference]) -> str:
    """References as the JSON string of a row: `[{"triples": [[head, relation, tail, bool], …], "text"}]`."""
    return json.dumps(
        [
            {
                "triples": [[t.head, t.relation, t.tail, t.from_retrieval] for t in reference.triples],
                "text": reference.text,
            }
            for reference in references
        ],
        ensure_ascii=False,
    )


def training_row(
    *,
    id: str,
    dataset: str,
    split: str,
    index: int,
    question: str,
    prompt: Sequence[Mapping[str, str]],
    answers: Sequence[str],
    options: Mapping[str, str] | None = None,
    gold_docs: Sequence[str] = (),
    references: Sequence[Reference] = (),
    agent_name: str = AGENT_NAME,
    original_question: str = "",
    stage: str = "joint",
) -> dict[str, Any]:
    """One parquet row.

    Args:
        prompt: chat messages, `role` and `content`.
        answers: accepted answers, the preferred one first; at least one.
        options: letter -> text of a choice question.
        original_question: the question without its options, if `question` has them.
        stage: the training stage the row was prepared for; a stage schedule stamps its own over it.
    """
    if not answers or not answers[0].strip():
        raise UserError(f"{id}: no answer; a training row needs at least one accepted answer")
    return {
        "data_source": dataset,
        "prompt": [dict(message) for message in prompt],
        "reward_model": {"style": "rule", "ground_truth": answers[0]},
        "extra_info": {
            "id": id,
            "question": question,
            "original_question": original_question or question,
            "answers": list(answers),
            "options": json.dumps(dict(options), ensure_ascii=False) if options else "",
            "gold_docs": list(gold_docs),
            "references": reference_json(references),
            "dataset": dataset,
            "split": split,
            "index": index,
            "stage": stage,
        },
        "agent_name": agent_name,
    }


def write_parquet(rows: Iterable[Mapping[str, Any]], path: Path) -> int:
    """Write rows to `path` with the schema of `training_row`; returns how many. An empty file is refused."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise MissingExtra("pyarrow", "data", "writing training parquet") from error
    text, texts = pa.string(), pa.list_(pa.string())
    schema = pa.schema(
        {
            "data_source": text,
            "prompt": pa.list_(pa.struct({"role": text, "content": text})),
            "reward_model": pa.struct({"style": text, "ground_truth": text}),
            "extra_info": pa.struct(
                {
                    "id": text,
                    "question": text,
                    "original_question": text,
                    "answers": texts,
                    "options": text,
                    "gold_docs": texts,
                    "references": text,
                    "dataset": text,
                    "split": text,
                    "index": pa.int64(),
                    "stage": text,
                }
            ),
            "agent_name": text,
        }
    )
    table = pa.Table.from_pylist([dict(row) for row in rows], schema=schema)
    if table.num_rows == 0:
        raise UserError(f"{path}: no rows to write")
    with whole(path) as draft:
        pq.write_table(table, draft)
    return int(table.num_rows)
