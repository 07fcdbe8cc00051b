"""What training with each arm's rewards teaches: runs, tables and pictures of docs/LEARNING.md and LEARNING_RUNS.md.

python benchmarks/learning.py run ARM SEED     train one arm with one seed (resumes; see ARMS)
python benchmarks/learning.py table            the tables, from docs/learning/<folder>/<arm>/<seed>/metrics.jsonl alone
python benchmarks/learning.py plot             docs/images/learning-<folder>.png, from the same files

Without options it is the main comparison, in the folder `unread`. `--task` chooses among TASKS; runs with `--precision
float32` stand in folders <task>_float32, those of a `--series` in <task>_<series>. The policy that training begins with
differs where another kind of CPU has trained it, and runs from different starts do not compare: such runs need a
series of their own, and `run` says so before it trains. A run that was stopped resumes from its last checkpoint with
the same command. Its folder, runs/learning/<folder>/<arm>/<seed>, holds everything; what the tables need is copied to
docs/learning after a validation.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from warm_start import Start, demonstrations
from warm_start import train as train_start

from medr3_plugin.data.quickstart.rare_disease import Wording
from medr3_plugin.errors import UserError
from medr3_plugin.evaluation.statistics import Comparison, Interval, bootstrap, compare, share_interval
from medr3_plugin.records import base_id

ROOT = Path(__file__).resolve().parents[1]
RESULTS, RUNS, DATA = ROOT / "docs/learning", ROOT / "runs/learning", ROOT / "data/learning"
RECIPE, MODEL = ROOT / "recipes/medr3_cpu", ROOT / "models/SmolLM2-135M-Instruct"
METRICS = "metrics.jsonl"
UNCOMPARED = ("task", "series")
"""Settings that are the folder's."""


@dataclass(frozen=True)
class Task:
    """How questions are put, and what is known of the policy that training begins with."""

    wording: Wording
    start: Start | None = None


TASKS = {
    # half of the signs are in layperson words: copying them finds the gold document first for 0.56 of the questions,
    # the medical terms for 0.82 (benchmarks/rare_disease_task.py)
    "copying": Task(Wording(signs=4, layperson_share=1.0, examples=4)),
    # two of the four example turns do not search, and the untrained model seldom answers after a search
    "cold_start": Task(Wording(signs=4, layperson_share=0.3, examples=4, unsearched=2)),
    # knows the form without example turns, answers from memory, seldom searches or believes what it finds: what a right
    # answer needs is there, but comes together in about one of a thousand trajectories
    "from_memory": Task(
        Wording(signs=4, layperson_share=0.3, examples=0), Start(searches=0.07, query_signs=3, believes=0.15)
    ),
    # searches in one of ten questions, and answers from memory whatever it finds, nearly always
    "unread": Task(
        Wording(signs=4, layperson_share=0.3, examples=0), Start(searches=0.1, query_signs=3, believes=0.15)
    ),
}
PROMPT_TOKENS = {0: 128, 4: 640}
"""Example turns -> longest prompt, in tokens."""

PRECISIONS = ("bfloat16", "float32")
"""Of matrix products. A run needs one for all of it: the recipe's `auto` would measure on every machine anew."""

QUESTIONS = 400
"""Validation questions there are; no training question is about their diseases."""

SEEDS = 3
"""Fewest seeds of an arm for an interval over seeds."""

SAME_SEARCH = 0.99
"""Share of the validation questions that find the same document first in runs that are compared."""

ARMS = {
    "medr3": "three stages, our rewards",
    "paper": "three stages, rewards of the paper's figures",
    "unpaid": "as medr3, but the first stage does not pay for a search",
    "joint_only": "one stage, our joint reward",
    "paper_joint": "one stage, the joint reward of the figures",
    "answer_only": "one stage, the answer alone",
    "reverse": "the three stages in reverse",
    "right_groups": "three stages, groups without a right answer not trained",
    "no_deviation": "three stages, advantages not divided by the group's deviation",
    "none": "no training",
}
"""Arm -> what it is. Each is a file of the recipe's group `ablation`, or stands in `CHANGES`."""

