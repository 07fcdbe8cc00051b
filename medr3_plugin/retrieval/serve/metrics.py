"""Prometheus metrics of the retrieval service."""

from __future__ import annotations

import os
from collections.abc import Callable

from medr3_plugin.errors import needs

_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)


class ServiceMetrics:
    """Counters of one service, in a registry of their own.

    With several uvicorn workers the environment variable `PROMETHEUS_MULTIPROC_DIR` names a folder through
    which prometheus-client adds the workers up.

    Args:
        pending: asked for the gauge of the queue.

    Attributes:
        content_type: MIME type of `exposition`.
    """

    def __init__(self, pending: Callable[[], int]) -> None:
        with needs("prometheus-client", "serve", "the retrieval service"):
            from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram
        self.content_type = CONTENT_TYPE_LATEST
        self._read_pending = pending
        self._registry = registry = CollectorRegistry()
        self._requests = Counter(
            "medr3_requests", "Requests to /retrieve by status", ["status"], registry=registry
        )
        self._seconds = Histogram(
            "medr3_request_seconds", "Time to answer a request", buckets=_SECONDS, registry=registry
        )
        self._queries = Counter("medr3_queries", "Queries answered", registry=registry)
        self._searched = Counter(
            "medr3_queries_searched",
            "Queries the engine ran: neither cached nor a duplicate",
            registry=registry,
        )
        self._batch = Histogram(
            "medr3_batch_queries", "Queries joined into one engine call", buckets=_SIZES, registry=registry
        )
        self._engine = Histogram(
            "medr3_engine_seconds", "Time of one engine call", buckets=_SECONDS, registry=registry
        )
        self._pending = Gauge(
            "medr3_pending_queries",
            "Queries waiting or worked on",
            registry=registry,
            multiprocess_mode="livesum",
        )

    def request(self, status: int, seconds: float) -> None:
        """A request was answered."""
        self._requests.labels(str(status)).inc()
        self._seconds.observe(seconds)
        self._pending.set(self._read_pending())

    def batch(self, queries: int, searched: int, seconds: float) -> None:
        """Queries were answered together; see `batching.Batcher`."""
        self._queries.inc(queries)
        if searched:
            self._searched.inc(searched)
            self._batch.observe(searched)
            self._engine.observe(seconds)

    def exposition(self) -> bytes:
        """The metrics in Prometheus's text format."""
        from prometheus_client import CollectorRegistry, generate_latest, multiprocess

        self._pending.set(self._read_pending())
        if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
            return generate_latest(self._registry)
        merged = CollectorRegistry()
        multiprocess.MultiProcessCollector(merged)  # type: ignore[no-untyped-call]  # not annotated there
        return generate_latest(merged)
