"""The grammar of answers, over a reading (`reading.read`): which one label does it give?

    answer  = sentence { sentence }    at least one claims (`claims`); all claims agree; all others are neutral
    neutral = text that names no other label, unless to deny it ("B is incorrect", "rather than B"), and does not take
              the answer back

What an open question's answer could be is not known, so there neutral text says nothing new, or explains: it begins by
referring to what was said ("This ...", "The findings ..."), holds no word of doubt, and wherever an answer could follow
("... is", "... consistent with"), plain words do; or it tells: a whole sentence that says nothing of this case, its
answer or other candidates, and does not explain what is asked about by something else. What the grammar does not cover
has no label: that is for the judge.
"""

from __future__ import annotations

import re

from medr3_plugin.rewards.answer import beside, wording
from medr3_plugin.rewards.answer.claims import claim, is_exception
from medr3_plugin.rewards.answer.names import Question
from medr3_plugin.rewards.answer.reading import FIRST, read, sentences
from medr3_plugin.text import has_cjk


def label_of(text: str, question: Question) -> str | None:
    """The label that `text` (without mark-up) answers; None where the grammar does not cover it.

    >>> from medr3_plugin.rewards.answer.names import question_of
    >>> gout = question_of("", ["Gout"], {"A": "Sepsis", "B": "Gout"}, None)
    >>> [label_of(text, gout) for text in ("It is not A. The answer is B.", "Gout, not sepsis", "A or B", "B (unsure)")]
    ['B', 'B', None, None]
    """
    claimed: set[str] = set()
    denied = ""
    comments: list[str] = []
    reasons: list[str] = []  # what a doubt in them is about is not the answer
    told: list[str] = []
    denied_before = False  # whether the sentence before denied another option: "this" is that option then
    others = False  # whether a heading says that the lines behind it are about other options
    reading = read(text, question)
    for sentence, leads in _statements(reading.text, question):
        if wording.OF_OTHERS.fullmatch(sentence):
            others = True
            continue
        rest, excluded = _without_denied(sentence, question)
        if others and (line := wording.LINE_OF_OPTION.match(rest)):
            rest, excluded = rest[line.end() :], excluded + line[1]
        denied += excluded
        found = claim(rest, question, reading.lettered)
        if found:
            claimed.add(found.own)
            reasons.append(found.grounds)
            told += found.beside
        elif excluded or leads or (denied_before and rest.split(" ", 1)[0] in wording.DEICTIC):
            reasons.append(rest)
        elif beside.names_last(rest) and not question.open:
            return None  # "The trap is C"
        else:
            comments.append(rest)
        denied_before = bool(excluded)
    if len(claimed) != 1 or claimed & set(denied):
        return None
    own = claimed.pop()
    neutral = (
        all(beside.is_neutral(text, own, question) for text in comments + reasons + told)
        and all(beside.is_sentence(text, question) for text in comments)
        and not any(beside.doubts_answer(text, question) for text in comments + told)
    )
    return question.labels[ord(own) - FIRST] if neutral else None


def _statements(reading: str, question: Question) -> list[tuple[str, bool]]:
    """The sentences of a reading, and whether each gives the reason of the next ("Not a virus, so the answer is C")."""
    said: list[tuple[str, bool]] = []
    for sentence in sentences(reading):
        if " ? " in sentence:
            heading, _, rest = sentence.partition(" ? ")
            if wording.OF_OTHERS.fullmatch(heading):
                said.append((heading, False))
                sentence = rest  # noqa: PLW2901
        whole = question.open or not (" , " in sentence or "–" in sentence or "—" in sentence)
        *reasons, last = [sentence] if whole else wording.SO.split(sentence)
        said += [(part, True) for part in reasons] + [(last, False)]
    return said


def _without_denied(sentence: str, question: Question) -> tuple[str, str]:
    """A sentence without the clauses that deny labels, and the references in these."""
    denied = ""

    def cut(clause: re.Match[str]) -> str:
        nonlocal denied
        denied += "".join(wording.ANY_REF.findall(clause[0]))
        return " "

    rest = wording.SPELLINGS.sub(lambda found: wording.SAME[found[0]], sentence)
    rest = wording.NUMBERED.sub(
        r"\1", wording.CITATION.sub(" ", rest) if "(" in rest or "[" in rest else rest
    )
    named = wording.ANY_REF.search(rest)
    rest = wording.AMONG.sub(" ", rest) if named else rest
    if named and rest.startswith(wording.CONCESSIVE):
        rest = wording.CONCEDED.sub(cut, rest)
    if named and any(word in rest for word in wording.TEMPTING):
        rest = wording.TEMPTS.sub(cut, rest)
    named = named and wording.ANY_REF.search(rest)
    if named and _may_deny(rest) and not (question.negative and is_exception(rest, named[0], question)):
        for pattern in wording.DENIALS:
            rest = pattern.sub(cut, rest)
    others = 0
    if any(word in rest for word in wording.SAYS_OTHERS):
        rest, others = wording.OTHERS_DENIED.subn(" ", rest)
    if denied or others:
        rest = wording.EMPTY_END.sub("", wording.EMPTY_START.sub("", rest.strip())).replace(" but ", " ")
    return " ".join(rest.split()).replace("( )", "").strip(), denied


def _may_deny(sentence: str) -> bool:
    """Whether a sentence holds a word without which none of the denials matches; most hold none."""
    return has_cjk(sentence) or not wording.DENYING.isdisjoint(sentence.split())
