"""A Milvus collection against an index folder: nDCG@10, the share of equal documents, and times.

    MEDR3_SHARED=../shared python benchmarks/milvus.py [--documents 1500] [--queries 60] [--uri http://127.0.0.1:19530]

Both hold the same sample of the developer corpora (all gold documents, the rest at random) and are asked the same
questions with BM25. Without --uri the collection is a Milvus Lite file, whose times say nothing about a server.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from retrieval import SHARED, judged, ndcg, questions, read

from medr3_plugin.retrieval.engine import open_index
from medr3_plugin.retrieval.index.build import build_index
from medr3_plugin.retrieval.milvus import open_collection
from medr3_plugin.retrieval.milvus_build import fill_collection
from medr3_plugin.tables import write_jsonl

SETS = {
    "scifact_train": ("scifact_abstracts",),
    "pubmedqa_dev": ("pubmedqa_dev_abstracts", "scifact_abstracts"),
    "bioasq_7b-9b": ("bioasq_7b-9b_snippet_docs",),
}
"""Query set: the corpora it is asked over."""


def sample(corpora: tuple[str, ...], gold: set[str], size: int) -> list[dict[str, Any]]:
    rows = [row for name in corpora for row in read(SHARED / "corpus" / f"{name}.jsonl.gz")]
    random.Random(0).shuffle(rows)
    rows.sort(key=lambda row: row["id"] not in gold)
    return rows[:size]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=1500)
    parser.add_argument("--queries", type=int, default=60)
    parser.add_argument("--uri", default="")
    arguments = parser.parse_args()
    print(
        "| query set | documents | queries | index | Milvus | equal in the first 10 | filled in | asked in |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for name, corpora in SETS.items():
        relevant = judged()[name]
        asked = [row for row in questions(name) if row["id"] in relevant][: arguments.queries]
        queries = [row["question"] for row in asked]
        gold = {document for row in asked for document in relevant[row["id"]]}
        rows = sample(corpora, gold, arguments.documents)
        with tempfile.TemporaryDirectory() as folder:
            corpus = Path(folder) / "corpus.jsonl"
            write_jsonl(rows, corpus)
            build_index([str(corpus)], Path(folder) / "index", "bm25")
            ours = open_index(Path(folder) / "index").search(queries, 10)
            uri = arguments.uri or f"{folder}/milvus.db"
            start = time.perf_counter()
            fill_collection([str(corpus)], uri, "medr3_benchmark", overwrite=True)
            filled = time.perf_counter() - start
            engine = open_collection(uri, "medr3_benchmark")
            start = time.perf_counter()
            theirs = engine.search(queries, 10)
            searched = time.perf_counter() - start
            engine.close()
        found = [[[hit.document.id for hit in hits] for hits in results] for results in (ours, theirs)]
        first, second = (
            statistics.mean(
                ndcg(ranked, relevant[row["id"]]) for row, ranked in zip(asked, results, strict=True)
            )
            for results in found
        )
        equal = [len(set(a) & set(b)) / max(len(a), 1) for a, b in zip(*found, strict=True)]
        print(
            f"| {name} | {len(rows):,} | {len(asked)} | {first:.3f} | {second:.3f} | {sum(equal) / len(equal):.3f} "
            f"| {filled:.1f} s | {searched:.1f} s |",
            flush=True,
        )


if __name__ == "__main__":
    main()
