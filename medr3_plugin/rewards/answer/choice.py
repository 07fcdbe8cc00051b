"""Verifier of multiple-choice answers: an option letter, an option text, or both together."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from medr3_plugin.judge.base import RIGHT, WRONG, Verdict
from medr3_plugin.rewards.answer.doubt import (
    ALTERNATIVE,
    HEDGE,
    REFUSAL,
    denies,
    mentions,
    starts_negated,
)
from medr3_plugin.rewards.answer.doubt import claim as claim_of
from medr3_plugin.rewards.answer.statement import core
from medr3_plugin.rewards.answer.yesno import WORDS, said_word
from medr3_plugin.text import abbreviated, fold, plain

SOURCE = "rule:choice"
_CUES = (HEDGE, ALTERNATIVE, REFUSAL)
_MAX_EXTRA_WORDS = 8  # around an option text, more than this is prose: not for a rule
_CALLED = r"(?:(?:answer\s+)?(?:option|choice)|answer|ans\.?|letter|选项|选)"
_HEAD = re.compile(
    rf"(?:{_CALLED}\s*)?(?P<open>[(\[（【]?)\s*(?P<letter>[A-Za-z])"
    r"(?:\s*(?P<close>[)\]）】.。:：、,，=→–—]+|-(?=\s)|\n)|(?=\s)|$)\s*(?P<rest>.*)",
    re.DOTALL | re.IGNORECASE,
)
# the letter behind the text: "Gout (C)", "Gout, option C"
_TAIL = re.compile(
    rf"(?P<rest>.*\S)\s*(?:[(\[（【]\s*(?:{_CALLED}\s*)?(?P<in>[A-Za-z])\s*[)\]）】]"
    rf"|[\s,;]{_CALLED}\s+(?P<named>[A-Za-z])|:\s*(?P<last>[A-Za-z]))",
    re.DOTALL | re.IGNORECASE,
)
# a letter set off as a choice somewhere in the text: "(B)", "B)", "B.", "option B", a line of its own
_LETTER = re.compile(
    r"(?:\b[Oo]ption|\b[Cc]hoice|\b[Aa]nswer(?: is)?:?|选项|选)\s*\(?([A-Za-z])\b|[(\[]([A-Za-z])[)\]]"
    r"|(?:^|[\s,;/、，；])([A-Z])(?=[).:、\u3400-\u9fff]|\s*(?:$|[,;/、，；&+\n]|(?:or|and|vs)\b))"
)
_LETTERS_ONLY = re.compile(
    r"(?:(?:[A-Z]|\b[a-z]\b)(?:[\s,;/、，；&+|>()\[\].:-]|\b(?i:or|and|both|either|vs)\b|或|和|及)*)+"
)
_INNER_LETTER = re.compile(r"(?<=[\s(])[A-Z]\b")
_BARE_LETTER = re.compile(r"[A-Z](?![a-z])|\b[a-z]\b")


def given_options(options: Mapping[str, Any] | None) -> dict[str, str]:
    """The options that are there, by upper-case letter.

    Numbers come as numbers from JSON, and the absent options of a merged parquet column as None.
    """
    given = (options or {}).items()
    return {
        letter.strip().upper(): plain(str(text)) for letter, text in given if text is not None and text != ""
    }


def verify_choice(said: Sequence[str], options: Mapping[str, str], right: Collection[str]) -> Verdict | None:
    """Verdict against lettered options on the readings of an answer; None if no clear choice.

    A clean choice of one option decides; several options are wrong.

    Args:
        said: see `answer_statement.readings`.
        options: see `given_options`.
        right: letters of the accepted options, see `right_letters`.

    >>> options = {"A": "Gentamicin", "B": "Ceftriaxone"}
    >>> [verify_choice([t], options, {"B"}).level for t in ("B", "ceftriaxone", "A", "A or B")]
    [2, 2, 0, 0]
    """
    texts = {letter: fold(option) for letter, option in options.items()}
    exactly = (_exact(text, options, texts) for text in (*said, *map(core, said)))
    chosen = next(filter(None, exactly), None)
    doubt = ""
    if chosen is None:
        chosen, doubt = _chosen(said[-1], options, texts)
    if doubt:
        return Verdict(WRONG, doubt, SOURCE)
    if chosen is None:
        return None
    accepted = ", ".join(sorted(right))
    level = RIGHT if chosen in right else WRONG
    return Verdict(level, f"chose option {chosen}, accepted is {accepted}", SOURCE)


def right_letters(options: Mapping[str, str], answers: Sequence[str]) -> set[str]:
    """Letters of the accepted options: by text, else by normalised text, else by letter.

    Empty if no accepted answer is among the options: then the question is not a choice question.
    """
    for key in (_spelling, fold):
        gold = {key(answer) for answer in answers}
        if right := {letter for letter, text in options.items() if key(text) in gold}:
            return right
    return {answer.strip().upper() for answer in answers} & options.keys()


def _spelling(text: str) -> str:
    return plain(text).casefold().strip(" .")


def _exact(text: str, options: Mapping[str, str], texts: Mapping[str, str]) -> str | None:
    """Letter of the option that `text` is: the letter alone, the option's text, or the two together."""
    alone = text.strip("()[]. ")
    # options may themselves be letters: then "C" is the option C and "c" the option whose text is "c"
    if alone.upper() in texts and not (alone.islower() and alone in options.values()):
        return alone.upper()
    if (chosen := _letter_of(text, options, texts)) is not None:
        return chosen
    for form in (_HEAD, _TAIL):
        both = form.fullmatch(text)
        if both and (letter := _said_letter(both)) in texts:
            same = _spelling(both["rest"]) == _spelling(options[letter])
            if same or fold(both["rest"]) == texts[letter] != "":
                return letter
    return None


