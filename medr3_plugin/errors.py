"""The exceptions of this package, and wording that their messages share.

Three families that are never mixed:

* `UserError`: something the user gave (a file, a key, an option) is wrong. The command line prints the
  message on one line and exits with 2. The message names what is wrong and the remedy.
* `InfrastructureFailure`: a service we depend on did not answer properly. In training this makes the
  sample *invalid* (`valid = 0`); it must never become a reward. The command line exits with 1.
* `RunFailed`: a run failed for another reason. The command line exits with 1.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


def did_you_mean(name: object, known: Iterable[str], otherwise: str = "") -> str:
    """The end of a message about an unknown name: the known one that it resembles, else `otherwise`.

    >>> did_you_mean("serach", ["search", "serve"]), did_you_mean("x", ["search"], "; known are search")
    ('; did you mean search?', '; known are search')
    """
    close = difflib.get_close_matches(str(name), list(known), n=1)
    return f"; did you mean {close[0]}?" if close else otherwise


def counted(number: int, noun: str, plural: str = "") -> str:
    """A number and its noun, in a message.

    >>> counted(1, "document"), counted(1200, "document"), counted(2, "process", "processes")
    ('1 document', '1,200 documents', '2 processes')
    """
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"


def shown(value: object) -> str:
    """A value in a message, as JSON, cut to 60 characters."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else f"{text[:57]}..."


class UserError(Exception):
    """Wrong input from the user; the message says what is wrong, where, and what to do."""


class RowError(UserError):
    """One row of a file is wrong; the others can be used. The message names the key and what is expected."""


class RowSkipped(Exception):
    """A valid row that is not used: no label, it needs images, or an unsuitable type of question."""


class MissingExtra(UserError):
    """An optional dependency is needed but not installed."""

    def __init__(self, package: str, extra: str, purpose: str, why: str = "") -> None:
        remedy = f"pip install 'medr3-plugin[{extra}]'"
        super().__init__(f"{purpose} needs the package {package!r}: {remedy}" + (f" ({why})" if why else ""))


@contextmanager
def needs(package: str, extra: str, purpose: str) -> Iterator[None]:
    """Import optional packages inside; raises `MissingExtra` if they are not installed, or broken: it says which."""
    try:
        yield
    except ImportError as error:
        raise MissingExtra(package, extra, purpose, str(error)) from error


class RunFailed(Exception):
    """A run failed, and not because of anything that is known to be wrong with the user's input."""


class InfrastructureFailure(Exception):
    """A service failed; the sample that needed it is invalid, not wrong.

    Args:
        message: what failed, with the address of the service where there is one.
        kind: short stable name used in metrics (`failures/<kind>`), e.g. `timeout`, `connection`,
            `status_500`, `bad_response`.
    """

    service = "service"

    def __init__(self, message: str, kind: str = "unknown") -> None:
        super().__init__(message)
        self.kind = kind


class RetrievalFailure(InfrastructureFailure):
    """The retrieval backend did not answer, or not in its protocol."""

    service = "retrieval"


class JudgeFailure(InfrastructureFailure):
    """The judge did not answer, or its answer could not be parsed."""

    service = "judge"


class EncoderFailure(InfrastructureFailure):
    """The sentence encoder behind the semantic reward did not answer."""

    service = "encoder"
