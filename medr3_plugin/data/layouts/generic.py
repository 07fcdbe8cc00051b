"""The generic layout: `question` and `answer` (or `answers`), and what else a row may know.

    {"id": "1", "question": "…", "options": {"A": "…", "B": "…"}, "answer_idx": "B"}
    {"id": "2", "question": "…", "answers": ["Marfan syndrome", "MFS"], "gold_docs": ["hpoa:OMIM:154700"]}

Also accepted: names in any case, `option` or `choices` for `options`, as a list or a column for each (`A`, `B`, … or
`option_a`, …), `answer` as a letter, `label`/`correct` for the letter, `answer_aliases`, `answer` as a list of accepted
answers (or of synonym lists), `split`, `dataset`, and verl rows of other recipes (see `rows`). A number as `answer` is
the option with this text if there is one, else an index from 0, as a number as `label` always is. Where several options
are accepted, each of them is a right answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from medr3_plugin.data.questions.items import Item, choice_item, stable_id
from medr3_plugin.data.questions.reading import RawRow, split_name
from medr3_plugin.errors import RowError
from medr3_plugin.rows import ANSWERS, IDS, CountFromOne, sample_of
from medr3_plugin.rows.options import LABELS, OPTIONS, letters_by_text, right_letter
from medr3_plugin.rows.values import clean

_KNOWN = {*LABELS, *ANSWERS, *OPTIONS, *IDS, "question", "answer_aliases", "gold_docs", "split", "dataset"}


def parser(dataset: str) -> Callable[[Sequence[RawRow]], Callable[[RawRow], Item]]:
    """The layout as `dataset`; a row's own key `dataset` wins for `generic`."""

    def of_rows(rows: Sequence[RawRow]) -> Callable[[RawRow], Item]:
        counted = CountFromOne()
        for row in rows:
            counted.see(_known_names(row.data), row.where)
        counted.check()
        return lambda row: item(dataset, row)

    return of_rows


def fits(data: Mapping[str, Any]) -> bool:
    """Whether a row is in the generic layout."""
    return "reward_model" in data or ("question" in data and any(map(data.__contains__, ANSWERS + LABELS)))


def item(dataset: str, row: RawRow) -> Item:
    """The item of a row in the generic layout, or in the form of verl's training data, of whatever recipe.

    Raises:
        RowError: question or answer is missing, or the answer is none of the options.
    """
    is_verl = "reward_model" in row.data
    # elsewhere a column "references" may be anything, such as citations
    data = row.data if is_verl else {k: v for k, v in _known_names(row.data).items() if k != "references"}
    try:
        sample = sample_of(data, row.where)
    except RowError as error:
        raise RowError(str(error).removeprefix(f"{row.where}: ")) from None
    if dataset == "generic" or (is_verl and dataset == "search_r1"):
        dataset = clean(sample.dataset) or dataset
    own = "" if sample.id == row.where else sample.id
    question = clean(sample.question)
    common: dict[str, Any] = {
        "gold_docs": sample.gold_docs,
        "split": split_name((data.get("extra_info") or data).get("split")) or row.split or "train",
        "references": sample.references,
    }
    if sample.options:
        letters = [
            (letters_by_text(sample.options, answer) or [right_letter(sample.options, answer)])[0]
            for answer in sample.answers
        ]
        return choice_item(dataset, own, question, sample.options, letters, **common)
    return Item(stable_id(dataset, own, question), dataset, question, sample.answers, **common)


def _known_names(data: Mapping[str, Any]) -> dict[str, Any]:
    """The row, with the names that mean something here as they are known (`Question`, `Option A`)."""
    known = {name: re.sub(r"[\s-]+", "_", name.strip().lower()) for name in data}
    return {
        key
        if (key := known[name]) not in data and (key in _KNOWN or key.startswith("option_"))
        else name: value
        for name, value in data.items()
    }
