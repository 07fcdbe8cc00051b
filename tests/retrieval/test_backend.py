from __future__ import annotations

import asyncio
import multiprocessing
import threading

import pytest
from service_helpers import OverlapEngine, small_index

from medr3_plugin.errors import RetrievalFailure, UserError
from medr3_plugin.retrieval.backend import InProcessBackend, make_backend
from medr3_plugin.retrieval.serve.batching import Batcher


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    return small_index(tmp_path_factory.mktemp("backend"))


QUERIES = ["diabetes insulin", "statins", "fever", "nothing of it"]


async def test_equal_options_share_one_backend(index):
    first = make_backend({"index": index})
    assert make_backend({"backend": "inprocess", "index": index, "url": None}) is first
    other = make_backend({"index": index, "timeout_s": 9})
    assert other is not first
    await first.close()
    fresh = make_backend({"index": index})
    assert fresh is not first
    assert await fresh.search(["statins"], 1)
    with pytest.raises(RetrievalFailure) as caught:
        await first.search(["statins"], 1)
    assert caught.value.kind == "closed"
    for backend in (other, fresh):
        await backend.close()


def test_a_backend_serves_event_loops_one_after_another_and_at_once(index):
    backend = make_backend({"index": index})
    found = []

    def loop_of_its_own() -> None:
        found.append(asyncio.run(backend.search(["statins"], 1))[0][0].document.id)

    loop_of_its_own()
    threads = [threading.Thread(target=loop_of_its_own) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert found == ["d2"] * 4
    asyncio.run(backend.close())


def _search_in_child(index: str, answers: multiprocessing.SimpleQueue) -> None:
    backend = make_backend({"index": index})
    answers.put(asyncio.run(backend.search(["statins"], 1))[0][0].document.id)


def test_a_forked_child_opens_its_own(index):
    # it inherits the cache of backends, but not the thread behind the one in it
    context = multiprocessing.get_context("fork")
    asyncio.run(make_backend({"index": index}).search(["statins"], 1))  # the parent has one already
    answers = context.SimpleQueue()
    child = context.Process(target=_search_in_child, args=(index, answers))
    child.start()
    child.join(60)
    assert child.exitcode == 0
    assert answers.get() == "d2"
    asyncio.run(make_backend({"index": index}).close())


async def test_an_index_that_is_not_there_is_the_users_mistake(tmp_path):
    backend = make_backend({"index": str(tmp_path / "no" / "index")})
    for _ in range(2):
        with pytest.raises(UserError, match=r"no.index"):
            await backend.search(["statins"], 1)
    await backend.close()


async def test_a_slow_engine_meets_the_deadline():
    engine = OverlapEngine()
    backend = InProcessBackend(Batcher(lambda: engine), timeout_s=0.1)
    engine.gate.clear()
    with pytest.raises(RetrievalFailure) as caught:
        await backend.search(["fever"], 1)
    assert caught.value.kind == "timeout"
    engine.gate.set()
    await backend.close()


async def test_opening_the_index_does_not_count_against_the_deadline():
    engine, gate = OverlapEngine(), threading.Event()

    def slow_open() -> OverlapEngine:
        assert gate.wait(20)
        return engine

    backend = InProcessBackend(Batcher(slow_open), timeout_s=5)
    search = asyncio.create_task(backend.search(["fever"], 1))
    await asyncio.sleep(0.02)
    assert not search.done()
    gate.set()
    assert (await search)[0]
    await backend.close()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({}, "needs index"),
        ({"backend": "http"}, "needs url"),
        ({"backend": "ray"}, "needs index"),
        ({"backend": "milvus", "uri": "http://127.0.0.1:19530"}, "collection"),
        ({"uri": "milvus.db"}, "collection"),
        ({"backend": "grpc", "url": "x"}, "medr3.retrieval.backend"),
        ({"index": "a", "indxe": "b"}, "medr3.retrieval.indxe: unknown key"),
        ({"index": "a", "timeout_s": 0}, "medr3.retrieval.timeout_s"),
        ({"url": "http://a", "retries": -1}, "medr3.retrieval.retries"),
        ({"index": "a", "search": {"dpeth": 7}}, "medr3.retrieval.search.dpeth: unknown key"),
        ({"index": "a", "search": {"depth": "x"}}, "medr3.retrieval.search.depth"),
        ({"url": "127.0.0.1:8765"}, "expected http://"),
    ],
)
def test_wrong_options_name_the_yaml_path(options, says):
    with pytest.raises(UserError) as caught:
        make_backend(options)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