def _letter_of(text: str, options: Mapping[str, str], texts: Mapping[str, str]) -> str | None:
    """The one option with this text."""
    spellings = {letter: _spelling(option) for letter, option in options.items()}
    species = {letter: abbreviated(option) for letter, option in options.items()}
    for key, by_letter in ((_spelling(text), spellings), (fold(text), texts), (text, species)):
        same = [letter for letter, option in by_letter.items() if option == key != ""]
        if same and len({spellings[letter] for letter in same}) == 1:
            return same[0]
    return None


def _said_letter(match: re.Match[str]) -> str:
    groups = match.groupdict()
    return next((groups[name] for name in ("letter", "in", "named", "last") if groups.get(name)), "").upper()


def _chosen(text: str, options: Mapping[str, str], texts: Mapping[str, str]) -> tuple[str | None, str]:
    """(the chosen letter or None, why the statement is wrong whatever the gold or "")."""
    for form in (_HEAD, _TAIL):
        both = form.fullmatch(text)
        if both and (letter := _said_letter(both)) in texts:
            other = _letter_of(both["rest"], options, texts)
            if other is not None and texts[other] != texts[letter]:
                return None, "the letter and the text name different options"
    if set(texts.values()) <= WORDS:
        if word := said_word(text):
            return next((letter for letter, option in texts.items() if option == word), None), ""
        if len(WORDS.intersection(fold(text).split())) > 1:
            return None, "chose several options"
    if _several_letters(text, texts):
        return None, "chose several options"
    head = _HEAD.fullmatch(core(text))
    if head and head["letter"].upper() in texts and _is_letter(head, texts):
        return _declared(head["letter"].upper(), head["rest"], options, texts)
    return _named(text, options, texts)


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


def _declared(
    letter: str, rest: str, options: Mapping[str, str], texts: Mapping[str, str]
) -> tuple[str | None, str]:
    """A letter came first; `rest` may repeat its option, explain, contradict or add further options."""
    key, option = fold(rest), texts[letter]
    if not key or key == option:
        return letter, ""
    claim = claim_of(rest)
    others, listed = _others(letter, claim, options, texts)
    uncommitted = _uncommitted(claim, options[letter])
    denied = (starts_negated(rest) or denies(rest)) and not key.startswith(option)
    doubts = (
        ("the chosen option is negated", denied and not others),
        (
            f"chose several options ({', '.join([letter, *sorted(others)])})",
            others and not denied and (listed or uncommitted),
        ),
        ("hedged", uncommitted and not denied),
    )
    doubt = next((why for why, found in doubts if found), "")
    prose = len(key.split()) > len(option.split()) + 10 * _MAX_EXTRA_WORDS
    return (None if others or prose or doubt or denied else letter), doubt


def _others(
    letter: str, claim: str, options: Mapping[str, str], texts: Mapping[str, str]
) -> tuple[set[str], bool]:
    """(other options that `claim` speaks of, whether one of them is a part of its own as in a list)."""
    beyond = f" {_without(claim, texts[letter])} "
    others = {
        other
        for other, option in _longest(claim, texts)
        if option != texts[letter] and f" {option} " in beyond and mentions(claim, option)[0]
    }
    listed = {other for other in _set_off(claim, options[letter]) if other in texts and other != letter}
    others |= listed
    pieces = {fold(piece) for piece in re.split(r"[\n;,.，；。、/]|\band\b|\bor\b", claim)}
    return others, bool(listed) or any(texts[other] in pieces for other in others)


def _set_off(text: str, own: str = "") -> set[str]:
    """Letters set off as choices in `text`, those inside the option `own` left out ("hepatitis B")."""
    letters = {found.upper() for groups in _LETTER.findall(text) for found in groups if found}
    return letters - set(_INNER_LETTER.findall(own))


def _named(text: str, options: Mapping[str, str], texts: Mapping[str, str]) -> tuple[str | None, str]:
    """No letter leads: the statement may hold the text of one option."""
    claim = claim_of(text)
    spoken = [(letter, option, *mentions(claim, option)) for letter, option in _longest(claim, texts)]
    asserted = {letter: option for letter, option, said, denied in spoken if said and not denied}
    if not spoken:
        if len(_set_off(text) & texts.keys()) > 1:
            return None, "chose several options"
        return None, "declined to choose" if REFUSAL.search(text) else ""
    if len(set(asserted.values())) > 1:
        dumped = ALTERNATIVE.search(claim) or HEDGE.search(claim) or _is_list(claim, texts)
        return None, "chose several options" if dumped else ""
    if not asserted:
        return None, "every option it names is negated" if all(denied for *_, denied in spoken) else ""
    letter, option = next(iter(asserted.items()))
    if _uncommitted(claim, options[letter]):
        return None, "hedged"
    extra = _without(claim, option).split()
    elsewhere = {word for other in texts.values() for word in other.split() if len(word) > 3}
    clean = len(extra) <= _MAX_EXTRA_WORDS and elsewhere.isdisjoint(extra) and not option.isdigit()
    # "Not B. Gout" denies something else, or the same thing by its letter
    strange = (
        denies(_without(claim, option))
        or _set_off(claim, options[letter]) & texts.keys() - {letter}
        or (starts_negated(claim) and not any(denied for *_, denied in spoken))
    )
    return (letter if clean and not strange else None), ""


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
    """Whether `claim` hedges, beyond the words of `option` (which may itself hold an "or")."""
    beyond = _without(claim, fold(option))
    return any(cue.search(claim) and (cue.search(beyond) or not cue.search(option)) for cue in _CUES)


def _without(claim: str, option: str) -> str:
    """`claim` folded, without the words of the folded `option`."""
    return fold(claim).replace(option, " ", 1)
