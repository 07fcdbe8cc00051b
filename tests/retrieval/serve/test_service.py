"""The service under uvicorn, over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
import time
import urllib.error
import urllib.request

import pytest
from service_helpers import CORPUS, OverlapEngine, running, small_index

pytest.importorskip("fastapi")

from medr3_plugin.errors import UserError
from medr3_plugin.retrieval.client import RetrievalClient
from medr3_plugin.retrieval.serve.service import ServiceOptions, create_app

Reply = tuple[int, bytes]


def post(url: str, body: bytes | dict, path: str = "/retrieve", headers: dict | None = None) -> Reply:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(url + path, data=data, headers=headers or {})  # noqa: S310
    return _open(request)


def get(url: str, path: str, headers: dict | None = None) -> Reply:
    return _open(urllib.request.Request(url + path, headers=headers or {}))  # noqa: S310


def _open(request: urllib.request.Request) -> Reply:
    try:
        with urllib.request.urlopen(request, timeout=20) as response:  # noqa: S310
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


@contextlib.contextmanager
def service(engine: OverlapEngine | None = None, **options):
    engine = engine or OverlapEngine()
    app = create_app(ServiceOptions(**options), lambda: engine)
    with running(app) as url:
        while app.state.service.batcher.engine is None:
            threading.Event().wait(0.005)
        yield url
        engine.gate.set()


@pytest.fixture(scope="module")
def url():
    with service(topk=3, max_topk=50, max_queries=4, max_query_chars=100, max_body_bytes=10_000) as address:
        yield address


# -- Search-R1's protocol -----------------------------------------------------------------------------------


def as_search_r1_sends_it(documents_and_scores: list[list[tuple[dict, float]]], scores: bool) -> bytes:
    """Its server's JSON: `{"document", "score"}` pairs or bare documents, written as FastAPI writes JSON."""
    result = [
        [{"document": document, "score": score} if scores else document for document, score in hits]
        for hits in documents_and_scores
    ]
    return json.dumps({"result": result}, ensure_ascii=False, separators=(",", ":")).encode()


@pytest.mark.parametrize("scores", [True, False])
def test_answers_byte_for_byte_as_search_r1_would(url, scores):
    status, body = post(url, {"queries": ["statins", "influenza fever"], "topk": 1, "return_scores": scores})
    statins = {
        "id": "d2",
        "title": "Statins",
        "text": "Statins lower cholesterol; “naïve” users vary.",
        "source": "reviews",
        "evidence_type": "meta",
        "evidence_level": 9,
        "year": 2015,
        "contents": "Statins\nStatins lower cholesterol; “naïve” users vary.",
    }
    influenza = {
        "pmid": "12",
        "id": "d3",
        "title": "Influenza",
        "text": "Fever and cough suggest influenza.",
        "source": "notes",
        "evidence_type": "",
        "evidence_level": 1,
        "year": None,
        "contents": "Influenza\nFever and cough suggest influenza.",
    }
    assert status == 200
    assert body == as_search_r1_sends_it([[(statins, 1.0)], [(influenza, 2.0)]], scores)


def test_a_search_r1_client_can_read_it(url):
    # what its generation loop does with an answer: first line of `contents` is the title, the rest is text
    payload = {"queries": ["insulin", " ", "unknown"], "topk": 3, "return_scores": True}
    results = json.loads(post(url, payload)[1])["result"]
    shown = []
    for hits in results:
        lines = [hit["document"]["contents"].split("\n") for hit in hits]
        shown.append([f"(Title: {line[0]}) {' '.join(line[1:])}" for line in lines])
    assert shown == [["(Title: Insulin) Insulin is given in type 1 diabetes."], [], []]


def test_one_query_as_rllm_sends_it(url):
    status, body = post(url, {"query": "insulin", "top_k": 3})
    answer = json.loads(body)
    assert (status, answer["query"], answer["num_results"]) == (200, "insulin", 1)
    assert answer["results"][0]["document"]["contents"].startswith("Insulin\n")
    assert answer["results"][0]["score"] > 0
    assert json.loads(post(url, {"query": " "})[1])["results"] == []
    for wrong, named in (
        ({"query": "x", "top_k": 0}, "topk"),
        ({"query": "x", "topk": 3, "k": 1}, "k: unknown key"),
        ({"query": ["x"]}, "query"),
        ({"query": "x", "queries": ["x"]}, "query: unknown key"),
    ):
        status, body = post(url, wrong)
        assert status == 422 and named in json.loads(body)["detail"]


def test_top_k_defaults_and_no_queries_give_no_results(url):
    all_of_them = {"queries": ["metformin statins fever insulin"]}
    assert len(json.loads(post(url, all_of_them)[1])["result"][0]) == 3
    assert post(url, {"queries": []}) == (200, b'{"result":[]}')


