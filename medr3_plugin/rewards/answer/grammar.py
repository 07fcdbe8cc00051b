"""The grammar of answers, over a reading (`reading.read`): which one label does it give?

    answer      = sentence { sentence }     all claims give one label; nothing else names another or doubts it
    sentence    = claim | elimination | comment
    claim       = [context ","] [carrier] REF [beside]     "The most likely diagnosis is C, because ..."
                | REF praise [beside]                      "C is the correct answer"
    elimination = REF "is incorrect", "rather than" REF, ...
    carrier     = plain words up to a link ("the answer is"), or evidence that points to it ("a rash suggests")
    comment     = text that names no other label and does not doubt the answer

Plain words say nothing of their own, nor do the question's; one other word and a sentence claims nothing. What an open
question's answer could be is not known, so there a comment is plain, or a whole sentence that offers no answer. What
the grammar does not cover has no label: that is for the judge.
"""

from __future__ import annotations

import itertools
import re

from medr3_plugin.rewards.answer import words as w
from medr3_plugin.rewards.answer.names import Question, abbreviates, stem
from medr3_plugin.rewards.answer.reading import FIRST, IMPRESSIONS, read, sentences
from medr3_plugin.text import has_cjk

_MIN_WORDS, _MIN_SENTENCE, _MIN_TELLING, _MIN_CJK_WORDS, _MIN_CJK = 3, 5, 8, 4, 10
_VERBS, _PLAIN, _BACKING = (frozenset(map(stem, words)) for words in (w.VERBS, w.PLAIN, w.BACKING))
_MAX_ASIDES, _MAX_SHORT = 6, 4


def label_of(text: str, question: Question) -> str | None:
    """The label that `text` (without mark-up) answers; None where the grammar does not cover it.

    >>> from medr3_plugin.rewards.answer.names import question_of
    >>> gout = question_of("", ["Gout"], {"A": "Sepsis", "B": "Gout"}, None)
    >>> [label_of(text, gout) for text in ("It is not A. The answer is B.", "Gout, not sepsis", "A or B", "B (unsure)")]
    ['B', 'B', None, None]
    """
    claimed: set[str] = set()
    denied = ""
    beside: list[str] = []
    comments: list[str] = []
    reasons: list[str] = []  # what a doubt in them is about is not the answer
    denied_before = False  # whether the sentence before denied another option: "this" is that option then
    others = False  # whether a heading says that the lines behind it are about other options
    items: set[bool] = set()  # whether items of a numbered list are the claim, and whether others are
    number = False  # whether the sentence before is the number of an item
    for sentence in sentences(read(text, question)):
        if w.OF_OTHERS.fullmatch(sentence):
            others = True
            continue
        if w.COURTESY.fullmatch(sentence.strip(w.AROUND)):
            continue
        rest, excluded = _without_denied(sentence)
        if others and (line := w.LINE_OF_OPTION.match(rest)):
            rest, excluded = rest[line.end() :], excluded + line[1]
        if excluded and question.negative and _is_plain(rest.split(), question) and rest:
            return (
                None  # what the question asks for is denied of an option: it is the exception, or it is not
            )
        denied += excluded
        found = _claim(rest, question)
        bare = not number and sentence.isdigit()
        if number or (not bare and w.ITEM.match(sentence)):
            items.add(found is not None)
        number = bare
        if found:
            claimed.add(found[0])
            reasons.append(found[1])
            beside += found[2:]
        else:
            of_denied = excluded or (denied_before and rest.split(" ", 1)[0] in w.DEICTIC)
            (reasons if of_denied else comments).append(rest)
        denied_before = bool(excluded)
    if len(claimed) != 1 or claimed & set(denied) or (question.open and len(items) > 1):
        return None
    own = claimed.pop()
    neutral = (
        all(_is_neutral(text, own, question) for text in reasons + beside + comments)
        and all(_is_sentence(text, question) for text in comments)
        and not any(_doubts_itself(text, question) for text in beside + comments)
    )
    return question.labels[ord(own) - FIRST] if neutral else None


