"""`medr3 eval` of servers that have nothing but chat: how documents are handed back, and what is said of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from openai_replies import chatted, serve_models
from werkzeug import Request, Response

pytest.importorskip("transformers")
pytest.importorskip("pytest_httpserver")

from medr3_plugin.errors import UserError
from medr3_plugin.evaluation.policy import open_tag

SAID = "<think>Look.<search>ectopia lentis tall</search>"
ANSWER = "So.</think><answer>Marfan syndrome</answer>"
FLAGS = ("continue_final_message", "add_generation_prompt")


class ChatServer:
    """Searches once, then answers; honours the flags that continue a message, ignores or refuses them.

    Attributes:
        flags: `honoured`, `ignored` or `refused`.
        says_stop: whether it names the string it stopped at, as vLLM does.
        usage: whether it counts the prompt's tokens.
    """

    def __init__(self, server: Any, flags: str, *, says_stop: bool = True, usage: bool = True) -> None:
        self.flags, self.says_stop, self.usage = flags, says_stop, usage
        self.bodies: list[dict[str, Any]] = []
        self.first, self.then = SAID, ANSWER
        self.message: dict[str, Any] = {}
        self.ended = "stop"
        serve_models(server)
        server.expect_request("/v1/completions").respond_with_data("Not Found", status=404)
        server.expect_request("/v1/chat/completions").respond_with_handler(self)

    def __call__(self, request: Request) -> Response:
        body = json.loads(request.data)
        flagged = any(flag in body for flag in FLAGS)
        if flagged and self.flags == "refused":
            return Response("Unrecognized request argument", status=400)
        goes_on = flagged and self.flags == "honoured"
        tokens = sum(len(m["content"]) + 4 for m in body["messages"]) + (-1 if goes_on else 3)
        if body["max_tokens"] > 1:
            self.bodies.append(body)
        read = "".join(m["content"] for m in body["messages"])
        text = self.then if "Ectopia lentis" in read else self.first
        stopped = next((s for s in body.get("stop") or [] if s in text), None)
        text = text.partition(stopped)[0] if stopped else text
        usage = {"prompt_tokens": tokens, "completion_tokens": 1, "total_tokens": tokens + 1}
        more = {"stop_reason": stopped} if self.says_stop else {}
        return chatted(
            text, message=self.message, usage=self.usage and usage, finish_reason=self.ended, **more
        )


@pytest.mark.parametrize("says_stop", [True, False])
@pytest.mark.parametrize(
    ("flags", "api"), [("honoured", "chat"), ("ignored", "chat-turns"), ("refused", "chat-turns")]
)
def test_documents_are_handed_back_as_the_server_can(  # noqa: PLR0917
    files: Path, httpserver: Any, evaluate: Any, flags: str, api: str, says_stop: bool
) -> None:
    server = ChatServer(httpserver, flags, says_stop=says_stop)
    result = evaluate()
    assert result.exit_code == 0, result.output + repr(result.exception)
    assert f"note: --api {api}: Asked over /v1/chat/completions" in result.stderr
    document = json.loads((files / "out" / "results.json").read_text())
    assert document["api"] == api and "/v1/chat/completions" in (files / "out" / "results.md").read_text()
    (benchmark,) = document["benchmarks"]
    assert (benchmark["searches"], benchmark["gold_recall"], benchmark["accuracy"]["mean"]) == (1, 0.5, 0.5)
    first, second = (body for body in server.bodies if "Lens luxation" in body["messages"][0]["content"])
    assert [m["role"] for m in first["messages"]] == ["user"] and first["stop"] == ["</search>"]
    last = second["messages"][-1]["content"]
    assert "Ectopia lentis" in last and last.endswith("</document>")
    assert first["seed"] + 1 == second["seed"]
    begun = [body["seed"] for body in server.bodies if len(body["messages"]) == 1]
    assert len(set(begun)) == len(begun) > 1  # no two questions draw the same noise
    if api == "chat":
        assert [m["role"] for m in second["messages"]] == ["user", "assistant"]
        assert last.startswith(f"{SAID}<document>") and second["continue_final_message"] is True
    else:
        assert [m["role"] for m in second["messages"]] == ["user", "assistant", "user"]
        assert second["messages"][1]["content"] == SAID and last.startswith("<document>")
        assert not any(flag in second for flag in FLAGS)
    rows = [json.loads(line) for line in (files / "out" / "trajectories.jsonl").read_text().splitlines()]
    assert all(row["response"].startswith(f"{SAID}<document>") for row in rows)
    assert all(row["response"].endswith(ANSWER) for row in rows)


def test_what_was_found_out_is_kept(httpserver: Any, evaluate: Any) -> None:
    ChatServer(httpserver, "honoured")
    assert evaluate().exit_code == 0
    asked = len(httpserver.log)
    again = evaluate()
    assert again.exit_code == 0 and len(httpserver.log) == asked  # all is done: nobody is asked
    other = evaluate("--api", "chat-turns")
    assert isinstance(other.exception, UserError) and "api='chat', now it is 'chat-turns'" in str(
        other.exception
    )


def test_without_counted_tokens_documents_are_user_messages(
    files: Path, httpserver: Any, evaluate: Any
) -> None:
    ChatServer(httpserver, "honoured", usage=False)
    evaluate()
    assert json.loads((files / "out" / "results.json").read_text())["api"] == "chat-turns"


@pytest.mark.parametrize("says_stop", [True, False])
def test_a_document_of_the_models_own_is_forged(
    files: Path, httpserver: Any, evaluate: Any, says_stop: bool
) -> None:
    server = ChatServer(httpserver, "honoured", says_stop=says_stop)
    server.first = f"<think><document>It is Marfan syndrome.</document>{ANSWER}"
    assert evaluate().exit_code == 0
    (benchmark,) = json.loads((files / "out" / "results.json").read_text())["benchmarks"]
    assert (benchmark["forged"], benchmark["accuracy"]["mean"]) == (1, 0)


def test_a_reply_that_the_server_cut_is_truncated(files: Path, httpserver: Any, evaluate: Any) -> None:
    server = ChatServer(httpserver, "honoured", says_stop=False)
    server.first, server.ended = "<think>Look.<search>ectopia", "length"  # fewer tokens here than there
    assert evaluate().exit_code == 0
    (benchmark,) = json.loads((files / "out" / "results.json").read_text())["benchmarks"]
    assert (benchmark["truncated"], benchmark["searches"]) == (1, 0)


@pytest.mark.parametrize("reason", ["abort", "content_filter"])
def test_a_reply_that_the_server_broke_off_is_no_answer(
    files: Path, httpserver: Any, evaluate: Any, reason: str
) -> None:
    server = ChatServer(httpserver, "honoured")
    server.ended = reason
    result = evaluate()
    assert result.exit_code == 1 and f"finish_reason {reason}" in result.output + str(result.exception)
    rows = files / "out" / "trajectories.jsonl"
    assert not rows.exists() or not rows.read_text()


@pytest.mark.parametrize("api", ["chat", "chat-turns"])
def test_an_opened_reasoning_is_the_messages_beginning(
    files: Path, httpserver: Any, evaluate: Any, api: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("verl")
    monkeypatch.setenv("MEDR3_DATA", str(files))  # where the recipe has its vocabulary
    (files / "vocab.jsonl").write_text('{"name": "Marfan syndrome"}\n', encoding="utf-8")
    server = ChatServer(httpserver, "honoured")
    if api == "chat":
        server.first = SAID.removeprefix("<think>")  # it goes on; in turns it opens its reasoning itself
    result = evaluate("--recipe", "one_gpu_1_5b", "--api", api)
    assert result.exit_code == 0, result.output + repr(result.exception)
    opened = [m for body in server.bodies for m in body["messages"] if m["content"] == "<think>"]
    assert bool(opened) == (api == "chat")
    rows = [json.loads(line) for line in (files / "out" / "trajectories.jsonl").read_text().splitlines()]
    assert all(row["response"].startswith(f"{SAID}<document>") for row in rows)


def test_reasoning_taken_out_of_the_reply_is_named(httpserver: Any, evaluate: Any) -> None:
    server = ChatServer(httpserver, "honoured")
    server.message = {"content": None, "reasoning_content": "Look.<search>ectopia lentis"}
    result = evaluate()
    assert isinstance(result.exception, UserError) and "reasoning parser" in str(result.exception)


@pytest.mark.parametrize("api", ["completions", "chat"])
def test_a_reply_without_choices_is_a_failure(httpserver: Any, evaluate: Any, api: str) -> None:
    serve_models(httpserver)
    for path in ("/v1/completions", "/v1/chat/completions"):
        httpserver.expect_request(path).respond_with_json({"error": {"message": "no credit"}})
    result = evaluate("--api", api)
    assert isinstance(result.exception, UserError) and "no credit" in str(result.exception)


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        ("<think>a <search>b", "</search>"),
        ("<search>b</search> and <search>c", "</search>"),
        ("<search>b</search> so", ""),
        ("<search>b <answer>c", "</answer>"),
        ("no tag", ""),
    ],
)
def test_theopen_tag_is_the_one_it_stopped_in(text: str, tag: str) -> None:
    assert open_tag(text, ["</search>", "</answer>"]) == tag
