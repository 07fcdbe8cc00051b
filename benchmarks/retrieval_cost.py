"""What building a BM25 index and searching it cost here, against another commit: ratios of CPU time.

git worktree add /elsewhere/then 7475811
python benchmarks/retrieval_cost.py --then /elsewhere/then --work DIR

The corpus and the questions of the six development sets are those of `benchmarks/retrieval.py`. Builds alternate,
each in a fresh process. For queries two fresh processes, one of each checkout, have their index open and are given
the same parts of a set in turn, so that what else runs on the machine hits both. Each query is new to its process, and
so are many of its words; with `--running`, few words are. Of each part the least time of all rounds counts, and the
ratio is the median of the parts' ratios. The same checkout as `--then` shows the error.
"""

from __future__ import annotations

import argparse
import gc
import json
import math
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parents[1]
LISTS = "rare_disease_cases"
"""Its questions are lists of signs, those of the others are text."""
PART = 50


def work() -> None:
    """The other side of a pipe: does what it is told to, and answers with the CPU seconds that it took."""
    import medr3_plugin
    from medr3_plugin.retrieval.engine import open_index
    from medr3_plugin.retrieval.index.build import build_index

    if Path(medr3_plugin.__file__).resolve().parents[1] != Path(os.environ["PYTHONPATH"]).resolve():
        raise RuntimeError(f"not the checkout: {medr3_plugin.__file__}")
    engine: Any = None
    for line in sys.stdin:
        what, argument = json.loads(line)
        begun = time.process_time()
        if what == "build":
            build_index(argument[0], argument[1])
        elif what == "open":
            engine = open_index(argument)
            engine.warm_up()
            engine.search(["warm up"], 10)
            gc.freeze()  # as the service does
        else:
            for query in argument:
                engine.search([query], 10)
        print(time.process_time() - begun, flush=True)


class Worker:
    """A process that runs the package of a checkout."""

    def __init__(self, checkout: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--worker"],
            env={**os.environ, "PYTHONPATH": str(checkout.resolve())},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def __call__(self, what: str, argument: Any) -> float:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(json.dumps([what, argument]), file=self.process.stdin, flush=True)
        return float(self.process.stdout.readline())


@contextmanager
def workers(*checkouts: Path) -> Iterator[list[Worker]]:
    started = [Worker(checkout) for checkout in checkouts]
    try:
        yield started
    finally:
        for worker in started:
            worker.process.kill()
            worker.process.wait()


def say(label: str, pairs: list[tuple[float, float]]) -> None:
    then, now = (sum(side) for side in zip(*pairs, strict=True))
    ratios = sorted(mine / theirs for theirs, mine in pairs)
    quarter = len(ratios) // 4
    print(
        f"| {label} | {len(pairs)} | {statistics.median(ratios):.2f} "
        f"| {ratios[quarter]:.2f} to {ratios[-1 - quarter]:.2f} | {now / then:.2f} | {then:.1f} | {now:.1f} |",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--then", type=Path, required=True, help="the other checkout")
    parser.add_argument("--work", type=Path, required=True, help="folder for the indexes")
    parser.add_argument(
        "--builds", type=int, default=3, help="pairs of builds; 0 takes the indexes in --work"
    )
    parser.add_argument("--rounds", type=int, default=3, help="pairs of processes that search")
    parser.add_argument("--queries", type=int, help="of each set, the first ones; default: all")
    parser.add_argument(
        "--running",
        action="store_true",
        help="every second query comes first, untimed: processes that have run",
    )
    arguments = parser.parse_args()
    from retrieval import SETS, SHARED, questions  # here, for the package of --then has not what it imports

    sides = {"then": arguments.then, "now": HERE}
    print("| what | pairs | ratio, median | quartiles | ratio of sums | then, s | now, s |")
    print("|---|---|---|---|---|---|---|")
    pairs = []
    for _ in range(arguments.builds):
        pair = []
        for side, checkout in sides.items():
            folder = arguments.work / side
            shutil.rmtree(folder, ignore_errors=True)
            with workers(checkout) as (worker,):
                pair.append(worker("build", [str(SHARED / "corpus"), str(folder)]))
        pairs.append((pair[0], pair[1]))
    if pairs:
        say("build", pairs)
    least: dict[tuple[str, int], tuple[float, float]] = {}
    asked = {name: [row["question"] for row in questions(name)][: arguments.queries] for name in SETS}
    before: list[str] = []
    if arguments.running:
        before = [query for name in SETS for query in asked[name][1::2]]
        asked = {name: asked[name][::2] for name in SETS}
    for number in range(arguments.rounds):
        with workers(*sides.values()) as both:
            for worker, side in zip(both, sides, strict=True):
                worker("open", str(arguments.work / side))
                worker("search", before)
            for name in SETS:
                for start in range(0, len(asked[name]), PART):
                    order = both if (start // PART + number) % 2 else both[::-1]
                    spent = {worker: worker("search", asked[name][start : start + PART]) for worker in order}
                    then, now = least.get((name, start), (math.inf, math.inf))
                    least[name, start] = min(then, spent[both[0]]), min(now, spent[both[1]])
    taken = {name: [pair for (of, _), pair in least.items() if of == name] for name in SETS}
    for name, found in taken.items():
        say(name, found)
    say("all text", [pair for name in SETS if name != LISTS for pair in taken[name]])


if __name__ == "__main__":
    work() if sys.argv[1:] == ["--worker"] else main()