def _without_denied(sentence: str) -> tuple[str, str]:
    """A sentence without the clauses that deny labels, and the references in these."""
    denied = ""

    def cut(clause: re.Match[str]) -> str:
        nonlocal denied
        denied += "".join(w.ANY_REF.findall(clause[0]))
        return " "

    rest = w.SPELLINGS.sub(lambda found: w.SAME[found[0]], sentence)
    rest = w.NUMBERED.sub(r"\1", w.CITATION.sub(" ", rest))
    rest, others = w.OTHERS_DENIED.subn(" ", rest)
    if w.ANY_REF.search(rest):
        rest = w.AMONG.sub(" ", rest)
        for pattern in w.DENIALS:
            rest = pattern.sub(cut, rest)
    if denied or others:
        rest = w.EMPTY_END.sub("", w.EMPTY_START.sub("", rest.strip())).replace(" but ", " ")
    return " ".join(rest.split()).replace("( )", "").strip(), denied


def _claim(text: str, question: Question) -> list[str] | None:
    """The reference that a sentence gives as the answer, its grounds, and the texts beside it; None if none."""
    text = w.SURE.sub("", text.lstrip(w.AROUND))
    found = w.ANY_REF.search(text)
    if found is None:
        return None
    own, before, after = found[0], text[: found.start()], text[found.end() :].strip()
    after = after if "(" in before else after.removeprefix(") ")  # "C) is correct"
    after, beside = _without_asides(after, own, question)
    if apposition := w.APPOSITION.match(after):  # "C, a cephalosporin, is the best drug"
        beside.append((apposition[1] or "").strip(" ,"))
        after = after[apposition.end() :].strip()
    end = w.SAID_ENDS.search(after)
    said = (after[: end.start()] if end else after).strip(w.AROUND).split()
    told = _explained(after[end.start() :].strip() if end else "", question)
    lead = before.strip(" ([").split()
    while lead and lead[-1] in ("a", "an", "(", "["):
        lead.pop()
    if told is None or w.ANY_REF.search(" ".join(said)) or (lead and lead[0] in w.CONDITIONS):
        return None
    context, lead = _without_context(lead, question)
    led = _leads(lead, question) and (not said or _praises(said, question, lead))
    if not led and not (bool(lead) != bool(said) and _restates(lead or said, question, ahead=bool(lead))):
        return None
    return [own, context, told, *beside]


def _without_asides(after: str, own: str, question: Question) -> tuple[str, list[str]]:
    """What follows a reference without other names of the same, records and sources; what stands in brackets."""
    asides = []
    for _ in range(_MAX_ASIDES):
        match = next(filter(None, (aside.match(after) for aside in (w.RECORD, w.BRACKETED))), None)
        if match is None or set(w.ANY_REF.findall(match[0])) - {own}:
            break
        if match.re is w.BRACKETED:
            said = match[1]
            short = any(
                abbreviates(said, name) or (sum(map(str.isupper, name)) > 1 and abbreviates(name, said))
                for name in question.written
            )
            if "%" in said or (question.open and not short and not _is_plain(said.split(), question)):
                break
            asides += [] if short else [said]
        after = after[match.end() :].strip()
    return after, asides


def _without_context(lead: list[str], question: Question) -> tuple[str, list[str]]:
    """A first clause that only gives grounds ("As there is no rash, ..."), and the words behind it."""
    if "," not in lead[1:]:
        return "", lead
    comma = len(lead) - 1 - lead[::-1].index(",")
    context, rest = lead[:comma], lead[comma + 1 :]
    grounds = (context[0][:2] if has_cjk(context[0]) else context[0]) in w.GROUNDS
    if _is_plain(context, question) and (rest or grounds):
        return "", rest
    limits = context[0] in ("only", "according") or w.CHINESE_DENIES.search("".join(context))
    if limits or (not grounds and _doubtful(context)):
        return "", lead
    if not (grounds or (rest and not question.open)):
        return "", lead
    if question.open:
        told = " ".join(context if has_cjk(context[0]) else context[1:])
        return "", rest if _is_ground(told) else lead
    return " ".join(context), rest


