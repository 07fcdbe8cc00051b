"""Index shards behind real Ray actors on this machine."""

from __future__ import annotations

import asyncio
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medr3_plugin.errors import RetrievalFailure, UserError
from medr3_plugin.records import Document, Hit
from medr3_plugin.retrieval.backend import make_backend
from medr3_plugin.retrieval.engine import open_index
from medr3_plugin.retrieval.index.build import build_index
from medr3_plugin.retrieval.index.filters import Filters
from medr3_plugin.retrieval.ray_backend import merge

ray = pytest.importorskip("ray")

SIGNS = ("fever", "cough", "rash", "headache", "nausea", "fatigue", "tremor", "oedema")


def corpus(start: int, count: int) -> str:
    rows = (
        {
            "id": f"d{n}",
            "title": f"Case {n}",
            "text": f"A patient with {SIGNS[n % 8]} and {SIGNS[n % 5]}, number {n}.",
            "source": "even" if n % 2 == 0 else "odd",
            "evidence_type": "case report",
            "evidence_type_method": "metadata",
            "license": "CC0",
        }
        for n in range(start, start + count)
    )
    return "".join(json.dumps(row) + "\n" for row in rows)


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shards")
    for number, (start, count) in enumerate([(0, 24), (24, 16)]):
        (folder / f"{number}.jsonl").write_text(corpus(start, count))
        build_index([str(folder / f"{number}.jsonl")], folder / f"index{number}", "bm25")
    return [str(folder / "index0"), str(folder / "index1")]


@pytest.fixture(scope="module")
def cluster():
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, configure_logging=False)
    yield
    ray.shutdown()


def options(shards: list[str], **more) -> dict:
    return {"backend": "ray", "shards": shards, "ray_cpus": 0.25, **more}


@pytest.mark.slow
async def test_merges_the_answers_of_two_actors(cluster, shards):
    backend = make_backend(options(shards))
    engines = [open_index(shard) for shard in shards]
    queries = ["patient with rash", "tremor and cough", "nothing such"]
    for filters in (None, Filters(sources=("even",))):
        expected = merge([engine.search(queries, 7, filters) for engine in engines], 7)
        assert await backend.search(queries, 7, filters) == expected
        alone = await asyncio.gather(*(backend.search([query], 7, filters) for query in queries))
        assert [hits[0] for hits in alone] == expected
    from_both = {int(hit.document.id[1:]) >= 24 for hit in expected[0]}
    assert from_both == {True, False}
    assert await backend.search([], 7) == []
    await backend.close()
    with pytest.raises(RetrievalFailure) as caught:
        await backend.search(queries, 7)
    assert caught.value.kind == "closed"


@pytest.mark.slow
async def test_a_killed_actor_is_made_again(cluster, shards):
    backend = make_backend(options(shards, ray_replicas=2))
    before = await backend.search(["patient with rash"], 5)
    for shard in backend._actors:
        for actor in shard:
            ray.kill(actor)
    assert await backend.search(["patient with rash"], 5) == before
    await backend.close()


@pytest.mark.slow
async def test_a_wrong_shard_is_the_users_mistake(cluster, shards, tmp_path):
    backend = make_backend(options([shards[0], str(tmp_path / "nowhere")]))
    with pytest.raises(UserError, match="nowhere"):
        await backend.search(["rash"], 5)
    await backend.close()


@pytest.mark.slow
def test_workers_of_a_job_share_the_actors(cluster, shards):
    @ray.remote(num_cpus=0.25)
    class AgentLoopWorker:  # as verl's: an async actor that makes its backend inside its event loop
        async def search(self, section: dict) -> list[str]:
            backend = make_backend(section)
            found = await asyncio.gather(*(backend.search([sign], 3) for sign in SIGNS))
            return [hit.document.id for hits in found for hit in hits[0]]

    section = options(shards, timeout_s=59)
    workers = [AgentLoopWorker.remote() for _ in range(2)]
    first, second = ray.get([worker.search.remote(section) for worker in workers], timeout=120)
    assert first == second
    assert len(first) == 3 * len(SIGNS)
    actors = ray.util.list_named_actors(all_namespaces=True)
    assert len([actor for actor in actors if actor["namespace"] == "medr3"]) == len(shards)


hits = st.builds(
    lambda number, score: Hit(Document(str(number), "t"), score), st.integers(0, 12), st.integers(0, 5)
)


@given(st.lists(st.lists(hits, max_size=6), min_size=1, max_size=4), st.integers(1, 8))
def test_merge_keeps_the_best_of_all(parts, topk):
    (merged,) = merge([[part] for part in parts], topk)
    best: dict[str, float] = {}
    for hit in (hit for part in parts for hit in part):
        best[hit.document.id] = max(hit.score, best.get(hit.document.id, hit.score))
    assert [hit.score for hit in merged] == sorted(best.values(), reverse=True)[:topk]
    assert all(best[hit.document.id] == hit.score for hit in merged)
    assert len({hit.document.id for hit in merged}) == len(merged)
