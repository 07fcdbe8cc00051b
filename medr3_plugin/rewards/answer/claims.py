"""Claims: sentences that say of one option, or of the accepted name, that it is the answer.

    claim  = [context ","] before REF said [beside]
    before = plain words that end in a link   "The most likely diagnosis is", "Answer:", "I choose"
           | evidence that points to it       "Joint pain at night is typical of"
    said   = praise                           "is the correct answer", "would be the best choice in this patient"
           | nothing new                      "inhibits MDM2", where it is asked what inhibits MDM2
    beside = brackets, reasons, explanation: `beside` looks at these

New is a word that is neither plain nor the question's. Neither side holds a doubt, anything bad, a condition, or a
negation that the question does not ask for. In a choice question all that can be answered is known, so there the words
before a link may be new, and a conclusion ("Therefore, this patient needs C") need not lead to it.
"""

from __future__ import annotations

import re
from collections.abc import Container
from itertools import pairwise, takewhile
from typing import NamedTuple

from medr3_plugin.rewards.answer import claim_words, doubts, wording
from medr3_plugin.rewards.answer.beside import (
    has_other_number,
    is_ground,
    is_plain,
    is_said,
    says_bad,
    sets_aside,
)
from medr3_plugin.rewards.answer.names import Question, abbreviates, stem
from medr3_plugin.rewards.answer.reading import FIRST
from medr3_plugin.text import has_cjk


class _Parts(NamedTuple):
    """A sentence taken apart around its first reference."""

    own: str
    context: list[str]  # a first clause that only gives grounds
    before: list[str]
    said: list[str]  # the words behind it that belong to the claim
    beside: list[str]  # texts that have to be neutral


class Claim(NamedTuple):
    """A reference that a sentence gives as the answer, and what stands beside it and is not looked at yet."""

    own: str
    grounds: str
    beside: list[str]


def claim(text: str, question: Question, lettered: Container[str]) -> Claim | None:
    """The claim of a sentence; None if it makes none.

    `lettered` are the references that the answer makes by an option's letter.
    """
    parts = _parts(text, question)
    if parts is None:
        return None
    own, context, before, said, beside = parts
    if has_cjk(" ".join([*before, *said])):
        claims = _claims_in_chinese(before, said, question)
    else:
        plainly = _leads_plainly(before, question) and _ends(before, said, question)
        claims = plainly or _claims(parts, question, lettered)
    return Claim(own, "" if question.open else " ".join(context), beside) if claims else None


def _parts(text: str, question: Question) -> _Parts | None:
    """The parts of a sentence; None if it names no label, or what stands behind the label is no explanation."""
    if not wording.ANY_REF.search(text):
        return None
    text = text.lstrip(wording.AROUND)
    text = wording.NOT_BUT.sub("", text) if question.open else text
    text = claim_words.OPINION.sub("", doubts.SURE.sub("", text))
    text = claim_words.INTERPOSED.sub("", text) if " , " in text else text
    text = claim_words.CONSIDERED.sub(r"\1 is", text) if " as " in text or " to be " in text else text
    found = wording.ANY_REF.search(text)
    if found is None:
        return None
    own, start, rest = found[0], text[: found.start()].strip(), text[found.end() :].strip()
    rest = rest if "(" in start else rest.removeprefix(") ")  # "C) is correct"
    rest, beside = _without_asides(rest, own, question)
    words = wording.ARTICLES.sub("", start).strip().split()
    context, before = _without_grounds(words, question)
    if apposition := claim_words.APPOSITION.match(rest):  # "C, a cephalosporin, is the best drug"
        beside.append((apposition[1] or "").strip(" ,"))
        rest = rest[apposition.end() :].strip()
    end = claim_words.SAID_ENDS.search(rest)
    said, rest = (rest[: end.start()], rest[end.start() :]) if end else (rest, "")
    explained = _explained(rest.strip(), question, bool(said))
    if explained is None or wording.ANY_REF.search(said):
        return None
    return _Parts(own, context, before, said.strip(wording.AROUND).split(), [*beside, explained])