def _explained(rest: str, question: Question) -> str | None:
    """What stands behind a claim and has to be neutral; None if it is no explanation."""
    reason = w.REASON.match(rest)
    plain = not rest or (rest[0] in w.MARKS and _is_plain(rest.split(), question))
    if plain and not (question.open and reason):
        number = question.open and rest.strip(w.AROUND).isdigit()
        return None if number else rest  # "Neurofibromatosis, 2"
    if reason:
        told = rest[reason.end() :].strip()
        if reason[0].endswith(("which", "who")):
            told = f"it {told}"
        elif question.open and _is_plain(told.split(), question):
            return ""
        grounds = reason["why"] and reason["why"].split()[0] in w.GROUNDS
        return "" if question.open and grounds and _is_ground(told) else told
    told = rest[1:].strip(w.AROUND)
    said = told.split()
    if not said or w.ENDS.fullmatch(told):
        return ""
    if question.open:
        kind = rest[0] == "," and said[0] in ("a", "an") and not _doubtful(said) and _is_ground(told)
        listed = " , a " in told or " , an " in told  # "Gout, an abscess, a sprain"
        return "" if kind and not listed else told
    whole = question.verdicts or _is_said(said) or (rest[0] != "," and len(said) >= _MIN_WORDS)
    joins = not question.verdicts and (said[0] in w.JOINING or said[0] in w.LOADED)
    return told if whole and not joins else None


def _leads(lead: list[str], question: Question) -> bool:
    """Whether the words before a reference only say that the answer follows."""
    text = " ".join(lead)
    if not lead or text in ("it", "that", "only", "we") or w.NUMBERING.fullmatch(text):
        return True
    if w.ONE_OF_SEVERAL.search(text) or w.CONDITIONAL.search(text) or lead[-1] in ("was", "were"):
        return False
    own = [word for word in lead if stem(word) not in _PLAIN and word not in w.MARKS and not has_cjk(word)]
    if question.negative and own and w.NAMES_ANSWER.isdisjoint(lead):
        return False  # "the drug that lowers it is C", where one is asked for that does not
    if evidence := w.EVIDENCE.search(text):
        known = text[: evidence.start()].split()
        return (
            w.FAMILY.isdisjoint(known)
            and not _doubtful(known)
            and "only" not in known
            and _is_ground(text[: evidence.start()])
        ) and not (
            question.open and own and all(question.says(word) for word in own) and " to" in evidence[0]
        )
    linked = (
        lead[-1] in w.LINKS
        or lead[-1] in ("it", "that", "we")
        or w.CHINESE_LINK.search(lead[-1]) is not None
        or (not own and (lead[-1] == "," or w.LINK_PHRASE.search(text) is not None))
    )
    heads = question.open and lead[-1] == ":"
    if heads and w.HEADINGS.isdisjoint(lead) and _narrows(lead[:-1], question):
        return False  # "Normal pressure: hydrocephalus", but not "Renal diagnosis: gout"
    return linked and _is_plain(lead, question) and (not question.open or question.in_order(own))


def _praises(said: list[str], question: Question, lead: list[str]) -> bool:
    """Whether the words behind a reference say that it is the answer, and else nothing new."""
    text = " ".join(said)
    if w.ENDS.fullmatch(text):
        return True
    if question.negative and (lead or w.NAMES_ANSWER.isdisjoint(said)):
        return False  # much is true of an option where an exception is asked for
    conditional = said[0] == "would" and w.RANKS.isdisjoint(said)
    return (
        not (conditional or said[0] in ("was", "were"))
        and w.PRAISE.search(text) is not None
        and w.ONE_OF_SEVERAL.search(text) is None
        and w.DOUBT.search(text) is None
        and _is_plain(said, question)
    )


def _restates(said: list[str], question: Question, *, ahead: bool) -> bool:
    """Whether the words beside a reference are those of the sentence that asks, in its order: "inhibits MDM2"."""
    own = [word for word in said if word not in ("is", "are", "a", "an")]
    narrows = any(map(str.isdigit, own)) or (ahead and not _is_bare(own))
    if question.open and narrows and not _has_verb(["", *said]):
        return False  # "pulmonary hypertension", "diabetes type 2"
    known = {word.rstrip("s") for word in own} <= {word.rstrip("s") for word in question.asking_words}
    return not question.negative and bool(own) and known and question.in_order(own) and not _doubtful(own)


def _is_plain(words: list[str], question: Question) -> bool:
    """Whether all words are plain or the question's own; "1." may number the answer."""
    if len(words) == 1 and words[0].isdigit():
        return question.letters or words[0] == "1" or (len(words[0]) == 1 and not question.counts)
    return all(
        word in w.MARKS or _is_plain_in_chinese(word, question)
        if has_cjk(word) or word in w.MARKS
        else not _doubtful([word]) and (stem(word) in _PLAIN or question.says(word))
        for word in words
    )


