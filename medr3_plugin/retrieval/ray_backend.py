"""An index served by Ray actors, in the training cluster or any other.

Each actor (`ray_replicas` of them) opens the index and batches greedily as the service does: it knows the deadline of
a search, works for nobody who left, and refuses at once what it would not come to in time. A search goes to one of the
actors, and again until its deadline if it is refused or its actor died. The actors are named, so all workers of a job
share them. Ray starts an actor again whose process or node was lost; actors end with the worker that made them, and
whoever finds one missing makes it again.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import math
import random
import time
import weakref
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from medr3_plugin.errors import RetrievalFailure, UserError, needs
from medr3_plugin.records import Hit
from medr3_plugin.retries import Tries
from medr3_plugin.retrieval.engine import SearchOptions, open_index
from medr3_plugin.retrieval.serve.batching import Batcher

if TYPE_CHECKING:
    from medr3_plugin.retrieval.backend import BackendOptions
    from medr3_plugin.retrieval.index.filters import Filters

logger = logging.getLogger(__name__)

Results = list[list[Hit]]
_CONCURRENCY = 1000  # searches an actor holds at once: they wait in its batcher, not in threads
_MAX_PENDING = 900  # queries it holds; one of the places left refuses a search beyond
_BACKOFF_S = (0.1, 3.0)  # see `retries.Tries`
_WARN_EVERY_S = 30.0
_NAMESPACE = "medr3"


class IndexActor:
    """The index in a process of its own. Failures are returned, not raised, so that they keep their kind."""

    def __init__(self, index: str, search: SearchOptions) -> None:
        self._batcher = Batcher(lambda: open_index(index, search), max_pending=_MAX_PENDING)
        self._batcher.start()

    async def search(
        self, queries: tuple[str, ...], topk: int, filters: Filters | None, timeout_s: float
    ) -> tuple[str, str | None, Any]:
        """(`ok`, None, hits), (`failed`, kind, message) or (`user`, None, message)."""
        try:
            return "ok", None, await self._batcher.search(queries, topk, filters, timeout_s)
        except RetrievalFailure as failure:
            return "failed", failure.kind, str(failure)
        except UserError as error:
            return "user", None, str(error)

    async def opened(self) -> str | None:
        """Wait until the index is open; what is wrong with it, or None."""
        await self._batcher.opened()
        return str(self._batcher.failure) if self._batcher.failure else None


class RayBackend:
    """`backend.RetrievalBackend` over index actors."""

    def __init__(self, options: BackendOptions) -> None:
        with needs("ray", "verl", "retrieval on Ray"):
            import ray
        self._ray = ray
        self._options = options
        self._actors: list[Any] | None = None
        self.closed = False
        self._told: dict[type, float] = {}
        # by event loop
        self._locks: weakref.WeakKeyDictionary[Any, asyncio.Lock] = weakref.WeakKeyDictionary()

    async def search(self, queries: Sequence[str], topk: int, filters: Filters | None = None) -> Results:
        """See `RetrievalBackend.search`; starting the actors does not count against the deadline.

        Raises:
            RetrievalFailure: `timeout`, `overloaded` (no actor had room before the deadline), `actor_died` (none that
                lived was found before it), `ray` (its other faults), `closed`, or the actor's own.
            UserError: the index cannot be opened, or no actor can be placed.
        """
        if not queries:
            return []
        tries = Tries(_BACKOFF_S, self._options.timeout_s)
        while True:
            if self.closed:
                raise RetrievalFailure("the retrieval backend is closed", "closed")
            actors = self._actors
            try:
                if actors is None:
                    left_s = tries.left_s
                    actors = await self._start()
                    tries.deadline += left_s - tries.left_s
                return await self._ask(actors, tuple(queries), topk, filters, tries.left_s)
            except RetrievalFailure as refusal:
                if refusal.kind != "overloaded":
                    raise
                failure = refusal
            except self._ray.exceptions.RayActorError as error:
                # Ray starts one again whose process or node was lost, under its name; one that was killed, or whose
                # maker is gone, is made again
                unavailable = isinstance(error, self._ray.exceptions.ActorUnavailableError)
                if not unavailable and self._actors is actors:
                    self._actors = None
                failure = RetrievalFailure(f"a retrieval actor died: {error}", "actor_died")
                failure.__cause__ = error
                self._tell(error)
            except self._ray.exceptions.RayError as error:
                raise RetrievalFailure(f"Ray lost a search: {error}", "ray") from error
            if not await tries.pause():
                raise failure

    def _tell(self, error: Exception) -> None:
        """Log what became of an actor, once per kind and period: thousands of searches meet it, again and again."""
        now = time.monotonic()
        if now >= self._told.get(type(error), -math.inf) + _WARN_EVERY_S:
            self._told[type(error)] = now
            logger.warning("a retrieval actor died, searches are tried again until their deadline: %s", error)

    async def close(self) -> None:
        """Let go of the actors; they end with the process that made them."""
        self.closed = True
        self._actors = None

    async def _ask(
        self,
        actors: list[Any],
        queries: tuple[str, ...],
        topk: int,
        filters: Filters | None,
        timeout_s: float,
    ) -> Results:
        actor = random.choice(actors)  # noqa: S311
        try:
            search = actor.search.remote(queries, topk, filters, timeout_s)
            outcome, kind, result = await asyncio.wait_for(search, timeout_s)
            if kind == "timeout":  # the actor's clock was first, and knows the last try only
                raise asyncio.TimeoutError
        except (TimeoutError, asyncio.TimeoutError) as error:
            message = f"no search result from Ray within {self._options.timeout_s:g} s"
            raise RetrievalFailure(message, "timeout") from error
        if outcome == "failed":
            raise RetrievalFailure(result, kind)
        if outcome == "user":
            raise UserError(result)
        return result

    async def _start(self) -> list[Any]:
        # one start a loop: the trajectories of a batch all make their first search at the same moment
        async with self._locks.setdefault(asyncio.get_running_loop(), asyncio.Lock()):
            if self._actors is None:
                self._actors = await find_or_make(self._options)
            return self._actors


async def find_or_make(options: BackendOptions) -> list[Any]:
    """Find the actors by name or make them, and wait until their indexes are open."""
    import ray

    make = ray.remote(IndexActor).options
    actors = [
        make(
            name=_actor_name(replica, options),
            namespace=_NAMESPACE,
            get_if_exists=True,
            num_cpus=options.ray_cpus,
            max_concurrency=_CONCURRENCY,
            max_restarts=-1,
        ).remote(options.index, options.search)
        for replica in range(options.ray_replicas)
    ]
    opening = asyncio.gather(*(actor.opened.remote() for actor in actors))
    waited = 0.0
    while not (await asyncio.wait({opening}, timeout=_WARN_EVERY_S))[0]:
        waited += _WARN_EVERY_S
        if waited >= options.ray_start_timeout_s:
            opening.cancel()
            raise UserError(
                f"medr3.retrieval: {len(actors)} retrieval actors with {options.ray_cpus:g} "
                f"CPUs each were not ready after {waited:g} s; give Ray more CPUs "
                "(ray_kwargs.ray_init.num_cpus) or lower medr3.retrieval.ray_cpus"
            )
        logger.warning("waiting for Ray to place the retrieval actors and to open the index")
    for problem in opening.result():
        if problem:
            raise UserError(problem)
    return actors


def _actor_name(replica: int, options: BackendOptions) -> str:
    # jobs that differ in these options must not share an actor
    key = f"{options.index}|{options.search}|{options.ray_cpus}"
    return f"medr3-index-{hashlib.sha256(key.encode()).hexdigest()[:12]}-{replica}"