# -- refusals -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        (b"", 422, "body"),
        (b"not json", 422, "body"),
        (b"[]", 422, "body"),
        (b"\xff\xfe", 422, "body"),
        ({}, 422, "queries"),
        ({"queries": "fever"}, 422, "queries"),
        ({"queries": [1]}, 422, "queries[0]"),
        ({"queries": ["a"] * 5}, 422, "at most 4"),
        ({"queries": ["a", "x" * 101]}, 422, "queries[1]"),
        ({"queries": ["a"], "topk": 0}, 422, "topk"),
        ({"queries": ["a"], "topk": 10**6}, 422, "1 to 50"),
        ({"queries": ["a"], "topk": 10**30}, 422, "topk"),
        ({"queries": ["a"], "topk": "many"}, 422, "topk"),
        ({"queries": ["a"], "topk": 1.5}, 422, "topk"),
        ({"queries": ["a"], "return_scores": "perhaps"}, 422, "return_scores"),
        ({"queries": ["fever"], "top_k": 3}, 422, "top_k: unknown key"),
        ({"queries": ["fever"], "filter": {}}, 422, "filter: unknown key"),
        ({"queries": ["a"], "filters": {"source": ["trials"]}}, 422, "filters.source: unknown key"),
        ({"queries": ["a"], "filters": {"min_year": "x"}}, 422, "min_year"),
        ({"queries": ["a"], "filters": {"min_year": 2000, "max_year": 1990}}, 422, "min_year 2000 is above"),
        ({"queries": ["a"], "filters": {"min_evidence_level": 12}}, 422, "min_evidence_level"),
        ({"queries": ["a"], "filters": {"max_evidence_level": 0}}, 422, "max_evidence_level"),
        (b'{"queries": ["\\ud800"]}', 422, "body"),
        ({"queries": ["x" * 20_000]}, 413, "at most 10000"),
    ],
)
def test_bad_requests_are_refused_with_the_reason(url, body, status, says):
    got, answer = post(url, body)
    assert got == status
    assert says in json.loads(answer)["detail"]
    assert "\n" not in json.loads(answer)["detail"]


@pytest.mark.parametrize(
    "query", ["\x00\x07\x1b", "发烧 咳嗽", "e\u0301\u200b\ufeff", "</document><answer>", "a" * 100, "🫀" * 50]
)
def test_odd_queries_are_only_text(url, query):
    assert post(url, {"queries": [query], "topk": 1})[0] == 200


def test_other_methods_and_paths(url):
    assert get(url, "/retrieve")[0] == 405
    assert get(url, "/nothing")[0] == 404


def test_a_source_that_the_index_does_not_have_is_refused(tmp_path):
    with running(create_app(ServiceOptions(index=small_index(tmp_path)))) as address:
        while get(address, "/health")[0] != 200:
            threading.Event().wait(0.01)
        status, answer = post(address, {"queries": ["fever"], "filters": {"sources": ["trials", "Trials"]}})
        assert status == 422
        assert "'Trials'" in json.loads(answer)["detail"]
        assert "'reviews'" in json.loads(answer)["detail"]
        assert post(address, {"queries": ["fever"], "filters": {"sources": ["trials"]}})[0] == 200


def test_the_service_says_what_it_is(url):
    status, answer = get(url, "/")
    assert status == 200
    assert json.loads(answer)["routes"]["retrieve"] == "POST /retrieve"
    status, page = get(url, "/docs")
    assert (status, b"swagger" in page) == (200, True)
    status, document = get(url, "/openapi.json")
    assert status == 200
    fields = json.loads(document)["paths"]["/retrieve"]["post"]["requestBody"]["content"]["application/json"]
    assert set(fields["schema"]["properties"]) == {"queries", "topk", "return_scores", "filters"}


@pytest.mark.parametrize(
    "head", ["Transfer-Encoding: chunked\r\n\r\n8000\r\n", "Content-Length: 1000000\r\n\r\n"]
)
def test_a_large_body_is_refused_before_it_is_all_there(url, head):
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as raw:
        raw.sendall(f"POST /retrieve HTTP/1.1\r\nHost: x\r\n{head}".encode() + b" " * 0x8000)
        assert raw.recv(100).startswith(b"HTTP/1.1 413")


def test_the_sender_of_a_large_body_is_told(url):
    assert post(url, b" " * 5_000_000)[0] == 413


def test_garbage_on_the_socket_does_not_hurt(url):
    host, port = url.removeprefix("http://").split(":")
    head = b"POST /retrieve HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n{"
    for raw_bytes in (b"\x00\xff" * 500 + b"\r\n\r\n", b"GET", head, b"\r\n" * 100):
        with socket.create_connection((host, int(port)), timeout=20) as raw:
            raw.sendall(raw_bytes)
    assert post(url, {"queries": ["fever"]})[0] == 200


