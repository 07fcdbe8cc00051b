"""What a rehearsal uses instead of the user's own data, index, vocabulary or judge; each use is reported."""

from __future__ import annotations

import json
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from medr3_plugin.knowledge.judge_agreement import MAX_DOCUMENTS
from medr3_plugin.records import Reference, Triple

_ROWS = Path(__file__).with_name("stand_in.jsonl")


def rows() -> list[dict[str, Any]]:
    """Questions of common knowledge, each with the document that answers it and a small reference graph."""
    return [json.loads(line) for line in _ROWS.read_text(encoding="utf-8").splitlines()]


def write_data(folder: Path, style: str) -> Path:
    """`train.parquet` with the stand-in questions, their prompts in the style of the recipe's agent loop."""
    from medr3_plugin.data import prepare
    from medr3_plugin.data.questions.items import Item
    from medr3_plugin.data.questions.parquet import write_parquet

    items = [
        Item(
            id=f"stand_in:{row['id']}",
            dataset="stand_in",
            question=row["question"],
            answers=tuple(row["answers"]),
            options=row.get("options"),
            gold_docs=(row["id"],),
            references=(Reference(tuple(Triple(*t) for t in row["triples"]), row["text"]),),
        )
        for row in rows()
    ]
    file = folder / "train.parquet"
    write_parquet(prepare.training_rows(items, style=style), file)  # type: ignore[arg-type]
    return file


def write_index(folder: Path) -> Path:
    """A BM25 index over the documents of the stand-in questions."""
    from medr3_plugin.retrieval.index.build import build_index

    corpus = folder / "corpus.jsonl"
    kept = ("id", "title", "text", "evidence_type", "year")
    corpus.write_text("".join(json.dumps({k: row[k] for k in kept}) + "\n" for row in rows()), "utf-8")
    build_index(str(corpus), folder / "index", "bm25", overwrite=True)
    return folder / "index"


def write_vocabulary(folder: Path) -> Path:
    """The names in the reference graphs, in the form of `medr3 data vocab`."""
    names = sorted({name for row in rows() for head, _, tail, _ in row["triples"] for name in (head, tail)})
    file = folder / "vocab.jsonl"
    file.write_text("".join(json.dumps({"name": name, "synonyms": []}) + "\n" for name in names), "utf-8")
    return file


class _Judge(BaseHTTPRequestHandler):
    """Says "partly right" to every answer, as an OpenAI-compatible server would.

    It finds no triples in a text, and where texts are compared, one sentence agrees with a document and with a fact.
    """

    def do_GET(self) -> None:
        self._reply({"object": "list", "data": [{"id": "stand-in", "object": "model"}]})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        verdict = {"reason": "stand-in judge", "extracted_diagnosis": "", "score": 1}
        one = zlib.crc32(body) % 3 + 1
        agreement = {
            "per_document": [{"document": 1, "states": [1, 2], "agrees": [one]}]
            + [{"document": number} for number in range(2, MAX_DOCUMENTS + 1)],
            "facts": [{"fact": 1, "agrees": [one]}],
        }
        reply = verdict | {"triples": []} | agreement  # who asks takes what it needs
        message = {"role": "assistant", "content": json.dumps(reply)}
        self._reply(
            {
                "id": "1",
                "object": "chat.completion",
                "created": 0,
                "model": "stand-in",
                "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
            }
        )

    def _reply(self, value: dict[str, Any]) -> None:
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: Any) -> None:
        """Print nothing: a line per request would bury the rehearsal's own output."""


@contextmanager
def judge_server() -> Iterator[str]:
    """A stand-in judge on this machine; yields its base URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Judge)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        server.server_close()
