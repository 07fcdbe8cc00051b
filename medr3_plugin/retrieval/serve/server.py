"""Running the service under uvicorn: one process, or several that share a memory-mapped index."""

from __future__ import annotations

import asyncio
import errno
import gc
import logging
import os
import socket
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medr3_plugin.errors import RetrievalFailure, UserError, needs
from medr3_plugin.retrieval.index import manifest
from medr3_plugin.retrieval.serve.service import RetrievalService, ServiceOptions, create_app, opened

if TYPE_CHECKING:
    import uvicorn
    from fastapi import FastAPI

    from medr3_plugin.retrieval.engine import Engine

_OPTIONS_ENV = "MEDR3_SERVICE_OPTIONS"
_GRACE_S = 10  # what is being answered at a shutdown may take that long
_LOCAL = ("127.0.0.1", "localhost", "::1")


def run_server(options: ServiceOptions, *, port: int, workers: int = 1) -> None:
    """Serve until SIGTERM or SIGINT; requests in work are answered first.

    Raises:
        UserError: the index cannot be opened, or the port is taken.
    """
    with needs("uvicorn", "serve", "the retrieval service"):
        import uvicorn
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    if options.host not in _LOCAL and not os.environ.get(options.token_env):
        token = options.token_env or "--token-env"
        print(
            f"warning: {options.host} is reachable from other machines and no token is set; set {token}",
            file=sys.stderr,
        )
    if options.index:
        manifest.read(Path(options.index))  # a wrong index is refused before the port is taken
    settings: dict[str, Any] = {
        "access_log": False,  # /metrics counts requests; a log line for each would cost as much as the answer
        "log_level": "info",
        "timeout_graceful_shutdown": _GRACE_S,
        # longer than clients keep idle connections (aiohttp: 15 s), so that they close first: a request sent
        # while the service closes its connection would be lost
        "timeout_keep_alive": 75,
        # uvicorn's 5 s kill a worker that a busy machine has not yet started, and its successor, and so on
        "timeout_worker_healthcheck": 120,
    }
    with listen(options.host, port) as listening:
        if workers == 1:
            app = create_app(options, lambda: _to_stay(options))
            server = uvicorn.Server(uvicorn.Config(app, **settings))
            _announce(listening, options)
            asyncio.run(_serve_one(server, app.state.service, listening))
            return
        opened(options).close()  # a wrong index is an error here, and not in each worker
        os.environ[_OPTIONS_ENV] = options.model_dump_json()
        with tempfile.TemporaryDirectory(prefix="medr3-metrics-") as folder:
            # prometheus-client adds the workers up through files in this folder
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
            target = f"{__name__}:worker_app"
            _announce(listening, options)
            uvicorn.run(target, factory=True, fd=listening.fileno(), workers=workers, **settings)


def run_stdio(options: ServiceOptions) -> None:
    """Serve the tool of `mcp_tool` on standard input and output until the input ends.

    Raises:
        UserError: the index cannot be opened.
    """
    from medr3_plugin.retrieval.serve.mcp_tool import serve_stdio

    # standard output belongs to the protocol
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    service = RetrievalService(options, lambda: _to_stay(options))
    asyncio.run(serve_stdio(service))


def worker_app() -> FastAPI:
    """The application of one worker process, with the options its parent left in the environment."""
    options = ServiceOptions.model_validate_json(os.environ[_OPTIONS_ENV])
    return create_app(options, lambda: _to_stay(options))


def _to_stay(options: ServiceOptions) -> Engine:
    """The engine of a process that serves it until the end, kept out of reach of Python's garbage collector.

    The collector would look through all of it now and then, and stop every query for 0.1 s.
    """
    engine = opened(options)
    engine.warm_up()
    gc.freeze()
    return engine


async def _serve_one(server: uvicorn.Server, service: RetrievalService, listening: socket.socket) -> None:
    failures: list[UserError | RetrievalFailure] = []

    async def stop_if_not_loaded() -> None:
        await service.batcher.opened()
        if service.batcher.failure is not None:
            failures.append(service.batcher.failure)
            server.should_exit = True

    watch = asyncio.create_task(stop_if_not_loaded())
    await server.serve(sockets=[listening])
    watch.cancel()
    if failures:
        raise failures[0]


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one.

    Raises:
        UserError: the port is taken, or not ours to take.
    """
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listening = socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        # getaddrinfo's numbers are negative
        unknown = error.errno == errno.EADDRNOTAVAIL or (error.errno or 0) < 0
        option = "--host" if unknown else "--port"
        raise UserError(
            f"cannot listen on {host}:{port}: {error.strerror}; choose another {option}"
        ) from error
    # connections inherit it. asyncio sets it only on sockets whose protocol number is filled in, and theirs is
    # not: without it every answer written in two pieces waits 40 ms for the client's delayed acknowledgement
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listening.set_inheritable(True)
    return listening


def _announce(listening: socket.socket, options: ServiceOptions) -> None:
    host, port = listening.getsockname()[:2]
    served = options.index or f"{options.uri} {options.collection}"
    address = f"[{host}]" if ":" in host else host
    print(f"serving {served} at http://{address}:{port}", file=sys.stderr, flush=True)
