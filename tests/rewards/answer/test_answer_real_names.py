"""The verifiers on real questions and vocabularies, where they lie beside the repository (else skipped).

Looked for in the folder of the environment variable MEDR3_SHARED, else in `../shared`.
"""

from __future__ import annotations

import gzip
import json
import os
import random
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from medr3_plugin.records import Sample
from medr3_plugin.rewards.answer.verify import verify
from medr3_plugin.text import fold

DATA = Path(os.environ.get("MEDR3_SHARED") or Path(__file__).parents[4] / "shared") / "data"


def rows(name: str) -> list[dict[str, Any]]:
    path = DATA / name
    if not path.is_file():
        pytest.skip(f"{path} is not here")
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def level(answer: str, gold: str, options: dict[str, str] | None = None) -> int | None:
    verdict = verify(answer, Sample(id="", question="", response="", answers=(gold,), options=options))
    return None if verdict is None else verdict.level


def synonyms(row: dict[str, Any]) -> list[str]:
    return [item if isinstance(item, str) else item["text"] for item in row["synonyms"]]


@pytest.mark.parametrize(
    "name", ["medqa_us_dev", "medmcqa_dev_part", "mmlu_anatomy_genetics", "evidence_inference_train_labelled"]
)
def test_every_way_to_name_an_option(name):
    drawn = random.Random(0).sample(rows(f"questions/{name}.jsonl"), 60)
    undecided = wrong = total = 0
    for row in drawn:
        distinct = len(set(row["options"].values())) == len(row["options"])
        for letter, text in row["options"].items():
            expected = 2 if letter == row["answer_idx"] else 0
            for form in (letter, f"({letter})", f"{letter}. {text}", text, f"The answer is {text}."):
                found = level(form, row["answer"], row["options"])
                total += 1
                undecided += found is None
                wrong += distinct and found not in (expected, None)
    assert wrong == 0
    assert undecided <= 0.005 * total


@pytest.mark.parametrize("vocabulary", ["mesh_diseases", "hpo_terms", "disease_ontology_subset"])
def test_names_of_different_things_are_not_right(vocabulary):
    """Names that share a rare word but belong to different entries."""
    entries = rows(f"vocab/{vocabulary}.jsonl.gz")
    owners = defaultdict(set)
    for row in entries:
        for name in [row["name"], *synonyms(row)]:
            owners[fold(name)].add(row["id"])
    by_word = defaultdict(list)
    for row in entries:
        for word in set(fold(row["name"]).split()):
            by_word[word].append(row)
    chance = random.Random(0)
    compared = right = 0
    for gold in chance.sample(entries, 300):
        near = by_word[min(fold(gold["name"]).split() or [""], key=lambda word: len(by_word[word]))]
        for other in chance.sample(near, min(4, len(near))):
            if other["id"] != gold["id"] and not owners[fold(other["name"])] & {gold["id"]}:
                compared += 1
                right += level(other["name"], gold["name"]) == 2
    assert compared > 250
    assert right <= 0.005 * compared
