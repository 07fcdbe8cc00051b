"""Retrieval actors on three local Ray nodes, one of which is lost."""

from __future__ import annotations

import asyncio
import json
import time

import pytest

from medr3_plugin.retrieval.backend import make_backend
from medr3_plugin.retrieval.index.build import build_index

ray = pytest.importorskip("ray")

pytestmark = pytest.mark.slow


@pytest.fixture
def nodes():
    from ray.cluster_utils import Cluster

    size = {"num_cpus": 1, "object_store_memory": 100 << 20}
    cluster = Cluster(initialize_head=True, head_node_args={**size, "include_dashboard": False})
    others = [cluster.add_node(**size) for _ in range(2)]
    ray.init(cluster.address, log_to_driver=False, configure_logging=False)
    yield cluster, others
    ray.shutdown()
    cluster.shutdown()


async def test_no_search_is_lost_with_a_node(nodes, tmp_path):
    cluster, others = nodes
    corpus = tmp_path / "corpus.jsonl"
    corpus.write_text(json.dumps({"id": "d1", "title": "Measles", "text": "A rash."}) + "\n")
    build_index([str(corpus)], tmp_path / "index", "bm25")
    section = {"backend": "ray", "index": str(tmp_path / "index"), "ray_cpus": 0.75, "ray_replicas": 2}
    backend = make_backend({**section, "timeout_s": 120})
    before = await backend.search(["rash"], 1)
    assert before[0]

    def places() -> set[str]:
        from ray._private.state import actors

        return {actor["Address"]["NodeID"] for actor in actors().values() if actor["State"] == "ALIVE"}

    used = places()
    assert len(used) == 2
    lost = next(node for node in others if node.node_id in used)
    cluster.remove_node(lost, allow_graceful=False)
    deadline = time.monotonic() + 120
    while len(places() - {lost.node_id}) < 2:
        assert await backend.search(["rash"], 1) == before
        assert time.monotonic() < deadline
        await asyncio.sleep(0.5)
    for _ in range(10):  # to either actor
        assert await backend.search(["rash"], 1) == before
    await backend.close()
