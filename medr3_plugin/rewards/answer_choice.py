"""Verifier of multiple-choice answers: an option letter, an option text, or both together."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from medr3_plugin.judge.base import RIGHT, WRONG, Verdict
from medr3_plugin.rewards.answer_doubt import (
    ALTERNATIVE,
    HEDGE,
    REFUSAL,
    mentions,
    starts_negated,
)
from medr3_plugin.rewards.answer_doubt import claim as claim_of
from medr3_plugin.rewards.answer_text import fold, plain
from medr3_plugin.rewards.answer_yesno import WORDS, said_word

SOURCE = "rule:choice"
_CUES = (HEDGE, ALTERNATIVE, REFUSAL)
_MAX_EXTRA_WORDS = 8  # around an option text, more than this is prose: not for a rule
_HEAD = re.compile(
    r"(?:(?:option|choice|answer|选项|选)\s*)?(?P<open>[(\[（【]?)\s*(?P<letter>[A-Za-z])"
    r"(?:\s*(?P<close>[)\]）】.:：、,，\-–—]+)|(?=\s)|$)\s*(?P<rest>.*)",
    re.DOTALL | re.IGNORECASE,
)
# a letter set off as a choice somewhere in the text: "(B)", "B)", "B.", "option B", a line of its own
_LETTER = re.compile(
    r"(?:\b[Oo]ption|\b[Cc]hoice|\b[Aa]nswer(?: is)?:?|选项|选)\s*\(?([A-Za-z])\b|\(([A-Za-z])\)"
    r"|(?:^|[\s,;/、，；])([A-Z])(?=[).:、]|\s*(?:$|[,;/、，；&+\n]|(?:or|and|vs)\b))"
)
_LETTERS_ONLY = re.compile(
    r"(?:(?:[A-Z]|\b[a-z]\b)(?:[\s,;/、，；&+|()\[\].:-]|\b(?i:or|and|both|either|vs)\b|或|和|及)*)+"
)
_BARE_LETTER = re.compile(r"[A-Z](?![a-z])|\b[a-z]\b")


def verify_choice(
    whole: str, text: str, options: Mapping[str, str], answers: Sequence[str]
) -> Verdict | None:
    """Verdict against lettered options on the bare answer and the statement in it; None if no clear choice.

    A clean choice of one option decides; several options are wrong. None also if no accepted answer is among
    the options: then the question is not a choice question.

    >>> options = {"A": "Gentamicin", "B": "Ceftriaxone"}
    >>> [verify_choice(t, t, options, ["Ceftriaxone"]).level for t in ("B", "ceftriaxone", "A", "A or B")]
    [2, 2, 0, 0]
    """
    # numbers come as numbers from JSON, and absent options of a merged parquet column as None
    given = {letter: str(text) for letter, text in options.items() if text is not None and text != ""}
    raw = {letter.strip().upper(): plain(text).casefold() for letter, text in given.items()}
    right = _right_letters(raw, answers)
    if not right:
        return None
    texts = {letter: fold(option) for letter, option in raw.items()}
    chosen = _exact(whole, raw, texts) or _exact(text, raw, texts)
    doubt = ""
    if chosen is None:
        chosen, doubt = _chosen(text, texts)
    if doubt:
        return Verdict(WRONG, doubt, SOURCE)
    if chosen is None:
        return None
    accepted = ", ".join(sorted(right))
    level = RIGHT if chosen in right else WRONG
    return Verdict(level, f"chose option {chosen}, accepted is {accepted}", SOURCE)


def _right_letters(raw: Mapping[str, str], answers: Sequence[str]) -> set[str]:
    """Letters of the accepted options: by text, else by normalised text, else by letter."""
    for key in (lambda text: plain(text).casefold(), fold):
        gold = {key(answer) for answer in answers}
        if right := {letter for letter, text in raw.items() if key(text) in gold}:
            return right
    return {answer.strip().upper() for answer in answers} & raw.keys()


def _exact(text: str, raw: Mapping[str, str], texts: Mapping[str, str]) -> str | None:
    """Letter of the option that `text` is: the letter alone, the option's text, or the two together."""
    letter = text.strip("()[]. ")
    # options may themselves be letters: then "C" is the option C and "c" the option whose text is "c"
    if letter.upper() in texts and not (letter.islower() and letter in raw.values()):
        return letter.upper()
    spelling = text.casefold()
    for key, options in ((spelling, raw), (fold(text), texts)):
        same = [letter for letter, option in options.items() if option == key]
        if len(same) == 1 or (same and len({raw[letter] for letter in same}) == 1):
            return same[0]
    head = _HEAD.fullmatch(text)
    if head and (letter := head["letter"].upper()) in texts:
        rest = head["rest"].casefold().strip()
        if rest == raw[letter].strip(" .") or rest == raw[letter] or fold(rest) == texts[letter] != "":
            return letter
    return None


def _chosen(text: str, texts: Mapping[str, str]) -> tuple[str | None, str]:
    """(the chosen letter or None, why the statement is wrong whatever the gold or "")."""
    if set(texts.values()) <= WORDS and (word := said_word(text)):
        return next((letter for letter, option in texts.items() if option == word), None), ""
    if _several_letters(text, texts):
        return None, "chose several options"
    head = _HEAD.fullmatch(claim_of(text))
    if head and head["letter"].upper() in texts and _is_letter(head, texts):
        return _declared(head["letter"].upper(), head["rest"], texts)
    return _named(text, texts)


