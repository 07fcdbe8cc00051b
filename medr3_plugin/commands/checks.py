"""Checks of options that typer cannot make."""

from __future__ import annotations

from medr3_plugin.errors import UserError


def one_of(option: str, value: str, known: tuple[str, ...]) -> None:
    """Raise UserError unless `value` is one of `known`."""
    if value not in known:
        raise UserError(f"{option} {value!r}: expected {', '.join(known)}")


def endpoint(option: str, url: str) -> None:
    """Raise UserError unless `url` is an HTTP address or empty."""
    if url and not url.startswith(("http://", "https://")):
        raise UserError(f"{option} {url!r}: expected an address such as http://127.0.0.1:8000/v1")
