"""Names on the Hugging Face Hub: told from local paths, and read without long waits where the Hub is out of reach."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from medr3_plugin.errors import UserError

logger = logging.getLogger(__name__)

_NAME = re.compile(r"[\w.-]+/[\w.-]+(?::[\w.-]*)*", re.ASCII)
_TIMEOUT_S = 5.0
_FILES = (
    ".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet", ".txt", ".md", ".xml", ".yaml", ".yml"
)  # fmt: skip


def is_hub_name(source: str | Path) -> bool:
    """Whether `source` is of the form `owner/name[[:config]:split]` and names nothing on this machine.

    >>> is_hub_name("qiaojin/PubMedQA:pqa_labeled:train"), is_hub_name("data/mine.jsonl"), is_hub_name("./a/b")
    (True, False, False)
    """
    name = str(source)
    return (
        not name.startswith((".", "/", "~"))
        and _NAME.fullmatch(name) is not None
        and Path(name.partition(":")[0].removesuffix(".gz").removesuffix(".zst")).suffix.lower()
        not in _FILES  # a file that is missing
        and not Path(name).exists()
    )


def hub_parts(source: str) -> tuple[str, str, str]:
    """Dataset, configuration and split of `owner/name[[:config]:split]`; empty where it names none.

    Raises:
        UserError: it has more parts.
    """
    name, *parts = source.split(":")
    if len(parts) > 2:
        raise UserError(f"{source}: expected owner/name, owner/name:split or owner/name:config:split")
    config, split = ["", "", *parts][-2:]
    return name, config, split


@contextlib.contextmanager
def hub_or_cache(name: str | Path) -> Iterator[None]:
    """Load `name` inside: from the Hub, or only from its cache on this machine where the Hub does not answer.

    The Hub's libraries try every file again for more than a minute before they look into the cache. Nothing changes
    for what is on this machine. Import the library that loads before entering.
    """
    if Path(name).expanduser().exists() or not (reason := _unreachable()):
        yield
        return
    logger.warning(
        "the Hugging Face Hub does not answer (%s): looking for %s in its cache only", reason, name
    )
    with contextlib.suppress(ImportError):
        import huggingface_hub.constants  # noqa: F401
    # read from the environment when they are imported, which is over
    switched = [
        (module, module.HF_HUB_OFFLINE)
        for library in ("huggingface_hub.constants", "datasets.config")
        if (module := sys.modules.get(library)) is not None
    ]
    try:
        for module, _ in switched:
            module.HF_HUB_OFFLINE = True  # type: ignore[attr-defined]
        yield
    finally:
        for module, before in switched:
            module.HF_HUB_OFFLINE = before  # type: ignore[attr-defined]


def _unreachable() -> str:
    """Why the Hub cannot be reached; empty if it answers, or if the user has switched it off."""
    if os.environ.get("HF_HUB_OFFLINE"):
        return ""
    address = os.environ.get("HF_ENDPOINT") or "https://huggingface.co"
    try:
        # through the proxies of the environment
        request = urllib.request.Request(address, method="HEAD")  # noqa: S310 (the user's own address)
        urllib.request.urlopen(request, timeout=_TIMEOUT_S).close()  # noqa: S310
    except urllib.error.HTTPError:
        return ""
    except (OSError, ValueError) as error:
        return f"{address}: {getattr(error, 'reason', error)}"
    return ""
