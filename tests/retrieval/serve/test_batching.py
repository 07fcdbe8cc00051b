from __future__ import annotations

import asyncio
import threading
from functools import partial

import pytest
from service_helpers import OverlapEngine, SlowEngine, outcomes_of

from medr3_plugin.errors import RetrievalFailure, UserError
from medr3_plugin.retrieval.serve.batching import Batcher


@pytest.fixture
def engine():
    return OverlapEngine()


@pytest.fixture
def make(engine):
    made = []

    def build(**options) -> Batcher:
        options = {"cache_hits": 0, **options}
        made.append(Batcher(lambda: engine, **options))
        return made[-1]

    yield build
    engine.gate.set()
    for batcher in made:
        batcher.close()


async def busy(batcher, engine) -> asyncio.Task:
    """Start a search that the engine is held up in."""
    engine.gate.clear()
    engine.entered.clear()
    task = asyncio.create_task(batcher.search(["fever"], 1))
    assert await asyncio.to_thread(engine.entered.wait, 20)
    return task


async def queued(batcher, *searches) -> list[asyncio.Task]:
    tasks = [asyncio.create_task(search) for search in searches]
    await asyncio.sleep(0)  # each runs to its wait
    return tasks


async def test_answers_are_those_of_the_engine(make, engine):
    batcher = make()
    asked = [["statins"], ["fever cough", "insulin"], ["nothing known"], []]
    for topk in (1, 3):
        found = await asyncio.gather(*(batcher.search(queries, topk) for queries in asked))
        assert found == [engine.search(queries, topk) for queries in asked]


async def test_what_waits_while_the_engine_works_becomes_one_call(make, engine):
    batcher = make()
    first = await busy(batcher, engine)
    asked = [["statins"], ["insulin"], ["statins", "metformin"]]
    tasks = await queued(batcher, *(batcher.search(queries, 2) for queries in asked))
    assert batcher.pending == 5
    engine.gate.set()
    found = await asyncio.gather(*tasks)
    await first
    # a query that several asked is searched once
    assert engine.calls == [(("fever",), 1), (("statins", "insulin", "metformin"), 2)]
    assert found == [[engine._one(query, 2) for query in queries] for queries in asked]
    assert batcher.pending == 0


async def test_only_equal_top_k_shares_a_call_and_nobody_is_overtaken_for_ever(make, engine):
    batcher = make()
    first = await busy(batcher, engine)
    tasks = await queued(batcher, *(batcher.search([f"q{i}"], 1 + i % 2) for i in range(4)))
    engine.gate.set()
    await asyncio.gather(first, *tasks)
    assert engine.calls[1:] == [(("q0", "q2"), 1), (("q1", "q3"), 2)]


@pytest.mark.parametrize(("max_batch", "sizes"), [(1, [1] * 5), (2, [2, 2, 1]), (100, [5])])
async def test_batches_are_bounded(make, engine, max_batch, sizes):
    batcher = make(max_batch=max_batch)
    first = await busy(batcher, engine)
    tasks = await queued(batcher, *(batcher.search([f"q{i}"], 1) for i in range(5)))
    engine.gate.set()
    await asyncio.gather(first, *tasks)
    assert [len(queries) for queries, _ in engine.calls[1:]] == sizes


async def test_a_request_larger_than_a_batch_is_not_split(make, engine):
    batcher = make(max_batch=2)
    await batcher.search(["a", "b", "c"], 1)
    assert engine.calls == [(("a", "b", "c"), 1)]


async def test_a_full_queue_refuses_and_recovers(make, engine):
    batcher = make(max_pending=3)
    first = await busy(batcher, engine)
    tasks = await queued(batcher, batcher.search(["statins", "insulin"], 1))
    with pytest.raises(RetrievalFailure) as caught:
        await batcher.search(["metformin"], 1)
    assert caught.value.kind == "overloaded"
    engine.gate.set()
    await asyncio.gather(first, *tasks)
    assert await batcher.search(["metformin"], 1)
    # alone, a request larger than the bound passes: it could never pass otherwise
    assert len(await batcher.search(["a", "b", "c", "d"], 1)) == 4


async def test_one_bad_query_fails_alone(make, engine):
    batcher = make()
    first = await busy(batcher, engine)
    tasks = await queued(batcher, *(batcher.search([q], 1) for q in ("statins", "poison", "insulin")))
    engine.gate.set()
    statins, poison, insulin = await asyncio.gather(*tasks, return_exceptions=True)
    await first
    assert statins[0][0].document.id == "d2"
    assert insulin[0][0].document.id == "d4"
    assert isinstance(poison, RetrievalFailure)
    assert poison.kind == "engine"
    assert batcher.pending == 0
    assert await batcher.search(["statins"], 1)


async def test_the_engine_does_not_work_for_callers_that_left(make, engine):
    batcher = make()
    first = await busy(batcher, engine)
    gone, stays = await queued(batcher, batcher.search(["statins"], 1), batcher.search(["insulin"], 1))
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    engine.gate.set()
    await asyncio.gather(first, stays)
    assert engine.calls[1:] == [(("insulin",), 1)]
    assert batcher.pending == 0