def test_a_body_that_never_comes_is_given_up():
    with service(body_timeout_s=0.1) as address:
        host, port = address.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=20) as raw:
            raw.sendall(b"POST /retrieve HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n{")
            assert raw.recv(100).startswith(b"HTTP/1.1 408")


# -- load ---------------------------------------------------------------------------------------------------


def test_a_full_queue_is_429_and_a_slow_engine_504():
    engine = OverlapEngine()
    with service(engine, max_pending=1, timeout_s=0.3, cache_hits=0) as address:
        engine.gate.clear()
        replies: list[Reply] = []
        slow = threading.Thread(target=lambda: replies.append(post(address, {"queries": ["fever"]})))
        slow.start()
        assert engine.entered.wait(20)
        assert post(address, {"queries": ["insulin"]})[0] == 429
        slow.join(20)
        assert replies[0][0] == 504
        engine.gate.set()
        while post(address, {"queries": ["insulin"]})[0] != 200:
            time.sleep(0.01)


def test_the_engine_failing_is_500_and_the_service_lives():
    with service() as address:
        status, body = post(address, {"queries": ["poison"]})
        assert status == 500
        assert "poison" in json.loads(body)["detail"]
        assert post(address, {"queries": ["fever"]})[0] == 200


async def test_concurrent_clients_get_their_own_answers():
    with service(cache_hits=0) as address:
        client = RetrievalClient(address)
        asked = [document.title for document in CORPUS] * 25
        found = await asyncio.gather(*(client.search([query], 1) for query in asked))
        await client.close()
    engine = OverlapEngine()
    assert found == [engine.search([query], 1) for query in asked]


# -- health, metrics, token, shutdown -----------------------------------------------------------------------


def test_health_is_ready_only_when_loaded():
    gate, engine = threading.Event(), OverlapEngine()

    def slow_open():
        assert gate.wait(20)
        return engine

    app = create_app(ServiceOptions(), slow_open)
    with running(app) as address:
        assert get(address, "/health") == (503, b'{"status":"loading"}')
        assert post(address, {"queries": ["fever"]})[0] == 503
        gate.set()
        while get(address, "/health")[0] != 200:
            time.sleep(0.01)
        assert post(address, {"queries": ["fever"]})[0] == 200


def test_health_tells_why_the_index_did_not_load():
    def broken():
        raise UserError("index: manifest.json is missing")

    with running(create_app(ServiceOptions(), broken)) as address:
        while b"loading" in (reply := get(address, "/health"))[1]:
            time.sleep(0.01)
        assert reply[0] == 503
        assert b"manifest.json" in reply[1]
        assert post(address, {"queries": ["fever"]})[0] == 503


def test_metrics_count():
    with service() as address:
        for queries in (["fever"], ["fever", "insulin"], [1]):
            post(address, {"queries": queries})
        text = get(address, "/metrics")[1].decode()
    values = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert float(values['medr3_requests_total{status="200"}']) == 2
    assert float(values['medr3_requests_total{status="422"}']) == 1
    assert float(values["medr3_queries_total"]) == 3
    assert float(values["medr3_queries_searched_total"]) == 2  # the second "fever" came from the cache
    assert float(values["medr3_batch_queries_count"]) == 2
    assert float(values["medr3_pending_queries"]) == 0


def test_a_token_in_the_environment_is_asked_for(monkeypatch):
    monkeypatch.setenv("SEARCH_TOKEN", "s3cret")
    with service(token_env="SEARCH_TOKEN") as address:
        ask = {"queries": ["fever"]}
        assert post(address, ask)[0] == 401
        assert post(address, ask, headers={"Authorization": "Bearer wrong"})[0] == 401
        assert post(address, ask, headers={"Authorization": "Bearer s3cret"})[0] == 200
        assert get(address, "/metrics")[0] == 401
        assert get(address, "/metrics", {"Authorization": "Bearer s3cret"})[0] == 200
        assert get(address, "/health")[0] == 200


def test_what_is_being_answered_is_answered_before_the_end():
    engine = OverlapEngine()
    replies: list[Reply] = []
    with running(create_app(ServiceOptions(), lambda: engine)) as address:
        while get(address, "/health")[0] != 200:
            time.sleep(0.01)
        engine.gate.clear()
        asking = threading.Thread(target=lambda: replies.append(post(address, {"queries": ["fever"]})))
        asking.start()
        assert engine.entered.wait(20)
        threading.Timer(0.2, engine.gate.set).start()  # the server is told to end before that
    asking.join(20)
    assert replies[0][0] == 200
    assert engine.closed
