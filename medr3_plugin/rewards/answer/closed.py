"""Claims that only a choice question allows: all that can be answered is known, so the one option named stands out.

    claim = subject link REF [tail]      "The drug that blocks the cell wall is C"
          | conclusion with one REF      "Therefore, this patient needs C"
          | REF predicate                "C would be the best choice in this patient"

Of a sentence, only what stands before its reasons counts. It holds no doubt, nothing that is bad of an answer, and a
negation only where the question asks for an exception; whatever the question says may stand in it.
"""

from __future__ import annotations

from medr3_plugin.rewards.answer import closed_words, doubts, wording
from medr3_plugin.rewards.answer.beside import is_plain, says_bad
from medr3_plugin.rewards.answer.names import Question
from medr3_plugin.rewards.answer.reading import FIRST
from medr3_plugin.text import has_cjk, word_keys


def closed_claim(text: str, question: Question) -> tuple[str, str] | None:
    """(the reference that a sentence of a choice question claims, its reasons); None if it claims none."""
    refs = set(wording.ANY_REF.findall(text))
    if len(refs) != 1 or has_cjk(text) or doubts.ODD.search(text):
        return None
    own = refs.pop()
    text = closed_words.OPINION.sub("", text)
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
        claims = _claims(subject, context, after, own, question)
    return (own, " ".join([*context, ",", *after, reasons])) if claims else None


def _claims(subject: list[str], context: list[str], after: list[str], own: str, question: Question) -> bool:
    """Whether the words around the reference `own` make it the answer, in one of the three forms."""
    negated = not wording.NEGATIONS.isdisjoint(after)
    grounds = bool(context) and context[0] in wording.GROUNDS
    concluded = grounds or any(words and words[0] in closed_words.CONCLUDES for words in (subject, context))
    number = question.labels[ord(own) - FIRST] in question.numbers
    return (
        (
            concluded
            and not negated
            and not number
            and _stands_free(subject, question)
            and _concludes(after, question)
        )
        or _leads(subject, after, question)
        or (closed_words.NAMES_OPTION.issuperset(subject) and _identifies(after, question))
        or (negated and is_exception(" ".join([*subject, own, *after]), own, question))
    )


def _stands_free(subject: list[str], question: Question) -> bool:
    """Whether the word before a reference is no noun that makes it part of another thing ("bilayer lipids")."""
    if not subject:
        return True
    last = subject[-1]
    known = (wording.PLAIN, wording.MARKS, doubts.FINITE, closed_words.BEHIND_LINK, closed_words.CONCLUDES)
    return (
        last.endswith(("s", "ed", "ing"))
        or any(last in words for words in known)
        or _is_asked(last, question)
    )


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
    return not question.negative or names_answer or closed_words.COMMITTED.search(led) is not None


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
    if "," in subject:  # "It has no cell wall, pointing to C"
        comma = len(subject) - 1 - subject[::-1].index(",")
        if subject[comma + 1 :] and subject[comma + 1] in closed_words.POINTING:
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
    if loaded and not question.negative and not wording.ABOUT_ANSWERS.isdisjoint(words):
        return False  # "the second best answer is", though the question is about the second trimester
    return all(_is_asked(word, question) for word in loaded)


def _is_asked(word: str, question: Question) -> bool:
    return word in question.words or not question.keys.isdisjoint(word_keys(word))


def _restates(words: list[str], question: Question, least: int) -> bool:
    """Whether all words are plain or the question's own, with at least so many that are not plain."""
    left = [
        w for w in words if w not in wording.MARKS and w not in wording.NEGATIONS and w not in wording.PLAIN
    ]
    return len(left) >= least and all(_is_asked(word, question) for word in left)


def _concludes(after: list[str], question: Question) -> bool:
    """Whether a conclusion may go on so behind the option it names."""
    if after and after[0] in doubts.FINITE:
        return _identifies(after, question)
    return not after or (after[0].isalpha() and _opens_nothing(after[0]))


def _opens_nothing(word: str) -> bool:
    """Whether a word behind a reference opens no second answer and no doubt."""
    return word not in doubts.JOINING and word not in wording.LOADED


def _leads(subject: list[str], after: list[str], question: Question) -> bool:
    """Whether a subject leads to the reference, and no new predicate follows."""
    words = list(subject)
    while words and words[-1] in closed_words.BEHIND_LINK:
        words.pop()
    linked = (len(words) > 1 and words[-1] in ("is", "are", "be", "=")) or closed_words.CHOOSES.search(
        " ".join(subject)
    )
    if not linked and not _restates(subject, question, 2):
        return False
    if not after or after[0] in wording.PREPOSITIONS or closed_words.UNITS.issuperset(after):
        return True
    return doubts.FINITE.isdisjoint(after) and _opens_nothing(after[0]) and _restates(after, question, 0)


def _identifies(after: list[str], question: Question) -> bool:
    """Whether a predicate says of its subject that it is what is asked for."""
    if not after or after[0] not in doubts.FINITE:
        return bool(after) and after[0] not in doubts.JOINING and _restates(after, question, 2)
    where = next((i for i, word in enumerate(after) if word in wording.PREPOSITIONS), len(after))
    if after[0] == "would" and not _restates(after[where:], question, 0):
        return False  # "C would be right in children"
    text = " ".join(after)
    best = closed_words.SUPERLATIVE.search(text) or closed_words.DEFINES.match(text)
    return (best is not None and wording.NEGATIONS.isdisjoint(after)) or _restates(after[1:], question, 2)
