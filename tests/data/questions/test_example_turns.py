"""Example turns of one's own in prompts: the file is checked, training and evaluation show the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import medr3
from small_tokenizer import tokenizer_of

from medr3_plugin.data.questions import example_turns
from medr3_plugin.errors import UserError

pq = pytest.importorskip("pyarrow.parquet")

SHIPPED = Path(__file__).parents[3] / "examples" / "example_turns"
GOOD = (
    "<think>Hm. <search>toe urate</search><document>Urate.</document> So.</think><answer>Gout</answer>",
    "<think>Known.</think><answer>Gout</answer>",
)


def write(path: Path, *texts: object, question: str = "Which disease swells the toe?") -> Path:
    lines = [
        {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": text}]}
        for text in texts
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def prepare(tmp_path: Path, *more: str, name: str = "out") -> tuple[Path, str]:
    source = tmp_path / "dev.jsonl"
    rows = [
        {"id": 1, "question": "Which vitamin?", "options": ["C", "D"], "answer": "C"},
        {"id": 2, "question": "Which disease swells the toe?", "options": ["gout", "flu"], "answer": "gout"},
    ]
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    out = tmp_path / f"{name}.parquet"
    command = ["data", "prepare", "generic", "--source", str(source), "--out", str(out), *more]
    result = medr3(*command)
    return out, str(result.exception or "") + result.output


@pytest.mark.parametrize("style", ["search", "bare"])
def test_every_prompt_opens_with_them_in_its_own_style(tmp_path: Path, style: str) -> None:
    examples = write(tmp_path / "turns.jsonl", *GOOD, question="Which gland is large?")
    out, output = prepare(tmp_path, "--examples", str(examples), "--prompt", style, "--examples-as", "turns")
    assert "--examples-as user" in output  # what a chat template may do to turns
    assert "2 rows" in output
    messages = pq.read_table(out).to_pylist()[0]["prompt"]
    assert [m["role"] for m in messages] == ["user", "assistant"] * 2 + ["user"]
    assert (messages[1]["content"], messages[3]["content"]) == GOOD
    questions = [m["content"] for m in messages[::2]]
    assert questions[-1].endswith("Which vitamin?\nA. C\nB. D") and questions[0].endswith(
        "Which gland is large?"
    )
    assert all(("You are" in q) == (style == "search") for q in questions)


# as Qwen3's: of earlier assistant turns only what follows </think>
DROPPING = (
    "{% for m in messages %}[{{ m.role }}] "
    "{{ m.content.split('</think>')[-1] if m.role == 'assistant' else m.content }}"
    "{% endfor %}[assistant] "
)


def test_examples_survive_a_template_that_drops_reasoning(tmp_path: Path) -> None:
    examples = str(write(tmp_path / "turns.jsonl", *GOOD, question="Which gland is large?"))
    model = tokenizer_of(tmp_path / "model", DROPPING)
    out, _ = prepare(tmp_path, "--examples", examples)
    (message,) = pq.read_table(out).to_pylist()[0]["prompt"]
    assert all(text in message["content"] for text in GOOD) and message["content"].endswith("A. C\nB. D")
    render = example_turns.renderer(example_turns.load_tokenizer(model))
    assert GOOD[0] in render([message])
    refused = prepare(tmp_path, "--examples", examples, "--examples-as", "turns", "--tokenizer", model)[1]
    assert "--examples-as user" in refused and "toe urate" in refused
    whole = tokenizer_of(tmp_path / "whole", DROPPING.replace(".split('</think>')[-1]", ""))
    more = ("--examples-as", "turns", "--tokenizer", whole)
    assert "2 rows" in prepare(tmp_path, "--examples", examples, *more)[1]


def test_a_recipe_with_turns_that_its_model_cuts_is_found(tmp_path: Path) -> None:
    omegaconf = pytest.importorskip("omegaconf")
    from medr3_plugin.recipe.checks.prompts import prompts_fit

    examples = str(write(tmp_path / "turns.jsonl", *GOOD, question="Which gland is large?"))
    model = {"path": tokenizer_of(tmp_path / "model", DROPPING), "custom_chat_template": None}
    rollout = {"agent": {"default_agent_loop": "medr3_search"}}
    config = omegaconf.OmegaConf.create(
        {"actor_rollout_ref": {"model": model, "rollout": rollout}, "data": {"max_prompt_length": 1000}}
    )
    out, _ = prepare(tmp_path, "--examples", examples, "--examples-as", "turns")
    (found,) = prompts_fit(config, tmp_path, {"data.train_files": [str(out)]})
    assert (found.level, found.where) == ("error", "data.train_files")
    assert "--examples-as user" in found.message
    out, _ = prepare(tmp_path, "--examples", examples)
    assert not list(prompts_fit(config, tmp_path, {"data.train_files": [str(out)]}))


def test_a_question_that_an_example_answers_is_left_out(tmp_path: Path) -> None:
    asked = "Which disease swells the toe?\nA. gout\nB. flu"
    examples = write(tmp_path / "turns.jsonl", *GOOD, question=asked)
    _, output = prepare(tmp_path, "--examples", str(examples))
    assert "1 row" in output and "left out: 1 overlap" in output
    (overlap,) = json.loads((tmp_path / "out.parquet.report.json").read_text())["overlaps"]
    assert overlap["item_id"] == "generic:2" and overlap["evaluation_set"].endswith("turns.jsonl")


def test_an_evaluation_knows_the_style_behind_examples(tmp_path: Path) -> None:
    from medr3_plugin.evaluation.benchmarks import load_benchmark

    examples = write(tmp_path / "turns.jsonl", GOOD[0], question="Which gland is large?")
    prepare(tmp_path, "--examples", str(examples), "--prompt", "bare", name="mine")
    _, (question, _) = load_benchmark("mine", tmp_path, style="bare")
    assert len(question.prompt) == 1
    with pytest.raises(UserError, match=r"--prompt search.* bare"):
        load_benchmark("mine", tmp_path, style="search")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("Gout", "must be one <think>"),
        ("<think>a</think> so <answer>Gout</answer>", "nothing outside"),
        ("<think>a<document>b</document></think><answer>Gout</answer>", "must be one <think>"),
        ("<think><search>a</search>b</think><answer>Gout</answer>", "a search without a <document>"),
        ("<think><search> </search><document>b</document></think><answer>Gout</answer>", "empty search"),
        (7, "must be a text in both"),
    ],
)
def test_faults_are_named_by_line(tmp_path: Path, text: object, fault: str) -> None:
    with pytest.raises(UserError, match=rf"turns.jsonl:2: .*{fault}"):
        example_turns.read(write(tmp_path / "turns.jsonl", GOOD[0], text))


def test_other_mistakes(tmp_path: Path) -> None:
    (tmp_path / "roles.jsonl").write_text('{"messages": [{"role": "user", "content": "a"}]}\n')
    with pytest.raises(UserError, match=r"roles\.jsonl:1: key 'messages'"):
        example_turns.read(tmp_path / "roles.jsonl")
    examples = str(write(tmp_path / "turns.jsonl", GOOD[0]))
    assert "--prompt tools" in prepare(tmp_path, "--examples", examples, "--prompt", "tools")[1]
    assert "without retrieval" in prepare(tmp_path, "--examples", examples, "--prompt", "plain")[1]


@pytest.mark.parametrize("file", sorted(SHIPPED.glob("*.jsonl")), ids=lambda path: path.stem)
def test_shipped_examples_are_well_formed(file: Path) -> None:
    assert len(example_turns.read(file)) >= 2
