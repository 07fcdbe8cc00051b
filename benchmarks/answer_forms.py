"""How many right answers the rules recognise, in the forms in which models write them.

    python benchmarks/answer_forms.py [--data FOLDER] [--rows 300] [--forms ORIGIN|all] [--show N]

Every form is filled with the right option (or name, or yes/no/maybe) of a question, and with another. A table
says, a question set a line, which share of right answers the rules accept and which they reject (the rest is left to a
judge), which share of wrong ones they accept, and how many hedges.

The grammar was written against all the forms in this file (`own`). `answer_forms_third.txt` was written before its
author had read the grammar, which was then mended with it. `answer_forms_fourth.txt`, written
at the same time, and `answer_forms_fifth.txt` were run once before anything was mended with them: that first look
accepted 80 % and 86 % of the right answers, rejected none, and accepted no wrong one and no hedge.
`answer_forms_sixth.txt` is a part of two later sets with much prose, 446 and 233 forms, written in the same way: their
first looks accepted 80 % and 87 %, rejected none and accepted no wrong one, but one and two kinds of hedge.
`answer_forms_seventh.txt` holds what three more sets found missing at first (959, 1,672 and 1,065 forms). The first,
of plain forms, was accepted at 97.6 % at first sight; the second, of rarer wordings, at 84.7 % (one form rejected,
seven kinds of hedge accepted); the third was written after the grammar was mended with these, in longer sentences:
84.7 % again, with fifteen kinds of hedge accepted. Mended, they stand at 99.0, 96.8 and 95.3 %, with one kind of hedge
("The absence of A suggests D", read as D) and no wrong answer accepted.
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

# {L} {t}: letter and text of the answer; {W} {w}, {V} {v}: of two other options
CHOICE = r"""
{L}
({L})
{L}.
{L}) {t}
{L}. {t}
**{L}**
**{L}. {t}**
{t}
{t}.
Option {L}
option {L}: {t}
Answer: {L}
Answer: {L}. {t}
**Answer:** {L}) {t}
The answer is {L}.
The correct answer is {L}.
The correct answer is **{L}. {t}**.
The answer is ({L}) {t}
The correct option is {L}: {t}
The final answer is: $\boxed{{{L}}}$
\boxed{{{L}}}
$\boxed{{\text{{{L}. {t}}}}}$
Therefore, the answer is {L}.
Thus, the correct answer is {L}) {t}.
So the answer is {t}.
{{"answer": "{L}"}}
```json\n{{"answer": "{L}"}}\n```
["{L}"]
{{"answer": "{L}. {t}"}}
{{"final_answer": "{t}"}}
```\n{L}\n```
{t} ({L})
{L} ({t})
{L} - {t}
{L}: {t}
[{L}] {t}
{L} is correct.
{L} is the correct answer.
Option {L} is the best choice.
{t} is the correct answer.
The best answer is option {L} ({t}).
I would choose {L}.
My answer is {L}. {t}
Based on the findings, the most likely answer is {L}. {t}
Given the presentation, the answer is {L}
The most appropriate answer is {t}.
Final answer: {L}
### Final Answer\n{L}
## Answer: {L}. {t}
#### {L}
{L}\n\nExplanation: This option may be supported by several lines of evidence, such as the history or the examination.
{L}. {t}\n\nThis is the classic presentation, although other causes may be considered.
{L}. {t}. This finding may be seen early or late in the course and is characteristic.
The answer is {L}. The remaining choices are less likely.
The correct answer is {L}. {t}. Option {W} is incorrect because it does not explain the findings.
{L}. {t}\n\nOption {W} is incorrect because it would not explain the course.
{L}. Options {W} and {V} are incorrect because they do not fit the history.
The answer is {L}, because it best explains the history and may be confirmed by further tests.
{L} because it fits the history and the examination, such as the vital signs.
{L}, since the other options do not account for the symptoms.
{t} because it is the most common cause and may be treated or prevented.
It is not {W}. The answer is {L}.
{W} can be excluded; the answer is {L}.
{W} is incorrect. {V} is incorrect. The answer is {L}.
The signs may suggest several conditions, such as infection or inflammation. Therefore, the answer is {L}.
The history points in one direction. The correct answer is {L}. {t}
Let us think step by step. The findings may be due to stress or illness. So the answer is {L}.
Not {W}, but {L}.
{L}, not {W}
{L}. {t}, not {w}
{L} rather than {W}
{t} rather than {w}
Rather than {W}, the answer is {L}.
The answer is {L} and not {W}.
Answer: {L}\nExplanation: The findings are typical. Other diagnoses could be considered or tested for.
Answer: {L}\nReason: it matches the question.
**{L}. {t}**\n\nRationale: The mechanism involves a change in function, which may be partial or complete.
The correct answer is {L}) {t}.\n\nHere's why: this is consistent with what is described in the question.
{L}\n{t}
{L}.\n{t}
<b>{L}</b>
`{L}`
{L}!
"{L}"
'{t}'
Choice {L}
Answer choice {L}
Ans: {L}
Answer - {L}
correct answer: {L}
The correct choice is {L}.
The correct answer is option {L}.
The right answer is {L} ({t}).
Correct option: ({L}) {t}
I believe the correct answer is {L}.
I think the answer is {L}.
We can conclude that the answer is {L}.
In conclusion, the correct answer is {L}.
Overall, {L} is the best answer.
Hence {L}.
Hence, option {L} is correct.
The answer must be {L}.
The answer should be {L}. {t}
The answer would be {L}.
The answer to this question is {L}.
It's {L}.
It is {t}.
This is {t}.
Among the options, the best answer is {L}.
Of the given options, {L} is the most appropriate.
From the documents, the answer is {L}. {t}
According to the retrieved evidence, the correct answer is {L}.
Looking at the options, {W} and {V} can be ruled out. The correct answer is {L}.
Options {W} and {V} can be eliminated, so the answer is {L}.
Although {W} is less likely, the answer is {L}.
The answer is {L}: {t}. In most patients this is mild or moderate, and treatment such as rest may be enough.
{L}. {t} is the most likely answer because of the history.
{L}. {t} is the correct answer. It may be used alone or in combination, such as with other agents.
{L}. {t}.\n\nThis answer is supported by the documents. It is known that the effect may be dose dependent or reversible.
{L}) {t}\n\n- Option {W} is incorrect: it does not match.\n- Option {V} is incorrect: it does not match.
{L}) {t}. Other options are incorrect.
{L}. {t}. All other options are incorrect.
The answer is {L}. None of the other options fits the description.
{L} (the other options do not fit the description)
{t}, which is consistent with the clinical picture.
{t}. This is consistent with the clinical picture and may be confirmed by imaging or biopsy.
The most likely explanation for this finding is {t}.
The answer is "{t}".
"{L}. {t}"
选{L}
答案：{L}
答案是{L}。
正确答案是{L}。
正确答案为{L}：{t}
答案为{L}. {t}
【答案】{L}
因此，正确答案是{L}。
综上所述，答案选{L}。
故选{L}。
本题选{L}。
本题正确答案为{L}。
我选择{L}。
选项{L}正确。
{L}选项正确
{L}项正确。
{L}是正确答案。
应选{L}，因为该选项符合题意，可能与病史或检查有关。
答案是{L}。该选项最符合病史，患者可能有感染或炎症等表现。
排除{W}，选{L}
排除{W}和{V}，故选{L}。
不是{W}，而是{L}。
{W}错误，答案是{L}。
{W}选项不正确，因此正确答案是{L}。
{L}，而不是{W}
答案：{L}\n解析：该选项与题干描述一致，其他选项均不符合。
答案：{L}（{t}）
{L}、{t}
最佳答案是{L}。
根据以上分析，答案是{L}。
最终答案：{L}
正确选项是{L}。
"""

# {t}: the accepted name
OPEN = r"""
{t}
{t}.
**{t}**
Answer: {t}
The answer is {t}.
The diagnosis is {t}.
The most likely diagnosis is {t}.
The most likely diagnosis is **{t}**.
Final answer: {t}
Diagnosis: {t}
Final diagnosis: {t}
\boxed{{{t}}}
\boxed{{\text{{{t}}}}}
{{"answer": "{t}"}}
{{"diagnosis": "{t}"}}
```json\n{{"answer": "{t}"}}\n```
["{t}"]
It is {t}.
This is {t}.
The patient has {t}.
This patient most likely has {t}.
The most likely genetic diagnosis is {t}.
Therefore, the answer is {t}.
Thus, the most likely diagnosis is {t}.
Based on the clinical features, the most likely diagnosis is {t}.
Based on the findings, the diagnosis is {t}.
The findings are consistent with {t}.
These findings are most consistent with {t}.
The clinical presentation is consistent with {t}.
The presentation suggests {t}.
{t} is the most likely diagnosis.
{t} is the correct answer.
The correct answer is: {t}
Most likely diagnosis: {t}
### Answer\n{t}
# {t}
- {t}
1. {t}
"{t}"
{t}!
I believe the answer is {t}.
I think the diagnosis is {t}.
My final answer is {t}.
In conclusion, the answer is {t}.
In summary, the diagnosis is {t}.
Given the findings, the answer is {t}.
According to the documents, the answer is {t}.
{t}\n\nThis diagnosis is consistent with the clinical findings.
{t}. This is consistent with the presentation.
{t} because it explains all of the findings.
{t}, which explains the findings.
The combination of these findings is characteristic of {t}.
The diagnosis of {t} is most likely.
The answer to the question is {t}.
答案是{t}。
答案：{t}
诊断：{t}
最可能的诊断是{t}。
该患者最可能的诊断是{t}。
因此，诊断为{t}。
综上所述，最可能的诊断是{t}
正确答案是{t}。
最终答案：{t}
本例诊断为{t}。
"""

# {t}: yes, no or maybe; {T}: with a capital
VERDICT = r"""
{t}
{T}
{T}.
**{T}**
Answer: {t}
The answer is {t}.
The final answer is **{T}**.
\boxed{{{t}}}
{{"answer": "{t}"}}
```json\n{{"answer": "{t}"}}\n```
Final decision: {t}
Therefore, the answer is {t}.
{T}, the evidence supports this conclusion.
{T}, because the studies agree on this point.
{T}. The studies agree on this point, although the effect may be small or moderate.
{T}, there is no significant difference between the groups.
{T}. There was no significant association, such as with age or sex.
{T} - the authors draw this conclusion.
{T}\n\nThe trial supports this.
{T}: the data of the trial show it.
{T}, based on the retrieved abstract.
The answer is {t} because the confidence interval leads to this conclusion.
Based on the evidence, the answer is {t}.
In conclusion, {t}.
{T}, it does not depend on the dose.
Conclusion: {t}
The evidence supports {t}.
**Final answer:** {t}
So the answer is {t}.
{T}, as shown by the results of the study.
{T}; the study found this in most of the patients.
"{t}"
答案是{t}。
答案：{t}
"""

CHOICE_HEDGES = r"""
{L} or {W}
{L}/{W}
{L} and {W}
Either {L} or {W}
Both {L} and {W}
{L}, {W}
{L} {W}
{L}. {t} or {W}. {w}
{t} or {w}
{t}; {w}
{t} and {w}
Possibly {L}
Probably {L}, possibly {W}
Maybe {L}
It could be {L}.
It might be {t}.
{L}?
{L} (not sure)
{L}, but {W} is also possible
{L}. {t}, but {w} cannot be excluded.
{L}. {W} is equally likely.
{L} > {W}
{L} (60%), {W} (40%)
First {L}, second {W}
{L} if the patient is stable, otherwise {W}
The answer is {L}. Actually, it is {W}.
The answer is {L}. The answer is {W}.
Not {L}
{L} is incorrect.
Anything but {L}
选{L}或{W}
{L}、{W}都对
可能是{L}，也可能是{W}
不选{L}
{L}，不能排除{W}
All of the options could be right
I guess {L}, though I am not certain.
{L}. I could be wrong.
{L} because {W} cannot be ruled out
{L}. {t}, then the next option
"""
OPEN_HEDGES = r"""
{t} or {w}
{w} or {t}
{t}, {w}
{t} / {w}
{t} and {w}
{t}; {w}
{t} vs {w}
{t} versus {w}
1. {t}\n2. {w}
{t}\n{w}
- {t}\n- {w}
Possibly {t}
It could be {t}.
Suspected {t}
{t}?
Not {t}
{t} is unlikely
{t}, but {w} cannot be excluded
{t} because {w} is second
{t} rather than certain
{t} ({w})
{t} (differential: {w})
{w} rather than {t}
Differential diagnosis: {t}, {w}
{t} with features of {w}
{t} + {w}
Family history of {t}
{t}-like syndrome
可能是{t}
{t}或{w}
不是{t}
{t}，不排除{w}
"""
VERDICT_HEDGES = r"""
{t} or {u}
{t}/{u}
{T} and {u}
{T}, {u}
{T}. Actually, {u}.
Not {t}
{T}?
{t} and also {u}
Either {t} or {u}
{T} because the answer is {u}
"""


@dataclass(frozen=True)
class Case:
    """A question with what fills the forms: the right answer, and others."""

    dataset: str
    sample: Sample
    right: dict[str, str]
    wrong: dict[str, str]
    forms: Sequence[str]
    hedges: Sequence[str]


ORIGINS = ("own", "third", "fourth", "fifth", "sixth", "seventh")
OWN = {
    "choice": CHOICE,
    "choice hedges": CHOICE_HEDGES,
    "open": OPEN,
    "open hedges": OPEN_HEDGES,
    "verdict": VERDICT,
    "verdict hedges": VERDICT_HEDGES,
}


def forms(kind: str, origin: str) -> list[str]:
    """The forms of a kind (a key of `OWN`) and origin: one of `ORIGINS` or `all`."""
    if origin == "all":
        return [form for one in ORIGINS for form in forms(kind, one)]
    table = OWN[kind] if origin == "own" else sections(f"answer_forms_{origin}.txt")[kind]
    return [line.replace("\\n", "\n") for line in table.strip().splitlines()]


@cache
def sections(name: str) -> dict[str, str]:
    """Kind -> forms of a file beside this one."""
    text = Path(__file__).with_name(name).read_text(encoding="utf-8")
    parts = re.split(rf"(?m)^\[({'|'.join(OWN)})\]$", text)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def choice_case(dataset: str, row: dict[str, Any], origin: str, chance: random.Random) -> Case:
    """A case of a row with `options` and `answer_idx`."""
    options, gold = row["options"], row["answer_idx"]
    sample = Sample("", row["question"], "", (row["answer"],), options)
    others = chance.sample([letter for letter in options if letter != gold], 2)

    def filled(letter: str, one: str, two: str) -> dict[str, str]:
        text, other, third = (options[name].strip().rstrip(".") for name in (letter, one, two))
        return {"L": letter, "t": text, "W": one, "w": other, "V": two, "v": third}

    wrong = filled(others[0], gold, others[1])
    return Case(
        dataset, sample, filled(gold, *others), wrong, forms("choice", origin), forms("choice hedges", origin)
    )


def verdict_case(dataset: str, row: dict[str, Any], origin: str) -> Case:
    """A case of a row whose answer is yes, no or maybe."""
    gold = row["answer"]
    other = "no" if gold == "yes" else "yes"
    sample = Sample("", row["question"], "", (gold,), row.get("options"))
    right = {"t": gold, "T": gold.capitalize(), "u": other}
    wrong = {"t": other, "T": other.capitalize(), "u": gold}
    return Case(dataset, sample, right, wrong, forms("verdict", origin), forms("verdict hedges", origin))


def open_case(dataset: str, question: str, answers: Sequence[str], other: str, origin: str) -> Case:
    """A case of a question with accepted names; `other` is another question's answer."""
    sample = Sample("", question, "", tuple(answers))
    right, wrong = {"t": answers[0], "w": other}, {"t": other, "w": answers[0]}
    return Case(dataset, sample, right, wrong, forms("open", origin), forms("open hedges", origin))


