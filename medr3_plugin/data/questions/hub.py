"""A dataset of the Hugging Face Hub, by name and configuration."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from typing import Any

from medr3_plugin.errors import UserError, needs
from medr3_plugin.hub_name import hub_or_cache

_PARQUET_BRANCH = "refs/convert/parquet"
"""Where the Hub keeps its own copy of datasets that come as a script: `<configuration>/<split>/*.parquet`."""


def load(name: str, config: str = "", file: str = "") -> Mapping[str, Any]:
    """Split -> rows of a Hub dataset.

    Args:
        name: `owner/name`.
        file: only this file of it.

    Raises:
        UserError: it is not there or cannot be read, or the configuration is missing or wrong: those that
            exist are listed.
    """
    with needs("datasets", "data", f"loading {name} from the Hub"):
        import datasets

    if not sys.stderr.isatty():
        datasets.disable_progress_bars()

    # not found, no network, ambiguous or wrong configuration, files that do not fit together
    failures = (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError)
    try:
        with hub_or_cache(name):
            return _loaded(datasets, name, config, file)
    except failures as error:
        message = " ".join(str(error).split()) or type(error).__name__
        configs = re.search(r"[Aa]vailable(?: configs)?: (\[.*?\])", message)
        if configs:
            wrong = f"has no configuration {config!r}" if config else "has several configurations"
            raise UserError(
                f"{name}: it {wrong}; name one of {configs[1]}, as {name}:CONFIG:SPLIT or with --config"
            ) from error
        raise UserError(
            f"{name}: no such file or folder, and it cannot be loaded from the Hub ({message[:300]}); "
            "download it and give the path"
        ) from error


def _loaded(datasets: Any, name: str, config: str, file: str) -> Mapping[str, Any]:
    try:
        return datasets.load_dataset(name, config or None, data_files=file or None)
    except RuntimeError as error:
        if "scripts are no longer supported" not in str(error):
            raise
        if not config:
            raise UserError(
                f"{name} comes as a script, so the Hub's parquet copy is read: name the "
                f"configuration, as {name}:CONFIG:SPLIT or with --config"
            ) from error
        return datasets.load_dataset(name, data_dir=config, revision=_PARQUET_BRANCH)
