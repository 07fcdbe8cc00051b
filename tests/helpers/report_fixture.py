"""A run folder made by code, with the scorer and the writer of a run and all that a report must cope with."""
# ruff: noqa: E501 (the texts of the cases)

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from medr3_plugin.outputs import write_json
from medr3_plugin.records import Document, Hit, Reference, Sample, SearchTurn, Triple
from medr3_plugin.rewards.scorer import build_scorer
from medr3_plugin.runs.files import Labels, StageRecord
from medr3_plugin.runs.step_metrics import StepSample, step_metrics
from medr3_plugin.runs.writer import RunWriter

STAGES = (
    StageRecord("reasoning", 0, 1, 24, "plateau of acc: best 0.412 at step 14, patience 10"),
    StageRecord("retrieval", 1, 25, 48, "max_steps 24"),
    StageRecord("joint", 2, 49, 72, "max_steps 24"),
)
HOSTILE = "</script><script>document.title='owned'</script><img src=x onerror=alert(1)> & \u2028 <document>"
SCORER = build_scorer({})


class Case(NamedTuple):
    """A question with a right and a wrong trajectory; the first document is the gold one."""

    dataset: str
    id: str
    question: str
    answer: str
    wrong: str
    query: str
    think: str
    then: str
    documents: tuple[Document, ...]


CASES = (
    Case(
        dataset="medqa_us",
        id="medqa_us:train:17",
        question="A 34-year-old woman has fatigue, weight gain and cold intolerance. TSH is high and free T4 low; anti-thyroid peroxidase antibodies are positive. What is the most likely diagnosis?",
        answer="Hashimoto thyroiditis",
        wrong="Graves disease",
        query="high TSH low T4 anti-TPO antibodies hypothyroidism cause",
        think="The picture is primary hypothyroidism: TSH is high while free T4 is low. The antibodies point to an autoimmune cause. I should check how specific they are.",
        then="Anti-TPO antibodies are found in about nine of ten patients with Hashimoto thyroiditis, so the autoimmune cause is the likely one.",
        documents=(
            Document(
                id="guide:ata:3",
                title="Hypothyroidism in adults: clinical practice guideline",
                evidence_type="guideline",
                evidence_level=7,
                text="Anti-TPO antibodies identify autoimmune thyroiditis as the cause of primary hypothyroidism and predict progression in subclinical disease.",
            ),
            Document(
                id="pubmed:9506",
                title="Thyroid peroxidase antibodies and risk of hypothyroidism: a meta-analysis",
                evidence_type="meta-analysis",
                evidence_level=9,
                text="Across 16 cohorts, antibody positivity was associated with incident hypothyroidism (risk ratio 4.6).",
            ),
        ),
    ),
    Case(
        dataset="rare_disease",
        id="rare_disease:ppkt:061cd3",
        question="A boy presents with ectopia lentis, arachnodactyly, aortic root dilatation and pectus excavatum. Which rare disease is it?",
        answer="Marfan syndrome",
        wrong="Homocystinuria or Marfan syndrome",
        query="ectopia lentis arachnodactyly aortic root dilatation",
        think="Lens dislocation with long fingers suggests a connective tissue disorder. Homocystinuria shares both signs, so the aorta decides.",
        then="Aortic root dilatation belongs to Marfan syndrome and not to homocystinuria.",
        documents=(
            Document(
                id="hpoa:OMIM:154700",
                title="Marfan syndrome",
                evidence_type="disease-profile",
                evidence_level=1,
                text="Signs: ectopia lentis, arachnodactyly, aortic root aneurysm, pectus excavatum, scoliosis.",
            ),
            Document(
                id="pubmed:2050",
                title="Revised Ghent nosology for the Marfan syndrome",
                evidence_type="systematic-review",
                evidence_level=8,
                text="Aortic root aneurysm and ectopia lentis together suffice for the diagnosis when there is no family history.",
            ),
        ),
    ),
    Case(
        dataset="pubmedqa",
        id="pubmedqa:10808977",
        question="Can tailored interventions increase mammography use among HMO women?",
        answer="yes",
        wrong="no",
        query="tailored telephone counseling mammography adherence trial",
        think="Tailoring usually helps adherence in trials, but the effect may fade. Look for a randomised trial.",
        then="The trial finds more women back on schedule after counselling, so the answer is yes.",
        documents=(
            Document(
                id="pubmedqa:10808977",
                title="Tailored interventions and mammography use: a randomised trial",
                evidence_type="RCT",
                evidence_level=6,
                text="Compared with usual care, telephone counselling promoted change among women who were off schedule.",
            ),
        ),
    ),
    Case(
        dataset="medqa_mcmle",
        id="medqa_mcmle:dev:8",
        question="男性，62岁，突发胸痛2小时，心电图V1-V4导联ST段抬高。首选的治疗是什么？",
        answer="急诊经皮冠状动脉介入治疗",
        wrong="静脉滴注肝素",
        query="急性前壁心肌梗死 再灌注 首选",
        think="V1-V4导联ST段抬高提示急性前壁心肌梗死，发病2小时，应尽快再灌注。",
        then="指南推荐发病12小时内首选急诊介入治疗。",
        documents=(
            Document(
                id="guide:stemi:1",
                title="急性ST段抬高型心肌梗死诊断和治疗指南",
                evidence_type="guideline",
                evidence_level=7,
                text="发病12小时内的患者，首选直接经皮冠状动脉介入治疗。",
            ),
        ),
    ),
)