CHANGES = {
    "medr3": [],
    "unpaid": ["++medr3.stages.0.reward={weights: {reasoning: 1}}"],
    "paper_joint": ["ablation=joint_only", "++medr3.stages.0.reward={preset: paper}"],
    "right_groups": ["++medr3.wrong_group_weight=0"],
    "no_deviation": ["algorithm.norm_adv_by_std_in_grpo=false"],
    "none": ["ablation=answer_only", "trainer.val_only=true"],
}
"""Arm -> what it changes in the recipe `medr3_cpu`."""

ONE_STAGE = ("joint_only", "paper_joint", "answer_only", "none")

MEASURES = {
    "acc": "right",
    "supported": "right, gold shown",
    "searches": "searches",
    "format": "well-formed",
    "tokens": "tokens",
}
"""What is kept of every validation question -> its heading."""
SHARES = ("acc", "supported", "format")
DIGITS = {"searches": 2, "tokens": 1}
"""Decimals of a measure that is no share."""
CURVES = ("acc", "searches")
PARTS = {
    **{name: name for name in ("score", "acc", "format", "reasoning", "retrieval", "coordination")},
    "paper_reasoning": "paper: reasoning",
    "paper_retrieval_number": "paper: searched",
    "paper_quality": "paper: quality",
    "paper_breadth": "paper: breadth",
    "searches": "searches",
    "documents": "documents",
    "zero_variance": "groups without variance",
}
"""What is kept of every training step -> its heading; a column that no run of a task has is left out."""


@dataclass(frozen=True)
class Setting:
    """What all arms have in common; runs of different settings are not compared.

    Attributes:
        task: one of TASKS.
        steps: of the whole run, a third of them in each stage of three.
        questions, samples: questions a step, and trajectories for each.
        validation: questions of each validation, sampled once at the temperature of training: after each third of the
            steps.
        series: a name for the runs from one start, where there are several.
    """

    task: str = "unread"
    steps: int = 48
    questions: int = 8
    samples: int = 4
    validation: int = 400
    learning_rate: float = 2e-5
    temperature: float = 1.0
    precision: str = "bfloat16"
    series: str = ""

    @property
    def folder(self) -> str:
        """Where its data, runs and results stand: runs of different precision or series do not compare."""
        precision = "" if self.precision == "bfloat16" else self.precision
        return "_".join(filter(None, (self.task, precision, self.series)))

    @property
    def data(self) -> Path:
        """Questions, corpus and index."""
        return DATA / self.folder

    @property
    def third(self) -> int:
        """Steps between validations."""
        return self.steps // 3


# ---- run


def run(arm: str, seed: int, setting: Setting) -> None:
    """Train one arm, or go on with it, and copy what the tables need."""
    if setting.task not in TASKS:
        raise UserError(f"--task: {setting.task}; known: {', '.join(TASKS)}")
    if setting.steps < 3 or setting.steps % 3:
        raise UserError(f"--steps: {setting.steps} is not three stages of equal length")
    if setting.precision not in PRECISIONS:
        raise UserError(f"--precision: {setting.precision}; known: {', '.join(PRECISIONS)}")
    if not 1 <= setting.validation <= QUESTIONS:
        raise UserError(f"--validation: {setting.validation}; there are 1 to {QUESTIONS} questions")
    folder = RUNS / setting.folder / arm / str(seed)
    claim(folder, arm, seed, setting)
    prepare(setting)
    check_series(arm, seed, setting)
    if not any(
        line["kind"] == "val" and line["step"] == last_step(arm, setting) for line in lines(folder / METRICS)
    ):
        command = [sys.executable, "-m", "medr3_plugin.cli", "train", str(RECIPE)]
        done = subprocess.run([*command, *overrides(arm, seed, setting, folder)], check=False)
        collect(folder, arm, seed, setting)
        if done.returncode:
            sys.exit(done.returncode)
    collect(folder, arm, seed, setting)


