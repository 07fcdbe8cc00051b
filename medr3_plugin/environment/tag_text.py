"""A trajectory of tool calls rewritten in the tag protocol, so that both are scored alike.

A model that calls tools thinks between its calls in regions of their own, and a chat template puts turns around
them. In the tag protocol the same trajectory is one region with searches in it::

    <think>A</think><tool_call>q</tool_call>   …   <think>B</think><answer>x</answer>
    <think>A <search>q</search><document> … </document> B</think><answer>x</answer>

Text outside the model's thinking stays outside, as in the tag protocol. Only what the model generated and the documents
it was shown are part of the text, so neither the template nor other tools can answer or reason.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from medr3_plugin.trajectory import (
    SEARCH_CLOSE,
    SEARCH_OPEN,
    THINK_CLOSE,
    THINK_OPEN,
    neutralise_tags,
)

_THINK = re.compile(f"{THINK_OPEN}|{THINK_CLOSE}")


@dataclass
class ToolTurn:
    """What the model wrote in one turn, and the searches that followed.

    Attributes:
        text: without its calls and without control tokens; it begins with `<think>` where the chat template opened
            the region for it.
        searches: query and shown documents (in their tags) of each search.
    """

    text: str
    searches: list[tuple[str, str]] = field(default_factory=list)


def tag_text(turns: Sequence[ToolTurn]) -> str:
    """The trajectory in the tag protocol.

    >>> tag_text([ToolTurn("<think>A</think>", [("q", "<document> d </document>")]), ToolTurn("<think>B</think>x")])
    '<think>A<search>q</search><document> d </document>B</think>x'
    """
    done = ""
    held = (
        False  # the model closed the region right before a call; it continues if the next turn thinks again
    )
    waiting = ""  # searches before the first thought, which may belong to it
    for turn in turns:
        text = turn.text
        begins = text.lstrip().startswith(THINK_OPEN)
        if (held or waiting) and (text.strip() or not turn.searches):
            if begins:
                text = text.lstrip().removeprefix(THINK_OPEN)
                done += f"{THINK_OPEN}{waiting}" if waiting else ""
            else:
                done += THINK_CLOSE if held else waiting
            held, waiting = False, ""
        done += text if text.strip() else ""
        if not turn.searches:
            continue
        searched = "".join(
            f"{SEARCH_OPEN}{neutralise_tags(query)}{SEARCH_CLOSE}{shown}" for query, shown in turn.searches
        )
        if waiting or not done.strip():
            waiting += searched
            continue
        if not held and done.rstrip().endswith(THINK_CLOSE) and _closes(done):
            done, held = done.rstrip().removesuffix(THINK_CLOSE), True
        done += searched
    return done + (THINK_CLOSE if held else waiting)


def _closes(text: str) -> bool:
    """Whether the `</think>` at the end of `text` closes a region, its own or one that the prompt opened."""
    tags = _THINK.findall(text)
    return len(tags) == 1 or tags[-2] == THINK_OPEN
