"""One verdict: judge and vocabulary together, in tags and in tool calls with thoughts, on every path."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from werkzeug import Request, Response

torch = pytest.importorskip("torch")
pytest.importorskip("verl")
pytest.importorskip("pytest_httpserver")
pytest.importorskip("pyarrow")

import numpy as np  # noqa: E402
from byte_tokenizer import byte_tokenizer  # noqa: E402
from command_line import medr3  # noqa: E402
from omegaconf import OmegaConf  # noqa: E402
from openai_replies import PROBED, as_response, chatted, completed, serve_models  # noqa: E402
from tensordict import TensorDict  # noqa: E402
from verl import DataProto  # noqa: E402

from medr3_plugin.evaluation.rollout import TAG_TEXT  # noqa: E402
from medr3_plugin.records import Document, Hit, SearchTurn  # noqa: E402
from medr3_plugin.retrieval.index.build import build_index  # noqa: E402
from medr3_plugin.retrieval.protocol import turns_to_json  # noqa: E402
from medr3_plugin.runs.report.report import write_report  # noqa: E402
from medr3_plugin.verl_adapters.reward_manager import Medr3RewardManager  # noqa: E402

DRUGS = {"A": "Spironolactone", "B": "Amiloride", "C": "Furosemide", "D": "Mannitol"}
CHOICE = {"question": "Which of these is a loop diuretic?", "options": DRUGS, "answer": "C"}
VERDICT = {"question": "Does furosemide lower potassium?", "answer": "yes"}
OPEN = {"question": "Which diuretic acts in the loop of Henle?", "answer": ["furosemide"]}
# question, answer, whether it is right: by rule, by the vocabulary, by the judge, who knows what SAME says
CASES = [
    (CHOICE, "C", True),
    (CHOICE, "**C. Furosemide**", True),
    (CHOICE, "It blocks the cotransporter.\n\nThe answer is Furosemide.", True),
    (CHOICE, "A", False),
    (CHOICE, "SAME as the third one in other words", True),
    (CHOICE, "something that no rule knows", False),
    (CHOICE, "C or D", False),
    (VERDICT, "Yes, it does.", True),
    (VERDICT, "no", False),
    (OPEN, "Furosemide", True),
    (OPEN, "The answer is Lasix.", True),
    (OPEN, "SAME, but by a name of its maker", True),
    (OPEN, "mannitol", False),
]
QUERY = "loop diuretic"
DOCUMENT = {"id": "d1", "title": "Furosemide", "text": "Furosemide is a loop diuretic.", "source": "s"}
CALL = json.dumps({"name": "medical_search", "arguments": {"query": QUERY}})


def marked(number: int) -> str:
    return f"(case {number})"


class Policy:
    """Thinks, searches once and says what the case says, in tags or by calling the tool."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer

    def __call__(self, request: Request) -> Response:
        body = json.loads(request.data)
        if body["max_tokens"] == 1:
            return as_response(PROBED)
        prompt = self.tokenizer.decode(body["prompt"])
        answer = next(answer for n, (_, answer, _) in enumerate(CASES) if marked(n) in prompt)
        calls = "</search>" not in body["stop"]
        if calls and "<tool_response>" not in prompt:
            text = f"<think>I look it up.</think>\n<tool_call>\n{CALL}\n</tool_call><|im_end|>"
        elif calls:
            text = f"<think>So it is.</think>\n<answer>{answer}</answer><|im_end|>"
        elif "</search>" not in prompt.rpartition("assistant")[2]:
            text = f"<think>I look it up.<search>{QUERY}</search>"
        else:
            text = f"So it is.</think>\n<answer>{answer}</answer><|im_end|>"
        return completed(text, self.tokenizer)


def judge(request: Request) -> Response:
    case = json.loads(request.data)["messages"][-1]["content"]
    return chatted(json.dumps({"reason": "r", "score": 2 if "SAME" in case else 0}))


async def rewarded(row: dict[str, Any], trajectory: dict[str, Any], reward: dict[str, Any]) -> dict[str, Any]:
    """What the reward manager says of an evaluated trajectory, told as verl tells it."""
    tokenizer = byte_tokenizer()
    ids = tokenizer.encode(trajectory.get(TAG_TEXT) or trajectory["response"], add_special_tokens=False)
    hits = (Hit(Document(DOCUMENT["id"], DOCUMENT["text"], DOCUMENT["title"]), 1.0),)
    turns = [SearchTurn(QUERY, hits, (DOCUMENT["id"],), "ok", 0.01)]
    fields = {"searches": turns_to_json(turns), "forged": False, "truncated": False}
    columns = {}
    for key, value in {**row, "tool_extra_fields": fields}.items():
        columns[key] = np.empty(1, dtype=object)
        columns[key][0] = value
    columns["extra_info"][0] = {**row["extra_info"], "stage": "joint"}
    batch = {
        "prompts": torch.zeros(1, 1),
        "responses": torch.tensor([ids]),
        "attention_mask": torch.ones(1, 1 + len(ids)),
    }
    config = OmegaConf.create({"medr3": {"stages": [{"name": "joint"}], "reward": reward}})
    data = DataProto(batch=TensorDict(batch, batch_size=1), non_tensor_batch=columns)
    told = await Medr3RewardManager(config, tokenizer).run_single(data)
    return told["reward_extra_info"]


