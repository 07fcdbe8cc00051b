"""The text beside a claim: whether it is neutral, so that the claim stands (see `grammar`)."""

from __future__ import annotations

from medr3_plugin.rewards.answer import doubts, wording
from medr3_plugin.rewards.answer.names import Question, stem
from medr3_plugin.rewards.answer.reading import FIRST
from medr3_plugin.text import has_cjk


def is_plain(words: list[str], question: Question) -> bool:
    """Whether all words are plain or the question's own; "1." may number the answer."""
    numbered = (
        len(words) == 1
        and words[0].isdigit()
        and (question.letters or words[0] == "1" or (len(words[0]) == 1 and not question.counts))
    )
    return numbered or all(
        word in wording.MARKS
        or (
            (word in wording.PLAIN or (question.says(word) and not has_cjk(word)))
            and word not in wording.LOADED
        )
        or (
            has_cjk(word)
            and all(
                not part or (part.isalnum() and part in question.text)
                for part in wording.CHINESE_PLAIN.split(word)
            )
        )
        for word in words
    )


def has_other_number(words: list[str], question: Question) -> bool:
    """Whether a number among the words is none of the question's: "best in type 1", where it asks about type 2."""
    return any(word.isdigit() and word not in question.words for word in words)


def says_bad(word: str) -> bool:
    """Whether a word says something bad of an answer, or what it once was."""
    return word in wording.BAD or (word.startswith(wording.BAD_STEMS) and word != "considering")


def is_ground(text: str) -> bool:
    """Whether what follows "given", "because", ... beside an open question's answer offers no other and no doubt."""
    text = doubts.HAS_FINDINGS.sub(" ", text)
    return wording.FAMILY.isdisjoint(text.split()) and not any(
        pattern.search(text) for pattern in (doubts.OFFERS, doubts.TAKES_BACK, doubts.ODD, wording.ANY_REF)
    )


def is_neutral(text: str, own: str, question: Question) -> bool:
    """Whether a text beside the claim of `own` names nothing else and takes nothing back."""
    text = doubts.SURE.sub("", text).strip(wording.AROUND)
    if question.open:
        words = [word for word in doubts.HEADER.sub("", text).split() if word != own]
        return (
            is_plain(words, question)
            or _explains(words, question)
            or (own not in text and _tells(text, question))
        )
    if set(wording.ANY_REF.findall(text)) - {own} or doubts.ODD.search(text):
        return False
    if question.negative and doubts.IS_TRUE.search(text):
        return False  # "D. This is true", where what is not true is asked for
    if question.verdicts and question.labels[ord(own) - FIRST] in question.unsure:
        return not doubts.WITHDRAWS.search(text)
    if question.verdicts and question.labels[ord(own) - FIRST] == question.names.get("no"):
        text = doubts.CONFIRMS_NO.sub("", text)
    doubted = doubts.TAKES_BACK.search(text) or doubts.WITHDRAWS.search(text)
    return not doubted or _is_about_something_else(text, question)


def doubts_answer(text: str, question: Question) -> bool:
    """Whether a text holds a doubt and nothing new that it could be about: "which is unlikely" is about the answer.

    A sentence about the answer that claims nothing and says nothing new ("C is one of the options") is one, too.
    """
    if question.verdicts:
        return False
    words = text.strip(wording.AROUND).split()
    if has_cjk(text):
        return wording.CHINESE_DOUBTS.fullmatch("".join(words)) is not None
    doubt = [word for word in words if word in wording.LOADED or says_bad(word)]
    of_own = bool(words) and wording.ANY_REF.match(words[0]) is not None
    said = [word for word in words[2:4] if word != "considered"]
    if of_own and any(word in doubts.OF_OWN or says_bad(word) for word in said):
        return True  # "C. Ceftriaxone is right in children", "... is one of the answers", "... is better avoided"
    about = of_own or (bool(words) and words[0] in doubts.SELF)
    known = (wording.PLAIN, wording.MARKS, wording.NAMES_ANSWER, doubt)
    return bool(doubt or of_own) and all(
        any(word in some for some in known) or wording.ANY_REF.match(word) or (about and question.says(word))
        for word in words
    )