def claim(folder: Path, arm: str, seed: int, setting: Setting) -> None:
    """Mark the folder as this run's.

    Raises:
        UserError: it holds a run of another arm, seed or setting.
    """
    mark = folder / "learning.json"
    mine = {"arm": arm, "seed": seed, **asdict(setting)}
    if not mark.is_file():
        if (folder / METRICS).is_file():
            raise UserError(f"{folder}: a run that this command did not start; move it away")
        folder.mkdir(parents=True, exist_ok=True)
        mark.write_text(json.dumps(mine) + "\n", encoding="utf-8")
        return
    found = {"series": ""} | json.loads(mark.read_text(encoding="utf-8"))
    if found != mine:
        keys = sorted(key for key in mine.keys() | found.keys() if mine.get(key) != found.get(key))
        was = ", ".join(f"{key} {found.get(key)}, not {mine.get(key)}" for key in keys)
        raise UserError(f"{folder}: holds another run ({was}); move it away, or give the same options")


def prepare(setting: Setting) -> None:
    """Questions, corpus and index of the setting, made where they are not there yet."""
    data, words = setting.data, TASKS[setting.task].wording
    mark, wording = data / "wording.json", json.dumps(asdict(words))
    if not mark.is_file() or mark.read_text(encoding="utf-8") != wording:
        from medr3_plugin.data.quickstart.build import write

        write(data, train=2000, validation=QUESTIONS, wording=words)
        for cut in data.glob("val-*.parquet"):
            cut.unlink()
        shutil.rmtree(data / "start", ignore_errors=True)  # it was trained on other questions
        mark.write_text(wording, encoding="utf-8")
    if not validation_file(setting).is_file():
        from pyarrow import parquet

        # a file of its own: verl would draw another subset for every seed
        parquet.write_table(
            parquet.read_table(data / "val.parquet")[: setting.validation], validation_file(setting)
        )
    # made anew each time, in seconds: an index of an older analyser finds other documents
    build = ["index", "build", "--corpus", f"{data}/corpus.jsonl.gz", "--out", f"{data}/index"]
    options = ["--engine", "bm25", "--overwrite"]
    subprocess.run([sys.executable, "-m", "medr3_plugin.cli", *build, *options], check=True)
    if start := TASKS[setting.task].start:
        make_start(setting, start)


def check_series(arm: str, seed: int, setting: Setting) -> None:
    """Refuse a run that could not join the table of its folder.

    Raises:
        UserError: a committed run of the folder has another setting, start or index, or other searches.
    """
    mine = head_of(arm, seed, setting)
    for file in committed_files(setting.folder):
        theirs = next(lines(file))
        if other := differences(theirs, mine):
            raise UserError(
                f"{file}: differs in {', '.join(other)} (another kind of CPU trains another start), so the runs would "
                "not compare; give this one a series of its own with --series NAME"
            )


def model(setting: Setting) -> Path:
    """The policy that training begins with."""
    return setting.data / "start" if TASKS[setting.task].start else MODEL


def make_start(setting: Setting, start: Start) -> None:
    """Train the policy that the setting begins with, where it is not there yet."""
    mark, habits = model(setting) / "start.json", json.dumps(asdict(start))
    if mark.is_file() and mark.read_text(encoding="utf-8") == habits:
        return
    from omegaconf import OmegaConf
    from pyarrow import parquet
    from transformers import AutoTokenizer

    from medr3_plugin.environment.settings import EnvironmentSettings
    from medr3_plugin.retrieval.engine import open_index

    shutil.rmtree(model(setting), ignore_errors=True)
    recipe = OmegaConf.load(RECIPE / "medr3_cpu.yaml")
    environment = EnvironmentSettings.from_mapping(OmegaConf.to_container(recipe.medr3.environment))
    rows = parquet.read_table(setting.data / "train.parquet").to_pylist()
    tokenizer = AutoTokenizer.from_pretrained(MODEL)
    engine = open_index(setting.data / "index")
    examples = list(demonstrations(rows, start, engine, environment, tokenizer))
    engine.close()
    # in a process of its own, so that the run has its memory back
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        process.submit(train_start, MODEL, model(setting), examples, tokenizer, setting.precision).result()
    mark.write_text(habits, encoding="utf-8")