def _without_grounds(words: list[str], question: Question) -> tuple[list[str], list[str]]:
    """A first clause that only gives grounds ("As there is no rash, ..."), and the words behind it."""
    comma = max((i for i, word in enumerate(words) if word == ","), default=0)
    context, before = words[:comma], words[comma + 1 :]
    if not (context and before) or context[0] not in wording.GROUNDS:
        return [], words
    said = " ".join(context[1:])
    if context[0] == "according":
        apart = is_plain(context, question)
    elif (
        question.open and context[0] in wording.CONCESSIVE
    ):  # "While croup was considered, ..." sets that aside
        apart = not doubts.TAKES_BACK.search(said)
    else:
        apart = not question.open or is_plain(context, question) or is_ground(said)
    return (context, before) if apart else ([], words)


def _without_asides(after: str, own: str, question: Question) -> tuple[str, list[str]]:
    """What follows a reference without other names of the same, records and sources; what stands in brackets."""
    asides = []
    for _ in range(wording.MAX_ASIDES):
        found = (aside.match(after) for aside in (wording.SAME_AS, wording.RECORD, wording.BRACKETED))
        match = next(filter(None, found), None)
        if match is None or set(wording.ANY_REF.findall(match[0])) - {own}:
            break
        if match.re is wording.BRACKETED:
            said = match[1]
            if any(
                abbreviates(said, name) or (sum(map(str.isupper, name)) > 1 and abbreviates(name, said))
                for name in question.written
            ):
                said = ""
            if "%" in said or (
                question.open
                and not is_plain([word for word in said.split() if word not in doubts.COMMON], question)
            ):
                break
            asides.append(said)
        after = after[match.end() :].strip()
    return after, asides


def _explained(  # noqa: PLR0911 - one return a kind of explanation
    rest: str, question: Question, praised: bool
) -> str | None:
    """What stands beside a claim and has to be neutral; None if it is no explanation."""
    if not rest or (question.open and sets_aside(rest, question)):
        return ""
    if rest[0] in wording.MARKS and is_plain(rest.split(), question):
        return rest  # ", according to the documents"
    if reason := claim_words.REASON_BEGINS.match(rest):
        told = rest[reason.end() :].strip()
        if question.open and reason["why"] in claim_words.GROUNDING and is_ground(told):
            return ""
        return f"it {told}" if reason[0].endswith(("which", "who")) else told
    told = rest[1:].strip(wording.AROUND)
    words = told.split()
    if not words or claim_words.ENDS.fullmatch(told):
        return ""
    kind = question.open and rest[0] == "," and words[0] in ("a", "an")
    if kind and wording.BADLY.isdisjoint(words) and not any(map(says_bad, words)) and is_ground(told):
        return ""  # what kind of disease it is names no other
    if question.verdicts or words[0] in ("a", "an", "this", "it", "these"):
        return told
    if words[0] in doubts.JOINING or words[0] in wording.LOADED:
        return None
    clause = rest[0] in ":–—-" or words[0] in wording.PREPOSITIONS or has_cjk(words[0])
    whole = is_said(words) or (question.letters and (praised or len(words) > 2))
    return told if (clause or (question.letters and (praised or is_said(words)))) and whole else None


def _claims_in_chinese(before: list[str], said: list[str], question: Question) -> bool:
    """Whether Chinese words around a reference only say that it is the answer."""
    text = re.sub("[ 【】]", "", "".join(before)).rstrip(":")
    *context, last = re.split("[,:]", text)
    loaded = wording.CHINESE_LOADED if question.letters else wording.CHINESE_NO_GROUND
    context = [clause for clause in context if loaded.search(clause)]
    denies = wording.CHINESE_DENIES.search(last) and not question.negative
    if denies or wording.CHINESE_DOUBT.search(last) or not is_plain(context, question):
        return False
    chosen = question.letters and last[-1:] in ("选", "择") and not wording.CHINESE_DENIES.search(last)
    link = wording.CHINESE_LINK.search(last)
    led = not last or chosen or (link is not None and is_plain([last], question))
    told = "".join(said)
    return led and (
        not told or (wording.CHINESE_PRAISE.match(told) is not None and is_plain([told], question))
    )


