"""One contract for every backend: the same documents for the same queries, filters, empty hits, failures."""

from __future__ import annotations

from pathlib import Path

import pytest
from service_helpers import running, small_index

from medr3_plugin.errors import RetrievalFailure, UserError
from medr3_plugin.retrieval.backend import make_backend
from medr3_plugin.retrieval.engine import open_index
from medr3_plugin.retrieval.index.filters import Filters

QUERIES = ["diabetes insulin", "statins cholesterol", "fever", "type 1 diabetes", "nothing of it", ""]


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    return small_index(tmp_path_factory.mktemp("contract"))


@pytest.fixture(params=["inprocess", "http", "milvus", pytest.param("ray", marks=pytest.mark.slow)])
async def backend(request, index):
    if request.param == "http":
        pytest.importorskip("fastapi")
        from medr3_plugin.retrieval.serve.service import ServiceOptions, create_app

        with running(create_app(ServiceOptions(index=index))) as url:
            backend = make_backend({"url": url})
            yield backend
            await backend.close()
        return
    if request.param == "milvus":
        pytest.importorskip("milvus_lite")
        from medr3_plugin.retrieval.milvus_build import fill_collection

        folder = Path(index).parent
        uri = str(folder / "contract.db")
        fill_collection([str(folder / "corpus.jsonl")], uri, "contract")
        backend = make_backend({"uri": uri, "collection": "contract"})
    elif request.param == "ray":
        ray = pytest.importorskip("ray")
        ray.init(
            num_cpus=2,
            include_dashboard=False,
            log_to_driver=False,
            configure_logging=False,
            ignore_reinit_error=True,
        )
        backend = make_backend({"backend": "ray", "index": index, "ray_cpus": 0.2})
    else:
        backend = make_backend({"index": index})
    yield backend
    await backend.close()
    if request.param == "ray":
        ray.shutdown()


async def test_contract(backend, index):
    expected = open_index(index)
    for filters in (
        None,
        Filters(),
        Filters(sources=("trials",)),
        Filters(sources=("trials", "notes"), max_evidence_level=5),
        Filters(min_evidence_level=9),
        Filters(min_year=2000, max_year=2010),
        Filters(min_evidence_level=7, max_year=1990),
    ):
        found = await backend.search(QUERIES, 3, filters)
        wanted = expected.search(QUERIES, 3, filters)
        assert [[hit.document for hit in hits] for hits in found] == [
            [hit.document for hit in hits] for hits in wanted
        ]
    assert all(hit.score > 0 for hits in found for hit in hits)
    assert found[4] == found[5] == []
    assert await backend.search([], 3) == []
    assert [len(hits) for hits in await backend.search(["diabetes", "diabetes"], 100)] == [2, 2]
    with pytest.raises((UserError, RetrievalFailure), match="Trials"):  # over HTTP the service's 422
        await backend.search(["diabetes"], 3, Filters(sources=("Trials",)))
    # and none of it has hurt
    assert (await backend.search(["statins"], 1))[0][0].document.id == "d2"


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({"backend": "inprocess", "index": "/nowhere"}, UserError),
        ({"url": "http://127.0.0.1:9", "retries": 0}, RetrievalFailure),
        ({"uri": "http://127.0.0.1:9", "collection": "c", "timeout_s": 1}, UserError),
        ({"uri": "/nowhere/milvus.db", "collection": "c"}, UserError),
        ({"uri": "milvus", "collection": "c"}, UserError),
    ],
)
async def test_what_is_not_there_is_named(options, kind):
    if "uri" in options:
        pytest.importorskip("pymilvus")
    backend = make_backend(options)
    with pytest.raises(kind) as caught:
        await backend.search(["fever"], 1)
    assert str(options.get("index") or options.get("url") or options["uri"]) in str(caught.value)
    await backend.close()
