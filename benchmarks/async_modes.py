"""What rolling out ahead saves when some searches are slow: synchronous steps against `medr3_colocate_async`.

    python benchmarks/async_modes.py [--steps 8 --slow-share 0.1 --slow-s 20 --out FOLDER]

Serves the quickstart's index, delaying a share of the searches, and runs the CPU recipe against it in both modes, one
after the other: real trainer, model and rollouts, one stage. Prints the seconds of each step and the ratio of their
means, with the first step apart, which waits for its rollouts in both modes.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from statistics import mean
from typing import Any

import uvicorn

from medr3_plugin.retrieval.serve.service import ServiceOptions, create_app

ROOT = Path(__file__).resolve().parents[1]
INDEX = ROOT / "data/quickstart/index"
MODES = ("medr3_progressive", "medr3_colocate_async")


class SlowSearches:
    """An ASGI application whose searches are slow at random, with the same draws in every run."""

    def __init__(self, app: Any, share: float, seconds: float) -> None:
        self._app, self._share, self._seconds = app, share, seconds
        self.restart()

    def restart(self) -> None:
        """Begin the draws again."""
        self._draws = random.Random(0)
        self.asked = self.delayed = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"] == "/retrieve":
            self.asked += 1
            if self._draws.random() < self._share:
                self.delayed += 1
                await asyncio.sleep(self._seconds)
        await self._app(scope, receive, send)


def serve(app: SlowSearches) -> str:
    """Serve `app` in a thread until the program ends; its address."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error"))
    threading.Thread(target=server.run, daemon=True).start()
    while not server.started:
        threading.Event().wait(0.1)
    return f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"


def run(mode: str, steps: int, url: str, out: Path) -> list[dict[str, Any]]:
    """The lines of the training steps of a run in `mode`."""
    arguments = (
        f"medr3.stages=[{{name: joint, max_searches: 2, until: {{max_steps: {steps}}}}}]",
        "medr3.validate_at_handover=false",
        "medr3.retrieval.backend=http",
        "medr3.retrieval.index=null",
        f"+medr3.retrieval.url={url}",
        "+medr3.retrieval.timeout_s=120",
        "trainer.val_before_train=false",
        f"trainer.v1.trainer_mode={mode}",
        f"paths.run={out / mode}",
    )
    subprocess.run(
        [sys.executable, "-m", "medr3_plugin", "train", str(ROOT / "recipes/medr3_cpu"), *arguments],
        check=True,
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
    )
    rows = map(json.loads, (out / mode / "metrics.jsonl").read_text().splitlines())
    return [row for row in rows if row["kind"] == "train"]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=8, help="steps of each run")
    parser.add_argument("--slow-share", type=float, default=0.1, help="share of the searches that are slow")
    parser.add_argument("--slow-s", type=float, default=20.0, help="seconds that a slow search takes longer")
    parser.add_argument("--out", type=Path, help="folder for both runs [default: a new one]")
    arguments = parser.parse_args()
    app = SlowSearches(create_app(ServiceOptions(index=str(INDEX))), arguments.slow_share, arguments.slow_s)
    url = serve(app)
    out = arguments.out or Path(tempfile.mkdtemp())
    later: dict[str, float] = {}
    for mode in MODES:
        app.restart()
        first, *others = [row["time/step"] for row in run(mode, arguments.steps, url, out)]
        later[mode] = mean(others)
        print(f"{mode}: first step {first:.0f} s, then", *(f"{seconds:.0f}" for seconds in others), end=" ")
        print(f"(mean {later[mode]:.1f} s); {app.asked} searches, {app.delayed} of them slow", flush=True)
    print(f"ratio, asynchronous to synchronous: {later[MODES[1]] / later[MODES[0]]:.2f}")


if __name__ == "__main__":
    main()
