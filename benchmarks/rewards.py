"""Speed of the rewards: one training step, graph scores against the release's algorithm, judge concurrency.

    python benchmarks/rewards.py [--trajectories 4096] [--skip-release]
    python benchmarks/rewards.py --then CHECKOUT  # what `medr3 score` costs, against another commit

Everything is generated here from a seed: no files, no network.
"""

from __future__ import annotations

import argparse
import asyncio
import copy
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

from medr3_plugin.judge.base import Verdict
from medr3_plugin.knowledge.extract import LexiconExtractor
from medr3_plugin.knowledge.graph import Graph, path_jaccard
from medr3_plugin.knowledge.vocabulary import Entry, Vocabulary
from medr3_plugin.records import Document, Hit, Reference, Sample, SearchTurn, Triple
from medr3_plugin.rewards.formula import formula
from medr3_plugin.rewards.options import StageOptions
from medr3_plugin.rewards.scorer import Scorer, build_scorer
from medr3_plugin.text import listed

SYLLABLES = listed("car dio neu ro my hep ren al pul mon os te der gas tro lym")
VERBS = ("causes", "leads to", "suggests", "is treated with", "does not cause", "presents with")


def names(rng: random.Random, count: int) -> list[str]:
    """Invented terms of one to three words."""
    word = lambda: "".join(rng.choices(SYLLABLES, k=rng.randint(2, 4)))  # noqa: E731
    return list({" ".join(word() for _ in range(rng.randint(1, 3))): None for _ in range(count)})


def sentence(rng: random.Random, terms: list[str]) -> str:
    a, b, c = rng.sample(terms, 3)
    return (
        f"In this case the {a} {rng.choice(VERBS)} {b} and also {c}, which seems likely given the history. "
    )


