"""Rows of verl's training parquet: the chat prompt, the ground truth and what rewards need beside it.

Ragged parts (options, references) are JSON strings: parquet would merge their keys over all rows, and an item
with four options would get a fifth one that is null.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from medr3_plugin.data.questions.items import Item
from medr3_plugin.errors import UserError, needs
from medr3_plugin.outputs import whole
from medr3_plugin.registered_names import AGENT_LOOP


def training_row(
    item: Item,
    prompt: Sequence[Mapping[str, str]],
    *,
    index: int,
    question: str = "",
    agent_name: str = AGENT_LOOP,
    stage: str = "joint",
) -> dict[str, Any]:
    """One parquet row.

    Args:
        item: the question; its options are written only if the prompt shows them.
        prompt: chat messages, `role` and `content`.
        question: as the prompt asks it, if that is not the item's question alone.
        stage: the training stage the row was prepared for; a stage schedule stamps its own over it.
    """
    if not item.answers or not item.answers[0].strip():
        raise UserError(f"{item.id}: no answer; a training row needs at least one accepted answer")
    references = [
        {"triples": [list(triple) for triple in reference.triples], "text": reference.text}
        for reference in item.references
    ]
    return {
        "data_source": item.dataset,
        "prompt": [dict(message) for message in prompt],
        "reward_model": {"style": "rule", "ground_truth": item.answers[0]},
        "extra_info": {
            "id": item.id,
            "question": question or item.question,
            "original_question": item.question,
            "answers": list(item.answers),
            "options": json.dumps(dict(item.options), ensure_ascii=False) if item.options else "",
            "gold_docs": list(item.gold_docs),
            "references": json.dumps(references, ensure_ascii=False),
            "dataset": item.dataset,
            "split": item.split,
            "index": index,
            "stage": stage,
        },
        "agent_name": agent_name,
    }


def write_parquet(rows: Iterable[Mapping[str, Any]], path: Path) -> int:
    """Write rows to `path` with the schema of `training_row`; returns how many. An empty file is refused."""
    with needs("pyarrow", "data", "writing training parquet"):
        import pyarrow as pa
        import pyarrow.parquet as pq
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