def cases(folder: Path, rows: int, origin: str) -> Iterator[Case]:
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
                yield choice_case(name, row, origin, chance)
    for row in drawn(folder, "pubmedqa_dev", rows, chance):
        yield verdict_case("pubmedqa_dev", row, origin)
    bioasq = drawn(folder, "bioasq_7b-9b", 10**9, chance)
    for row in [row for row in bioasq if row["type"] == "yesno"][:rows]:
        yield verdict_case("bioasq yesno", row, origin)
    factoids = [row for row in bioasq if row["type"] == "factoid" and len(row["answer"]) == 1][:rows]
    for row, other in pairwise(factoids):
        yield open_case("bioasq factoid", row["question"], row["answer"][0], other["answer"][0][0], origin)
    rare = drawn(folder, "rare_disease_cases", rows, chance)
    for row, other in pairwise(rare):
        if row["answer"] != other["answer"]:
            yield open_case("rare disease", row["question"], row["answer_aliases"], other["answer"], origin)


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
    parser.add_argument("--forms", choices=(*ORIGINS, "all"), default="all")
    parser.add_argument("--show", type=int, default=0, help="print that many faults of each kind, by form")
    args = parser.parse_args()
    counts: dict[str, Counter[str]] = {}
    faults: dict[str, Counter[str]] = {
        "right missed": Counter(),
        "right rejected": Counter(),
        "accepted": Counter(),
    }
    for case in cases(args.data, args.rows, args.forms):
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
