"""The lexer of answers: a text as words, punctuation and references to what may be answered.

The result is one string, its pieces separated by blanks: words in lower case, signs and punctuation as they are,
a line break for the end of a sentence or line, and one private character for every reference to a label: an
option's letter, its text, the two together ("C. Gout", "Gout (C)"), or an accepted name. What looks like a
letter but is none (an article, "vitamin C", "B cells", "C. difficile") is a word.
"""

from __future__ import annotations

import itertools
import re
from typing import NamedTuple

from medr3_plugin.rewards.answer.names import YES_NO, Question
from medr3_plugin.text import Line, Token, has_cjk, listed, scan, without_the, write

FIRST = 0xE000  # code point of the first label's reference
REF = "[\ue000-\ue0ff]"
STOP = "\n"

_SYMBOLS = {
    **dict.fromkeys("✅✔✓☑", "correct"),
    **dict.fromkeys("❌✗✘✖", "incorrect"),
    **dict.fromkeys("➡⇒⟹➔", "→"),
    "∴": "therefore",
    **dict.fromkeys("️👉📝🎯📌🔍💡🔑🧠«»", ""),
}
_CALLED = frozenset(listed("option choice letter answer item 项 选 择"))
_QUOTES = frozenset("\"'’‘“”′″`*_#$「」《》")
_OPENING, _CLOSING = frozenset("([【<{"), frozenset(")]】>}")
_BETWEEN = frozenset(
    [*"-–—−‐:,.=→>、()[]¬", STOP, "a", "an", "option", "choice", "answer", "namely", "选", "项"]
)
_MAX_BETWEEN = 3
# after these a single letter names a kind, not an option
_KINDS = frozenset(
    listed(
        "vitamin hepatitis factor type group class stage protein influenza grade category complex coenzyme phase "
        "immunoglobulin ig region zone level subtype variant schedule pattern streptococcus"
    )
)
_GOING_ON = frozenset(listed("rather instead or and versus vs but not nor"))
_JOINS, _MAX_JOINED = frozenset(listed("and or to /")), 6
# around a letter in lower case
_LEADING, _FOLLOWING = frozenset(["", STOP, ":", "is", "→", "="]), frozenset([".", STOP])
_OF_CELLS = frozenset(listed("cell cells lymphocyte lymphocytes wave waves antigen virus"))
# "A" and "I" before any other word are an article and a pronoun
_AFTER_LETTER = frozenset(
    listed(
        "it best according per "
        "is was are were and or but because since as which who given due based can could may might will would should "
        "must has have does do did not rather instead over for in with also only alone seems fits matches explains "
        "nor describes represents vs versus then cannot can doesn isn wasn remains remain stays looks appears deserves "
        "explain fit match represent plays lacks suggests indicates supports"
    )
)
# after these words a "no" is an answer of its own; before any other it denies a noun ("no difference was seen")
_NO_ENDS_BEFORE = frozenset(
    listed(
        "there it this that they we he she the these those i because since as but and or yes maybe not wait if when "
        "however although though possibly perhaps according per "
        "true false is was would could can may might cannot remains rather in for with at on to under"
    )
)
_VERBS = frozenset(listed("is are was were has have can does will should would"))
_SHORT, _MAX_TOLD = 3, 60
# "It points elsewhere" is about the answer, "It blocks the receptor" about what it names
IMPRESSIONS = frozenset(
    listed(
        "needs depends feels looks sounds seems goes takes says points suggests indicates shows leads means"
    )
)
_CHINESE_VERBS, _CHINESE_DENYING = frozenset("属作抑阻通引导增降减促"), frozenset("不未无没非除错误疑")
_REASON_STARTS = frozenset(listed("it this that these those because since as he she they the there a an"))
_DENYING = frozenset(listed("not incorrect wrong false unlikely less excluded ruled"))


class _Piece(NamedTuple):
    """One piece of the reading; `label` is -1 for what is no reference."""

    text: str
    token: Token
    label: int = -1
    letter: bool = False