def step(  # noqa: PLR0917
    count: int, group: int, references: int, triples: int, vocabulary: list[str], seed: int = 1
) -> list[Sample]:
    """One step: prompts with `group` rollouts each, three searches of five documents, 300 to 400 own words."""
    rng = random.Random(seed)
    corpus = [
        Document(
            f"d{i}", "".join(sentence(rng, rng.sample(vocabulary, 12)) for _ in range(10)), source=f"s{i % 3}"
        )
        for i in range(2000)
    ]
    samples = []
    for prompt in range(count // group):
        terms = rng.sample(vocabulary, 40)
        graphs = json.dumps(
            [[(*rng.sample(terms, 2), i % 2 == 0) for i in range(triples)] for _ in range(references)]
        )
        pool = rng.sample(corpus, 30)
        question = "".join(sentence(rng, terms) for _ in range(3))
        for rollout in range(group):
            text, turns = "<think>", []
            for _ in range(3):
                hits = rng.sample(pool, 5)
                query = " ".join(rng.sample(terms, 2))
                text += "".join(sentence(rng, terms) for _ in range(4)) + f"<search>{query}</search>"
                text += "".join(f"<document>{hit.text}</document>" for hit in hits)
                turns.append(SearchTurn(query, tuple(Hit(h, 1.0) for h in hits), tuple(h.id for h in hits)))
            text += "".join(sentence(rng, terms) for _ in range(8)) + f"</think><answer>{terms[0]}</answer>"
            samples.append(
                Sample(
                    id=f"{prompt}-{rollout}",
                    question=question,
                    response=text,
                    answers=(terms[0],),
                    # parsed anew for each rollout, as the reward manager does
                    references=tuple(
                        Reference(tuple(Triple(h, "causes", t, flag) for h, t, flag in graph))
                        for graph in json.loads(graphs)
                    ),
                    searches=tuple(turns),
                    stage="joint",
                    forged=False,
                )
            )
    return samples


def seconds(function, repeat: int = 5) -> float:
    """Least CPU time of `repeat` calls: the machine may be shared."""
    times = []
    for _ in range(repeat):
        started = time.process_time()
        function()
        times.append(time.process_time() - started)
    return min(times)


def score_part(count: int, seed: int) -> tuple[float, float, float]:
    """One reward worker's share of a step: words of a response, CPU seconds first and for other rollouts."""
    vocabulary = names(random.Random(0), 20_000)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "terms.jsonl"
        path.write_text("".join(json.dumps({"name": name}) + "\n" for name in vocabulary))
        scorer = build_scorer({"extractor": {"vocabularies": [str(path)]}})
    samples = step(2 * count, 32, 10, 30, vocabulary, seed)
    words = statistics.mean(len(s.response.split()) for s in samples)
    spent = []
    for half in (samples[::2], samples[1::2]):  # 16 rollouts of each prompt, then 16 others
        cpu = time.process_time()
        asyncio.run(scorer.score(half))
        spent.append(time.process_time() - cpu)
    return words, spent[0], spent[1]


def bench_step(count: int, workers: int = 2) -> None:
    with ProcessPoolExecutor(workers) as pool:
        parts = list(pool.map(score_part, [count // workers] * workers, range(workers)))
    words = statistics.mean(part[0] for part in parts)
    print(f"\n## One step: {count} trajectories of {words:.0f} words, 10 references of 30 triples\n")
    print(
        f"{workers} reward workers (processes); CPU time of the busier one, per trajectory over its share.\n"
    )
    print("| what | s | per trajectory ms |\n|---|---|---|")
    for label, spent in (("first step", 1), ("next step, other rollouts of the same prompts", 2)):
        busiest = max(part[spent] for part in parts)
        print(f"| {label} | {busiest:.1f} | {busiest / (count / workers) * 1e3:.2f} |", flush=True)
    vocabulary = names(random.Random(0), 20_000)
    extractor = LexiconExtractor(Vocabulary(Entry(name) for name in vocabulary))
    texts = [
        "".join(sentence(random.Random(j), vocabulary) for j in range(20 * i, 20 * i + 20))
        for i in range(200)
    ]
    cpu = time.process_time()
    for text in texts:
        extractor.extract(text)
    spent = time.process_time() - cpu
    print(
        f"\nLexicon extractor: {len(texts) / spent:.0f} texts of {len(texts[0].split())} words a CPU second."
    )


class SlowJudge:
    """Answers after `latency` seconds, at most `limit` at a time, as a served model would."""

    def __init__(self, latency: float, limit: int) -> None:
        self.latency, self.slots = latency, asyncio.Semaphore(limit)

    async def verdict(self, **_: object) -> Verdict:
        async with self.slots:
            await asyncio.sleep(self.latency)
        return Verdict(1, "", "fake")


def judged_part(count: int, latency: float, limit: int, start: float) -> tuple[float, float]:
    """One reward worker's share of open questions from `start` on: when it ended, and its CPU seconds."""
    vocabulary = names(random.Random(0), 2000)
    finder = Vocabulary(Entry(name) for name in vocabulary)
    samples = [
        replace(sample, answers=("a mechanism that no rule can verify",))
        for sample in step(count, 16, 10, 30, vocabulary)
    ]
    scorer = Scorer(
        formula_of=lambda stage: formula(stage, StageOptions()),
        judge=SlowJudge(latency, limit),
        extractor=LexiconExtractor(finder),
        finder=finder,
    )
    time.sleep(max(0.0, start - time.time()))
    cpu = time.process_time()
    asyncio.run(scorer.score(samples))
    return time.time(), time.process_time() - cpu


def bench_judge(count: int = 1024, latency: float = 1.0, limit: int = 256) -> None:
    ideal = count / limit * latency
    print(f"\n## {count} samples, a judge of {latency:g} s latency, {limit} in flight\n")
    print("| reward workers | ideal s | wall s | ratio | CPU s of a worker |\n|---|---|---|---|---|")
    for workers in (1, 2):
        with ProcessPoolExecutor(workers) as pool:
            start = time.time() + 15  # all workers have their samples by then
            share = [count // workers], [latency], [limit // workers], [start]
            parts = list(pool.map(judged_part, *(column * workers for column in share)))
        wall = max(ended for ended, _ in parts) - start
        cpu = max(spent for _, spent in parts)
        print(f"| {workers} | {ideal:.1f} | {wall:.2f} | {wall / ideal:.2f} | {cpu:.2f} |", flush=True)


def release_like(edges: list[tuple[str, str, str]]) -> set[tuple[str, ...]]:
    """Paths as the paper's release builds them, for its cost: the graph is copied for each edge and each hop.

    Written anew from the description in words: from every edge of a root, one chain is extended greedily by the
    first unvisited edge, and each hop works on a deep copy of the graph.
    """
    graph: dict[str, list[list[str]]] = {}
    for head, relation, tail in edges:
        graph.setdefault(head, []).append([relation, tail])
    tails = {tail for _, _, tail in edges}
    paths = set()
    for root in [head for head in graph if head not in tails] or list(graph)[:1]:
        for relation, tail in graph[root]:
            working = copy.deepcopy(graph)
            chain, seen, node = [root, relation, tail], {root, tail}, tail
            paths.add(tuple(chain))
            while True:
                working = copy.deepcopy(working)
                following = next((e for e in working.get(node, ()) if e[1] not in seen), None)
                if following is None:
                    break
                chain += following
                node = following[1]
                seen.add(node)
                paths.add(tuple(chain))
    return paths


def bench_graphs(*, release: bool) -> None:
    print("\n## Logic score of two random graphs (average degree 4), nothing remembered, CPU time\n")
    print("| edges | paths | ours ms | the release's way ms | ratio |\n|---|---|---|---|---|")
    for count in (50, 100, 200, 400, 2000):
        rng = random.Random(count)
        # a root region of a quarter of the edges, so that the release's way has roots to start from
        terms = [f"entity {i}" for i in range(count // 4)]
        make = lambda rng=rng, terms=terms, count=count: [  # noqa: E731
            (f"sign {i}" if i % 4 == 0 else rng.choice(terms), "causes", rng.choice(terms))
            for i in range(count)
        ]
        a, b = make(), make()
        as_triples = [[Triple(*edge) for edge in edges] for edges in (a, b)]
        ours = seconds(lambda g=as_triples: path_jaccard(Graph(g[0]), Graph(g[1]))) * 1e3
        paths = sum(Graph(as_triples[0]).path_counts)
        if release and count <= 200:
            theirs = seconds(lambda a=a, b=b: release_like(a) & release_like(b), 1) * 1e3
            print(f"| {count} | {paths} | {ours:.2f} | {theirs:.0f} | {theirs / ours:.0f} |", flush=True)
        else:
            print(f"| {count} | {paths} | {ours:.2f} | - | - |", flush=True)
    for nodes in (46,):
        edges = [(f"n{a}", "causes", f"n{b}") for a in range(nodes) for b in range(nodes) if a != b]
        triples = [Triple(*edge) for edge in edges]
        ours = seconds(lambda g=triples: path_jaccard(Graph(g), Graph(g))) * 1e3
        print(f"| {len(edges)} (complete) | {sum(Graph(triples).path_counts)} | {ours:.2f} | - | - |")


def bench_score(then: Path, count: int, pairs: int = 3) -> None:
    """`medr3 score` over the same file, as a whole command, in this checkout and another one in turn."""
    vocabulary = names(random.Random(0), 20_000)
    checkouts = {"then": then.resolve(), "now": Path(__file__).resolve().parents[1]}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "terms.jsonl").write_text("".join(json.dumps({"name": term}) + "\n" for term in vocabulary))
        with (folder / "trajectories.jsonl").open("w") as lines:
            for sample in step(count, 16, 10, 30, vocabulary):
                graphs = [
                    {"triples": [[t.head, t.relation, t.tail, t.from_retrieval] for t in reference.triples]}
                    for reference in sample.references
                ]
                shown = [[hit.document.row() for hit in turn.hits] for turn in sample.searches]
                row = {"id": sample.id, "question": sample.question, "answer": sample.answers[0]}
                row |= {"response": sample.response, "references": graphs, "retrieved": shown}
                print(json.dumps(row), file=lines)
        # whichever package is on the path
        medr3 = [sys.executable, "-c", "from medr3_plugin.cli import main; main()"]
        command = f"score --in {folder}/trajectories.jsonl --vocabulary {folder}/terms.jsonl --stage joint"
        spent: dict[str, list[float]] = {side: [] for side in checkouts}
        print(f"\n## `medr3 score` over {count} trajectories, CPU time of the command\n")
        print("| then s | now s | ratio |\n|---|---|---|")
        for _ in range(pairs):
            for side, checkout in checkouts.items():
                before = resource.getrusage(resource.RUSAGE_CHILDREN)
                subprocess.run(
                    [*medr3, *command.split(), "--out", f"{folder}/{side}.jsonl"],
                    env={**os.environ, "PYTHONPATH": str(checkout)},
                    check=True,
                    capture_output=True,
                )
                after = resource.getrusage(resource.RUSAGE_CHILDREN)
                spent[side].append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
            then_s, now_s = spent["then"][-1], spent["now"][-1]
            print(f"| {then_s:.1f} | {now_s:.1f} | {now_s / then_s:.2f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trajectories", type=int, default=4096)
    parser.add_argument("--skip-release", action="store_true", help="leave out the slow comparison")
    parser.add_argument("--then", type=Path, help="another checkout: only compare what `medr3 score` costs")
    arguments = parser.parse_args()
    if arguments.then:
        bench_score(arguments.then, arguments.trajectories)
        return
    bench_graphs(release=not arguments.skip_release)
    bench_judge()
    bench_step(arguments.trajectories)


if __name__ == "__main__":
    main()
