"""What a server's failure says: which may pass, which show it to be gone, and its own words without secrets."""

from __future__ import annotations

import json
import re
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp

_MAX_SAID = 300  # characters of a server's message that are passed on
_SECRET = re.compile(r"(?i)\b(?:bearer\s+[\w.~+/=-]{6,}|(?:sk|hf|pk|gsk|nvapi|xai)[-_][\w*.-]{6,})")


class RefusedError(Exception):
    """The server answered with another status than 200."""

    def __init__(self, status: int, text: str, retry_after: str) -> None:
        super().__init__(f"{status}: {text}")
        self.status = status
        self.retry_after = retry_after


def is_gone(kind: str) -> bool:
    """Whether a failure of this kind says that the server will not answer the next request either."""
    return kind in {"connection", "timeout", "status_401", "status_402", "status_403", "status_404"} or (
        kind.startswith("status_5")
    )


def may_pass(error: Exception) -> bool:
    """Whether to send again."""
    if isinstance(error, RefusedError):
        return error.status in (408, 429) or error.status >= 500
    return not isinstance(error, aiohttp.InvalidURL)


def quoted(text: str, key: str | None) -> str:
    """What a server said, short and on one line, without keys: servers repeat the one they refuse."""
    try:
        said = json.loads(text)
        for field in ("error", "message", "detail"):
            said = said[field] if isinstance(said, dict) and said.get(field) else said
        text = said if isinstance(said, str) else json.dumps(said, ensure_ascii=False)
    except (ValueError, RecursionError):
        pass
    text = " ".join(text.split())
    if key:
        text = text.replace(key, "***")
    return _SECRET.sub("***", text)[:_MAX_SAID].rstrip(" .;")


def without_credentials(url: str) -> str:
    """`url` without user and password."""
    return re.sub(r"(?<=//)[^/@]*@", "", url)


def proxy_of(url: str) -> str | None:
    """The proxy that the environment names for `url`."""
    address = urlsplit(url)
    if proxy_bypass(address.hostname or ""):
        return None
    return getproxies().get(address.scheme)
