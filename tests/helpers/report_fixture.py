"""A run folder made by code: the same bytes every time, with all that a report must cope with."""
# ruff: noqa: E501 (the texts of the cases)

from __future__ import annotations

import json
import math
import random
from pathlib import Path
from typing import Any

from medr3_plugin.rewards.record import KEYS

STAGES = (
    ("reasoning", 1, 24, "plateau of acc: best 0.412 at step 14, patience 10"),
    ("retrieval", 25, 48, "max_steps 24"),
    ("joint", 49, 72, "max_steps 24"),
)
HOSTILE = "</script><script>document.title='owned'</script><img src=x onerror=alert(1)> & \u2028 <document>"

CASES = (
    {
        "id": "medqa_us:train:17",
        "question": "A 34-year-old woman has fatigue, weight gain and cold intolerance. TSH is high and free T4 low; anti-thyroid peroxidase antibodies are positive. What is the most likely diagnosis?",
        "answer": "Hashimoto thyroiditis",
        "wrong": "Graves disease",
        "query": "high TSH low T4 anti-TPO antibodies hypothyroidism cause",
        "think": "The picture is primary hypothyroidism: TSH is high while free T4 is low. The antibodies point to an autoimmune cause. I should check how specific they are.",
        "then": "Anti-TPO antibodies are found in about nine of ten patients with Hashimoto thyroiditis, so the autoimmune cause is the likely one.",
        "documents": (
            {
                "id": "guide:ata:3",
                "title": "Hypothyroidism in adults: clinical practice guideline",
                "evidence_type": "guideline",
                "evidence_level": 7,
                "text": "Anti-TPO antibodies identify autoimmune thyroiditis as the cause of primary hypothyroidism and predict progression in subclinical disease.",
            },
            {
                "id": "pubmed:9506",
                "title": "Thyroid peroxidase antibodies and risk of hypothyroidism: a meta-analysis",
                "evidence_type": "meta-analysis",
                "evidence_level": 9,
                "text": "Across 16 cohorts, antibody positivity was associated with incident hypothyroidism (risk ratio 4.6).",
            },
        ),
    },
    {
        "id": "rare_disease:ppkt:061cd3",
        "question": "A boy presents with ectopia lentis, arachnodactyly, aortic root dilatation and pectus excavatum. Which rare disease is it?",
        "answer": "Marfan syndrome",
        "wrong": "Homocystinuria or Marfan syndrome",
        "query": "ectopia lentis arachnodactyly aortic root dilatation",
        "think": "Lens dislocation with long fingers suggests a connective tissue disorder. Homocystinuria shares both signs, so the aorta decides.",
        "then": "Aortic root dilatation belongs to Marfan syndrome and not to homocystinuria.",
        "documents": (
            {
                "id": "hpoa:OMIM:154700",
                "title": "Marfan syndrome",
                "evidence_type": "disease-profile",
                "evidence_level": 1,
                "text": "Signs: ectopia lentis, arachnodactyly, aortic root aneurysm, pectus excavatum, scoliosis.",
            },
            {
                "id": "pubmed:2050",
                "title": "Revised Ghent nosology for the Marfan syndrome",
                "evidence_type": "systematic-review",
                "evidence_level": 8,
                "text": "Aortic root aneurysm and ectopia lentis together suffice for the diagnosis when there is no family history.",
            },
        ),
    },
    {
        "id": "pubmedqa:10808977",
        "question": "Can tailored interventions increase mammography use among HMO women?",
        "answer": "yes",
        "wrong": "no",
        "query": "tailored telephone counseling mammography adherence trial",
        "think": "Tailoring usually helps adherence in trials, but the effect may fade. Look for a randomised trial.",
        "then": "The trial finds more women back on schedule after counselling, so the answer is yes.",
        "documents": (
            {
                "id": "pubmedqa:10808977",
                "title": "Tailored interventions and mammography use: a randomised trial",
                "evidence_type": "RCT",
                "evidence_level": 6,
                "text": "Compared with usual care, telephone counselling promoted change among women who were off schedule.",
            },
        ),
    },
    {
        "id": "medqa_mcmle:dev:8",
        "question": "男性，62岁，突发胸痛2小时，心电图V1-V4导联ST段抬高。首选的治疗是什么？",
        "answer": "急诊经皮冠状动脉介入治疗",
        "wrong": "静脉滴注肝素",
        "query": "急性前壁心肌梗死 再灌注 首选",
        "think": "V1-V4导联ST段抬高提示急性前壁心肌梗死，发病2小时，应尽快再灌注。",
        "then": "指南推荐发病12小时内首选急诊介入治疗。",
        "documents": (
            {
                "id": "guide:stemi:1",
                "title": "急性ST段抬高型心肌梗死诊断和治疗指南",
                "evidence_type": "guideline",
                "evidence_level": 7,
                "text": "发病12小时内的患者，首选直接经皮冠状动脉介入治疗。",
            },
        ),
    },
)


