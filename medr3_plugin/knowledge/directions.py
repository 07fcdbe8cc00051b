"""Which way a clause says that something goes: "raises" against "lowers", "opens" against "blocks".

Who turns a document round says the contrary of it without a word of denial.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

_UP = (
    r"increas|rais|rise|rising|rose\b|elevat|gain|activat|stimulat|agoni[sz]|open|dilat|widen|strengthen|improv|promot"
    r"|enhanc|restor|caus|provok|precipitat|induc|high|hyper|accelerat|continu"
)
_DOWN = (
    r"decreas|lower|reduc|fall|fell\b|drop|declin|inactivat|inhibit|block|antagoni[sz]|clos|constrict|narrow|weaken|worsen"
    r"|impair|prevent|low\b|hypo|slow|stop|deplet|suppress|los[est]|deficien|lack"
)
_UP_CHINESE = "升高|上升|增[加多高强大]|激活|激动|兴奋|促进|扩张|扩大|开放|恢复|酸化|加重"
_DOWN_CHINESE = "缺乏|降低|下降|减[少低弱轻]|抑制|阻断|拮抗|收缩|缩小|关闭|失去|碱化|缓解"
_OF_WORD = re.compile(rf"(?P<up>{_UP})|{_DOWN}")
_CHINESE = re.compile(rf"(?P<up>{_UP_CHINESE})|{_DOWN_CHINESE}")


@lru_cache(maxsize=65536)
def _of_word(word: str) -> bool | None:
    match = _OF_WORD.match(word.lower())
    return match["up"] is not None if match else None


@lru_cache(maxsize=16384)
def directions(text: str) -> tuple[bool, ...]:
    """The directions that `text` names, in order: True for up, open and more; first those of Chinese words."""
    found = [direction for word in text.split() if (direction := _of_word(word)) is not None]
    if not text.isascii():
        found = [match["up"] is not None for match in _CHINESE.finditer(text)] + found
    return tuple(found)


def opposite(one: Sequence[bool], other: Sequence[bool]) -> bool:
    """Whether two texts with these directions name as many, and each the other way round.

    >>> opposite(directions("isoniazid increases the excretion"), directions("isoniazid lowers excretion"))
    True
    >>> opposite(directions("it blocks x and raises the pulse"), directions("it opens x and raises the pulse"))
    False
    """
    return len(one) == len(other) > 0 and all(a != b for a, b in zip(one, other, strict=True))