def make_run(folder: Path, *, running: bool = False) -> Path:
    """Write a three-stage run of 72 steps, of which four trajectories each are kept, into `folder`.

    Args:
        running: the run is being written: no end of the third stage, and half a last line in both jsonl files.
    """
    writer = RunWriter(folder)
    last = 60 if running else 72
    for stage in STAGES:
        for step in range(stage.start_step, min(stage.end_step, last) + 1):
            labels = Labels(step, stage.name, step - stage.start_step + 1, "train")
            _append(writer, labels, kept=4)
            if step % 12 == 0:
                _append(writer, labels._replace(kind="val"), kept=1)
    writer.write_stages(
        [
            replace(stage, checkpoint=f"checkpoints/global_step_{stage.end_step}")
            for stage in STAGES
            if stage.end_step <= last
        ]
    )
    writer.write_config(
        "actor_rollout_ref:\n  model:\n    path: SmolLM2-135M-Instruct\nmedr3:\n  reward:\n    judge:\n      kind: openai\n      api_key: sk-not-for-the-page\ntrainer:\n  total_training_steps: 72\n"
    )
    write_json(
        folder / "environment.json",
        {"medr3_plugin": "0.1.0", "verl": "0.9.1", "commit": "0123abc", "hardware": {"cpu": "2 cores"}},
    )
    if running:
        for name in ("metrics.jsonl", "trajectories.jsonl"):
            with (folder / name).open("a", encoding="utf-8") as stream:
                stream.write('{"step": 61, "stage": "jo')
    return folder


def _samples(step: int, stage: str) -> Iterator[Sample]:
    """Eight trajectories of a question: from step to step more are right, some are forged, some searches fail."""
    case = CASES[step % len(CASES)]
    fact = Triple(case.answer, "explains", case.query)
    failure = {31: "timeout", 32: "timeout", 53: "status_500"}.get(step)
    hits = tuple(Hit(document, 18.0 - 3.0 * rank) for rank, document in enumerate(case.documents))
    found = SearchTurn(case.query, hits, tuple(hit.document.id for hit in hits), latency_s=0.012)
    shown = "".join(f"<document>{d.title} ({d.evidence_type})\n{d.text}</document>" for d in case.documents)
    for number in range(8):
        question, searches = case.question, [found]
        response = f"<think>{case.think}\n<search>{case.query}</search>{shown}\n"
        if stage != "reasoning" and number % 2:
            searches.append(SearchTurn(f"{case.answer} evidence", hits[:1], (), "duplicate", 0.011))
            response += f"It is worth a second look.\n<search>{case.answer} evidence</search>\n"
        right = 3 * number % 8 < 1 + step // 12
        ends = f"{case.then}</think><answer>{case.answer if right else case.wrong}</answer>"
        if (step, number) == (2, 1):
            question, searches = f"{question} {HOSTILE}", []
            response, ends = f"<think>{HOSTILE}</think>", f"<answer>{HOSTILE}</answer>"
        elif failure and number == 1:
            searches = [SearchTurn(case.query, outcome="failed", latency_s=10.0, failure=failure)]
            response = f"<think>{case.think}\n<search>{case.query}</search>\nThe search did not work.\n"
        elif step % 9 == 4 and number == 3:
            ends = "<document>I know this from the guideline.</document>"
        yield Sample(
            id=case.id,
            dataset=case.dataset,
            question=question,
            response=response + ends,
            answers=(case.answer,),
            gold_docs=(case.documents[0].id,),
            references=(Reference((fact,), f"{case.think} {case.then}"),),
            triples=(fact,),
            searches=tuple(searches),
            stage=stage,
            stage_progress=0.5,
        )


@cache
def _scored(step: int, stage: str) -> tuple[list[StepSample], list[str]]:
    """What the step's trajectories earned, and their responses."""
    samples = list(_samples(step, stage))
    scored = [
        StepSample(
            group=sample.id,
            record=score.record,
            detail={
                **sample.row(),
                "gold_docs": list(sample.gold_docs),
                "searches": [turn.row() for turn in sample.searches],
                "reasons": score.reasons,
                "failures": score.failures,
            },
        )
        for sample, score in zip(samples, asyncio.run(SCORER.score(samples)), strict=True)
    ]
    return scored, [sample.response for sample in samples]


def _append(writer: RunWriter, labels: Labels, kept: int) -> None:
    """The metrics of a step and `kept` of its trajectories."""
    step = labels.step
    samples, responses = _scored(step, labels.stage)
    metrics: dict[str, Any] = step_metrics(samples)
    metrics[f"reward/acc/{samples[0].detail['dataset']}"] = metrics["reward/acc"]
    if labels.kind == "train":
        metrics |= {
            "time/step": 96.0 + step % 7,
            "response_length/mean": 140 + 0.8 * step,
            "response_length/max": 230.0,
            "actor/entropy": 0.2 + 1.2 * math.exp(-step / 60),
            "actor/grad_norm": math.nan if step == 10 else 0.8,
            "actor/ppo_kl": 0.001,
        }
    writer.append_metrics(labels, metrics)
    writer.append_trajectories(labels, samples, range(kept), responses[:kept])
