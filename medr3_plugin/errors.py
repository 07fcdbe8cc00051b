"""What can go wrong, by boundary.

Families that are never mixed:

* `UserError`: something the user gave (a file, a key, an option) is wrong. The command line prints the
  message on one line and exits with 2. The message names the thing at fault and the remedy.
* `InfrastructureFailure`: a service we depend on did not answer properly. Inside training it makes the
  sample *invalid* (`valid = 0`): it must never become a reward. The command line exits with 1.
* `RunFailed`: a run failed for another reason. The command line exits with 1.
"""

from __future__ import annotations


class UserError(Exception):
    """Wrong input from the user; the message says what is wrong, where, and what to do."""


class RowError(UserError):
    """One row of a file is wrong; the others can be used. The message says which key, and what is expected."""


class RowSkipped(Exception):
    """A row is sound but not wanted: no label, images needed, a question type nobody asked for."""


class MissingExtra(UserError):
    """An optional dependency is needed and absent."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(f"{purpose} needs the package {package!r}: pip install 'medr3-plugin[{extra}]'")
        self.package = package
        self.extra = extra


class RunFailed(Exception):
    """A run that was started did not end well, and nothing that the user gave is known to be wrong."""


class InfrastructureFailure(Exception):
    """A service failed; the sample that needed it is invalid, not bad.

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