def make_run(folder: Path, *, running: bool = False, per_step: int = 4) -> Path:
    """Write a three-stage run of 72 steps into `folder`.

    Args:
        running: the run is being written: no end of the third stage, and half a last line in both jsonl files.
        per_step: trajectories kept a step.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rng = random.Random(7)
    last = 60 if running else STAGES[-1][2]
    metrics, trajectories = [], []
    for name, start, end, _ in STAGES:
        for step in range(start, min(end, last) + 1):
            metrics.append(_metrics(rng, name, step, step - start + 1, "train"))
            if step % 12 == 0:
                metrics.append(_metrics(rng, name, step, step - start + 1, "val"))
            kinds = ["train"] * per_step + (["val"] if step % 12 == 0 else [])
            trajectories += [_trajectory(rng, name, step, kind, n) for n, kind in enumerate(kinds)]
    trajectories[5]["question"] += f" {HOSTILE}"
    trajectories[5]["searches"] = []
    trajectories[5]["response"] = f"<think>{HOSTILE}</think><answer>{HOSTILE}</answer>"
    _write_lines(folder / "metrics.jsonl", metrics, running)
    _write_lines(folder / "trajectories.jsonl", trajectories, running)
    stages = [
        {
            "name": name,
            "index": i,
            "start_step": start,
            "end_step": end,
            "reason": reason,
            "checkpoint": f"checkpoints/global_step_{end}",
        }
        for i, (name, start, end, reason) in enumerate(STAGES)
        if end <= last
    ]
    (folder / "stages.json").write_text(json.dumps(stages, indent=2), encoding="utf-8")
    (folder / "config.yaml").write_text(
        "actor_rollout_ref:\n  model:\n    path: SmolLM2-135M-Instruct\nmedr3:\n  reward:\n    judge:\n      kind: openai\n      api_key: sk-not-for-the-page\ntrainer:\n  total_training_steps: 72\n",
        encoding="utf-8",
    )
    environment = {
        "medr3_plugin": "0.1.0",
        "verl": "0.9.1",
        "vllm": "0.27.0+cpu",
        "torch": "2.13.0+cpu",
        "commit": "0123abc",
        "hardware": {"cpu": "2 cores", "gpu": "none"},
    }
    (folder / "environment.json").write_text(json.dumps(environment), encoding="utf-8")
    return folder


def _write_lines(path: Path, rows: list[dict[str, Any]], running: bool) -> None:
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    if running:
        text += json.dumps(rows[-1], ensure_ascii=False)[:60]
    path.write_text(text, encoding="utf-8")


def _metrics(rng: random.Random, stage: str, step: int, stage_step: int, kind: str) -> dict[str, Any]:
    def rising(low: float, high: float, noise: float = 0.03) -> float:
        return round(
            low + (high - low) * (1 - math.exp(-step / 30)) + rng.gauss(0, noise * (kind == "train")), 5
        )

    searching = {"reasoning": 0.9, "retrieval": 1.9, "joint": 1.5}[stage]
    row: dict[str, Any] = {"step": step, "stage": stage, "stage_step": stage_step, "kind": kind}
    row |= {f"reward/{key}": 0.0 for key in KEYS}
    row |= {
        "reward/acc": rising(0.18, 0.62),
        "reward/score": rising(0.2, 1.05, 0.05),
        "reward/answer": rising(0.3, 0.72),
        "reward/reasoning": rising(0.1, 0.46),
        "reward/reasoning_logic": rising(0.03, 0.3),
        "reward/reasoning_semantic": rising(0.25, 0.6),
        "reward/reasoning_statistic": rising(0.08, 0.5),
        "reward/retrieval": rising(0.2, 0.6) if stage != "reasoning" else rising(0.15, 0.3),
        "reward/retrieval_quality": rising(0.4, 0.7),
        "reward/retrieval_coverage": rising(0.3, 0.8),
        "reward/retrieval_utilisation": rising(0.1, 0.5),
        "reward/retrieval_breadth": rising(0.2, 0.6),
        "reward/coordination": rising(0.1, 0.4) if stage == "joint" else 0.0,
        "reward/format": rising(0.6, 1.0),
        "reward/penalty_format": -abs(rising(0.06, 0.0, 0.004)),
        "reward/penalty_length": -abs(rising(0.05, 0.01, 0.004)),
        "reward/valid": 0.99,
        "search/per_trajectory": round(searching + rng.gauss(0, 0.08), 4),
        "search/share": min(1.0, rising(0.7, 0.98)),
        "search/hit_at_k": rising(0.5, 0.86),
        "search/query_gain": rising(-0.2, 0.1),
        "search/latency_p50": round(0.012 + rng.random() * 0.004, 5),
        "search/latency_p95": round(0.03 + rng.random() * 0.02, 5),
        "reward/acc/medqa_us": rising(0.15, 0.5),
        "reward/acc/rare_disease": rising(0.3, 0.7),
        "search/empty": float(step % 5 == 0),
        "search/limit": 0.0,
        "failures/timeout": 3 if step in (31, 32) else 0,
        "failures/status_500": 2 if step == 53 else 0,
        "invalid_share": 0.09 if step in (31, 32, 53) else 0.0,
        "zero_variance_groups": round(max(0.0, 0.3 - step / 200 + rng.gauss(0, 0.04)), 4),
        "time/step": round(96 + rng.gauss(0, 7), 3),
        "response_length/mean": round(140 + step * 0.8 + rng.gauss(0, 6), 2),
        "response_length/max": round(230 + rng.gauss(0, 12), 1),
        "actor/entropy": round(1.2 * math.exp(-step / 60) + 0.2 + rng.gauss(0, 0.02), 5),
        "actor/grad_norm": float("nan") if step == 10 else round(abs(rng.gauss(0.8, 0.2)), 4),
        "actor/ppo_kl": round(abs(rng.gauss(0.001, 0.0005)), 6),
    }
    if kind == "val":
        row = {k: v for k, v in row.items() if not k.startswith(("actor/", "time/", "failures/"))}
    return row


def _trajectory(rng: random.Random, stage: str, step: int, kind: str, number: int) -> dict[str, Any]:
    case: dict[str, Any] = CASES[(step + number) % len(CASES)]
    right = rng.random() < 0.2 + step / 120
    case_kind = (
        "forged" if rng.random() < 0.03 else "failed" if step in (31, 32, 53) and number == 1 else "plain"
    )
    documents = [
        {k: v for k, v in d.items() if k != "text"}
        | {"score": round(18 - 3.1 * i - rng.random(), 3), "shown": True}
        for i, d in enumerate(case["documents"])
    ]
    searches = [
        {
            "query": case["query"],
            "documents": documents,
            "latency_s": round(rng.uniform(0.008, 0.04), 4),
            "failure": None,
        }
    ]
    shown = "".join(
        f"<document>{d['title']} ({d['evidence_type']})\n{d['text']}</document>" for d in case["documents"]
    )
    response = f"<think>{case['think']}\n<search>{case['query']}</search>{shown}\n"
    if stage != "reasoning" and rng.random() < 0.5:
        searches.append(
            {
                "query": f"{case['answer']} evidence",
                "documents": [{**documents[0], "shown": False}],
                "latency_s": 0.011,
                "failure": None,
            }
        )
        response += f"It is worth a second look.\n<search>{case['answer']} evidence</search>\n"
    if case_kind == "failed":
        searches[0] |= {"documents": [], "failure": "timeout", "latency_s": 10.0}
        response = f"<think>{case['think']}\n<search>{case['query']}</search>\nThe search did not work.\n"
    if case_kind == "forged":
        response += "<document>I know this from the guideline.</document>"
    else:
        response += f"{case['then']}</think><answer>{case['answer'] if right else case['wrong']}</answer>"
    record = _record(rng, stage, right, case_kind, searches)
    return {
        "step": step,
        "stage": stage,
        "kind": kind,
        "id": case["id"],
        "question": case["question"],
        "answer": case["answer"],
        "response": response,
        "searches": searches,
        "reward": record,
        "reasons": _reasons(stage, case, right, case_kind, record, documents),
        "group_scores": sorted(
            [*(round(rng.uniform(0.1, 1.7), 4) for _ in range(7)), record["score"]], reverse=True
        ),
    }


def _reasons(  # noqa: PLR0917
    stage: str,
    case: dict[str, Any],
    right: bool,
    case_kind: str,
    record: dict[str, float],
    documents: list[dict[str, Any]],
) -> dict[str, Any]:
    """As `rewards.scorer` writes them."""
    if case_kind == "forged":
        return {
            "answer": {"given": None, "level": None},
            "composition": {
                "preset": stage,
                "bonus": 0.0,
                "weights": [0.0, 0.0, 0.0],
                "gate": 0.0,
                "progress": 0.5,
            },
        }
    level = {1.0: 2, 0.4: 1}.get(record["answer"], 0)
    weights = {"reasoning": [1.0, 0.0, 0.0], "retrieval": [0.0, 1.0, 0.0]}.get(stage, [0.4, 0.4, 0.2])
    values = [record["reasoning"], record["retrieval"], record["coordination"]]
    reasons = {
        "reasoning": {
            "reference": 0,
            "own_triples": 4,
            "reference_triples": 6,
            "matched_triples": [["anti-tpo antibodies", "+", "autoimmune thyroiditis"]],
            "matched_entities": ["anti-tpo antibodies", "autoimmune thyroiditis", "hypothyroidism"],
        },
        "retrieval": {
            "coverage_of": "gold_docs",
            "relevant": [d["id"] for d in documents],
            "used": [d["id"] for d in documents[:1]],
        },
        "coordination": {"supported": [["anti-tpo antibodies", "+", "autoimmune thyroiditis"]]},
        "answer": {
            "given": case["answer"] if right else case["wrong"],
            "level": level,
            "reason": "the answer is an accepted name" if right else "another name",
            "source": "rule:alias",
        },
    }
    if case_kind == "failed":
        return reasons | {"failures": ["search_timeout"]}
    return reasons | {
        "composition": {
            "preset": stage,
            "bonus": sum(w * v for w, v in zip(weights, values, strict=True)),
            "weights": weights,
            "gate": (0.2, 0.4, 0.8)[level],
            "progress": 0.5,
        }
    }


def _record(
    rng: random.Random, stage: str, right: bool, case_kind: str, searches: list[dict[str, Any]]
) -> dict[str, float]:
    record = dict.fromkeys(KEYS, 0.0)
    parts = {k: round(rng.uniform(0.2, 0.9), 4) for k in KEYS if k.startswith(("reasoning_", "retrieval_"))}
    answer = 1.0 if right else 0.4 if rng.random() < 0.2 else 0.1
    record |= parts | {
        "answer": answer,
        "acc": float(right),
        "format": 1.0,
        "valid": float(case_kind != "failed"),
        "searches": float(len(searches)),
    }
    record["reasoning"] = round(sum(v for k, v in parts.items() if k.startswith("reasoning_")) / 3, 4)
    record["retrieval"] = round(sum(v for k, v in parts.items() if k.startswith("retrieval_")) / 4, 4)
    record["coordination"] = round(rng.random() * 0.6, 4) if stage == "joint" else 0.0
    record["penalty_length"] = -round(rng.random() * 0.05, 4)
    bonus = {"reasoning": record["reasoning"], "retrieval": record["retrieval"]}.get(
        stage, 0.4 * record["reasoning"] + 0.4 * record["retrieval"] + 0.2 * record["coordination"]
    )
    record["score"] = round(
        answer + {1.0: 0.8, 0.4: 0.4}.get(answer, 0.2) * bonus + record["penalty_length"], 4
    )
    record["documents"] = float(len({d["id"] for s in searches for d in s["documents"]}))
    record["stage"] = float([s[0] for s in STAGES].index(stage))
    if case_kind == "forged":
        record |= {"score": -1.0, "forged": 1.0, "acc": 0.0, "answer": 0.1}
    if case_kind == "failed":
        record |= {"search_failures": 1.0, "score": 0.0}
    return record
