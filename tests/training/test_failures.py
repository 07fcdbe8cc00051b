"""Failed searches in the real trainer, with the real small model, which searches."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from training_runs import lines, medr3, needs_trainer, samples_per_step, train

pytestmark = pytest.mark.long

needs_trainer()

ONE_STEP = (
    "medr3.stages=[{name: retrieval, max_searches: 1, until: {max_steps: 1}}]",
    "medr3.validate_at_handover=false",
    "trainer.val_before_train=false",
    "medr3.retrieval.backend=http",
    "medr3.retrieval.index=null",
)
FOUND = {"id": "d1", "title": "A disease", "text": "It has signs.", "contents": "A disease\nIt has signs."}


class EverySecondFails(BaseHTTPRequestHandler):
    """A retrieval service that refuses every second search."""

    asked = 0

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        type(self).asked += 1
        fails = type(self).asked % 2 == 0
        body = json.dumps(
            {"result": [[{"document": FOUND, "score": 1.0}] for _ in request["queries"]]}
        ).encode()
        self.send_response(400 if fails else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def service() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), EverySecondFails)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()


def test_samples_with_a_failed_search_do_not_train_and_the_others_do(prepared, service, tmp_path):
    run = tmp_path / "run"
    overrides = (
        f"+medr3.retrieval.url={service}",
        "medr3.max_invalid_share=1.0",
        "medr3.trajectories_per_step=1000",  # all
    )
    train(run, "medr3_cpu", *prepared, *ONE_STEP, *overrides)
    (step,) = [line for line in lines(run / "metrics.jsonl") if line["kind"] == "train"]
    assert 0 < step["invalid_share"] < 1
    samples = samples_per_step(run)
    assert step["failures/retrieval_status_400"] == pytest.approx(samples * step["invalid_share"])
    rows = lines(run / "trajectories.jsonl")
    assert len(rows) == samples
    for row in rows:
        failed = any(turn["outcome"] == "failed" for turn in row["searches"])
        assert row["reward"]["valid"] == (0.0 if failed else 1.0)


def test_a_dead_service_stops_the_run_and_is_named(prepared, tmp_path):
    run = tmp_path / "run"
    dead = ("+medr3.retrieval.url=http://127.0.0.1:9", "+medr3.retrieval.retries=0")
    done = medr3("train", "medr3_cpu", *prepared, *ONE_STEP, *dead, f"paths.run={run}")
    assert done.returncode != 0
    assert "of the samples are invalid" in done.stderr and "retrieval_connection" in done.stderr
    assert "Traceback" not in done.stderr
