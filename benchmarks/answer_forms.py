"""How many right answers the rules recognise, in the forms in which models write them.

    python benchmarks/answer_forms.py [--data FOLDER] [--rows 300] [--show N]

Every form of `answer_forms.txt` is filled with the right option (or name, or yes/no/maybe) of a question, and with
another. A table says, a question set a line, which share of right answers the rules accept and which they reject (the
rest is left to a judge), which share of wrong ones they accept, and how many hedges.

The rules were mended with these forms; what they make of unseen ones is in docs/benchmarks/rewards.md.
"""

from __future__ import annotations

import argparse
import json
import random
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from medr3_plugin.records import Sample
from medr3_plugin.rewards.answer.verify import verify


@dataclass(frozen=True)
class Case:
    """A question with what fills the forms: the right answer, and others."""

    dataset: str
    sample: Sample
    right: dict[str, str]
    wrong: dict[str, str]
    forms: Sequence[str]
    hedges: Sequence[str]


KINDS = ("choice", "choice hedges", "open", "open hedges", "verdict", "verdict hedges")


@cache
def forms(kind: str) -> list[str]:
    """The forms of one of `KINDS`.

    {t} is the answer, {T} with a capital, {L} its letter; {W} {w} and {V} {v} letter and text of two other options,
    {w} another name, {u} another of yes, no and maybe.
    """
    text = Path(__file__).with_suffix(".txt").read_text(encoding="utf-8")
    parts = re.split(rf"(?m)^\[({'|'.join(KINDS)})\]$", text)
    lines = dict(zip(parts[1::2], parts[2::2], strict=True))[kind].strip().splitlines()
    return [line.replace("\\n", "\n") for line in lines]


def choice_case(dataset: str, row: dict[str, Any], chance: random.Random) -> Case:
    """A case of a row with `options` and `answer_idx`."""
    options, gold = row["options"], row["answer_idx"]
    sample = Sample("", row["question"], "", (row["answer"],), options)
    others = chance.sample([letter for letter in options if letter != gold], 2)

    def filled(letter: str, one: str, two: str) -> dict[str, str]:
        text, other, third = (options[name].strip().rstrip(".") for name in (letter, one, two))
        return {"L": letter, "t": text, "W": one, "w": other, "V": two, "v": third}

    wrong = filled(others[0], gold, others[1])
    return Case(dataset, sample, filled(gold, *others), wrong, forms("choice"), forms("choice hedges"))


def verdict_case(dataset: str, row: dict[str, Any]) -> Case:
    """A case of a row whose answer is yes, no or maybe."""
    gold = row["answer"]
    other = "no" if gold == "yes" else "yes"
    sample = Sample("", row["question"], "", (gold,), row.get("options"))
    right = {"t": gold, "T": gold.capitalize(), "u": other}
    wrong = {"t": other, "T": other.capitalize(), "u": gold}
    return Case(dataset, sample, right, wrong, forms("verdict"), forms("verdict hedges"))


def open_case(dataset: str, question: str, answers: Sequence[str], other: str) -> Case:
    """A case of a question with accepted names; `other` is another question's answer."""
    sample = Sample("", question, "", tuple(answers))
    right, wrong = {"t": answers[0], "w": other}, {"t": other, "w": answers[0]}
    return Case(dataset, sample, right, wrong, forms("open"), forms("open hedges"))


def cases(folder: Path, rows: int) -> Iterator[Case]:
    """Cases of the question sets in `folder`, at most `rows` of each."""
    chance = random.Random(0)
    for name in (
        "medqa_us_dev",
        "medmcqa_dev_part",
        "mmlu_anatomy_genetics",
        "evidence_inference_train_labelled",
    ):
        for row in drawn(folder, name, rows, chance):
            if len(row["options"]) > 2 and len(set(row["options"].values())) == len(row["options"]):
                yield choice_case(name, row, chance)
    for row in drawn(folder, "pubmedqa_dev", rows, chance):
        yield verdict_case("pubmedqa_dev", row)
    bioasq = drawn(folder, "bioasq_7b-9b", 10**9, chance)
    for row in [row for row in bioasq if row["type"] == "yesno"][:rows]:
        yield verdict_case("bioasq yesno", row)
    factoids = [row for row in bioasq if row["type"] == "factoid" and len(row["answer"]) == 1][:rows]
    for row, other in pairwise(factoids):
        yield open_case("bioasq factoid", row["question"], row["answer"][0], other["answer"][0][0])
    rare = drawn(folder, "rare_disease_cases", rows, chance)
    for row, other in pairwise(rare):
        if row["answer"] != other["answer"]:
            yield open_case("rare disease", row["question"], row["answer_aliases"], other["answer"])


def drawn(folder: Path, name: str, rows: int, chance: random.Random) -> list[dict[str, Any]]:
    """Rows of a question file, in a random but repeatable order."""
    lines = (folder / f"{name}.jsonl").read_text(encoding="utf-8").strip().split("\n")
    return [json.loads(line) for line in chance.sample(lines, min(rows, len(lines)))]


def level(case: Case, answer: str) -> int | None:
    """The rules' level of `answer`, None if they leave it to a judge."""
    verdict = verify(answer, case.sample)
    return None if verdict is None else verdict.level


def tell(found: Counter[str], what: str) -> str:
    """Share of `what` in per cent."""
    kind = what.partition(" ")[0]
    total = sum(count for key, count in found.items() if key.startswith(f"{kind} "))
    return f"{100 * found[what] / total:.2f}" if total else "–"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path("../shared/data/questions"))
    parser.add_argument("--rows", type=int, default=300, help="questions of each set")
    parser.add_argument("--show", type=int, default=0, help="print that many faults of each kind, by form")
    args = parser.parse_args()
    counts: dict[str, Counter[str]] = {}
    faults: dict[str, Counter[str]] = {
        "right missed": Counter(),
        "right rejected": Counter(),
        "accepted": Counter(),
    }
    for case in cases(args.data, args.rows):
        found = counts.setdefault(case.dataset, Counter())
        for kind, fillings, templates in (
            ("right", case.right, case.forms), ("wrong", case.wrong, case.forms), ("hedge", case.right, case.hedges)
        ):  # fmt: skip
            for form in templates:
                answer = form.format(**fillings)
                got = level(case, answer)
                found[f"{kind} {got}"] += 1
                if kind == "right" and got is None:
                    faults["right missed"][form] += 1
                elif kind == "right" and got == 0:
                    faults["right rejected"][f"{form!r} {answer!r}"] += 1
                elif kind != "right" and got == 2:
                    faults["accepted"][f"{form!r} {answer!r} {case.sample.answers}"] += 1
    print("set | right accepted % | rejected % | wrong accepted % | hedges right | answers")
    print("---|---|---|---|---|---")
    counts["all"] = sum(counts.values(), Counter())
    for dataset, found in counts.items():
        shares = (tell(found, "right 2"), tell(found, "right 0"), tell(found, "wrong 2"))
        print(dataset, *shares, found["hedge 2"], sum(found.values()), sep=" | ")
    for kind, by_form in faults.items():
        for form, count in by_form.most_common(args.show):
            print(kind, count, form)


if __name__ == "__main__":
    main()
