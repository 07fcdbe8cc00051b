"""MedQA (Jin et al. 2020), US, Mainland China and Taiwan: `questions/<region>/{train,dev,test}.jsonl`.

    {"question", "options": {"A": …}, "answer": text, "answer_idx": "D", "meta_info"}

The US questions exist with five and with four options (`4_options/phrases_no_exclude_*.jsonl`); name the
folder or the file that is meant, or the duplicates check will meet both. On the Hub, `options` is a list of
`{"key", "value"}`. Rows without `answer_idx` are resolved by the text of the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from medr3_plugin.data.layouts import generic
from medr3_plugin.data.questions.items import Item
from medr3_plugin.data.questions.reading import RawRow


def parser(dataset: str) -> Callable[[Sequence[RawRow]], Callable[[RawRow], Item]]:
    """The layout for one region."""
    return generic.parser(dataset)