def read(text: str, question: Question) -> str:
    """The reading of `text`, see the module. Takes time linear in the length of `text`.

    >>> from medr3_plugin.rewards.answer.names import question_of
    >>> gout = question_of("", ["Gout"], {"A": "Sepsis", "B": "Gout"}, None)
    >>> read("The answer is B. Gout. Vitamin A does not matter", gout).split(" ")
    ['answer', 'is', '\\ue001', '\\n', 'vitamin', 'a', 'does', 'not', 'matter']
    """
    pieces = _with_names(scan(text), question)
    if question.letters:
        pieces = _together(_with_letters(pieces, question))
    return " ".join(chr(FIRST + piece.label) if piece.label >= 0 else piece.text for piece in pieces)


def _with_names(tokens: list[Token], question: Question) -> list[_Piece]:
    """Names of labels found, the longest first; articles and the question's own sentences left out."""
    tokens = without_the(tokens)
    line = write(tokens)
    pieces: list[_Piece] = []
    i = 0
    while i < len(tokens):
        token = tokens[i]
        name, end = _name_at(line, line.starts[i], question) if token.keys else ("", 0)
        if name in question.asked:
            i = end + (end < len(tokens) and tokens[end].raw in "?:")
            continue
        if name in question.inverted and any(token.raw == "," for token in tokens[i:end]):
            name = ""
        if name and _stands_alone(name, tokens, i, end, question):
            pieces.append(_Piece(name, token, question.labels.index(question.names[name])))
            raws = [token.raw for token in tokens[i : end + 1]]
            closes = raws[-1] == ")" and raws.count("(") == raws.count(")")  # "... imaging (MRI)"
            i = _goes_on(tokens, end + closes)
            continue
        following = tokens[i + 1].raw.casefold() if i + 1 < len(tokens) else ""
        if read_as := _as_read(token, following, bool(pieces)):
            pieces.append(_Piece(read_as, token))
        i += 1
    return pieces


def _goes_on(tokens: list[Token], end: int) -> int:
    """The word behind a name's own full stop or line break: "Stop the drug. rather than lower it."; `end` if none."""
    ahead = [i for i in range(end, min(end + 3, len(tokens))) if tokens[i].raw not in _QUOTES][:2]
    own = len(ahead) > 1 and tokens[ahead[0]].kind == "stop" and tokens[ahead[1]].raw in _GOING_ON
    return ahead[1] if own else end


def _as_read(token: Token, following: str, earlier: bool) -> str:
    """A token that names nothing, as it stands in the reading."""
    if token.raw == "!" and following:  # "!C" in front denies
        return "¬" if not earlier else STOP
    if token.kind == "stop":
        return STOP
    if token.raw in _SYMBOLS:
        return _SYMBOLS[token.raw]
    if token.kind == "sign":  # no sign of the text may pass for a reference
        return "�" if "\ue000" <= token.raw <= "\uf8ff" else "".join(token.keys)
    if token.raw in _QUOTES:
        return ""
    return "‐" if token.kind == "dash" and token.raw != "—" else token.raw.casefold()


def _name_at(line: Line, start: int, question: Question) -> tuple[str, int]:
    """The longest name that begins at `start`, and the token after it."""
    for name in question.by_start.get(line.text[start], ()):
        if line.text.startswith(name, start) and start + len(name) in line.ends:
            return name, line.ends[start + len(name)]
    return "", 0