def run(*arguments: object) -> None:
    result = medr3(*map(str, arguments))
    assert result.exit_code == 0, result.output + repr(result.exception)


@pytest.mark.parametrize("protocol", ["search", "tools"])
def test_one_verdict_on_every_path(tmp_path: Path, httpserver: Any, protocol: str) -> None:
    import pyarrow.parquet as pq

    tokenizer = byte_tokenizer()
    tokenizer.save_pretrained(tmp_path / "tokenizer")
    for path, kind, handler in (
        ("/v1", "completions", Policy(tokenizer)),
        ("/judge/v1", "chat/completions", judge),
    ):
        serve_models(httpserver, "m", path)
        httpserver.expect_request(f"{path}/{kind}", method="POST").respond_with_handler(handler)
    url, vocabulary = httpserver.url_for("/judge/v1"), tmp_path / "vocabulary.jsonl"
    vocabulary.write_text(
        json.dumps({"id": "1", "name": "furosemide", "synonyms": ["Lasix"], "type": "drug"}) + "\n"
    )
    (tmp_path / "corpus.jsonl").write_text(json.dumps(DOCUMENT) + "\n")
    build_index(tmp_path / "corpus.jsonl", tmp_path / "index")
    questions = [
        {**case, "id": f"q{n}", "question": f"{case['question']} {marked(n)}"}
        for n, (case, _, _) in enumerate(CASES)
    ]
    (tmp_path / "own.jsonl").write_text("".join(json.dumps(question) + "\n" for question in questions))
    prepared, out = tmp_path / "own.parquet", tmp_path / "evaluated"
    run("data", "prepare", "generic", "--source", tmp_path / "own.jsonl", "--split", "all", "--out", prepared, "--prompt", protocol)  # fmt: skip  # noqa: E501
    run(
        "eval", "--model", httpserver.url_for("/"), "--benchmark", f"own={prepared}", "--index", tmp_path / "index",
        "--tokenizer", tmp_path / "tokenizer", "--out", out, "--response-length", 2000, "--judge", url,
        "--judge-model", "m", "--recipe", "medr3_cpu", f"medr3.reward.extractor.vocabularies=[{vocabulary}]",
        *(["environment=tools"] if protocol == "tools" else []),
    )  # fmt: skip
    evaluated = {row["id"]: row for row in map(json.loads, (out / "trajectories.jsonl").open())}
    rows = {row["extra_info"]["id"]: row for row in pq.read_table(prepared).to_pylist()}
    assert all(evaluated[key]["searches"][0]["outcome"] == "ok" for key in rows)

    given = [
        {**rows[key], "response": row.get(TAG_TEXT) or row["response"], "retrieved": [[DOCUMENT]]}
        for key, row in evaluated.items()
    ]
    (tmp_path / "given.jsonl").write_text("".join(json.dumps(row) + "\n" for row in given))
    score = ("score", "--stage", "joint", "--judge", url, "--judge-model", "m", "--vocabulary", vocabulary)
    run(*score, "--in", tmp_path / "given.jsonl", "--out", tmp_path / "scored.jsonl")
    run(*score, "--in", out / "trajectories.jsonl", "--out", tmp_path / "again.jsonl")
    scored, again = (
        {row["id"]: row for row in map(json.loads, (tmp_path / name).open())}
        for name in ("scored.jsonl", "again.jsonl")
    )

    reward = {
        "extractor": {"kind": "lexicon", "vocabularies": [str(vocabulary)]},
        "judge": {"kind": "openai", "base_url": url, "model": "m"},
    }
    for n, (_, answer, right) in enumerate(CASES):
        key = next(key for key in rows if key.endswith(f"q{n}"))
        told = asyncio.run(rewarded(rows[key], evaluated[key], reward))
        verdicts = (evaluated[key]["reward"]["acc"], scored[key]["acc"], again[key]["acc"], told["acc"])
        assert verdicts == (right, right, right, right), answer
        assert told["valid"] == scored[key]["valid"] == evaluated[key]["reward"]["valid"] == 1, answer
        assert told["score"] == pytest.approx(scored[key]["score"]), answer
    (benchmark,) = json.loads((out / "results.json").read_text())["benchmarks"]
    share = sum(right for _, _, right in CASES) / len(CASES)
    assert benchmark["accuracy"]["mean"] == pytest.approx(share)
    _, report = write_report(out)
    assert report.trajectory_total == len(CASES)
