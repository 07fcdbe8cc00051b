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
    r"|enhanc|restor|caus|provok|precipitat|induc|high|accelerat|continu|prolong|longe|sensitiv|greater\b|larger\b"
    r"|commoner\b"
)
_DOWN = (
    r"decreas|lower|reduc|fall|fell\b|drop|declin|inactivat|inhibit|block|antagoni[sz]|clos|constrict|narrow|weaken|worsen"
    r"|impair|prevent|low\b|slow|stop|deplet|suppress|los[est]|deficien|lack|shorten|resistan|protect|fewer\b|smaller\b"
)
_UP_CHINESE = "升高|上升|增[加多高强大]|激活|激动|兴奋|促进|扩张|扩大|开放|恢复|酸化|加重|亢进"
_DOWN_CHINESE = "缺乏|降低|下降|减[少低弱轻]|抑制|阻断|拮抗|收缩|缩小|关闭|失去|碱化|缓解|消失"
# what is said for a treatment, and against it: another matter than more and less
_FOR = r"safe|superior|non-?inferior|better\b|benefi|effective|recommend|prefer|useful|suitab|appropriate"
_AGAINST = (
    r"inferior|worse\b|harm(?!less)|unsafe|danger|contraindicat|avoid(?:ed)?\b|ineffective|useless|inappropriate"
    r"|unsuitab"
)
_AS_BEFORE, _AS_BEFORE_CHINESE = (
    r"normal\b|unchanged|unaffected|similar\b|equal\b",
    "正常|相当|相似",
)  # not "normally"
_FOR_CHINESE, _AGAINST_CHINESE = "适合|适用|适宜|推荐|有效|安全", "禁忌|禁用|有害"
_OF_WORD = re.compile(
    rf"(?P<up>{_UP}|hyper(?P<of>\w*)|(?P<pro>{_FOR}))|{_DOWN}|hypo(?P<less_of>\w*)|(?P<contra>{_AGAINST})"
    rf"|(?P<level>{_AS_BEFORE})"
)
_CHINESE = re.compile(
    rf"(?P<up>{_UP_CHINESE}|(?P<pro>{_FOR_CHINESE}))|{_DOWN_CHINESE}|(?P<contra>{_AGAINST_CHINESE})|(?P<level>{_AS_BEFORE_CHINESE})"
)
_WORTH = "worth"


class Direction(NamedTuple):
    """One direction in a text.

    Attributes:
        word: what says so ("lower" of "lowers" and "lowered").
        up: whether it is up, open or more; None if it stays as it is.
        of: what goes that way, if the word says so, too ("kalemia" of "hypokalemia"; "worth" of "superior").
    """

    word: str
    up: bool | None
    of: str = ""


@lru_cache(maxsize=65536)
def _of_word(word: str) -> Direction | None:
    match = _OF_WORD.match(word.lower())
    return match and _direction(match, match["of"] or match["less_of"] or "")


def _direction(match: re.Match[str], of: str = "") -> Direction:
    up = None if match["level"] else match["up"] is not None
    return Direction(match[0], up, _WORTH if match["pro"] or match["contra"] else of)


@lru_cache(maxsize=16384)
def directions(text: str) -> tuple[Direction, ...]:
    """The directions that `text` names, in order; first those of Chinese words."""
    found = [direction for word in text.split() if (direction := _of_word(word)) is not None]
    if not text.isascii():
        found = [_direction(match) for match in _CHINESE.finditer(text)] + found
    return tuple(found)


def opposite(one: Sequence[Direction], other: Sequence[Direction]) -> bool:
    """Whether two texts name as many directions that the other does not, and each the other way round.

    >>> opposite(directions("isoniazid increases the excretion"), directions("isoniazid lowers excretion"))
    True
    >>> opposite(directions("low ferritin, iron deficiency"), directions("raised ferritin in iron deficiency"))
    True
    >>> opposite(directions("it blocks x"), directions("it blocks x and raises the pulse"))
    False
    >>> opposite(directions("absorption was increased"), directions("absorption is normal"))
    True
    """
    if not one or not other:
        return False
    mine = [direction for direction in one if direction.word not in {word for word, _, _ in other}]
    theirs = [direction for direction in other if direction.word not in {word for word, _, _ in one}]
    return len(mine) == len(theirs) > 0 and all(
        a.up != b.up and a.of == b.of for a, b in zip(mine, theirs, strict=True)
    )
