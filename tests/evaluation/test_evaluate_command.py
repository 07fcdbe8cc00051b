"""`medr3 eval` from files to tables, against a real HTTP server that speaks vLLM's completions protocol."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from openai_replies import PROBED, as_response, completed, serve_models
from werkzeug import Request, Response

pytest.importorskip("transformers")
pytest.importorskip("pytest_httpserver")

from byte_tokenizer import byte_tokenizer
from command_line import medr3

from medr3_plugin.commands.evaluate import label_of
from medr3_plugin.commands.evaluate_run import judge_options
from medr3_plugin.errors import UserError
from medr3_plugin.recipe.shipped import copy_recipe
from medr3_plugin.runs.report.report import write_report


class Server:
    """Searches for the question's signs, then answers Marfan syndrome to everything.

    May fail at first, or refuse every prompt that holds the text `refuses`.
    """

    def __init__(
        self,
        tokenizer: Any,
        failures: int = 0,
        returns_ids: bool = True,
        refuses: str | None = None,
        says_stop: bool = True,
    ) -> None:
        self.says_stop = says_stop
        self.refuses = refuses
        self.tokenizer, self.failures, self.returns_ids = tokenizer, failures, returns_ids
        self.bodies: list[dict[str, Any]] = []

    def __call__(self, request: Request) -> Response:
        if self.failures:
            self.failures -= 1
            return Response("overloaded", status=503)
        body = json.loads(request.data)
        if body["max_tokens"] == 1:
            return as_response(PROBED)
        if self.refuses is not None and self.refuses in self.tokenizer.decode(body["prompt"]):
            return Response("no", status=400)
        self.bodies.append(body)
        said = self.tokenizer.decode(body["prompt"]).rpartition("[assistant] ")[2]
        if "</search>" in said:
            text, ended = "So.</think><answer>Marfan syndrome</answer>", None
        else:
            text, ended = "<think>Look.<search>ectopia lentis tall</search>", "</search>"
        if self.returns_ids:
            return completed(text, self.tokenizer)
        return completed(text.removesuffix(ended or ""), **({"stop_reason": ended} if self.says_stop else {}))


def serve(server: Any, handler: Server) -> None:
    serve_models(server)
    server.expect_request("/v1/completions", method="POST").respond_with_handler(handler)


@pytest.mark.parametrize(
    "server", [{}, {"returns_ids": False}, {"returns_ids": False, "says_stop": False}], ids=str
)
def test_from_files_to_tables(
    files: Path, httpserver: Any, tokenizer: Any, evaluate: Any, server: dict[str, bool]
) -> None:
    handler = Server(tokenizer, failures=1, **server)
    serve(httpserver, handler)
    result = evaluate()
    assert result.exit_code == 0, result.output + repr(result.exception)
    assert "| rare | 2 | 50.0 [0.0, 100.0]" in result.output
    assert {body["model"] for body in handler.bodies} == {"served"}
    assert all(body["include_stop_str_in_output"] and "</search>" in body["stop"] for body in handler.bodies)
    document = json.loads((files / "out" / "results.json").read_text())
    (benchmark,) = document["benchmarks"]
    # both questions searched for the first one's signs: one gold document of two was found
    assert (benchmark["searches"], benchmark["gold_recall"], benchmark["answered"]) == (1.0, 0.5, 1.0)
    # an evaluation folder is a run folder too
    _, run = write_report(files / "out")
    assert run.trajectory_total == 2


def test_tables_again_and_compared_without_a_model(
    files: Path, httpserver: Any, tokenizer: Any, evaluate: Any
) -> None:
    serve(httpserver, Server(tokenizer))
    assert evaluate().exit_code == 0
    out = files / "out"
    result = medr3("eval", "--out", out, "--compare", out)
    assert result.exit_code == 0 and "| rare | 2 | +0.0 [-84.2, +84.2] | 0 | 0 | 1 |" in result.output
    assert f"## {httpserver.host}:{httpserver.port}\n" in result.output  # as in the evaluation's own table
    printed = medr3("eval", "--out", out, "--json").stdout
    assert json.loads(printed) == json.loads((out / "results.json").read_text())


def test_missing_samples_are_an_error_and_the_same_command_goes_on(
    files: Path, httpserver: Any, tokenizer: Any, evaluate: Any
) -> None:
    handler = Server(tokenizer, refuses="Thick mucus?")
    serve(httpserver, handler)
    half = evaluate()
    assert half.exit_code == 1 and "| rare | 1 | 100.0" in half.output
    missing = "missing: rare 1 of 2 samples"
    assert f"{missing}. Last failure: " in half.stderr and "400" in half.stderr
    assert "the same command" in half.stderr
    out = files / "out"
    assert missing in (out / "results.md").read_text() and missing in (out / "results.tex").read_text()
    assert json.loads((out / "results.json").read_text())["missing"] == {"rare": 1}
    again = medr3("eval", "--out", out)
    assert again.exit_code == 1 and missing in again.output
    handler.refuses = None
    whole = evaluate()
    assert whole.exit_code == 0 and "| rare | 2 | 50.0" in whole.output and "missing:" not in whole.output


def test_a_server_dead_from_the_start_is_named(httpserver: Any, tokenizer: Any, evaluate: Any) -> None:
    serve(httpserver, Server(tokenizer, refuses=""))
    result = evaluate("--api", "completions")
    assert isinstance(result.exception, UserError)
    assert "rare 2 of 2" in str(result.exception)
    assert "400" in str(result.exception)


def test_undecided_answers_and_rows_left_out_are_said(
    files: Path, httpserver: Any, tokenizer: Any, evaluate: Any
) -> None:
    questions = [
        {"id": "m:1", "question": "Lens luxation?", "answer": "a disorder of connective tissue"},
        {"id": "m:2", "question": "Thick mucus?"},
    ]
    (files / "rare.jsonl").write_text("".join(json.dumps(row) + "\n" for row in questions) + "{\n")
    serve(httpserver, Server(tokenizer))
    assert evaluate().exit_code == 2
    result = evaluate("--skip-bad")
    assert result.exit_code == 3
    (benchmark,) = json.loads((files / "out" / "results.json").read_text())["benchmarks"]
    assert benchmark["undecided"] == 1 and "| undecided |" in result.stdout
    assert "1 answer counted as wrong" in result.stderr and "--judge" in result.stderr
    left_out = [line for line in result.stderr.splitlines() if "left out" in line]
    assert len(left_out) == 2 and all("rare.jsonl" in line for line in left_out)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--out", "o"], "give --model"),
        (["--out", "o", "--model", "m"], "--benchmark"),
        (["--out", "o", "--model", "m", "--benchmark", "nothing"], "make one with `medr3 data prepare`"),
        (
            ["--out", "o", "--model", "http://h", "--benchmark", "rare"],
            "--index or --retrieval-url is needed",
        ),
        (
            ["--out", "o", "--model", "http://h", "--benchmark", "rare", "--prompt", "plain"],
            "--tokenizer is needed with a URL",
        ),
        (
            ["--out", "o", "--model", "runs/a/b", "--benchmark", "rare", "--data", ".", "--index", "index"],
            "--model runs/a/b: ",
        ),
        (
            ["--out", "o", "--model", "m", "--benchmark", "rare", "--data", ".", "--api", "chat"],
            "--api chat: --model m is not a URL",
        ),
    ],
)
def test_mistakes(files: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str) -> None:
    monkeypatch.chdir(files)
    result = medr3("eval", *arguments)
    assert isinstance(result.exception, UserError) and message in str(result.exception)


def test_the_judge_is_the_recipes_unless_given() -> None:
    own = {"kind": "openai", "base_url": "http://j", "model": "a", "attempts": 2}
    recipe = {"reward": {"judge": own}}
    assert judge_options(recipe, None, "") == own
    assert judge_options(recipe, None, "b") == own | {"model": "b"}
    assert judge_options(recipe, "rule", "") == {} == judge_options({}, None, "")
    assert judge_options(recipe, "http://k", "c") == {"kind": "openai", "base_url": "http://k", "model": "c"}


def test_the_recipe_gives_length_and_search_options(
    files: Path, httpserver: Any, tokenizer: Any, tokenizer_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("verl")
    mine = copy_recipe("one_gpu_1_5b", files / "mine")
    text = mine.config_file.read_text().replace("max_response_length: 4096", "max_response_length: 1234")
    index = "    index: ${paths.data}/index\n"
    assert index in text
    mine.config_file.write_text(text.replace(index, index + "    search: {depth: 7}\n"))
    monkeypatch.setenv("MEDR3_DATA", str(files))
    (files / "vocab.jsonl").write_text('{"name": "Marfan syndrome", "synonyms": ["MFS"]}\n')
    serve(httpserver, Server(tokenizer))
    arguments = ["eval", "--model", httpserver.url_for("/"), "--benchmark", "rare", "--data", str(files)]
    arguments += ["--index", str(files / "index"), "--tokenizer", str(tokenizer_folder)]
    result = medr3(*arguments, "--out", files / "out", "--recipe", mine.folder)
    assert result.exit_code == 0, result.output + repr(result.exception)
    settings = json.loads((files / "out" / "evaluation.json").read_text())
    assert settings["response_length"] == 1234 and settings["search"] == {"depth": 7}
    assert settings["environment"]["document_tokens"] == 256 and settings["judge"] == "rule"


def test_how_a_model_is_called_in_the_table() -> None:
    assert label_of("runs/a/checkpoints/global_step_3/actor/huggingface") == "a global_step_3"
    assert label_of("owner/huggingface") == "huggingface" and label_of("models/Smol/") == "Smol"
    assert label_of("http://h:8000/v1/") == label_of("http://h:8000") == "h:8000"
    assert label_of("http://h:8000/v1", "served") == "served" and not label_of("")


def test_a_server_with_neither_api_is_named(httpserver: Any, evaluate: Any) -> None:
    serve_models(httpserver)
    for path in ("/v1/completions", "/v1/chat/completions"):
        httpserver.expect_request(path, method="POST").respond_with_data("Not Found", status=404)
    result = evaluate()
    assert "neither /completions nor /chat/completions" in str(result.exception)
    result = evaluate("--api", "completions")
    assert isinstance(result.exception, UserError) and "--api chat" in str(result.exception)
    result = evaluate("--api", "words")
    assert isinstance(result.exception, UserError) and "--api: 'words'" in str(result.exception)


def test_two_models_of_one_server_do_not_mix(httpserver: Any, tokenizer: Any, evaluate: Any) -> None:
    serve(httpserver, Server(tokenizer))
    assert evaluate().exit_code == 0
    again = evaluate("--model-name", "served")
    assert again.exit_code == 0  # the same one, by its name
    other = evaluate("--model-name", "another")
    assert isinstance(other.exception, UserError) and "another" in str(other.exception)


def test_a_judge_model_without_a_judge_is_refused() -> None:
    with pytest.raises(UserError, match="--judge"):
        judge_options({}, None, "m")


class ToolServer(Server):
    """Calls the tool first, then answers."""

    def __call__(self, request: Request) -> Response:
        body = json.loads(request.data)
        if body["max_tokens"] == 1:
            return as_response(PROBED)
        self.bodies.append(body)
        asked = self.tokenizer.decode(body["prompt"])
        query = {"name": "medical_search", "arguments": {"query": "ectopia lentis tall"}}
        text = f"I look it up.<tool_call>\n{json.dumps(query)}\n</tool_call><|im_end|>"
        if "Ectopia lentis and tall" in asked:
            text = "<think>So.</think><answer>Marfan syndrome</answer>"
        return completed(text, self.tokenizer)


def test_a_model_that_calls_tools(files: Path, httpserver: Any, evaluate: Any, tmp_path_factory: Any) -> None:
    """verl's own tool loop, with the recipe's tool file; searched is the index of the command line."""
    pytest.importorskip("verl")
    tokenizer = byte_tokenizer()
    folder = tmp_path_factory.mktemp("tool_tokenizer")
    tokenizer.save_pretrained(folder)
    handler = ToolServer(tokenizer)
    serve(httpserver, handler)
    recipe = ("--recipe", "medr3_cpu", "--judge", "rule", "environment=tools")
    result = evaluate(*recipe, "medr3.reward.extractor.vocabularies=[]", tokenizer=folder)
    assert result.exit_code == 0, result.output + repr(result.exception)
    document = json.loads((files / "out" / "results.json").read_text())
    (benchmark,) = document["benchmarks"]
    assert (benchmark["searches"], benchmark["gold_recall"], benchmark["answered"]) == (1.0, 0.5, 1.0)
    assert benchmark["accuracy"]["mean"] == 0.5
    (first, _) = [json.loads(line) for line in (files / "out" / "trajectories.jsonl").open()]
    assert "<tool_call>" in first["response"] and first["tag_text"].count("<search>") == 1
    assert first["inserted_tokens"] > 0
    room = sorted(body["max_tokens"] for body in handler.bodies)
    assert room[-2:] == [1200, 1200] and 0 < room[0] < room[1] + 50 < 1200


@pytest.mark.parametrize("options", [("--prompt", "search"), ("--api", "chat")], ids=str)
def test_what_does_not_go_with_tool_calls(evaluate: Any, options: tuple[str, str]) -> None:
    pytest.importorskip("verl")
    result = evaluate("--recipe", "medr3_cpu", *options, "environment=tools",
        "medr3.reward.extractor.vocabularies=[]", "--model-name", "m",
    )  # fmt: skip
    assert isinstance(result.exception, UserError) and result.exit_code != 0