def _is_plain_in_chinese(word: str, question: Question) -> bool:
    left = filter(None, w.CHINESE_PLAIN.split(word))
    return not w.CHINESE_DENIES.search(word) and all(
        part.isalnum() and part in question.text for part in left
    )


def _doubtful(words: list[str]) -> bool:
    """Whether one of the words doubts, or says something bad of an answer."""
    return any(
        word in w.LOADED or word in w.BAD or (word.startswith(w.LOADED_STEMS) and stem(word) not in _PLAIN)
        for word in words
    )


def _is_ground(text: str) -> bool:
    """Whether grounds for an open question's answer offer no other one, and no doubt."""
    if has_cjk(text):
        return not (w.CHINESE_OFFERS.search(text) or w.CHINESE_DENIES.search(text) or w.ANY_REF.search(text))
    text = w.HAS_FINDINGS.sub(" ", text)
    return not any(pattern.search(text) for pattern in (w.OFFERS, w.DOUBT, w.ODD, w.ANY_REF))


def _is_neutral(text: str, own: str, question: Question) -> bool:
    """Whether a text beside the claim of `own` names nothing else and takes nothing back."""
    text = w.SURE.sub("", text).strip(w.AROUND)
    if question.open:
        text = w.HEADER.sub("", text)
        words = [word for word in text.split() if word != own]
        return (_is_plain(words, question) and not _narrows(words, question)) or _tells(text, question)
    if set(w.ANY_REF.findall(text)) - {own} or w.ODD.search(text):
        return False
    if question.negative and w.IS_TRUE.search(text):
        return False  # "D. This is true", where what is not true is asked for
    label = question.labels[ord(own) - FIRST]
    says_no = question.verdicts and label == question.names.get("no")
    if question.verdicts and w.CONFIRMS_NO.search(text):  # "No, it does not"
        return says_no
    unsure = question.verdicts and label in question.unsure
    if question.verdicts and not unsure:
        turned = (w.DOUBTS_NO if says_no else w.DENIES_YES).search(text)  # "No, but it might"
        if turned or w.UNSETTLED.search(text) or w.LEFT_OPEN.search(text):
            return False
    withdraws = w.WITHDRAWS.search(text) or (says_no and w.CONFIRMS_YES.search(text))  # "No, it does"
    return not withdraws and (
        unsure
        or not w.DOUBT.search(text)
        or (not w.ANY_REF.search(text) and _is_about_something_else(text.split(), question))
    )


def _narrows(words: list[str], question: Question) -> bool:
    """Whether plain words beside an open question's answer may narrow it, as in "diabetes, type 2".

    Words that are plain because they stand somewhere in the question may, unless they are a sentence ("it explains the
    fever") or findings, as the question lists them.
    """
    scraps = []
    words = [] if len(words) == 1 and words[0].isdigit() else words  # the number of an item
    for mark, piece in itertools.groupby(words, key=lambda word: word in w.MARKS and word != "‐"):
        said = [] if mark else [word for word in piece if word not in ("a", "an")]
        link = next((i for i, word in enumerate(said) if word in w.BE_OR_HAVE), 0)
        if link and (not _is_bare(said[:link]) or _is_bare(said[link + 1 : link + 2])):
            break  # "the pain is typical", "it is the cause of the fever", but not "it is type 2"
        if not link and _has_verb(said):
            break
        content = [
            i for i, word in enumerate(said) if i >= link and (len(word) > _MAX_SHORT or not _is_bare([word]))
        ]
        scrap = [] if _is_bare(said[link:]) else said[content[0] : content[-1] + 1]
        if has_cjk("".join(scrap)):
            if _narrows_in_chinese("".join(said)):
                return True
        elif scrap and not (link and said[link] == "has" and question.quotes(scrap)):
            scraps.append(scrap)
    return bool(scraps) and not question.lists(scraps)


def _narrows_in_chinese(text: str) -> bool:
    parts = [part for part in w.CHINESE_PLAIN.split(text) if part]
    of_patient = text.startswith("患者") and not any(map(str.isdigit, text))
    return bool(parts) and not of_patient and max(map(len, parts)) < _MIN_CJK_WORDS