def weights_digest(folder: Path) -> str:
    """What identifies the policy that training begins with."""
    return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()[:12]


def index_digest(data: Path) -> str:
    """What the searches of a run depend on: documents and analyser."""
    manifest = json.loads((data / "index/manifest.json").read_text(encoding="utf-8"))
    # version 4 adds notations, and abbreviations came later: they move no search of a validation question, see
    # `first_documents`
    later = ("notations", "abbreviations")
    bm25 = {key: value for key, value in manifest["bm25"].items() if key not in later}
    bm25["analyser"] = min(bm25["analyser"], 3)
    parts = json.dumps([manifest["documents"]["sha256"], bm25], sort_keys=True)
    return hashlib.sha256(parts.encode()).hexdigest()[:12]


def first_documents(data: Path) -> list[int]:
    """The row of the first document that each validation question finds; -1 for none.

    How queries are read is no part of an index, and most changes of it move no search of a task.
    """
    from pyarrow import parquet

    from medr3_plugin.retrieval.index.lexical import LexicalIndex

    rows = parquet.read_table(data / "val.parquet", columns=["extra_info"]).to_pylist()
    found, _ = LexicalIndex(data / "index/bm25").search([row["extra_info"]["question"] for row in rows], 1)
    return [int(row) for row in found[:, 0]]


def validation_file(setting: Setting) -> Path:
    """The first questions of the validation set."""
    return setting.data / f"val-{setting.validation}.parquet"


def overrides(arm: str, seed: int, setting: Setting, folder: Path) -> list[str]:
    """What turns the recipe `medr3_cpu` into a run of the arm."""
    stages = 1 if arm in ONE_STAGE else 3
    prompt = PROMPT_TOKENS[TASKS[setting.task].wording.examples]
    actor, rollout = "actor_rollout_ref.actor", "actor_rollout_ref.rollout"
    return [
        *CHANGES.get(arm, [f"ablation={arm}"]),
        f"paths={{data: {setting.data}, run: {folder}, model: {model(setting)}, "
        f"encoder: {ROOT}/models/all-MiniLM-L6-v2}}",
        *(f"medr3.stages.{i}.until.max_steps={setting.steps // stages}" for i in range(stages)),
        f"medr3.trajectories_per_step={max(setting.validation, setting.questions * setting.samples)}",
        f"precision={setting.precision}",
        f"data.seed={seed}",
        f"data.train_batch_size={setting.questions}",
        f"data.val_files={validation_file(setting)}",
        "data.val_max_samples=-1",
        f"data.max_prompt_length={prompt}",
        f"{rollout}.max_model_len={prompt + 192}",
        f"{actor}.ppo_mini_batch_size={setting.questions}",
        f"{actor}.ppo_micro_batch_size_per_gpu={min(16, setting.questions * setting.samples)}",
        f"{actor}.optim.lr={setting.learning_rate}",
        f"{rollout}.n={setting.samples}",
        f"{rollout}.max_num_seqs=64",
        f"{rollout}.seed={seed}",
        f"{rollout}.temperature={setting.temperature}",
        # as in training: greedy answers hide what the policy would do the other times
        f"{rollout}.val_kwargs.do_sample=true",
        f"{rollout}.val_kwargs.temperature={setting.temperature}",
        f"trainer.val_before_train={str(arm == 'none').lower()}",
        f"trainer.test_freq={setting.third}",
        f"trainer.save_freq={max(1, setting.third // 4)}",
        "trainer.max_actor_ckpt_to_keep=1",
    ]  # fmt: skip