def _leads_plainly(before: list[str], question: Question) -> bool:
    """Whether the words before a reference, all of them plain, only say that the answer follows."""
    text = " ".join(before)
    if before in ([], ["it"], ["that"], ["only"], ["we"]) or wording.NUMBERING.fullmatch(text):
        return True
    if claim_words.ONE_OF_SEVERAL.search(text) or claim_words.CONDITIONAL.search(text):
        return False
    words = list(before)
    while len(words) > 1 and words[-1] in wording.SURELY and words[-2] in (wording.LINKS | wording.SURELY):
        words.pop()
    told = [word for word in words if word not in wording.MARKS]
    if question.negative and not wording.PLAIN.issuperset(told) and wording.NAMES_ANSWER.isdisjoint(words):
        return False  # "the drug that lowers it is C", where one is asked for that does not
    if words[-1] in wording.LINKS or words[-1] in ("it", "that", "we"):  # "I think it's C"
        states = words[-1] not in wording.PAST and words[0] not in wording.CONDITIONS
        return states and is_plain(words[:-1], question) and relates_as_asked(words, question)
    led = words[-1] == "," or wording.LINK_PHRASE.search(text) is not None
    return led and wording.PLAIN.issuperset(told)


def _ends(before: list[str], said: list[str], question: Question) -> bool:
    """Whether the words behind a reference end the claim, or say that it is the answer."""
    if not said or claim_words.ENDS.fullmatch(" ".join(said)):
        return True
    true = said[:2] in (["is", "correct"], ["is", "true"], ["is", "right"])
    if question.negative and before and true:
        return False  # where an exception is asked for, "so D is correct" may say that it is none
    return (
        wording.NEGATIONS.isdisjoint(said)
        and _praises(said, question)
        and _goes_on(said, question)
        and _is_clean(said, question)
    )


def _claims(parts: _Parts, question: Question, lettered: Container[str]) -> bool:
    """Whether words that are not all plain make a reference the answer."""
    own, context, before, said, _ = parts
    text = " ".join(before)
    if claim_words.RANGE_BEFORE.search(f"{text} ") or claim_words.RANGE_AFTER.match(" " + " ".join(said)):
        return False  # "3 to C", where C is "4 years"
    clean = _is_clean([*before, *said], question) and not claim_words.CONDITIONAL.search(text)
    if not clean or doubts.ODD.search(text) or not _turns_as_asked(before, said, question):
        return False
    if question.open:
        return _names_answer(before, said, question)
    if question.verdicts:
        return not said and claim_words.CHOOSES.search(text) is not None
    meant = own in lettered and not said and not question.negative and _ends_in_letter(before, question)
    return meant or _concludes_in(before, context, said, own, question)


def _concludes_in(
    subject: list[str], context: list[str], after: list[str], own: str, question: Question
) -> bool:
    """Whether the words around the reference `own` make it the answer.

    They do if they deny what the question asks to deny, conclude, lead to the option, praise it, or say nothing that
    the question does not. Where they speak of the answer, they say nothing new of it ("a partial answer is").
    """
    if not wording.NEGATIONS.isdisjoint(after):
        return is_exception(" ".join([*subject, own, *after]), own, question)
    if not (subject or after) or not _goes_on(after, question) or _limits(subject, question):
        return False
    lead, tail = _new(subject, question), _new(after, question)
    praised = _praises(after, question)
    told = _told([*subject, *after])
    number = question.labels[ord(own) - FIRST] in question.numbers
    return (
        (praised and not subject)
        or (not tail and (_leads(subject, question) or (len(told) > 1 and not lead and question.asks(told))))
        or (_concludes(subject, context) and not number and (praised or doubts.FINITE.isdisjoint(after[:1])))
    )