def _is_bare(words: list[str]) -> bool:
    """Whether all of the words are plain by themselves, whatever the question says."""
    return all(word in w.MARKS or stem(word) in _PLAIN for word in words)


def _has_verb(words: list[str]) -> bool:
    """Whether a verb stands behind the first word."""
    return any(
        (stem(word) in _VERBS and not word.endswith(("ing", "ment")))
        or (word.isalpha() and len(word) > _MIN_WORDS and word[-1] == "s" and word[-2] not in "siu")
        for word in words[1:]
    )


def _is_about_something_else(words: list[str], question: Question) -> bool:
    """Whether a doubt is not about the answer: it stands in a sentence of its own that does not speak of it."""
    long = len(words) >= (_MIN_SENTENCE if _is_said(words) else _MIN_TELLING)
    return long and (w.SELF_OF_VERDICT if question.verdicts else w.SELF).isdisjoint(words)


def _doubts_itself(text: str, question: Question) -> bool:
    """Whether a text holds a word of doubt and nothing new that it could be about: "which is unlikely"."""
    words = text.strip(w.AROUND).split()
    if question.open or question.verdicts:
        return False
    if has_cjk(text):
        return w.CHINESE_DOUBTS.fullmatch("".join(words)) is not None
    of_own = bool(words) and w.ANY_REF.match(words[0]) is not None
    if of_own and (_doubtful(words[1:4]) or not w.OF_OWN.isdisjoint(words)):
        return True  # "C. Ceftriaxone is right in children": said of the answer, but no claim
    about = of_own or (bool(words) and words[0] in w.SELF)
    return (of_own or _doubtful(words)) and all(
        word in w.PLAIN or stem(word) in _BACKING or word in w.MARKS or _doubtful([word])
        or w.ANY_REF.match(word) or (about and question.says(word))
        for word in words
    )  # fmt: skip


def _tells(text: str, question: Question) -> bool:
    """Whether a text beside an open question's answer is a whole sentence that offers no answer itself."""
    if has_cjk(text):
        return len(text) >= _MIN_CJK and not w.CHINESE_OFFERS.search(text)
    words = text.split()
    if not words or words[0] == "if" or words[0] in w.JOINING or ":" in words[:3]:
        return False
    opens = words[0] in w.OPENERS  # so no name in it is one of a list
    if not _is_said(words) or len(words) < (_MIN_SENTENCE - 1 if opens else _MIN_SENTENCE + 1):
        return False
    if any(pattern.search(text) for pattern in (w.ODD, w.DOUBT, w.OFFERS, w.ANY_REF)):
        return False
    # it is no answer to the question if it does not explain what is asked about
    asked = {word for word in words if stem(word) not in _PLAIN and question.says(word)}
    return _is_plain(words[:1], question) or (len(asked) < 2 and w.SELF.isdisjoint(words))


def _is_said(words: list[str]) -> bool:
    """Whether the words are a sentence and not a scrap: they hold a verb."""
    verbs = (stem(word) for word in words if not word.endswith(("ing", "ment")))
    return bool(words) and (not _VERBS.isdisjoint(verbs) or words[0] in w.OPENERS or has_cjk(words[0]))


def _is_fact(words: list[str]) -> bool:
    """Whether a short sentence says what something does: "It blocks the cotransporter"."""
    told = len(words) >= _MIN_WORDS and words[0] == "it" and words[1].endswith("s")
    return told and words[1] not in w.PLAIN | IMPRESSIONS and not _doubtful(words)


def _is_sentence(comment: str, question: Question) -> bool:
    """Whether a comment is long enough to say something: a scrap ("C. A second") may add an answer."""
    words = comment.strip(w.AROUND).split()
    if question.letters and comment.endswith(":"):  # a heading
        return not _doubtful(words)
    if len(words) < _MIN_SENTENCE and words and words[0] in w.DEICTIC and not _is_fact(words):
        return _is_plain(words, question)  # "That is a lie": short, and about the answer
    long = len(words) >= _MIN_WORDS or (has_cjk(comment) and len(comment) >= _MIN_CJK_WORDS)
    leads = question.letters and len(words) > 1 and w.ANY_REF.match(words[-1])  # "The trap is C"
    return (long and not leads) or _is_plain(words, question)
