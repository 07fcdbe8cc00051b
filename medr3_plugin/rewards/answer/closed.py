"""Claims that only a choice question allows: all that can be answered is known, so the one option named stands out.

    claim = subject link REF [tail]      "The drug that blocks the cell wall is C"
          | conclusion with one REF      "Therefore, this patient needs C"
          | REF praise                   "C would be the best choice in this patient"
          | nothing new with one REF     "C blocks the cell wall", "On balance, C"

Of a sentence, only what stands before its reasons counts. It holds no doubt, nothing that is bad of an answer, and a
negation only where the question asks for an exception; new is a word that is neither plain nor the question's.
"""

from __future__ import annotations

from collections.abc import Container

from medr3_plugin.rewards.answer import closed_words, doubts, wording
from medr3_plugin.rewards.answer.beside import has_other_number, is_plain, says_bad
from medr3_plugin.rewards.answer.names import Question
from medr3_plugin.rewards.answer.reading import FIRST
from medr3_plugin.text import has_cjk, word_keys


def closed_claim(text: str, question: Question, lettered: Container[str]) -> tuple[str, str] | None:
    """(the reference that a sentence of a choice question claims, its reasons); None if it claims none.

    `lettered` are the references that the answer makes by an option's letter.
    """
    refs = set(wording.ANY_REF.findall(text))
    text = doubts.SURE.sub("", text)
    if len(refs) != 1 or has_cjk(text) or doubts.ODD.search(text):
        return None
    own = refs.pop()
    text = closed_words.INTERPOSED.sub("", closed_words.OPINION.sub("", text))
    before, _, rest = text.partition(own)
    if closed_words.RANGE_BEFORE.search(before) or closed_words.RANGE_AFTER.match(rest):
        return None  # "3 to C", where C is "4 years"
    subject, context = _without_grounds(wording.ARTICLES.sub("", before.strip()).split())
    reason = closed_words.REASON_BEGINS.search(rest)
    said, reasons = (rest[: reason.start()], rest[reason.start() :]) if reason else (rest, "")
    after = _without_apposition(said.strip(" .:;").split())
    if (
        after is None
        or not _is_clean([*subject, *said.split()], question)
        or not _is_known(context, question)
    ):
        return None
    if not _turns_as_asked(subject, after, question):
        return None
    if question.verdicts:
        claims = not after and closed_words.CHOOSES.search(" ".join(subject)) is not None
    else:
        meant = own in lettered and not after and not question.negative and _ends_in_letter(subject, question)
        claims = meant or _claims(subject, context, after, own, question)
    return (own, " ".join([*context, ",", *after, reasons])) if claims else None


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
    praise = closed_words.SUPERLATIVE.search(" ".join(after))
    praised = (
        praise is not None
        and not _new(" ".join(after)[: praise.start()].split(), question)
        and not has_other_number(after, question)
    )
    told = [word for word in (*subject, *after) if word not in wording.MARKS and word not in wording.PLAIN]
    number = question.labels[ord(own) - FIRST] in question.numbers
    return (
        (praised and not subject)
        or (not tail and (_leads(subject, question) or (len(told) > 1 and not lead)))
        or (_concludes(subject, context) and not number and (praised or doubts.FINITE.isdisjoint(after[:1])))
    )


def _ends_in_letter(subject: list[str], question: Question) -> bool:
    """Whether a letter behind these plain words is the answer: unlike a text, it is said of nothing else."""
    if not subject or _limits(subject, question):
        return False
    clause = subject[max((i + 1 for i, word in enumerate(subject) if word in (",", ":")), default=0) :]
    return not _new(clause, question)


def _limits(subject: list[str], question: Question) -> bool:
    """Whether words before a reference ask, set a condition, or say something new of the answer ("partial answer")."""
    if subject and (subject[0] in doubts.FINITE or subject[0] in closed_words.CONDITIONALS):
        return True
    names = next((i for i, word in enumerate(subject) if word in wording.NAMES_ANSWER), None)
    return closed_words.ONE_OF_SEVERAL.search(" ".join(subject)) is not None or (
        names is not None and bool(_new(subject[max(names - 1, 0) :], question))
    )


def _new(words: list[str], question: Question) -> list[str]:
    """The words that are neither plain nor the question's own."""
    known = (wording.MARKS, wording.PLAIN, wording.NAMES_ANSWER, closed_words.UNITS)
    return [word for word in words if not any(word in k for k in known) and not _is_asked(word, question)]


def _goes_on(after: list[str], question: Question) -> bool:
    """Whether the words behind a reference limit it to nothing, and do not make it part of another thing."""
    if not after:
        return True
    if closed_words.ONE_OF_SEVERAL.search(" ".join(after)):
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
            (context, wording.GROUNDS | closed_words.CONCLUDES),
            (subject, closed_words.CONCLUDES),
        )
    )


def _leads(subject: list[str], question: Question) -> bool:
    """Whether a subject ends in a link to the reference: "... is caused by C", "... is to give C"."""
    if len(subject) > 2 and subject[-2] == "to":
        subject = subject[:-2]
    if closed_words.CHOOSES.search(" ".join(subject)):
        return True
    link = next((i for i in range(len(subject) - 1, 0, -1) if subject[i] in wording.LINKS), 0)
    history = not closed_words.HISTORY.isdisjoint(subject[link:])
    return link > 0 and not history and wording.PREPOSITIONS.issuperset(_new(subject[link:], question))


def _is_known(context: list[str], question: Question) -> bool:
    """Whether a first clause does not lean on somebody unknown ("According to some, ...")."""
    leans = context[:1] == ["according"] and closed_words.SOURCES.isdisjoint(context)
    return not leans or is_plain(context, question)


def _turns_as_asked(subject: list[str], after: list[str], question: Question) -> bool:
    """Whether a sentence holds a negation only where the question asks for an exception, and then does hold one."""
    led = " ".join(subject)
    if not wording.NEGATIONS.isdisjoint([*subject, *after]):
        return question.negative and not closed_words.NOT_WHAT_IS.search(led)
    # much is true of an option where an exception is asked for
    names_answer = not wording.NAMES_ANSWER.isdisjoint([*subject, *after])
    return not question.negative or names_answer


def is_exception(text: str, own: str, question: Question) -> bool:
    """Whether a sentence says of the one option it names what the question asks for with a negation."""
    before, _, after = text.partition(own)
    if not question.negative or set(wording.ANY_REF.findall(text)) != {own}:
        return False
    if (untrue := closed_words.IS_UNTRUE.match(after)) and (
        not untrue["wrong"] or "statement" in before.split()
    ):
        return True
    denied = closed_words.IS_NOT.match(after)
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
        text = closed_words.NOT_TRUE.sub(" ", text)
    if doubts.TAKES_BACK.search(text) or doubts.WITHDRAWS.search(text):
        return False
    loaded = [*((wording.LOADED - wording.NEGATIONS) & set(words)), *filter(says_bad, words)]
    return all(_is_asked(word, question) for word in loaded)


def _is_asked(word: str, question: Question) -> bool:
    return word in question.words or not question.keys.isdisjoint(word_keys(word))


def _restates(words: list[str], question: Question, least: int) -> bool:
    """Whether all words are plain or the question's own, with at least so many that are not plain."""
    left = [
        w for w in words if w not in wording.MARKS and w not in wording.NEGATIONS and w not in wording.PLAIN
    ]
    return len(left) >= least and all(_is_asked(word, question) for word in left)