async def test_a_deadline_ends_the_wait_of_its_caller_only(make, engine):
    batcher = make()
    first = await busy(batcher, engine)
    patient, hurried = await queued(
        batcher, batcher.search(["insulin"], 1, timeout_s=20), batcher.search(["statins"], 1, timeout_s=0.05)
    )
    with pytest.raises(RetrievalFailure) as caught:
        await hurried
    assert caught.value.kind == "timeout"
    engine.gate.set()
    await first
    assert (await patient)[0][0].document.id == "d4"
    assert engine.calls[1:] == [(("insulin",), 1)]


async def test_more_than_the_engine_can_do_in_time_is_refused_and_not_worked_on_in_vain():
    batcher = Batcher(SlowEngine, max_pending=1000, cache_hits=0)
    # all together would take longer than each may wait: as one call, it would be for nobody
    outcomes = await outcomes_of(partial(batcher.search, timeout_s=1), 100)
    assert outcomes["overloaded"] > 0
    assert outcomes["answered"] > outcomes["timeout"]
    await asyncio.to_thread(batcher.close)


async def test_without_a_bound_none_is_refused_and_those_in_front_are_answered():
    batcher = Batcher(SlowEngine, cache_hits=0)
    outcomes = await outcomes_of(partial(batcher.search, timeout_s=1), 100)
    assert outcomes["overloaded"] == 0
    assert outcomes["answered"] > 0
    await asyncio.to_thread(batcher.close)


async def test_callers_that_left_take_no_place_in_the_queue(make, engine):
    batcher = make(max_pending=3)
    first = await busy(batcher, engine)
    gone = await queued(batcher, batcher.search(["statins", "insulin"], 1))
    gone[0].cancel()
    await asyncio.gather(*gone, return_exceptions=True)
    stays = await queued(batcher, batcher.search(["insulin", "metformin"], 1))
    engine.gate.set()
    assert len(await stays[0]) == 2
    await first


async def test_cached_queries_never_reach_the_engine(make, engine):
    batcher = make(cache_hits=100)
    one = await batcher.search(["statins"], 2)
    assert await batcher.search(["statins"], 2) == one
    assert await batcher.search(["statins", "insulin"], 2)
    assert await batcher.search(["statins"], 1)  # another top-k is another question
    assert engine.calls == [(("statins",), 2), (("insulin",), 2), (("statins",), 1)]


async def test_a_caller_cannot_spoil_the_cache(make):
    batcher = make(cache_hits=100)
    (hits,) = await batcher.search(["statins"], 2)
    hits.clear()
    assert (await batcher.search(["statins"], 2))[0]


async def test_observer_counts(engine):
    seen = []
    batcher = Batcher(lambda: engine, observe=lambda queries, searched, _: seen.append((queries, searched)))
    await batcher.search(["a", "a", "b"], 1)
    await batcher.search(["a"], 1)
    batcher.close()
    assert seen == [(3, 2), (1, 0)]


@pytest.mark.parametrize(
    ("raised", "expected"), [(UserError("no index"), UserError), (OSError("disk"), RetrievalFailure)]
)
async def test_an_index_that_does_not_open_fails_every_caller(raised, expected):
    def open_engine():
        raise raised

    batcher = Batcher(open_engine)
    for _ in range(3):
        with pytest.raises(expected, match=r"no index|disk"):
            await batcher.search(["a"], 1)
    assert not batcher.ready
    batcher.close()


async def test_close_fails_what_waits_and_what_comes(make, engine):
    batcher = make()
    first = await busy(batcher, engine)
    (waits,) = await queued(batcher, batcher.search(["statins"], 1))
    closing = asyncio.create_task(asyncio.to_thread(batcher.close))
    while not batcher.closed:
        await asyncio.sleep(0.001)
    engine.gate.set()
    await closing
    assert await first  # what the engine worked on is answered
    for search in (waits, batcher.search(["late"], 1)):
        with pytest.raises(RetrievalFailure) as caught:
            await search
        assert caught.value.kind == "closed"
    assert engine.closed
    batcher.close()


def test_serves_several_event_loops_one_of_which_dies(make, engine):
    batcher = make()
    found = {}

    def caller(name: str) -> None:
        found[name] = asyncio.run(batcher.search([name], 1))

    async def leave_early() -> None:
        asyncio.get_running_loop().create_task(batcher.search(["fever"], 1))
        await asyncio.sleep(0.01)

    engine.gate.clear()
    asyncio.run(leave_early())  # its loop is closed before the engine answers
    threads = [threading.Thread(target=caller, args=(name,)) for name in ("statins", "insulin")]
    for thread in threads:
        thread.start()
    engine.gate.set()
    for thread in threads:
        thread.join(20)
    assert {name: hits[0][0].document.id for name, hits in found.items()} == {
        "statins": "d2",
        "insulin": "d4",
    }
