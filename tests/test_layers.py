"""Packages import downwards only and in no circle, and the pure core loads nothing heavy; see pyproject.toml."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

PURE = (
    "errors",
    "records",
    "text",
    "trajectory",
    "llm",
    "judge",
    "knowledge",
    "retrieval",
    "rewards",
    "runs",
    "integrations",
)

IMPORT_ALL = """
import importlib, pkgutil, sys
import medr3_plugin
heavy = {"verl", "torch", "ray", "vllm", "transformers", "transfer_queue", "faiss", "sentence_transformers", "fastapi"}
sys.meta_path.insert(0, type("Refuse", (), {"find_spec": staticmethod(
    lambda name, *_: (_ for _ in ()).throw(AssertionError(name)) if name.partition(".")[0] in heavy else None
)}))
def load(name):
    module = importlib.import_module(name)
    for child in pkgutil.iter_modules(getattr(module, "__path__", ()), name + "."):
        load(child.name)
for name in sys.argv[1:]:
    load("medr3_plugin." + name)
"""


def run(code: str, *arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]


def test_packages_import_downwards_only_and_no_two_files_or_folders_in_a_circle():
    pytest.importorskip("importlinter", reason="in the extra dev")
    run(
        "from importlinter.cli import lint_imports; raise SystemExit(lint_imports(no_cache=True, no_logo=True))"
    )


def test_the_pure_core_imports_without_the_trainer_and_torch():
    run(IMPORT_ALL, *PURE)