def last_step(arm: str, setting: Setting) -> int:
    """The step of the last validation."""
    return 0 if arm == "none" else setting.steps


def collect(folder: Path, arm: str, seed: int, setting: Setting) -> None:
    """Write `docs/learning/<folder>/<arm>/<seed>/metrics.jsonl` from a run folder."""
    metrics = list(lines(folder / METRICS))
    validated = [line for line in metrics if line["kind"] == "val"]
    if not validated:
        return
    gold = gold_documents(setting.data)
    count = token_counter()
    answered: dict[int, dict[str, dict[str, float]]] = {}
    for row in lines(folder / "trajectories.jsonl"):
        if row["kind"] == "val":
            answered.setdefault(row["step"], {})[row["id"]] = question_result(row, gold[row["id"]], count)
    environment = json.loads((folder / "environment.json").read_text(encoding="utf-8"))
    seconds = round(sum(line.get("time/step", 0) for line in metrics))
    out = [head_of(arm, seed, setting) | {"commit": environment["commit"], "seconds": seconds}]
    for line in metrics:
        short = {"kind": line["kind"], "step": line["step"], "stage": line["stage"]}
        if line["kind"] == "val":
            out.append(short | by_question(answered[line["step"]]))
        else:
            parts = {part: round(line[f"reward/{part}"], 4) for part in PARTS if f"reward/{part}" in line}
            tokens = {"tokens": round(line["response_length/mean"], 1)}
            out.append(short | parts | tokens | {"zero_variance": round(line["zero_variance_groups"], 3)})
    target = RESULTS / setting.folder / arm / str(seed) / METRICS
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text("".join(json.dumps(line) + "\n" for line in out), encoding="utf-8")
    print(f"{target}: {len(out)} lines", file=sys.stderr)


def head_of(arm: str, seed: int, setting: Setting) -> dict[str, Any]:
    """What identifies a run, and what decides which runs it compares with."""
    head = {
        "kind": "run",
        "arm": arm,
        "seed": seed,
        "index": index_digest(setting.data),
        "found": first_documents(setting.data),
    }
    task = TASKS[setting.task]
    if task.start:
        head |= {"start": asdict(task.start) | {"weights": weights_digest(model(setting))}}
    return head | {"wording": asdict(task.wording), **asdict(setting)}


def question_result(row: Mapping[str, Any], gold: set[str], count: Any) -> dict[str, float]:
    """What is kept of one answered question."""
    shown = {base_id(document["id"]) for turn in row["searches"] for document in turn["documents"]}
    right = int(row["reward"]["acc"] > 0)
    return {
        "acc": right,
        "supported": right * bool(shown & gold),
        "format": int(row["reward"]["format"] >= 1),
        "searches": int(row["reward"]["searches"]),
        "tokens": count(row["response"]),
    }


