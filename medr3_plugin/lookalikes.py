"""What a text looks like: full-width and other lookalikes as the ASCII sign or letter, invisible characters left out.

Whoever wants to smuggle a tag or a control token past a check writes `＜/think＞` or hides a character in it, and a
later clean-up (ours or a server's) may undo the disguise. So such things are searched in the look of a text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

_LOOKALIKES = str.maketrans(
    {
        **dict.fromkeys("\u2039\u3008\u2329\u27e8\u276e\u2770\u276c\u02c2\u1438\u00ab\u300a\u27ea", "<"),
        **dict.fromkeys("\u203a\u3009\u232a\u27e9\u276f\u2771\u276d\u02c3\u1433\u00bb\u300b\u27eb", ">"),
        **dict.fromkeys("\u2223\u2502\u2503\u01c0\u00a6\u2758\u2759\u275a\u23d0\u05c0\u0964\u07ca", "|"),
        **dict.fromkeys("\u2044\u2215\u29f8\u2571", "/"),
        **dict.fromkeys("\u2581\u02cd\u2017", "_"),
        **dict.fromkeys("\u3010\u3014\u27e6", "["),
        **dict.fromkeys("\u3011\u3015\u27e7", "]"),
        # Cyrillic and Greek letters that are drawn like Latin ones
        **dict(zip("асԁеһіјӏмոорԛѕтυѵԝхузαβεικνορτχ", "acdehijlmnopqstuvwxyzabeiknoptx", strict=False)),
    }
)
# letters and blanks without a shape of their own; format characters and marks go by their category
_UNSEEN = frozenset("\u115f\u1160\u17b4\u17b5\u2800\u3164")
_UNSEEN_CATEGORIES = ("Cc", "Cf", "Mn", "Me")
_UNSEEN_ASCII = re.compile(r"[\x00-\x08\x0e-\x1b\x7f]")
_NEEDS_A_LOOK = re.compile(r"[^\w\s.,;:()'\"%+=?!-]")


def sub_seen(pattern: re.Pattern[str], by: Callable[[re.Match[str]], str], text: str) -> str:
    """`text` with everything that looks like `pattern` replaced; the rest stays as it is written.

    Args:
        pattern: no match may consist of letters, digits, blanks and `.,;:()'"%+=?!-` alone.
        by: what stands in place of a match.
        text: any text. The same object comes back if there is nothing to replace.

    >>> sub_seen(re.compile("<b>"), lambda found: found[0].upper(), "ＢＡＲ \uff1cb\u200b> é")
    'ＢＡＲ <B> é'
    """
    if not _NEEDS_A_LOOK.search(text):
        return text
    shape = look(text)
    pieces: list[str] = []
    done = 0
    # of each character of the look, the place of the one it stands for; found out for the first match
    places: list[int] = []
    for found in pattern.finditer(shape):
        places = places or [place for place, char in enumerate(text) for _ in look(char)]
        pieces += [text[done : places[found.start()]], by(found)]
        done = places[found.end() - 1] + 1
    return "".join([*pieces, text[done:]]) if pieces else text


def look(text: str) -> str:
    """What `text` looks like: shorter by what is invisible, longer where a ligature stands for letters."""
    return text if text.isascii() and not _UNSEEN_ASCII.search(text) else text.translate(_SEEN)


class _Seen(dict[int, str]):
    """Code point -> what it looks like; filled as characters come, so at most one entry a character of Unicode."""

    def __missing__(self, code: int) -> str:
        seen = "".join(filter(_is_seen, unicodedata.normalize("NFKD", chr(code))))
        return self.setdefault(code, seen.translate(_LOOKALIKES))


def _is_seen(char: str) -> bool:
    unseen = char in _UNSEEN or unicodedata.category(char) in _UNSEEN_CATEGORIES
    return char.isspace() or not unseen


_SEEN = _Seen()
