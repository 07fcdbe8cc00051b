"""Which way a clause says that something goes: "raises" against "lowers", "opens" against "blocks".

Who turns a document round says the contrary of it without a word of denial.
"""

from __future__ import annotations

import re
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
_DIRECTION = re.compile(rf"(?P<up>\b(?:{_UP})|{_UP_CHINESE})|\b(?:{_DOWN})|{_DOWN_CHINESE}", re.IGNORECASE)


@lru_cache(maxsize=16384)
def directions(text: str) -> tuple[bool, ...]:
    """The directions that `text` names, in order: True for up, open and more."""
    return tuple(match["up"] is not None for match in _DIRECTION.finditer(text))


def opposite(one: str, other: str) -> bool:
    """Whether two texts name as many directions, and each is the other way round.

    >>> opposite("isoniazid increases the excretion", "isoniazid lowers excretion")
    True
    >>> opposite("it blocks the receptor and raises the pulse", "it opens the receptor and raises the pulse")
    False
    """
    first = directions(one)
    if not first:
        return False
    second = directions(other)
    return len(first) == len(second) and all(a != b for a, b in zip(first, second, strict=True))
