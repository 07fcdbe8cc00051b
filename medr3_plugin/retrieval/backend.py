"""What an environment searches with: the engine in this process, a service over HTTP, Ray actors, or Milvus.

    backend = make_backend({"backend": "http", "url": "http://127.0.0.1:8765"})
    hits = (await backend.search(["statins in primary prevention"], 5))[0]

A backend is shared by all who ask for the same options in one process, and it works from any event loop of
that process; nothing is opened before the first search.
"""

from __future__ import annotations

import asyncio
import functools
import json
import os
import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol

from pydantic import Field, model_validator

from medr3_plugin.records import Hit
from medr3_plugin.retrieval.client import RetrievalClient
from medr3_plugin.retrieval.place import SearchedPlace
from medr3_plugin.retrieval.protocol import TOKEN_ENV
from medr3_plugin.retrieval.serve.batching import Batcher
from medr3_plugin.yaml_section import is_address, validated

if TYPE_CHECKING:
    from medr3_plugin.retrieval.index.filters import Filters


class RetrievalBackend(Protocol):
    """Where searches go.

    Attributes:
        closed: `make_backend` makes a new one in its place.
    """

    closed: bool

    async def search(
        self, queries: Sequence[str], topk: int, filters: Filters | None = None
    ) -> list[list[Hit]]:
        """The `topk` best hits of each query, best first.

        Raises:
            RetrievalFailure: infrastructure failed; the sample is invalid, not bad.
            UserError: the options are wrong (no such index, an index of another corpus, ...).
        """
        ...

    async def close(self) -> None:
        """Free what the backend holds. Whoever shares it must be done with it too."""
        ...


class BackendOptions(SearchedPlace):
    """The yaml section `medr3.retrieval`, as far as the backend is concerned.

    Attributes:
        backend: `inprocess` (index opened in this process), `http` (a running `medr3 serve`), `ray` (an index
            served by actors of the training cluster) or `milvus` (a collection of a Milvus server). If left out, a
            `url` implies `http` and a `uri` implies `milvus`.
        url: address of the service (`http`).
        timeout_s: deadline of one search, including retries.
        retries: retries for any failure; null means until the deadline while the service is unreachable, otherwise
            depending on the failure (`http`).
        breaker_cooldown_s: how long searches fail immediately after several failed in a row (`http`).
        token_env: environment variable that holds the token of the service or server (`http`, `milvus`).
        ray_replicas: actors that share the searches.
        ray_cpus: cores Ray reserves for each actor.
        ray_start_timeout_s: timeout for Ray to place the actors and open their indexes.
    """

    backend: Literal["inprocess", "http", "ray", "milvus"] = "inprocess"
    url: str = ""
    timeout_s: float = Field(30.0, gt=0)
    retries: int | None = Field(None, ge=0)
    token_env: str = TOKEN_ENV
    breaker_cooldown_s: float = Field(5.0, ge=0)
    ray_replicas: int = Field(1, ge=1)
    ray_cpus: float = Field(1.0, ge=0)
    ray_start_timeout_s: float = Field(900.0, gt=0)

    @model_validator(mode="before")
    @classmethod
    def _infer_backend(cls, values: Any) -> Any:
        # null in yaml means the default
        given = {key: value for key, value in dict(values).items() if value is not None}
        if "backend" not in given:
            given["backend"] = "http" if given.get("url") else "milvus" if given.get("uri") else "inprocess"
        return given

    @model_validator(mode="after")
    def _complete(self) -> BackendOptions:
        if self.backend == "http" and not self.url:
            raise ValueError("backend http needs url, the address of a running `medr3 serve`")
        if self.backend == "http" and not is_address(self.url):
            raise ValueError(f"url: expected http://HOST:PORT, got {self.url!r}")
        if self.backend != "milvus" and self.ranking is not None:
            raise ValueError(
                "ranking is of backend milvus; an index is ranked by the engine it was built with"
            )
        if self.backend in {"inprocess", "ray"} and not self.index:
            raise ValueError(f"backend {self.backend} needs index, a folder made by `medr3 index build`")
        if self.backend == "milvus" and not (self.uri and self.collection):
            raise ValueError(
                "backend milvus needs uri (http://HOST:PORT, or a file NAME.db) and collection, filled by "
                "`medr3 index build --engine milvus`"
            )
        return self


class InProcessBackend:
    """An engine of this process, or its access to Milvus; concurrent searches are batched greedily."""

    def __init__(self, batcher: Batcher, timeout_s: float) -> None:
        self.batcher = batcher
        self.closed = False
        self._timeout_s = timeout_s

    async def search(
        self, queries: Sequence[str], topk: int, filters: Filters | None = None
    ) -> list[list[Hit]]:
        """See `RetrievalBackend.search`. The time to open the index does not count against the deadline."""
        await self.batcher.opened()
        return await self.batcher.search(queries, topk, filters, self._timeout_s)

    async def close(self) -> None:
        """See `RetrievalBackend.close`."""
        self.closed = True
        await asyncio.to_thread(self.batcher.close)


_shared: dict[tuple[int, str], RetrievalBackend] = {}
_shared_lock = threading.Lock()


def make_backend(options: Mapping[str, Any]) -> RetrievalBackend:
    """The backend for `options` (see `BackendOptions`), one for all equal options in this process.

    Raises:
        UserError: an unknown key or a bad value, with its yaml path.
    """
    parsed = validated(BackendOptions, options, "medr3.retrieval")
    # with the process id: a forked child must not use the threads and sockets of its parent
    key = (os.getpid(), json.dumps(parsed.model_dump(), sort_keys=True))
    with _shared_lock:
        if key not in _shared or _shared[key].closed:
            _shared[key] = _build(parsed)
        return _shared[key]


def _build(options: BackendOptions) -> RetrievalBackend:
    if options.backend == "http":
        return RetrievalClient(
            options.url,
            timeout_s=options.timeout_s,
            retries=options.retries,
            token_env=options.token_env,
            breaker_cooldown_s=options.breaker_cooldown_s,
        )
    if options.backend == "ray":
        from medr3_plugin.retrieval.ray_backend import RayBackend

        return RayBackend(options)

    place = options if options.backend == "milvus" else options.model_copy(update={"uri": ""})
    engine = functools.partial(place.opened, token_env=options.token_env, timeout_s=options.timeout_s)
    return InProcessBackend(Batcher(engine), options.timeout_s)
