"""Reference construction against a scripted endpoint on a real socket, with a real BM25 index."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import Counter
from pathlib import Path

import pytest
from command_line import medr3
from werkzeug import Request, Response

from medr3_plugin.data import prepare
from medr3_plugin.data.questions import prompts
from medr3_plugin.data.questions.items import Item
from medr3_plugin.data.references import build, offline, steps
from medr3_plugin.data.references.caller import Costs
from medr3_plugin.data.references.pipeline import BuildOptions, summary
from medr3_plugin.errors import RunFailed, UserError
from medr3_plugin.knowledge.vocabulary import Entry, Vocabulary
from medr3_plugin.records import Document, Triple
from medr3_plugin.retrieval.index.build import build_index

pq = pytest.importorskip("pyarrow.parquet")

GOUT = Item(
    "q:1",
    "medqa_us",
    "A man has a hot swollen big toe. Which of the following is the most likely diagnosis?",
    ("Gout",),
    {"A": "Gout", "B": "Cellulitis"},
)
EXCEPT = Item(
    "q:2", "medqa_us", "All of the following are true except?", ("That",), {"A": "This", "B": "That"}
)
CHINESE = Item(
    "q:3", "medqa_mainland", "足趾红肿热痛，最可能的诊断是？", ("痛风",), {"A": "痛风", "B": "丹毒"}
)


class Endpoint:
    """A scripted chat server: replies by what the request is about, and counts what it was paid for."""

    def __init__(self, server) -> None:
        self.lock = threading.Lock()
        self.paid: Counter[str] = Counter()
        self.bodies: list[dict] = []
        self.dies_after: int | None = None
        self.holds_call: int | None = None  # paid, but not answered before `go_on` is set
        self.go_on = threading.Event()
        self.garbage: Counter[str] = Counter()
        self.cut_off: set[str] = set()
        self.query = "hot swollen toe urate"
        self.answer = "Gout"
        self.score: object = 5
        self.url = server.url_for("/v1")
        server.expect_request("/v1/chat/completions").respond_with_handler(self.handle)

    def handle(self, request: Request) -> Response:
        body = request.get_json()
        with self.lock:
            if self.dies_after is not None and sum(self.paid.values()) >= self.dies_after:
                return Response("gone", status=400)
            step = self.step(body)
            self.paid[step] += 1
            self.bodies.append(body)
            text = self.reply(step, body)
            if self.garbage[step] > 0:
                self.garbage[step] -= 1
                text = "I would rather not say"
            hold = sum(self.paid.values()) == self.holds_call
        if hold:
            self.go_on.wait(30)
        usage = {"prompt_tokens": 100, "completion_tokens": 10}
        ended = "length" if step in self.cut_off else "stop"
        message = {"message": {"role": "assistant", "content": text}, "finish_reason": ended}
        return Response(json.dumps({"choices": [message], "usage": usage}), content_type="application/json")

    @staticmethod
    def step(body: dict) -> str:
        first = body["messages"][0]["content"]
        for step, marks in {
            "suitability": ("without its options", "不给出选项"),
            "rewrite": ("Turn a multiple-choice", "改写成"),
            "verify": ("written reasoning", "书面推理"),
            "graph": ("knowledge graph", "知识图谱"),
            "trajectory": ("<search>",),
            "plain": ("<think>",),
        }.items():
            if any(mark in first for mark in marks):
                return step
        return "judge"

    def reply(self, step: str, body: dict) -> str:
        asked = body["messages"][-1]["content"]
        first_turn = len(body["messages"]) == 1
        scripted = {
            "suitability": json.dumps(
                {"suitable": "except" not in asked, "reason": "asks for what is wrong"}
            ),
            "rewrite": '{"question": "足趾红肿热痛，诊断是什么？"}'
            if "痛" in asked
            else 'Sure:\n```json\n{"question": "A hot swollen big toe. What is it?"}\n```',
            "trajectory": f"<think>A hot toe. <search> {self.query} "
            if first_turn
            else f"Urate crystals cause gout, thought {self.paid[step]}.</think><answer>{self.answer}</answer>",
            "plain": f"<think>Easy.</think><answer>{self.answer}</answer>",
            "graph": json.dumps(
                {"triples": [{"head": "urate crystals", "relation": "cause", "tail": "gout"}]}
            ),
            "verify": json.dumps({"score": self.score, "reason": "ok"}),
            "judge": json.dumps({"score": 0, "reason": "another disease"}),
        }
        return scripted[step]


@pytest.fixture
def endpoint(httpserver) -> Endpoint:
    return Endpoint(httpserver)


@pytest.fixture(scope="module")
def index(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("index")
    corpus = folder / "corpus.jsonl"
    texts = {
        "d1": "Urate crystals in the joint are the cause of gout, a hot swollen toe.",
        "d2": "Skin infection.",
    }
    corpus.write_text("".join(json.dumps({"id": k, "title": k, "text": t}) + "\n" for k, t in texts.items()))
    build_index(corpus, folder / "bm25", engine="bm25")
    return folder / "bm25"


async def building(items, url, journal, index=None, *, policy=False, model="teacher", **options):
    settings = {"references": 2, "max_trajectories": 3, "concurrency": 4, **options}
    costs = Costs()
    teacher = {"base_url": url, "model": model, "attempts": 1, "timeout_s": 20}
    outcomes, stopped = await build.build_online(
        items,
        journal,
        BuildOptions(**settings),
        teacher=teacher,
        policy={**teacher, "model": "policy"} if policy else None,
        retrieval={"index": str(index)} if index else None,
        costs=costs,
    )
    return outcomes, stopped, costs


def run(items, endpoint, *arguments, **options):
    return asyncio.run(building(items, endpoint.url, *arguments, **options))


def references_command(source, out, *options):
    """The outcome of `medr3 data build-references`."""
    return medr3("data", "build-references", "--in", source, "--out", out, *options)


def prepared(path, items, **how):
    """A parquet as `medr3 data prepare` writes it."""
    prepare.write(prepare.Loaded(items=list(items)), path, prepare.training_rows(items, **how))
    return path


def row_of(path):
    """The only row of a parquet."""
    (row,) = pq.read_table(path).to_pylist()
    return row


def with_references(source, endpoint, *options):
    """What the command prints, and the only row that it writes."""
    out = source.with_name("out.parquet")
    teacher = ("--base-url", endpoint.url, "--model", "teacher", "--references", 1)
    result = references_command(source, out, *teacher, *options)
    assert result.exit_code == 0, result.exception
    return result.output, row_of(out)


def test_only_json_steps_are_decoded_under_their_schema(endpoint, index, tmp_path):
    run([GOUT], endpoint, tmp_path / "journal", index)
    asked = {Endpoint.step(body): body.get("response_format") for body in endpoint.bodies}
    assert asked["trajectory"] is None
    for step, key in (("suitability", "suitable"), ("verify", "score"), ("graph", "triples")):
        assert key in asked[step]["json_schema"]["schema"]["properties"]


def test_two_items_from_choice_question_to_references(tmp_path, endpoint, index):
    (built, dropped), stopped, costs = run([GOUT, EXCEPT], endpoint, tmp_path / "j", index)
    assert (built.status, stopped, built.scores) == ("built", "", [5, 5])
    assert built.item.question == "A hot swollen big toe. What is it?" and built.item.options is None
    assert len(built.item.references) == 2
    reference = built.item.references[0]
    assert reference.triples == (Triple("urate crystals", "cause", "gout", from_retrieval=True),)
    assert "Urate crystals cause gout, thought 2." in reference.text and "joint" not in reference.text
    assert (dropped.status, dropped.reason) == ("dropped", "unsuitable: asks for what is wrong")
    assert endpoint.paid == {"suitability": 2, "rewrite": 1, "trajectory": 4, "verify": 2, "graph": 2}
    told = summary([built, dropped], costs)
    assert told["items"] == {"built": 1, "dropped": 1} and told["references"] == 2
    calls = sum(endpoint.paid.values())
    assert told["tokens"] == {"prompt": 100 * calls, "completion": 10 * calls}
    assert {step: numbers["calls"] for step, numbers in told["steps"].items()} == endpoint.paid


@pytest.mark.parametrize("query", ["hot swollen toe urate", "urate < 6 mg/dl\nin gout", "urate <think> gout"])
def test_documents_are_the_next_user_message_and_never_the_teachers_own(tmp_path, endpoint, index, query):
    endpoint.query = query
    run([GOUT], endpoint, tmp_path / "j", index, references=1, max_trajectories=1)
    last = [body for body in endpoint.bodies if endpoint.step(body) == "trajectory"][-1]
    assert [message["role"] for message in last["messages"]] == ["user", "assistant", "user"]
    assert last["messages"][1]["content"].endswith(f"{query} </search>")
    assert last["messages"][2]["content"].startswith("<document>d1. Urate crystals")
    assert last["stop"] == ["</search>", "<document>"]


def test_a_run_that_is_killed_pays_for_no_call_twice(tmp_path, endpoint, index):
    run([GOUT, EXCEPT], endpoint, tmp_path / "whole", index, concurrency=1)
    expected = Counter(endpoint.paid)
    endpoint.paid.clear()
    for pause in range(1, sum(expected.values())):
        endpoint.dies_after = pause
        outcomes, _, _ = run([GOUT, EXCEPT], endpoint, tmp_path / "resumed", index, concurrency=1)
        assert any(outcome.status == "failed" for outcome in outcomes)
    endpoint.dies_after = None
    (built, _), _, costs = run([GOUT, EXCEPT], endpoint, tmp_path / "resumed", index, concurrency=1)
    assert built.status == "built" and len(built.item.references) == 2
    assert endpoint.paid == expected
    steps_of_it = summary([built], costs)["steps"].values()
    assert sum(numbers["calls"] for numbers in steps_of_it) == 1
    assert sum(numbers["replayed"] for numbers in steps_of_it) == sum(expected.values()) - 1


def test_cancelled_in_the_middle_the_journal_has_what_was_answered(tmp_path, endpoint, index):
    endpoint.holds_call = 2

    async def interrupted() -> None:
        building_one = building([GOUT], endpoint.url, tmp_path / "j", index, references=1, max_trajectories=1)
        task = asyncio.ensure_future(building_one)
        while sum(endpoint.paid.values()) < 2:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(interrupted())
    endpoint.go_on.set()
    before = Counter(endpoint.paid)
    (built,), _, _ = run([GOUT], endpoint, tmp_path / "j", index, references=1, max_trajectories=1)
    assert built.status == "built"
    # only the call in flight at the time was asked again
    assert sum(endpoint.paid.values()) == 6 + 1 and endpoint.paid["suitability"] == before["suitability"] == 1


def test_an_endpoint_that_is_gone_ends_the_run(tmp_path):
    items = [Item(f"q:{i}", "d", f"Open question {i}?", ("x",)) for i in range(12)]
    gone = building(items, "http://127.0.0.1:9/v1", tmp_path / "j", concurrency=1, give_up_after=3)
    outcomes, stopped, _ = asyncio.run(gone)
    statuses = Counter(outcome.status for outcome in outcomes)
    assert statuses == {"failed": 3, "unreached": 9} and "cannot be reached" in stopped


def test_unreadable_replies_are_asked_again_a_bounded_number_of_times(tmp_path, endpoint, index):
    endpoint.garbage["suitability"] = 2
    (built,), _, costs = run([GOUT], endpoint, tmp_path / "a", index, references=1)
    assert built.status == "built" and costs["suitability"].unreadable == 2
    endpoint.garbage["suitability"] = 10**6
    before = endpoint.paid["suitability"]
    (failed,), _, _ = run([GOUT], endpoint, tmp_path / "b", index)
    assert failed.status == "failed" and "the teacher at" in failed.reason
    assert endpoint.paid["suitability"] - before == 3


@pytest.mark.parametrize("step", ["suitability", "rewrite", "verify", "graph"])
def test_a_reply_that_is_cut_off_is_never_read(tmp_path, endpoint, index, step):
    endpoint.cut_off = {step}
    (failed,), _, _ = run([GOUT], endpoint, tmp_path / "j", index, references=1)
    assert failed.status == "failed" and "teacher" in failed.reason and "--max-tokens" in failed.reason
    paid = endpoint.paid[step]
    assert paid == (2 if step == "graph" else 3)
    endpoint.cut_off = set()
    run([GOUT], endpoint, tmp_path / "j", index, references=1)
    assert endpoint.paid[step] == paid, "what was paid for is in the journal"
    (built,), _, _ = run([GOUT], endpoint, tmp_path / "j", index, references=1, max_tokens=100)
    assert built.status == "built"


def test_a_trajectory_that_is_cut_off_has_no_answer(tmp_path, endpoint, index):
    endpoint.cut_off = {"trajectory"}
    (dropped,), _, _ = run([GOUT], endpoint, tmp_path / "j", index)
    assert (dropped.status, dropped.scores) == ("dropped", [1, 1, 1])
    assert not endpoint.paid["verify"]


def test_two_runs_at_the_same_time_pay_once(tmp_path, endpoint, index):
    runs = [threading.Thread(target=run, args=([GOUT], endpoint, tmp_path / "j", index)) for _ in range(2)]
    for each in runs:
        each.start()
    for each in runs:
        each.join()
    (built,), _, _ = run([GOUT], endpoint, tmp_path / "j", index)
    assert built.status == "built"
    assert endpoint.paid == {"suitability": 1, "rewrite": 1, "trajectory": 4, "verify": 2, "graph": 2}


@pytest.mark.parametrize(("answer", "status"), [("Gout", "dropped"), ("Cellulitis", "built")])
def test_what_the_policy_knows_is_dropped(tmp_path, endpoint, index, answer, status):
    reply = endpoint.reply
    endpoint.reply = lambda step, body: (
        f"<think>x</think><answer>{answer}</answer>" if body["model"] == "policy" else reply(step, body)
    )
    (outcome,), _, _ = run(
        [GOUT], endpoint, tmp_path / "j", index, policy=True, policy_attempts=3, references=1
    )
    assert outcome.status == status, outcome.reason
    assert sum(body["model"] == "policy" for body in endpoint.bodies) == 3
    if status == "dropped":
        assert outcome.reason == "too easy: pass rate 1.00" and "trajectory" not in endpoint.paid


def test_wrong_trajectories_are_no_references_and_trajectories_are_bounded(tmp_path, endpoint, index):
    endpoint.score = "4.5"
    (outcome,), _, _ = run([GOUT], endpoint, tmp_path / "j", index)
    assert outcome.status == "dropped" and outcome.scores == [4.5, 4.5, 4.5]
    assert "no trajectory of 3 was graded 5" in outcome.reason and "graph" not in endpoint.paid
    endpoint.answer = "Gout</answer><answer>cellulitis"  # wrong by rule, whatever the teacher's grade
    (outcome,), _, _ = run([GOUT], endpoint, tmp_path / "k", index)
    assert outcome.scores == [1, 1, 1]


def test_chinese_questions_get_chinese_prompts(tmp_path, endpoint, index):
    endpoint.answer = "痛风"
    run([CHINESE], endpoint, tmp_path / "j", index, references=1, max_trajectories=1)
    systems = {
        body["messages"][0]["content"][:2] for body in endpoint.bodies if endpoint.step(body) != "trajectory"
    }
    assert {"请判", "请把", "请为"} <= systems


def test_command_end_to_end(tmp_path, endpoint, index):
    source, out = prepared(tmp_path / "in.parquet", [GOUT, EXCEPT]), tmp_path / "out.parquet"
    teacher = ("--base-url", endpoint.url, "--model", "teacher")
    arguments = (source, out, *teacher, "--index", index, "--references", 2, "--form", "open")
    result = references_command(*arguments)
    assert result.exit_code == 0, result.output
    assert "1 built, 1 dropped; 2 references" in result.output and "dropped, unsuitable: 1" in result.output
    info = row_of(out)["extra_info"]
    assert info["question"] == "A hot swollen big toe. What is it?" and info["options"] == ""
    assert json.loads(info["references"])[0]["triples"] == [["urate crystals", "cause", "gout", True]]
    paid = sum(endpoint.paid.values())
    assert references_command(*arguments).exit_code == 0
    assert sum(endpoint.paid.values()) == paid
    endpoint.dies_after = 0
    result = references_command(*arguments, "--journal", tmp_path / "new")
    assert isinstance(result.exception, RunFailed) and "run the same command" in str(result.exception)
    failures = json.loads((tmp_path / "out.parquet.report.json").read_text())["failures"]
    assert {failure["id"] for failure in failures} == {"q:1", "q:2"}
    assert all(f"the teacher at {endpoint.url}" in failure["reason"] for failure in failures)
    result = references_command(source, out)
    assert "--base-url" in str(result.exception)


def test_rows_keep_the_prompt_the_agent_and_the_stage_they_were_prepared_with(tmp_path, endpoint):
    source = prepared(tmp_path / "in.parquet", [GOUT], style="tools", stage="reasoning", form="open")
    _, after = with_references(source, endpoint)
    assert after["agent_name"] == "medr3_tool" and after["prompt"] == row_of(source)["prompt"]
    assert after["extra_info"]["stage"] == "reasoning" and json.loads(after["extra_info"]["references"])
    # an explicit --prompt brings its own agent
    _, after = with_references(source, endpoint, "--prompt", "search")
    assert after["agent_name"] == "medr3_search" and "<search>" in after["prompt"][0]["content"]


def test_a_rewritten_question_replaces_the_old_one_in_its_own_prompt(tmp_path, endpoint):
    source = prepared(tmp_path / "in.parquet", [GOUT], style="tools")
    _, row = with_references(source, endpoint, "--form", "open")
    assert row["prompt"] == prompts.instruction("A hot swollen big toe. What is it?", "tools")


@pytest.mark.parametrize("form", [(), ("--form", "choice")])
def test_choice_questions_stay_choice_questions_and_have_references(tmp_path, endpoint, form):
    source = prepared(tmp_path / "in.parquet", [GOUT])
    before, (_, after) = row_of(source), with_references(source, endpoint, *form)
    assert before["extra_info"].pop("references") == "[]"
    assert json.loads(after["extra_info"].pop("references"))
    assert after == before and json.loads(after["extra_info"]["options"]) == dict(GOUT.options)


def test_choice_rows_cannot_be_made_of_open_ones(tmp_path, endpoint):
    source = prepared(tmp_path / "in.parquet", [GOUT], form="open")
    result = references_command(
        source, tmp_path / "out.parquet", "--base-url", endpoint.url, "--form", "choice"
    )
    assert "--form choice: no question of" in str(result.exception) and not endpoint.paid


@pytest.mark.parametrize("form", ["choice", "open"])
def test_questions_without_options_are_told_to_skip_two_steps(tmp_path, endpoint, form):
    source = prepared(tmp_path / "in.parquet", [GOUT], form=form)
    output, _ = with_references(source, endpoint)
    assert ("suitability and rewriting are skipped" in output) == (form == "open")
    assert ("suitability" in endpoint.paid) == (form == "choice")


def test_a_prompt_without_its_question_is_named_before_anything_is_paid(tmp_path, endpoint):
    rows = [{**row, "prompt": [{"role": "user", "content": "?"}]} for row in prepare.training_rows([GOUT])]
    prepare.write(prepare.Loaded(items=[GOUT]), tmp_path / "in.parquet", rows)
    result = references_command(tmp_path / "in.parquet", tmp_path / "out.parquet", "--base-url", endpoint.url)
    assert "give --prompt" in str(result.exception) and not endpoint.paid


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--base-url", "localhost:7821"], "--base-url 'localhost:7821': expected an address"),
        (["--policy-url", "localhost:7821"], "--policy-url 'localhost:7821': expected an address"),
        (["--api-key-env", "MEDR3_NO_SUCH_KEY"], "--api-key-env MEDR3_NO_SUCH_KEY: this environment"),
        (["--index", "nosuch"], "--index: nosuch: no such index"),
        (["--index", "http://127.0.0.1:9"], "--index: http://127.0.0.1:9"),
    ],
)
def test_a_wrong_option_is_named_before_anything_is_paid(tmp_path, endpoint, options, named):
    source = prepared(tmp_path / "in.parquet", [GOUT])
    teacher = ("--base-url", endpoint.url, "--model", "teacher")
    result = references_command(source, tmp_path / "out.parquet", *teacher, *options)
    assert isinstance(result.exception, UserError) and named in str(result.exception)
    assert not endpoint.paid and not (tmp_path / "out.parquet").exists()


def test_parameters_of_the_requests_are_left_out_and_replaced(tmp_path, endpoint):
    source = prepared(tmp_path / "in.parquet", [GOUT])
    replaced = '{"max_tokens": null, "max_completion_tokens": 900, "temperature": null}'
    with_references(source, endpoint, "--parameters", replaced)
    assert not [body for body in endpoint.bodies if {"max_tokens", "temperature"} & body.keys()]
    assert {body["max_completion_tokens"] for body in endpoint.bodies} == {256, 512, 2048, 4096}
    result = references_command(
        source, tmp_path / "out.parquet", "--base-url", endpoint.url, "--parameters", "[1]"
    )
    assert isinstance(result.exception, UserError) and "--parameters" in str(result.exception)


def test_a_failure_names_the_teacher_and_not_a_judge(tmp_path, endpoint):
    endpoint.dies_after = 0
    (failed,), _, _ = run([GOUT], endpoint, tmp_path / "j")
    assert failed.reason.startswith(f"the teacher at {endpoint.url} answered 400")


def test_an_unnamed_model_is_known_by_the_name_that_its_server_gives(tmp_path, endpoint, httpserver):
    served = ["one"]

    def models(_: Request) -> Response:
        return Response(json.dumps({"data": [{"id": served[0]}]}), content_type="application/json")

    httpserver.expect_request("/moved/v1/chat/completions").respond_with_handler(endpoint.handle)
    for path in ("/v1/models", "/moved/v1/models"):
        httpserver.expect_request(path).respond_with_handler(models)

    def paid(url: str) -> int:
        before = sum(endpoint.paid.values())
        asyncio.run(building([GOUT], url, tmp_path / "j", model=None, references=1, max_trajectories=1))
        return sum(endpoint.paid.values()) - before

    whole = paid(endpoint.url)
    assert whole > 0
    assert paid(httpserver.url_for("/moved/v1")) == 0
    served[0] = "two"
    assert paid(endpoint.url) == whole
    served[0] = "one"
    assert paid(endpoint.url) == 0


def test_options_are_checked():
    with pytest.raises(ValueError, match="max_trajectories"):
        BuildOptions(references=5, max_trajectories=2)
    with pytest.raises(ValueError, match="min_pass_rate"):
        BuildOptions(min_pass_rate=0.9)


def test_offline_references_from_gold_documents():
    vocabulary = Vocabulary(Entry(n) for n in ("gout", "urate crystals", "hot toe", "colchicine", "aspirin"))
    document = Document(
        "d", "Urate crystals cause gout. Colchicine treats gout. The weather is fine.", "Gout"
    )
    item = Item("q", "d", "What causes a hot toe with urate crystals?", ("Gout",), gold_docs=("d",))
    built, missing, unknown = offline.build(
        [
            item,
            Item("r", "d", "What?", ("x",), gold_docs=("absent",)),
            Item("s", "d", "What?", ("x",), gold_docs=("e",)),
        ],
        {"d": document, "e": Document("e", "Nothing known here.")},
        vocabulary,
    )
    (reference,) = built.item.references
    stated = {(t.head, t.relation, t.tail) for t in reference.triples}
    assert ("urate crystal", "cause", "gout") in stated and ("colchicine", "treats", "gout") in stated
    assert all(t.from_retrieval for t in reference.triples)
    assert "weather" not in reference.text and reference.text.endswith("The answer is Gout.")
    assert (missing.status, unknown.status) == ("dropped", "dropped")
    assert "absent" in missing.reason and "no known term" in unknown.reason


def test_offline_command_keeps_what_it_could_not_build_when_asked(tmp_path):
    items = [
        Item("q", "d", "Is gout caused by urate crystals?", ("yes",), {"A": "yes", "B": "no"}, ("c",)),
        Item("r", "d", "What else?", ("x",)),
    ]
    source, out = prepared(tmp_path / "in.parquet", items), tmp_path / "out.parquet"
    (tmp_path / "corpus.jsonl").write_text(
        '{"id": "c", "title": "Gout", "text": "Urate crystals cause gout."}\n'
    )
    (tmp_path / "vocab.jsonl").write_text('{"name": "gout"}\n{"name": "urate crystals"}\n')
    files = ["--corpus", tmp_path / "corpus.jsonl", "--vocabulary", tmp_path / "vocab.jsonl"]
    for keep, expected in ((), ["q"]), (("--keep-dropped",), ["q", "r"]):
        result = references_command(source, out, "--offline", *files, *keep)
        assert result.exit_code == 0, result.exception
        rows = [row["extra_info"] for row in pq.read_table(out).to_pylist()]
        assert [row["id"] for row in rows] == expected
        assert json.loads(rows[0]["options"]) == {"A": "yes", "B": "no"} and json.loads(rows[0]["references"])
    assert references_command(source, out, "--offline", *files, "--form", "open").exit_code == 0
    row = row_of(out)
    assert row["extra_info"]["options"] == "" and "A. yes" not in row["prompt"][0]["content"]
    result = references_command(source, out, "--offline")
    assert "--offline needs --corpus and --vocabulary" in str(result.exception)


def test_retrieved_marks_need_both_entities_in_one_document():
    documents = [Document("a", "Gout hurts."), Document("b", "Urate crystals are seen.")]
    triples = (
        Triple("gout", "hurts", "toe"),
        Triple("urate crystals", "are in", "gout"),
        Triple("gout", "is", "Gout"),
    )
    assert [t.from_retrieval for t in steps.mark_retrieved(triples, documents)] == [False, False, True]


def test_parquet_from_elsewhere_is_named(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text('{"question": "Q?"}\n')
    with pytest.raises(UserError, match=r"x\.jsonl:1: .*'extra_info'"):
        build.read_rows(path)


RECIPES = Path(__file__).parents[3] / "recipes"


@pytest.mark.parametrize("readme", sorted(RECIPES.glob("*/README.md")), ids=lambda path: path.parent.name)
def test_recipes_build_references_of_choice_questions(readme):
    commands = readme.read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    building = [line for line in commands if line.startswith("medr3 data build-references")]
    if building:
        (prepare_line,) = (
            c for c in commands if c.startswith("medr3 data prepare") and "questions.parquet" in c
        )
        assert "--form choice" in prepare_line
        assert "--policy-url" in building[0] and "--form" in building[0]


@pytest.mark.parametrize("name", ["answer_only", "medr3_cpu"])
def test_a_readme_builds_the_index_that_its_recipe_opens(name):
    readme, config = (RECIPES / name / file for file in ("README.md", f"{name}.yaml"))
    opens = "index: " in config.read_text(encoding="utf-8")
    assert opens == ("medr3 index build" in readme.read_text(encoding="utf-8"))
    assert opens == (name == "medr3_cpu")
