"""Which way a clause says that something goes: "raises" against "lowers", "opens" against "blocks".

Who turns a document round says the contrary of it without a word of denial.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

_UP = (
    r"increas|rais|rise|rising|rose\b|elevat|gain|activat|stimulat|agoni[sz]|open|dilat|widen|strengthen|improv|promot"
    r"|enhanc|restor|caus|provok|precipitat|induc|high|accelerat|continu|prolong|longe|sensitiv"
)
_DOWN = (
    r"decreas|lower|reduc|fall|fell\b|drop|declin|inactivat|inhibit|block|antagoni[sz]|clos|constrict|narrow|weaken|worsen"
    r"|impair|prevent|low\b|slow|stop|deplet|suppress|los[est]|deficien|lack|shorten|resistan"
)
_UP_CHINESE = "升高|上升|增[加多高强大]|激活|激动|兴奋|促进|扩张|扩大|开放|恢复|酸化|加重"
_DOWN_CHINESE = "缺乏|降低|下降|减[少低弱轻]|抑制|阻断|拮抗|收缩|缩小|关闭|失去|碱化|缓解"
_OF_WORD = re.compile(rf"(?P<up>{_UP}|hyper(?P<of>\w*))|{_DOWN}|hypo(?P<less_of>\w*)")
_CHINESE = re.compile(rf"(?P<up>{_UP_CHINESE})|{_DOWN_CHINESE}")


class Direction(NamedTuple):
    """One direction in a text.

    Attributes:
        word: what says so ("lower" of "lowers" and "lowered").
        up: whether it is up, open or more.
        of: what goes that way, if the word says so, too ("kalemia" of "hypokalemia").
    """

    word: str
    up: bool
    of: str = ""


@lru_cache(maxsize=65536)
def _of_word(word: str) -> Direction | None:
    match = _OF_WORD.match(word.lower())
    return match and Direction(match[0], match["up"] is not None, match["of"] or match["less_of"] or "")


@lru_cache(maxsize=16384)
def directions(text: str) -> tuple[Direction, ...]:
    """The directions that `text` names, in order; first those of Chinese words."""
    found = [direction for word in text.split() if (direction := _of_word(word)) is not None]
    if not text.isascii():
        found = [Direction(match[0], match["up"] is not None) for match in _CHINESE.finditer(text)] + found
    return tuple(found)


def opposite(one: Sequence[Direction], other: Sequence[Direction]) -> bool:
    """Whether two texts name as many directions that the other does not, and each the other way round.

    >>> opposite(directions("isoniazid increases the excretion"), directions("isoniazid lowers excretion"))
    True
    >>> opposite(directions("low ferritin, iron deficiency"), directions("raised ferritin in iron deficiency"))
    True
    >>> opposite(directions("it blocks x"), directions("it blocks x and raises the pulse"))
    False
    """
    if not one or not other:
        return False
    mine = [direction for direction in one if direction.word not in {word for word, _, _ in other}]
    theirs = [direction for direction in other if direction.word not in {word for word, _, _ in one}]
    return len(mine) == len(theirs) > 0 and all(
        a.up != b.up and a.of == b.of for a, b in zip(mine, theirs, strict=True)
    )
