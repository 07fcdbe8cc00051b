"""Claims that say of one option, or of the accepted name, that it is what the question asks for.

    claim = subject link REF [tail]      "The drug that blocks the cell wall is C"
          | conclusion with one REF      "Therefore, this patient needs C"
          | REF praise                   "C would be the best choice in this patient"
          | nothing new with one REF     "C blocks the cell wall", "On balance, C"

Of a sentence, only what stands before its reasons counts. It holds no doubt, nothing that is bad of an answer, no
condition, and a negation only where the question asks for an exception; new is a word that is neither plain nor the
question's. In a choice question all that can be answered is known, so a subject may say something new; in an open
question only evidence may: reasons, and what stands before "suggests", "points to" or "is typical of".
"""

from __future__ import annotations

from collections.abc import Container
from itertools import pairwise, takewhile
from typing import NamedTuple

from medr3_plugin.rewards.answer import claim_words, doubts, wording
from medr3_plugin.rewards.answer.beside import has_other_number, is_ground, is_plain, says_bad
from medr3_plugin.rewards.answer.names import Question, stem
from medr3_plugin.rewards.answer.reading import FIRST
from medr3_plugin.text import has_cjk


class _Parts(NamedTuple):
    """A sentence that names one option, taken apart around the reference `own`."""

    own: str
    context: list[str]  # a first clause that only gives grounds
    subject: list[str]
    after: list[str]
    reasons: str


def sentence_claim(text: str, question: Question, lettered: Container[str]) -> tuple[str, str] | None:
    """(the reference that a sentence claims, the text beside it that is not looked at yet); None if it claims none.

    `lettered` are the references that the answer makes by an option's letter.
    """
    parts = _parts(text, question)
    if parts is None or not _turns_as_asked(parts.subject, parts.after, question):
        return None
    own, context, subject, after, reasons = parts
    if question.open:
        grounded = is_ground(" ".join(context[1:])) and is_ground(reasons)
        return (own, "") if grounded and _names_answer(subject, after, question) else None
    if question.verdicts:
        claims = not after and claim_words.CHOOSES.search(" ".join(subject)) is not None
    else:
        meant = own in lettered and not after and not question.negative and _ends_in_letter(subject, question)
        claims = meant or _claims(subject, context, after, own, question)
    return (own, " ".join([*context, ",", *after, reasons])) if claims else None


def _parts(text: str, question: Question) -> _Parts | None:
    """The parts of a sentence; None if it names not one option, is of no known form, or doubts what it says."""
    refs = set(wording.ANY_REF.findall(text))
    text = doubts.SURE.sub("", text)
    if len(refs) != 1 or has_cjk(text) or doubts.ODD.search(text):
        return None
    own = refs.pop()
    before, _, rest = claim_words.INTERPOSED.sub("", claim_words.OPINION.sub("", text)).partition(own)
    if claim_words.RANGE_BEFORE.search(before) or claim_words.RANGE_AFTER.match(rest):
        return None  # "3 to C", where C is "4 years"
    subject, context = _without_grounds(wording.ARTICLES.sub("", before.strip()).split())
    reason = claim_words.REASON_BEGINS.search(rest)
    said, reasons = (rest[: reason.start()], rest[reason.start() :]) if reason else (rest, "")
    after = _without_apposition(said.strip(" .:;").split())
    clean = _is_clean([*subject, *said.split()], question) and _is_known(context, question)
    if after is None or not clean or claim_words.CONDITIONAL.search(before):
        return None
    return _Parts(own, context, subject, after, reasons)


def _claims(subject: list[str], context: list[str], after: list[str], own: str, question: Question) -> bool:
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
        or (not tail and (_leads(subject, question) or (len(told) > 1 and not lead)))
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
    is_noun = not subject and (after == [question.asked_for] or (question.counts and bool(told)))
    return is_noun or len(told) > 1 or _leads(subject, question)


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
    if not subject or _limits(subject, question):
        return False
    clause = subject[max((i + 1 for i, word in enumerate(subject) if word in (",", ":")), default=0) :]
    return not _new(clause, question)


def _limits(subject: list[str], question: Question) -> bool:
    """Whether words before a reference ask, set a condition, or say something new of the answer ("partial answer")."""
    if subject and (subject[0] in doubts.FINITE or subject[0] in claim_words.CONDITIONALS):
        return True
    if any(word == "most" and _new([behind], question) for word, behind in pairwise(subject)):
        return True  # "the most expensive is"
    names = next((i for i, word in enumerate(subject) if word in wording.NAMES_ANSWER), None)
    return claim_words.ONE_OF_SEVERAL.search(" ".join(subject)) is not None or (
        names is not None and bool(_new(subject[max(names - 1, 0) :], question))
    )


def _new(words: list[str], question: Question) -> list[str]:
    """The words that are neither plain nor the question's own."""
    known = (wording.MARKS, wording.PLAIN, wording.NAMES_ANSWER, claim_words.UNITS)
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
    history = not claim_words.HISTORY.isdisjoint(subject[link:])
    return link > 0 and not history and wording.PREPOSITIONS.issuperset(_new(subject[link:], question))


def _is_known(context: list[str], question: Question) -> bool:
    """Whether a first clause does not lean on somebody unknown ("According to some, ...")."""
    leans = context[:1] == ["according"] and claim_words.SOURCES.isdisjoint(context)
    limits = context[:1] == ["in"] and not wording.BADLY.isdisjoint(context)  # "In another patient, ..."
    return not limits and (not leans or is_plain(context, question))


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


def _without_grounds(subject: list[str]) -> tuple[list[str], list[str]]:
    """The words before a reference without a first clause that only gives grounds, and that clause."""
    if subject and subject[0] in (wording.GROUNDS | wording.OPENS) and "," in subject:
        comma = subject.index(",")
        return subject[comma + 1 :], subject[:comma]
    return subject, []


def _without_apposition(after: list[str]) -> list[str] | None:
    """The words behind a reference without what stands in brackets or between commas; None for any other comma."""
    if after and after[0] == "(" and ")" in after:
        after = after[after.index(")") + 1 :]
    if not after or after[0] != ",":
        return after
    for start in (1, after.index(",", 1) + 1 if "," in after[1:] else len(after)):
        if start < len(after) and after[start] in doubts.FINITE:
            return after[start:]
    return None


def _is_clean(words: list[str], question: Question) -> bool:
    """Whether the words doubt nothing and say nothing bad that the question does not say itself."""
    text = " ".join(words)
    if question.negative:
        text = claim_words.NOT_TRUE.sub(" ", text)
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
        after in ("by", "from") and word.endswith(("ed", "s", "t", "n")) for word, after in pairwise(words)
    )