def _tells(text: str, question: Question) -> bool:
    """Whether a text beside an open question's answer is a whole sentence that offers no answer itself."""
    if has_cjk(text):
        return len(text) >= doubts.MIN_CJK_SENTENCE and not doubts.CHINESE_OFFERS.search(text)
    text = doubts.HEADER.sub("", text)
    words = text.split()
    if not words or words[0] == "if":
        return False  # a condition is no fact
    denied = doubts.DENIED.search(text) if doubts.SELF.isdisjoint(words) else None
    opens = words[0] in doubts.OPENERS  # so no name in it is one of a list
    short = denied or (opens and not doubts.FINITE.isdisjoint(words))
    said = is_said(words) or (opens and any(word.endswith("ed") for word in words))
    whole = said and len(words) >= (doubts.MIN_SENTENCE - 1 if short else doubts.MIN_SENTENCE + 1)
    if not whole or words[0] in doubts.JOINING or ":" in words[:3] or doubts.ODD.search(text):
        return False
    if denied:
        text = text[: denied.start()] + text[denied.end() :]
    if doubts.TAKES_BACK.search(text) or doubts.OFFERS.search(text):
        return False
    if is_plain(words[:1], question) or denied:
        return True
    # something new: it is no answer to the question if it does not explain what is asked about
    asked = [word for word in words if word not in wording.PLAIN and question.says(word)]
    return len(set(asked)) < 2 and doubts.SELF.isdisjoint(words)


def sets_aside(after: str, question: Question) -> bool:
    """Whether the text behind a reference is "not ..." or "rather than ..." with a new name, and no more."""
    if not (found := doubts.SET_ASIDE.fullmatch(after)):
        return False
    return not any(
        word in wording.LOADED
        or word.endswith(("ing", "ed", "ly"))
        or (word not in doubts.HEADS and is_plain([word], question))
        for word in found["name"].split()
    )


def _is_about_something_else(text: str, question: Question) -> bool:
    """Whether a doubt in `text` is not about the answer: a sentence of its own that does not speak of it."""
    own_words = doubts.SELF_OF_VERDICT if question.verdicts else doubts.SELF
    if wording.ANY_REF.search(text) or doubts.WITHDRAWS.search(text):
        return False
    if has_cjk(text):
        return len(text) >= doubts.MIN_CJK_SENTENCE and not doubts.CHINESE_SELF.search(text)
    words = text.split()
    return (
        len(words) >= doubts.MIN_SENTENCE
        and own_words.isdisjoint(words)
        and (is_said(words) or len(words) >= doubts.MIN_TELLING)
    )


def is_said(words: list[str]) -> bool:
    """Whether the words are a sentence and not a scrap: they hold a verb."""
    verbs = (stem(word) for word in words if not word.endswith("ing"))
    return bool(words) and (
        not doubts.VERBS.isdisjoint(verbs) or words[0] in doubts.SUBJECTS or has_cjk(words[0])
    )


def _explains(words: list[str], question: Question) -> bool:
    """Whether a text beside an open question's answer explains that answer and names no other."""
    text = " ".join(words)
    if not words or words[0] not in doubts.EXPLAINING or not doubts.DOUBTS.isdisjoint(words[1:]):
        return False
    if doubts.ODD.search(text) or doubts.TAKES_BACK.search(text):
        return False
    awaited = words[0] in ("a", "an")  # whether an answer could stand here
    for i, word in enumerate(words):
        if awaited and word not in doubts.COMMON:
            if not (is_plain([word], question) or word.endswith("ed")):
                return False
            awaited = False
        relative = word == "that" and i > 0 and words[i - 1] in doubts.HEADS  # "a disorder that affects ..."
        joins = word in ("and", "or", ",", "being") and is_plain(words[max(i - 1, 0) : i], question)
        leads = word in wording.LINKS or wording.LINK_PHRASE.search(" ".join(words[max(i - 1, 0) : i + 1]))
        if joins or (leads and not relative):
            awaited = True
    return True


def names_last(text: str) -> bool:
    """Whether a sentence leads to the label that it names."""
    told = text.strip(wording.AROUND)
    return " " in told and wording.ANY_REF.match(told[-1]) is not None


def is_sentence(comment: str, question: Question) -> bool:
    """Whether a comment is long enough to say something: a scrap ("C. A second") may add an answer."""
    words = comment.strip(wording.AROUND).split()
    long = len(words) >= doubts.MIN_WORDS or (has_cjk(comment) and len(comment) >= doubts.MIN_CJK)
    if len(words) < doubts.MIN_SENTENCE and words and words[0] in wording.DEICTIC:
        # "That is a lie": short, and about the answer; "It is the thigh bone" tells of it
        long = long and question.letters and words[0] == "it" and not any(map(says_bad, words))
    if question.letters and comment.rstrip().endswith(":"):  # a heading
        long = wording.LOADED.isdisjoint(words)
    return long or is_plain(words, question)
