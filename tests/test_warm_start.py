"""The supervised start of the learning runs: what its demonstrations show, and what of them is learned."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

pytest.importorskip("transformers")

from medr3_plugin.environment.settings import EnvironmentSettings
from medr3_plugin.records import Document, Hit
from tests.environment.byte_tokenizer import byte_tokenizer

ROOT = Path(__file__).resolve().parents[1]
TEMPLATE = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}assistant: "


@pytest.fixture(scope="module")
def warm_start():
    spec = importlib.util.spec_from_file_location("warm_start", ROOT / "benchmarks/warm_start.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["warm_start"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    yield module
    del sys.modules["warm_start"]


class OneDocument:
    """Finds the same document for every query."""

    def __init__(self) -> None:
        self.queries: list[str] = []

    def search(self, queries, topk, filters=None):
        self.queries += queries
        return [[Hit(Document(id="d", title="Found", text="Found. Signs: a."), 1.0)][:topk] for _ in queries]


def demonstrate(warm_start, **habits):
    """All demonstrations as (whole text, text that is learned), and the queries."""
    tokenizer, engine = byte_tokenizer(), OneDocument()
    tokenizer.chat_template = TEMPLATE
    rows = [
        {
            "prompt": [{"role": "user", "content": "Which disease has the signs a, b, c, d?"}],
            "reward_model": {"ground_truth": f"disease {number}"},
        }
        for number in range(400)
    ]
    start = warm_start.Start(
        **({"searches": 0.2, "query_signs": 2, "believes": 0.5} | habits), demonstrations=200
    )
    environment = EnvironmentSettings(document_tokens=200, search_tokens=200)
    made = [
        tuple(
            "".join(tokenizer.decode(p.token_ids) for p in pieces if p.is_learned or not learned)
            for learned in (False, True)
        )
        for pieces in warm_start.demonstrations(rows, start, engine, environment, tokenizer)
    ]
    return made, engine.queries


def test_prompt_and_documents_are_shown_and_not_learned(warm_start):
    made, _ = demonstrate(warm_start)
    searching = [pair for pair in made if "<search>" in pair[0]]
    assert len(made) == 400
    assert len(searching) == 200
    for whole, learned in made:
        assert whole.startswith("user: Which disease has the signs a, b, c, d?")
        assert "user:" not in learned
        assert learned.endswith("</answer><|im_end|>")
    assert all("<document>" in whole and "<document>" not in learned for whole, learned in searching)


def test_habits_are_shown_as_often_as_asked(warm_start):
    made, queries = demonstrate(warm_start)
    opened = sum("<search>" in learned for _, learned in made)
    answered_at_once = len(made) - len(queries)
    assert 0.1 < opened / (opened + answered_at_once) < 0.3
    assert all(len(query.split(", ")) == 2 for query in queries)
    assert 70 < sum("<answer> Found </answer>" in whole for whole, _ in made) < 130