def by_question(results: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
    """The results in the order of the questions' ids, and what identifies the set of questions."""
    ids = sorted(results)
    digest = hashlib.sha256("\n".join(ids).encode()).hexdigest()[:12]
    return {"questions": digest} | {key: [results[i][key] for i in ids] for key in MEASURES}


def gold_documents(data: Path) -> dict[str, set[str]]:
    """Gold document ids by question id."""
    from pyarrow import parquet

    rows = parquet.read_table(data / "val.parquet", columns=["extra_info"]).to_pylist()
    return {row["extra_info"]["id"]: set(map(base_id, row["extra_info"]["gold_docs"])) for row in rows}


def token_counter() -> Any:
    """A function that counts the tokens of a response."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(MODEL)
    return lambda text: len(tokenizer.encode(text, add_special_tokens=False))


# ---- table


@dataclass(frozen=True)
class Run:
    """One committed run."""

    head: Mapping[str, Any]
    train: Sequence[Mapping[str, Any]]
    val: Sequence[Mapping[str, Any]]


def committed_files(folder: str) -> list[Path]:
    """The committed runs of a `Setting.folder`, in the order of ARMS."""
    return [file for arm in ARMS for file in sorted(RESULTS.glob(f"{folder}/{arm}/*/{METRICS}"))]


def differences(head: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """The keys in which two runs differ so that they do not compare."""
    keys = ("index", "start", *(key for key in asdict(Setting()) if key not in UNCOMPARED))
    found = [key for key in keys if head.get(key) != other.get(key)]
    if Wording(**head.get("wording", {})) != Wording(**other.get("wording", {})):
        found.append("wording")
    first, second = head.get("found"), other.get("found")  # older runs did not record it
    if first and second and sum(map(int.__eq__, first, second)) < SAME_SEARCH * len(first):
        found.append("searches")
    return found


def committed(folder: str) -> dict[str, list[Run]]:
    """The runs of a `Setting.folder` by arm, in the order of ARMS.

    Raises:
        UserError: there is none, or two runs have not the same setting, index or questions.
    """
    runs: dict[str, list[Run]] = {}
    earlier: list[tuple[Path, Run]] = []
    for file in committed_files(folder):
        head, *rest = lines(file)
        new = Run(head, *([line for line in rest if line["kind"] == kind] for kind in ("train", "val")))
        for name, old in earlier:
            other = differences(old.head, head)
            if questions_of(new) != questions_of(old):
                other.append("questions")
            if other:
                raise UserError(f"{file}: differs from {name} in {', '.join(other)}; they do not compare")
        earlier.append((file, new))
        runs.setdefault(head["arm"], []).append(new)
    if not runs:
        raise UserError(f"{RESULTS / folder}: no run yet; python benchmarks/learning.py run medr3 1")
    return runs


def questions_of(run: Run) -> set[str]:
    """What identifies the questions of its validations."""
    return {line["questions"] for line in run.val}


def scores(runs: Sequence[Run], step: int, measure: str) -> dict[str, float] | None:
    """Each question's mean over the runs that were validated at the step."""
    rows = [line[measure] for r in runs for line in r.val if line["step"] == step]
    if not rows:
        return None
    return {str(i): sum(values) / len(rows) for i, values in enumerate(zip(*rows, strict=True))}


def table(folder: str = Setting().folder) -> str:
    """All tables of a `Setting.folder`, as they stand in docs/LEARNING.md or LEARNING_RUNS.md."""
    runs = committed(folder)
    text = [
        f"| arm | seeds | trajectories | {' | '.join(MEASURES.values())} | commit |",
        "|---|---|---|" + "---|" * len(MEASURES) + "---|",
    ]
    for arm, members in runs.items():
        each = members[0].head["questions"] * members[0].head["samples"]
        commits = ", ".join(dict.fromkeys(r.head["commit"][:7] for r in members))
        for step in sorted({line["step"] for r in members for line in r.val}):
            cells = []
            for measure in MEASURES:
                values = list((scores(members, step, measure) or {}).values())
                cells.append(shown(interval_of(measure)(values), DIGITS.get(measure, 3)))
            text.append(
                f"| {arm} | {seeds(members, step)} | {step * each} | {' | '.join(cells)} | {commits} |"
            )
    if pairs := [
        f"| {name} | {paired(found, over_seeds)} |" for name, found, over_seeds in comparisons(runs)
    ]:
        text += [
            "",
            "| right, at the end | difference | p | questions better / worse | over seeds, too |",
            "|---|---|---|---|---|",
            *pairs,
        ]
    rows = [
        (arm, stage, {part: moved(members, stage, part) for part in PARTS})
        for arm, members in runs.items()
        for stage in dict.fromkeys(line["stage"] for r in members for line in r.train)
    ]
    parts = [part for part in PARTS if any(cells[part] for _, _, cells in rows)]
    if rows:
        text += ["", f"| arm | stage | {' | '.join(PARTS[part] for part in parts)} |"]
        text += ["|---|---|" + "---|" * len(parts)]
        text += [f"| {arm} | {stage} | {' | '.join(c[part] for part in parts)} |" for arm, stage, c in rows]
    return "\n".join(text)


def comparisons(runs: Mapping[str, Sequence[Run]]) -> Iterator[tuple[str, Comparison, Interval | None]]:
    """Every pair of arms at the end of their runs, on the same questions and seeds, and the interval over seeds too.

    Without training, any seed will do. The interval over seeds takes each arm's own.
    """
    arms = list(runs)
    for i, first in enumerate(arms):
        for second in arms[i + 1 :]:
            shared = set.intersection(
                *({r.head["seed"] for r in runs[arm]} for arm in (first, second) if arm != "none")
            )
            sides = [
                scores(
                    [r for r in runs[arm] if arm == "none" or r.head["seed"] in shared], end(runs[arm]), "acc"
                )
                for arm in (first, second)
            ]
            if sides[0] and sides[1]:
                yield (
                    f"{first} - {second}",
                    compare(sides[0], sides[1]),
                    seed_interval(runs[first], runs[second]),
                )


def end(members: Sequence[Run]) -> int:
    """The step of an arm's last validation."""
    return max(line["step"] for line in members[0].val)


def seed_interval(
    first: Sequence[Run], second: Sequence[Run], resamples: int = 10_000, seed: int = 0
) -> Interval | None:
    """95 % bootstrap interval of the difference over seeds and questions: both are drawn anew in every resample.

    The seeds of each arm are drawn for themselves. Fewer than SEEDS say nothing of how much seeds differ: None.
    Untrained, a policy has no seeds to differ.
    """
    sides = [
        np.array([next(v["acc"] for v in r.val if v["step"] == end(arm)) for r in arm])
        for arm in (first, second)
    ]
    if any(
        len(side) < SEEDS
        for side, arm in zip(sides, (first, second), strict=True)
        if arm[0].head["arm"] != "none"
    ):
        return None
    rng = np.random.default_rng(seed)
    questions = sides[0].shape[1]
    drawn = rng.multinomial(questions, np.full(questions, 1 / questions), size=resamples)

    def means(side: np.ndarray) -> np.ndarray:
        taken = rng.multinomial(len(side), np.full(len(side), 1 / len(side)), size=resamples)
        return ((taken @ side) * drawn).sum(axis=1) / (len(side) * questions)

    low, high = np.quantile(means(sides[0]) - means(sides[1]), [0.025, 0.975])
    return Interval(float(sides[0].mean() - sides[1].mean()), float(low), float(high))


def seeds(members: Sequence[Run], step: int) -> str:
    """How many seeds, and if there are several, the share that each gets right."""
    found = [scores([r], step, "acc") for r in members]
    each = [f"{sum(values.values()) / len(values):.2f}" for values in found if values]
    return f"{len(each)} ({', '.join(each)})" if len(each) > 1 else str(len(each))


def interval_of(measure: str) -> Callable[[Sequence[float]], Interval]:
    """What makes the interval of a measure over questions."""
    return share_interval if measure in SHARES else bootstrap


def shown(interval: Interval, digits: int) -> str:
    mean, low, high = (f"{value:.{digits}f}" for value in interval)
    return f"{mean} [{low}, {high}]"


def paired(found: Comparison, over_seeds: Interval | None) -> str:
    cells = [signed(found.difference), f"{found.p_value:.3f}", f"{found.better} / {found.worse}"]
    return " | ".join([*cells, signed(over_seeds) if over_seeds else ""])


def signed(interval: Interval) -> str:
    return "{:+.3f} [{:+.3f}, {:+.3f}]".format(*interval)


def moved(members: Sequence[Run], stage: str, part: str) -> str:
    """Mean of a part over the first and the last third of a stage's steps."""
    ends: list[list[float]] = [[], []]
    for r in members:
        values = [line[part] for line in r.train if line["stage"] == stage and part in line]
        third = max(1, len(values) // 3)
        ends[0] += values[:third]
        ends[1] += values[-third:]
    return " to ".join(f"{sum(end) / len(end):.2f}" for end in ends) if all(ends) else ""


# ---- plot


def curve(members: Sequence[Run], untrained: Sequence[Run], measure: str) -> dict[int, Interval]:
    """The mean after so many trained trajectories, within the range of the seeds; of one seed, its interval."""
    each = members[0].head["questions"] * members[0].head["samples"]
    found = {0: [untrained]} if untrained else {}
    found |= {line["step"] * each: [[r] for r in members] for line in members[0].val}
    points = {}
    for count, seeds_of in found.items():
        values = [list((scores(one, count // each, measure) or {}).values()) for one in seeds_of]
        means = [sum(of_seed) / len(of_seed) for of_seed in values if of_seed]
        points[count] = (
            Interval(sum(means) / len(means), min(means), max(means))
            if len(means) > 1
            else interval_of(measure)(values[0])
        )
    return points


def plot(folder: str, file: Path) -> None:
    """A row for each of CURVES, a column for each arm: the mean, the band of `curve`, and dotted each seed."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    runs = committed(folder)
    untrained = runs.pop("none", [])
    size = (2.1 * len(runs) + 0.6, 1.7 * len(CURVES) + 0.4)
    figure, grid = plt.subplots(
        len(CURVES), len(runs), figsize=size, sharex=True, sharey="row", squeeze=False
    )
    for row, measure in zip(grid, CURVES, strict=True):
        for axis, members, color in zip(row, runs.values(), mpl.color_sequences["tab10"], strict=False):
            points = curve(members, untrained, measure)
            bands = list(points.values())
            axis.plot(list(points), [b.mean for b in bands], marker="o", markersize=3, color=color)
            axis.fill_between(
                list(points), [b.low for b in bands], [b.high for b in bands], alpha=0.2, color=color
            )
            for member in members if len(members) > 1 else ():
                one = curve([member], untrained, measure)
                axis.plot(list(one), [b.mean for b in one.values()], lw=0.9, ls=":", color=color)
            axis.grid(alpha=0.3)
        row[0].set_ylabel(MEASURES[measure], fontsize=9)
        row[0].set_ylim(bottom=0)
    for top, bottom, (arm, members) in zip(grid[0], grid[-1], runs.items(), strict=True):
        top.set_title(f"{arm}, {len(members)} seed{'s' * (len(members) > 1)}", fontsize=9)
        bottom.set_xlabel("trained trajectories", fontsize=8)
    figure.tight_layout()
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=110, metadata={"Software": None})
    print(file)


def lines(file: Path) -> Iterator[dict[str, Any]]:
    """The JSON lines of a file; nothing if there is no such file."""
    if file.is_file():
        with file.open(encoding="utf-8") as stream:
            yield from map(json.loads, stream)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line; see the module's docstring."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("run", help="train one arm with one seed")
    one.add_argument("arm", choices=ARMS)
    one.add_argument("seed", type=int)
    for name, value in asdict(Setting()).items():
        one.add_argument(
            f"--{name.replace('_', '-')}", type=type(value), default=value, help=f"default: {value}"
        )
    shown = [
        commands.add_parser("table", help="print the tables"),
        commands.add_parser("plot", help="draw the picture"),
    ]
    for command in shown:
        command.add_argument("--task", choices=TASKS, default=Setting.task)
        command.add_argument("--precision", choices=PRECISIONS, default=Setting.precision)
        command.add_argument("--series", default=Setting.series)
    given = vars(parser.parse_args(arguments))
    command = given.pop("command")
    try:
        if command == "run":
            run(given.pop("arm"), given.pop("seed"), Setting(**given))
            return
        folder = Setting(**given).folder
        if command == "table":
            print(table(folder))
        else:
            plot(folder, ROOT / f"docs/images/learning-{folder}.png")
    except UserError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