def _stands_alone(  # noqa: PLR0911 - one return a kind of name
    name: str, tokens: list[Token], start: int, end: int, question: Question
) -> bool:
    """Whether a short name is one here: not the "no" of "no difference", not the 是 of 答案是."""
    after = tokens[end] if end < len(tokens) else None
    if name == "no":
        compound = [token.kind for token in tokens[end + 1 : end + 2]] == ["dash"]  # "no in-hospital deaths"
        return (
            after is None
            or after.kind != "word"
            or (after.raw.casefold() in _NO_ENDS_BEFORE and not compound)
        )
    if name == "none":
        return after is None or after.raw.casefold() != "of"
    if end == start + 1 and tokens[start].raw == "I":
        if after is not None and after.kind == "word":
            return False  # the pronoun
        # the letter of the ninth option, but not in "A. I"
        own = question.names[name]
        return "I" not in question.labels or own in [token.raw for token in tokens[max(0, start - 2) : start]]
    if name.upper() in question.labels:
        if question.names[name] == name.upper():
            return False  # a text that is its own letter says no more than the letter
        # an option whose text is a letter: "C" is the letter, "c" and the second of "B. C" are the text
        ahead = [token.raw for token in tokens[max(0, start - 2) : start]]
        return tokens[start].raw.islower() or (
            len(ahead) == 2 and ahead[0] in question.labels and ahead[1] in (".", ")", ":")
        )
    if question.open and end == start + 1 and name.upper() in question.codes:
        return not tokens[start].raw.islower()  # "ALL" is a leukemia, "all" is not
    if name == "maybe":
        return end == start + 1  # not "may be"
    if name in _CHINESE_WORDS:
        before = tokens[start - 1] if start else None
        led = before is None or before.kind != "word" or before.raw in ("是", "为", "答")
        return led and (after is None or after.kind != "word")
    return True


_CHINESE_WORDS = frozenset(word for words in YES_NO.values() for word in words if has_cjk(word))


def _with_letters(pieces: list[_Piece], question: Question) -> list[_Piece]:
    found: list[_Piece] = []
    alone = sum(piece.token.kind == "word" or piece.label >= 0 for piece in pieces) == 1
    for i, piece in enumerate(pieces):
        raw = piece.token.raw
        if piece.label < 0 and raw.upper() in question.labels:
            before = _before(pieces, i)
            after = pieces[i + 1] if i + 1 < len(pieces) else None
            beyond = pieces[i + 2] if i + 2 < len(pieces) else None
            own = question.labels.index(raw.upper())
            if alone or _is_letter(raw, own, before, after, beyond):
                piece = _Piece(raw, piece.token, own, letter=True)  # noqa: PLW2901
        found.append(piece)
    return found


def _before(pieces: list[_Piece], i: int) -> str:
    """The word before a letter; before the B of "influenza A and B" that is "influenza"."""
    first = max(i - _MAX_JOINED, 2)
    while i > first and pieces[i - 1].text in _JOINS and len(pieces[i - 2].token.raw) == 1:
        i -= 2
    return pieces[i - 1].text if i else ""


def _is_letter(  # noqa: PLR0911 - one return a kind of surroundings
    raw: str, own: int, before: str, after: _Piece | None, beyond: _Piece | None
) -> bool:
    """Whether the single letter `raw`, of the label `own`, is meant as an option's."""
    follows = after.text if after else STOP
    marked = before in _CALLED or (before in _OPENING and follows in _CLOSING) or follows == ")"
    if len(raw) > 1:  # options called I, II, III, or 10
        return marked or (
            before in _LEADING and (follows in _FOLLOWING or (after is not None and after.label == own))
        )
    if raw.islower():
        return marked or follows == ":" or (follows in _FOLLOWING and before in _LEADING)
    if before in _KINDS or follows == "‐" or (after is not None and after.token.kind == "dash"):
        return after is not None and after.token.kind == "dash" and beyond is not None and beyond.label >= 0
    if (
        before in ("‐", "°")
        or before.isdigit()
        or (after is not None and after.label < 0 and follows.isdigit())
    ):
        return False  # "UV-B", "B12"
    if marked or after is None:
        return True
    if len(after.token.raw) == 1 and after.token.raw.isupper():
        return beyond is None or not beyond.text.isdigit()  # "A C", but not "A C5 root"
    if after.label >= 0:  # "A deformation", where the option says "a deformation"
        return raw != "A" or after.label == own
    if after.token.raw in (".", "!") and beyond is not None and beyond.token.raw[:1].islower():
        return beyond.text in _REASON_STARTS or beyond.label >= 0  # not "C. difficile"
    if after.token.kind != "word" or has_cjk(after.token.raw):
        return True
    return follows in _AFTER_LETTER or (raw not in "AI" and follows not in _OF_CELLS)


