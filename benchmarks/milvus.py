"""A Milvus collection against an index folder: nDCG@10, the share of equal documents, and times.

    MEDR3_SHARED=../shared python benchmarks/milvus.py [--documents 1500] [--queries 60] [--uri http://127.0.0.1:19530]

Both hold the same sample of the developer corpora (all gold documents, the rest at random) and are asked the same
questions with BM25. Without --uri the collection is a Milvus Lite file, whose times say nothing about a server.
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
import time
from collections import defaultdict
from pathlib import Path

from medr3_plugin.retrieval.engine import open_index
from medr3_plugin.retrieval.index.build import build_index
from medr3_plugin.retrieval.milvus import open_collection
from medr3_plugin.retrieval.milvus_build import fill_collection

SETS = {
    "scifact_train": ("scifact_abstracts",),
    "pubmedqa_dev": ("pubmedqa_dev_abstracts", "scifact_abstracts"),
    "bioasq_7b-9b": ("bioasq_7b-9b_snippet_docs",),
}
"""Query set: the corpora it is asked over."""
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


def sample(data: Path, corpora: tuple[str, ...], gold: set[str], size: int) -> list[str]:
    lines = [line for name in corpora for line in read_lines(data / "corpus" / f"{name}.jsonl.gz")]
    relevant = [line for line in lines if json.loads(line)["id"] in gold]
    others = [line for line in lines if json.loads(line)["id"] not in gold]
    random.Random(0).shuffle(others)
    return relevant + others[: max(0, size - len(relevant))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=1500)
    parser.add_argument("--queries", type=int, default=60)
    parser.add_argument("--uri", default="")
    arguments = parser.parse_args()
    data = shared_data()
    print(
        "| query set | documents | queries | index | Milvus | equal in the first 10 | filled in | asked in |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for name, corpora in SETS.items():
        ids, queries, qrels = read_queries(data, name, arguments.queries)
        lines = sample(data, corpora, {doc for query in ids for doc in qrels[query]}, arguments.documents)
        with tempfile.TemporaryDirectory() as folder:
            corpus = Path(folder) / "corpus.jsonl"
            corpus.write_text("".join(lines))
            build_index([str(corpus)], Path(folder) / "index", "bm25")
            ours = open_index(Path(folder) / "index").search(queries, 10)
            uri = arguments.uri or f"{folder}/milvus.db"
            start = time.perf_counter()
            fill_collection([str(corpus)], uri, "medr3_benchmark", overwrite=True)
            filled = time.perf_counter() - start
            engine = open_collection(uri, "medr3_benchmark")
            start = time.perf_counter()
            theirs = engine.search(queries, 10)
            asked = time.perf_counter() - start
            engine.close()
        found = [[[hit.document.id for hit in hits] for hits in results] for results in (ours, theirs)]
        first, second = (
            sum(ndcg(documents, qrels[query]) for query, documents in zip(ids, results, strict=True))
            / len(ids)
            for results in found
        )
        equal = [len(set(a) & set(b)) / max(len(a), 1) for a, b in zip(*found, strict=True)]
        print(
            f"| {name} | {len(lines):,} | {len(ids)} | {first:.3f} | {second:.3f} | {sum(equal) / len(equal):.3f} "
            f"| {filled:.1f} s | {asked:.1f} s |",
            flush=True,
        )


if __name__ == "__main__":
    main()