def _names_answer(subject: list[str], after: list[str], question: Question) -> bool:
    """Whether the words around an accepted name make it the answer and, evidence aside, say nothing new."""
    related = relates_as_asked(subject, question) and relates_as_asked(after, question)
    if not related or not (subject or after) or not _goes_on(after, question) or _limits(subject, question):
        return False
    before = " ".join(subject)
    if led := claim_words.CHOOSES.search(before):
        return not _new(after, question) and _is_evidence(before[: led.start()])
    if not subject and _praises(after, question):
        return True
    calls_answer = not wording.NAMES_ANSWER.isdisjoint(subject)
    if _new([*subject, *after], question) or (calls_answer and subject[-1] not in wording.LINKS):
        return False  # "the answer is caused by"
    told = _told([*subject, *after])
    if question.asks(told) and not subject and (after[0] in ("is", "are") or len(after) == 1):
        return bool(told) or question.counts  # "Thiamine deficiency", "Thiamine is deficient"
    return (len(told) > 1 and question.asks(told)) or _leads(subject, question)


def _praises(after: list[str], question: Question) -> bool:
    """Whether words say of the option before them that it is the answer, and else nothing new.

    Of the best of several known options, it may be said for what: "the most likely cause of her palpitations".
    """
    text = " ".join(after)
    praise = claim_words.SUPERLATIVE.search(text)
    if praise is None or has_other_number(after, question):
        return False
    tail = text[praise.end() :].split()
    if not question.open and praise[0] in ("most", "mostlikely", "best"):
        tail = list(takewhile(lambda word: word not in wording.PREPOSITIONS, tail))
    return not _new([*text[: praise.start()].split(), *tail], question)


def _is_evidence(text: str) -> bool:
    """Whether text before "suggests", "points to", ... tells of findings, without a doubt or another's opinion."""
    words = text.split()
    return wording.BADLY.isdisjoint(words) and not any(map(says_bad, words)) and is_ground(text)


def _told(words: list[str]) -> list[str]:
    """The words that are not plain."""
    return [word for word in words if word not in wording.MARKS and word not in wording.PLAIN]


def _ends_in_letter(subject: list[str], question: Question) -> bool:
    """Whether a letter behind these plain words is the answer: unlike a text, it is said of nothing else."""
    if not subject or subject[-1] == "of" or _limits(subject, question):
        return False
    clause = subject[max((i + 1 for i, word in enumerate(subject) if word in (",", ":")), default=0) :]
    return not _new(clause, question)


def _limits(subject: list[str], question: Question) -> bool:
    """Whether words before a reference ask, set a condition, or say something new of the answer ("partial answer")."""
    if subject and (subject[0] in doubts.FINITE or subject[0] in claim_words.CONDITIONALS):
        return True
    if subject[:1] == ["only"] and subject[1:2] != [","]:
        return True  # "only in children, the answer is"
    if any(word == "most" and _new([behind], question) for word, behind in pairwise(subject)):
        return True  # "the most expensive is"
    names = next((i for i, word in enumerate(subject) if word in wording.NAMES_ANSWER), None)
    return claim_words.ONE_OF_SEVERAL.search(" ".join(subject)) is not None or (
        names is not None and bool(_new(subject[max(names - 1, 0) :], question))
    )


def _new(words: list[str], question: Question) -> list[str]:
    """The words that are neither plain nor the question's own."""
    known = (wording.MARKS, wording.PLAIN, wording.NAMES_ANSWER)
    return [word for word in words if not any(word in k for k in known) and not question.says(word)]


def _goes_on(after: list[str], question: Question) -> bool:
    """Whether the words behind a reference limit it to nothing, and do not make it part of another thing."""
    if not after:
        return True
    if claim_words.ONE_OF_SEVERAL.search(" ".join(after)):
        return False
    if after[0] == "would" and claim_words.RANKS.isdisjoint(after):
        return False
    first = after[0]
    follows = first in doubts.FINITE or first in wording.PREPOSITIONS or not _new([first], question)
    where = next((i for i, word in enumerate(after) if word in wording.PREPOSITIONS), len(after))
    return (
        follows  # not "ceftriaxone wall"
        and first not in doubts.JOINING
        and not _new(sorted(wording.BADLY & set(after)), question)
        and (first != "would" or not _new(after[where:], question))  # "C would be right in children"
    )


