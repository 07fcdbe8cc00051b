"""What serving BM25 in shards costs in quality: nDCG@10 of one index against merged shards.

    MEDR3_SHARED=../shared python benchmarks/shards.py [--shards 2 4]

BM25 weighs words by the statistics of the shard they are in, so merged scores are not those of one index. The
corpora of the developer data are dealt out at random (as docs/SCALING.md advises), and, for contrast, cut in
order (each shard its own source and style). The shards are merged by the function that the Ray backend uses.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import math
import os
import random
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

from medr3_plugin.retrieval.engine import IndexEngine, open_index
from medr3_plugin.retrieval.index.build import build_index
from medr3_plugin.retrieval.ray_backend import merge

Qrels = dict[str, dict[str, float]]


def shared_data() -> Path:
    folder = Path(os.environ.get("MEDR3_SHARED", Path(__file__).parents[2] / "shared")) / "data"
    if not folder.is_dir():
        sys.exit(f"skipped: {folder} is not there; set MEDR3_SHARED")
    return folder


def read_lines(path: Path) -> list[str]:
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as file:
        return file.readlines()


def read_queries(data: Path, name: str, limit: int) -> tuple[list[str], list[str], Qrels]:
    qrels: Qrels = defaultdict(dict)
    with (data / "qrels" / f"{name}.tsv").open() as file:
        for row in csv.DictReader(file, delimiter="\t"):
            qrels[row["query-id"]][row["corpus-id"]] = float(row["score"])
    (path,) = (data / "questions").glob(f"{name}.jsonl*")
    rows = [row for row in map(json.loads, read_lines(path)) if row["id"] in qrels][:limit]
    return [row["id"] for row in rows], [row["question"] for row in rows], qrels


def ndcg(found: list[str], relevant: dict[str, float], depth: int = 10) -> float:
    gain = sum(relevant.get(doc, 0.0) / math.log2(rank + 2) for rank, doc in enumerate(found[:depth]))
    best = sorted(relevant.values(), reverse=True)[:depth]
    return gain / sum(value / math.log2(rank + 2) for rank, value in enumerate(best))


def build_shards(lines: list[str], count: int, folder: Path) -> list[IndexEngine]:
    engines = []
    for number in range(count):
        start, stop = number * len(lines) // count, (number + 1) * len(lines) // count
        corpus = folder / f"{number}.jsonl"
        corpus.write_text("".join(lines[start:stop]))
        build_index([str(corpus)], folder / f"index{number}", "bm25")
        engines.append(open_index(folder / f"index{number}"))
    return engines


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shards", type=int, nargs="+", default=[2, 4])
    parser.add_argument("--sets", nargs="+", default=["scifact_train", "pubmedqa_dev", "bioasq_7b-9b"])
    parser.add_argument("--queries", type=int, default=500, help="at most, of each set")
    arguments = parser.parse_args()
    data = shared_data()
    lines = [line for path in sorted((data / "corpus").glob("*.jsonl.gz")) for line in read_lines(path)]
    dealt = random.Random(0).sample(lines, len(lines))
    sets = {name: read_queries(data, name, arguments.queries) for name in arguments.sets}
    layouts = [("one index", lines, 1)]
    layouts += [(f"{count} shards, dealt at random", dealt, count) for count in arguments.shards]
    layouts += [(f"{count} shards, cut in order", lines, count) for count in arguments.shards]
    print(f"| layout | {' | '.join(sets)} |")
    print("|---" * (len(sets) + 1) + "|")
    for name, rows, count in layouts:
        with tempfile.TemporaryDirectory() as folder:
            engines = build_shards(rows, count, Path(folder))
            cells = []
            for identities, queries, qrels in sets.values():
                found = merge([engine.search(queries, 10) for engine in engines], 10)
                scores = [
                    ndcg([hit.document.id for hit in hits], qrels[identity])
                    for identity, hits in zip(identities, found, strict=True)
                ]
                cells.append(f"{sum(scores) / len(scores):.3f}")
            for engine in engines:
                engine.close()
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