def _several_letters(text: str, texts: Mapping[str, str]) -> bool:
    """Only letters: "A, B", "A and C", "BCD"."""
    if not _LETTERS_ONLY.fullmatch(text):
        return False
    letters = [letter.upper() for letter in _BARE_LETTER.findall(text)]
    return len(set(letters)) > 1 and set(letters) <= texts.keys()


def _is_letter(head: re.Match[str], texts: Mapping[str, str]) -> bool:
    """Whether the leading letter is meant as a choice, not as the word "a" or the start of a sentence."""
    if not head["rest"] or head["close"] or head["open"] or _introduced(head):
        return True
    return head["letter"].isupper() and fold(head["rest"]) in texts.values()


def _introduced(head: re.Match[str]) -> bool:
    """Whether a word such as "option" stands before the letter."""
    return bool(head.string[: head.start("letter")].strip(" ([（【"))


def _declared(letter: str, rest: str, texts: Mapping[str, str]) -> tuple[str | None, str]:
    """A letter came first; `rest` may repeat its option, explain, contradict or add further options."""
    key, option = fold(rest), texts[letter]
    if not key or key == option:
        return letter, ""
    claim = claim_of(rest)
    others, listed = _others(letter, claim, texts)
    uncommitted = _uncommitted(claim, option)
    doubts = (
        ("the letter and the text name different options", key in texts.values()),
        ("the chosen option is negated", starts_negated(rest) and not key.startswith(option)),
        (
            f"chose several options ({', '.join([letter, *sorted(others)])})",
            others and (listed or uncommitted),
        ),
        ("hedged", uncommitted),
    )
    doubt = next((why for why, found in doubts if found), "")
    prose = len(key.split()) > len(option.split()) + 10 * _MAX_EXTRA_WORDS
    return (None if others or prose or doubt else letter), doubt


def _others(letter: str, claim: str, texts: Mapping[str, str]) -> tuple[set[str], bool]:
    """(other options that `claim` speaks of, whether one of them is a part of its own as in a list)."""
    others = {
        other
        for other, option in _longest(claim, texts)
        if other != letter and option != texts[letter] and mentions(claim, option)[0]
    }
    listed = {found.upper() for groups in _LETTER.findall(claim) for found in groups if found}
    others |= {other for other in listed & texts.keys() if other != letter}
    pieces = {fold(piece) for piece in re.split(r"[\n;,.，；。、/]|\band\b|\bor\b", claim)}
    parts = any(texts[other] in pieces for other in others) or bool(listed & others)
    return others, parts


def _named(text: str, texts: Mapping[str, str]) -> tuple[str | None, str]:
    """No letter leads: the statement may hold the text of one option."""
    claim = claim_of(text)
    spoken = [(letter, option, *mentions(claim, option)) for letter, option in _longest(claim, texts)]
    asserted = {letter: option for letter, option, said, denied in spoken if said and not denied}
    if not spoken:
        letters = {
            found.upper() for groups in _LETTER.findall(text) for found in groups if found
        } & texts.keys()
        if len(letters) > 1:
            return None, "chose several options"
        return None, "declined to choose" if REFUSAL.search(text) else ""
    if len(set(asserted.values())) > 1:
        dumped = ALTERNATIVE.search(claim) or HEDGE.search(claim) or _is_list(claim, texts)
        return None, "chose several options" if dumped else ""
    if not asserted:
        return None, "every option it names is negated" if all(denied for *_, denied in spoken) else ""
    letter, option = next(iter(asserted.items()))
    if _uncommitted(claim, option):
        return None, "hedged"
    extra = _without(claim, option).split()
    elsewhere = {word for other in texts.values() for word in other.split() if len(word) > 3}
    clean = len(extra) <= _MAX_EXTRA_WORDS and elsewhere.isdisjoint(extra) and not option.isdigit()
    return (letter if clean else None), ""


def _longest(claim: str, texts: Mapping[str, str]) -> list[tuple[str, str]]:
    """Options mentioned in `claim`, without those that are only part of a longer mentioned option."""
    found = [(letter, option) for letter, option in texts.items() if option and any(mentions(claim, option))]
    return [
        (letter, option)
        for letter, option in found
        if not any(f" {option} " in f" {longer} " and longer != option for _, longer in found)
    ]


def _is_list(claim: str, texts: Mapping[str, str]) -> bool:
    pieces = [fold(piece) for piece in re.split(r"[\n;,.，；。、/]|\band\b|\bplus\b|和", claim)]
    return sum(piece in texts.values() for piece in pieces) > 1


def _uncommitted(claim: str, option: str) -> bool:
    """Whether `claim` hedges, beyond the words of the folded `option` (which may itself hold an "or")."""
    beyond = _without(claim, option)
    return any(cue.search(claim) and (cue.search(beyond) or not cue.search(option)) for cue in _CUES)


def _without(claim: str, option: str) -> str:
    """`claim` folded, without the words of `option`."""
    return fold(claim).replace(option, " ", 1)