def _together(pieces: list[_Piece]) -> list[_Piece]:
    """References to one option by letter and by text, side by side, as one reference."""
    found: list[_Piece] = []
    i = 0
    while i < len(pieces):
        piece = pieces[i]
        if piece.label >= 0:
            start, i = i, _end_of_pair(pieces, i)
            # "C. Gout is caused by urate": the letter answers, the sentence behind it explains
            explains = (
                i > start + 1
                and piece.letter
                and pieces[i - 1].label >= 0
                and i < len(pieces)
                and _tells(pieces, i)
            )
            if explains:
                i -= 1
            while found and found[-1].text in _CALLED and not has_cjk(found[-1].text):
                found.pop()
            if found and found[-1].text in _OPENING:
                if i < len(pieces) and pieces[i].text in _CLOSING:
                    found.pop()  # "(C)"
                    i += 1
                elif start + 1 < i and pieces[start + 1].text in _CLOSING:
                    found.pop()  # "(C) Gout"
            found.append(piece)
            if explains:
                found.append(_Piece(STOP, piece.token))
            continue
        i += 1
        found.append(piece)
    return found


def _tells(pieces: list[_Piece], i: int) -> bool:
    """Whether the words behind a name explain it: they begin with a verb, of the third person in English."""
    word = pieces[i].text
    if word in _CHINESE_VERBS:
        rest = [*itertools.takewhile(lambda piece: piece.text != STOP, pieces[i : i + _MAX_TOLD])]
        # beyond the limit, which keeps this linear, it could still be denied
        return len(rest) < _MAX_TOLD and _CHINESE_DENYING.isdisjoint(piece.text for piece in rest)
    verb = word.isalpha() and len(word) > _SHORT and word[-1] == "s" and word[-2] not in "siu"
    tells = word in _VERBS or (verb and word not in _AFTER_LETTER | IMPRESSIONS)
    return tells and (i + 1 == len(pieces) or pieces[i + 1].text not in _DENYING)


def _end_of_pair(pieces: list[_Piece], start: int) -> int:
    """Where the reference at `start` ends: after its other half if that follows, with its bracket."""
    first = pieces[start]
    depth = 0
    for j in range(start + 1, min(start + 2 + _MAX_BETWEEN, len(pieces))):
        other = pieces[j]
        if other.label == first.label and other.letter != first.letter:
            closes = depth > 0 and j + 1 < len(pieces) and pieces[j + 1].text in _CLOSING
            return j + 1 + closes
        if other.label == first.label and other.letter and other.token.raw == "A":
            continue  # the article of "A. A cell"
        if other.text not in _BETWEEN or (other.text == STOP and not first.letter):
            break
        depth += other.text in _OPENING
    return start + 1


_SPACE_IN_CJK = re.compile("(?<=[\u3400-\u9fff]) (?=[\u3400-\u9fff])")
# "..., so C": its grounds are a sentence of their own, unless they are a condition or a guess
_CONCLUDES = re.compile(" , (?=(?:故|所以|因此|因而)(?:本题|正确|最佳)?应?该?(?:选|答案))")
_UNSETTLED = re.compile("[若如疑猜]|可能|不明|或许|大概")


def sentences(reading: str) -> list[str]:
    """The sentences of a reading; Chinese characters written together as in running text."""
    parts = (_SPACE_IN_CJK.sub("", part).strip() for part in reading.split(STOP))
    split = ([part] if _UNSETTLED.search(part) else _CONCLUDES.split(part) for part in parts)
    return [sentence for sentences in split for sentence in sentences if sentence]