def _concludes(subject: list[str], context: list[str]) -> bool:
    """Whether a sentence draws a conclusion: "Therefore, this patient needs C"."""
    return any(
        bool(words) and words[0] in firsts
        for words, firsts in (
            (context, wording.GROUNDS | claim_words.CONCLUDES),
            (subject, claim_words.CONCLUDES),
        )
    )


def _leads(subject: list[str], question: Question) -> bool:
    """Whether a subject ends in a link to the reference: "... is caused by C", "... is to give C"."""
    if len(subject) > 2 and subject[-2] == "to":
        subject = subject[:-2]
    if led := claim_words.CHOOSES.search(" ".join(subject)):
        evidence = " ".join(subject)[: led.start()].split()
        return not any(word in wording.FAMILY and not question.says(word) for word in evidence)
    link = next((i for i in range(len(subject) - 1, 0, -1) if subject[i] in wording.LINKS), 0)
    if link and subject[link - 1] in ("it", "that", "this") and _new(subject[: link - 1], question):
        return False  # "half of the time it is"
    history = not claim_words.HISTORY.isdisjoint(subject[link:])
    return link > 0 and not history and wording.PREPOSITIONS.issuperset(_new(subject[link:], question))


def _turns_as_asked(subject: list[str], after: list[str], question: Question) -> bool:
    """Whether a sentence holds a negation only where the question asks for an exception, and then does hold one."""
    led = " ".join(subject)
    if not wording.NEGATIONS.isdisjoint([*subject, *after]):
        return question.negative and not claim_words.NOT_WHAT_IS.search(led)
    # much is true of an option where an exception is asked for
    names_answer = not wording.NAMES_ANSWER.isdisjoint([*subject, *after])
    return not question.negative or names_answer


def is_exception(text: str, own: str, question: Question) -> bool:
    """Whether a sentence says of the one option it names what the question asks for with a negation."""
    before, _, after = text.partition(own)
    if not question.negative or set(wording.ANY_REF.findall(text)) != {own}:
        return False
    if (untrue := claim_words.IS_UNTRUE.match(after)) and (
        not untrue["wrong"] or "statement" in before.split()
    ):
        return True
    denied = claim_words.IS_NOT.match(after)
    return denied is not None and _restates(after[denied.end() :].split(), question, 1)


def _is_clean(words: list[str], question: Question) -> bool:
    """Whether the words doubt nothing and say nothing bad that the question does not say itself."""
    text = " ".join(words)
    if doubts.TAKES_BACK.search(text) or doubts.WITHDRAWS.search(text):
        return False
    loaded = [*((wording.LOADED - wording.NEGATIONS) & set(words)), *filter(says_bad, words)]
    return all(question.says(word) and word not in claim_words.MODALS for word in loaded)


def _restates(words: list[str], question: Question, least: int) -> bool:
    """Whether all words are plain or the question's own, with at least so many that are not plain."""
    left = [
        w for w in words if w not in wording.MARKS and w not in wording.NEGATIONS and w not in wording.PLAIN
    ]
    return len(left) >= least and all(question.says(word) for word in left)


def relates_as_asked(words: list[str], question: Question) -> bool:
    """Whether the words beside an answer relate it to the rest as the question does.

    What inhibits A is not what "A inhibits B" names: the words stand in the question's order, or turned round with
    an active verb made passive.
    """
    *_, last = " ".join(words).strip(" ,").split(" , ")
    said = last.split()
    own = [place for word in said if (place := _place(word, question)) is not None]
    turned = len(own) > 1 and own[0] > own[-1]
    return turned == (len(own) > 1 and _is_passive(said) != _is_passive(question.asking.split()))


def _place(word: str, question: Question) -> int | None:
    """Where a word of content, in any of its forms, stands in the question."""
    kind = word == question.asked_for and not word.endswith("s")  # "which kinase", but not "what causes"
    bears = not kind and (word not in wording.PLAIN or word.startswith(("lead", "cause")))
    return question.places.get(stem(word)) if bears else None


def _is_passive(words: list[str]) -> bool:
    return any(
        after in ("by", "from", "with") and word.endswith(("ed", "s", "t", "n"))
        for word, after in pairwise(words)
    )
