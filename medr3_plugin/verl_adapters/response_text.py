"""The text of a rollout as the rewards read it: what the model generated, and the documents it was shown.

Only generated tokens can reason, search or answer. What a tool or the chat template put in between (mask 0) is kept
where it is a document between its tags, and otherwise left out: another tool's reply that holds `<answer>C</answer>`
is not the model's answer.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby
from typing import Any

from medr3_plugin.environment.rendering import Tokenizer
from medr3_plugin.errors import UserError
from medr3_plugin.trajectory import DOCUMENT_CLOSE, DOCUMENT_OPEN, THINK_OPEN

_DOCUMENT = re.compile(f"{DOCUMENT_OPEN}.*?{DOCUMENT_CLOSE}", re.DOTALL)


def response_text(ids: Sequence[int], mask: Sequence[int], tokenizer: Tokenizer) -> tuple[str, bool]:
    """The text, and whether the model wrote a document's tag itself.

    Args:
        ids: the response's tokens, padding left out.
        mask: 1 for each generated token, 0 for each inserted one.
    """
    pieces: list[str] = []
    forged = False
    for generated, group in groupby(zip(ids, mask, strict=True), key=lambda pair: bool(pair[1])):
        text = tokenizer.decode([token for token, _ in group], skip_special_tokens=True)
        if generated:
            forged = forged or DOCUMENT_OPEN in text or DOCUMENT_CLOSE in text
            pieces.append(text)
        else:
            if pieces and (begun := _begun(pieces[-1], text)):  # "</search><" is one token of some tokenizers
                pieces[-1] = pieces[-1].removesuffix(begun)
                text = begun + text
            pieces += _DOCUMENT.findall(text)
            if text.rstrip().endswith(THINK_OPEN):  # the chat template opens the model's next turn with it
                pieces.append(THINK_OPEN)
    return "".join(pieces), forged


def _begun(generated: str, inserted: str) -> str:
    """The start of a `<document>` at the end of `generated` that `inserted` continues."""
    cuts = (DOCUMENT_OPEN[:i] for i in range(1, len(DOCUMENT_OPEN)))
    return next(
        (
            cut
            for cut in cuts
            if generated.endswith(cut) and inserted.startswith(DOCUMENT_OPEN.removeprefix(cut))
        ),
        "",
    )


def response_mask(item: Any, length: int) -> Sequence[int] | None:
    """The mask of the response's `length` tokens; None if there is none, and all of them were generated.

    verl 0.9.1 hands its mask to the reward manager only where rewards are computed after the rollout. Our agent
    loops put it into their record as `inserted`, the `[start, end)` of each run of inserted tokens.

    Raises:
        UserError: an agent loop with several turns that tells neither.
    """
    if "response_mask" in item.batch:
        return [int(value) for value in item.batch["response_mask"][:length]]
    row = item.non_tensor_batch
    inserted = (row.get("tool_extra_fields") or {}).get("inserted")
    if inserted is not None:
        mask = [1] * length
        for start, end in inserted:
            mask[start:end] = [0] * len(mask[start:end])
        return mask
    if int(row.get("__num_turns__", 2)) > 2:
        raise UserError(
            f"the agent loop {row.get('agent_name', '')} had several turns but does not record which tokens its tools "
            "inserted (extra_fields['inserted']): tool text would count as the model's; use medr3_search or "
            "medr3_tool"
        )
    return None
