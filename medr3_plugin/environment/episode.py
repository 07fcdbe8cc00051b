"""One trajectory of the tag protocol: generate, search, show documents, continue, answer.

Token-in, token-out: generated ids are kept as they were generated, with mask 1 and their log-probs;
documents are tokenised apart and inserted with mask 0. The loop knows neither verl nor vLLM: it is given a
`generate` and a `search`, so that training, evaluation and tests run the same code.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any, Protocol

from medr3_plugin.environment.asking import Search, ask
from medr3_plugin.environment.rendering import Tokenizer, encode_block, render_hits
from medr3_plugin.environment.settings import EnvironmentSettings
from medr3_plugin.records import SearchTurn
from medr3_plugin.trajectory import (
    ANSWER_CLOSE,
    DOCUMENT_CLOSE,
    DOCUMENT_OPEN,
    SEARCH_CLOSE,
    closing_query,
)


@dataclass(frozen=True, slots=True)
class Generation:
    """What the engine generated in one call.

    Attributes:
        log_probs: one value per token, or None.
        cut: the engine reports that it ran out of tokens; for engines whose tokens are recounted here.
        aborted: the engine aborted the request, which says nothing about the model.
    """

    token_ids: Sequence[int]
    log_probs: Sequence[float] | None = None
    cut: bool = False
    aborted: bool = False

    def until(self, stop: Sequence[str], tokenizer: Tokenizer) -> Generation:
        """What was generated up to and including the token that completes the first stop string.

        Engines with several tokens per step, or without stop strings, return more.
        """

        def stops(count: int) -> bool:
            text = tokenizer.decode(self.token_ids[:count], skip_special_tokens=True)
            return any(string in text for string in stop)

        if not stops(len(self.token_ids)) or not stops(len(self.token_ids) - 1):
            return self
        end = bisect_left(range(len(self.token_ids)), True, key=stops)
        log_probs = None if self.log_probs is None else self.log_probs[:end]
        return Generation(self.token_ids[:end], log_probs, aborted=self.aborted)


def stopping(sampling: Mapping[str, Any], stop: Sequence[str], max_tokens: int) -> dict[str, Any]:
    """Sampling parameters of one call; a new dict, because verl's server takes keys out of the one it is given."""
    return {**sampling, "stop": list(stop), "include_stop_str_in_output": True, "max_tokens": max_tokens}


class Generate(Protocol):
    """Continue `token_ids`; stop strings stay in the output."""

    async def __call__(  # noqa: D102
        self, token_ids: list[int], *, stop: list[str], max_tokens: int
    ) -> Generation: ...


@dataclass
class Episode:
    """A finished trajectory.

    Attributes:
        response_ids: ids after the prompt, generated and inserted, at most `response_length`.
        response_mask: 1 for each generated token, 0 for each inserted one.
        log_probs: aligned with the ids, 0.0 for inserted tokens; None if the engine gave none.
        turns: every search, in order.
        forged: the model itself wrote a document tag.
        truncated: the response reached its length limit before the model stopped.
        aborted: the engine aborted it, so there is nothing to score.
        generate_s, search_s: seconds spent waiting for the engine and for retrieval.
    """

    response_ids: list[int] = field(default_factory=list)
    response_mask: list[int] = field(default_factory=list)
    log_probs: list[float] | None = field(default_factory=list)
    turns: list[SearchTurn] = field(default_factory=list)
    forged: bool = False
    truncated: bool = False
    aborted: bool = False
    generate_s: float = 0.0
    search_s: float = 0.0

    def add_generated(self, generation: Generation) -> None:
        """Append generated tokens (mask 1)."""
        if not generation.token_ids:
            return  # an aborted request has neither tokens nor log-probs
        self.response_ids += generation.token_ids
        self.response_mask += [1] * len(generation.token_ids)
        if generation.log_probs is None:
            self.log_probs = None
        elif self.log_probs is not None:
            self.log_probs += generation.log_probs

    def add_inserted(self, token_ids: Sequence[int]) -> None:
        """Append inserted tokens (mask 0)."""
        self.response_ids += token_ids
        self.response_mask += [0] * len(token_ids)
        if self.log_probs is not None:
            self.log_probs += [0.0] * len(token_ids)


async def run_episode(
    prompt_ids: Sequence[int],
    *,
    generate: Generate,
    search: Search,
    tokenizer: Tokenizer,
    settings: EnvironmentSettings,
    response_length: int,
    max_searches: int | None = None,
) -> Episode:
    """Roll out one trajectory.

    Args:
        response_length: tokens that the response may have, documents included.
        max_searches: overrides `settings.max_searches`.

    Raises:
        Nothing itself: a failed search is a turn with `outcome == "failed"`, and the model continues.
    """
    limit = settings.max_searches if max_searches is None else max_searches
    episode = Episode()
    may_search = True
    forging = [DOCUMENT_OPEN, DOCUMENT_CLOSE]
    at_answer = [ANSWER_CLOSE] if settings.stop_at_answer else []
    while (room := response_length - len(episode.response_ids)) > 0:
        stop = [*forging, *at_answer, *([SEARCH_CLOSE] if may_search else [])]
        started = time.perf_counter()
        generation = await generate([*prompt_ids, *episode.response_ids], stop=stop, max_tokens=room)
        generation = generation.until(stop, tokenizer)
        episode.generate_s += time.perf_counter() - started
        episode.add_generated(generation)
        if generation.aborted:
            episode.aborted = True
            break
        text = tokenizer.decode(generation.token_ids, skip_special_tokens=True)
        if any(tag in text for tag in forging):
            episode.forged = True
            break
        query = closing_query(text) if may_search else None
        if query is None:
            # an end the model did not choose is a cut, even when it falls on the last allowed token
            episode.truncated = generation.cut or len(generation.token_ids) >= room
            break
        room -= len(generation.token_ids)
        if len(episode.turns) >= limit:
            episode.turns.append(SearchTurn(query=query.text, outcome="limit"))
            episode.add_inserted(encode_block(settings.limit_line, room, tokenizer, query.carried))
            may_search = False  # one reminder is enough: from here the model runs to its end
            continue
        turn, new, line = await ask(query.text, episode.turns, search, settings)
        episode.search_s += turn.latency_s
        inserted: list[int] = []
        if new:
            shown_room = room - settings.answer_reserve
            inserted, shown = render_hits(new, shown_room, settings, tokenizer, query.carried)
            # no room for a document beside the answer's reserve: say so rather than leave the search unanswered
            turn, line = replace(turn, shown=shown), settings.limit_line
        episode.turns.append(turn)
        episode.add_inserted(inserted or encode_block(line, room, tokenizer, query.carried))
    else:
        episode.truncated = True
    return episode


def inserted_runs(mask: Sequence[int]) -> list[list[int]]:
    """`[start, end)` of each run of inserted tokens (mask 0), see `verl_adapters.response_text`.

    >>> inserted_runs([1, 1, 0, 0, 1, 0])
    [[2, 4], [5, 6]]
    """
    places = [list(run) for value, run in groupby(range(len(mask)), key=lambda i: mask[i]) if not value]
    return [[run[0], run[-1] + 1] for run in places]
