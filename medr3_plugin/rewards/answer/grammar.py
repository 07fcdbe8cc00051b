"""The grammar of answers, over a reading (`reading.read`): which one label does it give?

    answer      = sentence { sentence }            at least one claims; all claims agree; all others are neutral
    claim       = [carrier] REF [ending] [reason]
    carrier     = plain words that end in a link   "The most likely diagnosis is", "Answer:", "答案是"
    ending      = "is the correct answer", "是正确答案", ...
    reason      = ("because" | "since" | "," "which" | ...) neutral text
    neutral     = text that names no other label, unless to deny it ("B is incorrect", "rather than B"), and
                  does not take the answer back

An open question does not say what else could be answered, so there neutral text holds plain words and words of
the question, or explains: it begins by referring to what was said ("This ...", "The findings ..."), holds no word of
doubt, and wherever an answer could follow ("... is", "... consistent with"), plain words do; or it tells: a whole
sentence that says nothing of this case, its answer or other candidates. What the grammar does not cover has no label:
that is for the judge.
"""

from __future__ import annotations

import re

from medr3_plugin.rewards.answer import wording
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
    reasons: list[str] = []
    denied_before = False  # whether the sentence before denied another option: "this" is that option then
    others = False  # whether a heading says that the lines behind it are about other options
    for sentence in sentences(read(text, question)):
        rest, excluded = _without_denied(sentence)
        if wording.OF_OTHERS.fullmatch(sentence):
            others = True
            continue
        if others and (line := wording.LINE_OF_OPTION.match(rest)):
            rest, excluded = rest[line.end() :], excluded + line[1]
        denied += excluded
        claim = _claim(rest, question)
        if claim is None and wording.VALUE.fullmatch(rest):
            return None  # "not: C", "alternative: C"
        if claim:
            claimed.add(claim[0])
            reasons.append(claim[1])
        else:
            of_other = excluded or (denied_before and rest.split(" ", 1)[0] in wording.DEICTIC)
            (reasons if of_other else comments).append(rest)
        denied_before = bool(excluded)
    if len(claimed) != 1 or claimed & set(denied):
        return None
    own = claimed.pop()
    neutral = all(_is_neutral(text, own, question) for text in comments + reasons)
    return (
        question.labels[ord(own) - FIRST]
        if neutral and all(_is_sentence(c, question) for c in comments)
        else None
    )


def _without_denied(sentence: str) -> tuple[str, str]:
    """A sentence without the clauses that deny labels, and the references in these."""
    denied = ""

    def cut(clause: re.Match[str]) -> str:
        nonlocal denied
        denied += "".join(wording.ANY_REF.findall(clause[0]))
        return " "

    rest = wording.SPELLINGS.sub(lambda found: wording.SAME[found[0]], sentence)
    rest = wording.NUMBERED.sub(r"\1", wording.CITATION.sub(" ", rest))
    for pattern in wording.DENIALS if wording.ANY_REF.search(rest) else ():
        rest = pattern.sub(cut, rest)
    rest, others = wording.OTHERS_DENIED.subn(" ", rest)
    if denied or others:
        rest = wording.EMPTY_END.sub("", wording.EMPTY_START.sub("", rest.strip())).replace(" but ", " ")
    return " ".join(rest.split()).replace("( )", "").strip(), denied


def _claim(  # noqa: PLR0911 - one return a kind of ending
    sentence: str, question: Question
) -> tuple[str, str] | None:
    """(the reference that a sentence gives as the answer, its reason); None if it gives none."""
    text = sentence.lstrip(wording.AROUND)
    ref = wording.ANY_REF.search(text)
    if ref is None:
        return None
    context, carrier = _without_context(text[: ref.start()].strip(), question)
    if not _is_carrier(carrier, question):
        return None
    after = text[ref.end() :].strip()
    after, asides = _without_asides(after, ref[0], question)
    asides += [context] if context and not question.open else []
    if after.startswith((",", "(", "[", "–", "—", "-", ":")) and _is_plain(after.split(), question):
        return ref[0], " , ".join([*asides, after])  # ", according to the documents", "(most likely)"
    after = after.removeprefix(", ") if after.startswith(", is ") else after
    after = after.removeprefix(": ") if after.startswith(": correct") else after
    if found := wording.IDENTIFIES.match(after):
        rest = after[found.end() :].split()
        known = (found["best"] or found["well"]) and not question.open
        if wording.BADLY.isdisjoint(rest) and (known or _is_plain(rest, question)):
            return ref[0], " , ".join([*asides, *rest])
        return None
    ending = wording.ENDING.match(after)
    if ending:
        said = (ending["said"] or "").split()
        cut = next((i for i, word in enumerate(said) if word in wording.REASON_WORDS), len(said))
        if said and (wording.PRAISE.isdisjoint(said[:cut]) or not wording.PLAIN.issuperset(said[:cut])):
            return None
        after = " ".join([*said[cut:], after[ending.end() :].strip()]).strip()
    after = wording.FINALLY.sub("", after.lstrip(")] .").rstrip(")] .,:;"))
    if not after or (question.open and _sets_aside(after, question)):
        return ref[0], " , ".join(asides)
    grounds = wording.BECAUSE.match(after) if question.open else None
    if grounds and _is_ground(after[grounds.end() :], question):
        return ref[0], " , ".join(asides)
    for pattern, applies in (
        (wording.REASON, True),
        (wording.TAIL, not question.verdicts),
        (wording.VERDICT_GOES_ON, question.verdicts),
    ):
        if applies and (opened := pattern.match(after)):
            return ref[0], " , ".join([*asides, after[opened.end() :]])
    opened = wording.GOES_ON.match(after)
    if opened and (_is_said(words := after[opened.end() :].split()) or (question.letters and len(words) > 2)):
        return ref[0], " , ".join([*asides, after[opened.end() :]])
    return None


def _without_context(before: str, question: Question) -> tuple[str, str]:
    """A first clause that only gives grounds ("As there is no rash, ..."), and the rest."""
    context, comma, carrier = before.rpartition(" ,")
    first, _, said = context.partition(" ")
    if not (comma and carrier.strip() and first in wording.GROUNDS):
        return "", before
    plain = _is_plain(said.split(), question)
    if (first == "according" and not plain) or (
        question.open and not plain and not _is_ground(said, question)
    ):
        return "", before
    return context, carrier.strip()


def _is_ground(text: str, question: Question) -> bool:
    """Whether what follows "given", "because", ... beside an open question's answer offers no other and no doubt."""
    text = wording.HAS_FINDINGS.sub(" ", text)
    return wording.FAMILY.isdisjoint(text.split()) and not (
        any(
            pattern.search(text)
            for pattern in (wording.OFFERS, wording.TAKES_BACK, wording.ODD, wording.ANY_REF)
        )
        or _names_disease(text.split(), question)
    )


def _without_asides(after: str, own: str, question: Question) -> tuple[str, list[str]]:
    """What follows a reference without other names of the same, records and sources; what stands in brackets."""
    asides = []
    for _ in range(wording.MAX_ASIDES):
        found = (aside.match(after) for aside in (wording.SAME_AS, wording.RECORD, wording.BRACKETED))
        match = next(filter(None, found), None)
        if match is None or set(wording.ANY_REF.findall(match[0])) - {own}:
            break
        if match.re is wording.BRACKETED:
            known = wording.COMMON | wording.KINDS_OF_DISEASE
            if "%" in match[1] or (
                question.open and not _is_plain([w for w in match[1].split() if w not in known], question)
            ):
                break
            asides.append(match[1])
        after = after[match.end() :].strip()
    return after, asides


def _is_carrier(  # noqa: PLR0911 - one return a kind of lead
    before: str, question: Question
) -> bool:
    """Whether the words before a reference only say that the answer follows."""
    before = wording.ARTICLES.sub("", before).strip()
    if before in ("", "it", "that", "only") or (question.letters and wording.NUMBERING.fullmatch(before)):
        return True
    if has_cjk(before):
        before = re.sub("[ 【】]", "", before)
        *context, last = re.split("[,:]", before.rstrip(":,"))
        if question.letters:
            context = [clause for clause in context if wording.CHINESE_LOADED.search(clause)]
        if wording.CHINESE_DOUBT.search(last):
            return False
        return _is_plain(context, question) and (
            wording.CHINESE_CARRIER.fullmatch(last) is not None
            or (before[-1] in "是为:" and _is_plain([last.rstrip("是为")], question))
        )
    whole = wording.WHOLE_OF_PARTS.match(before) if question.open else None
    if whole and _is_ground(whole["parts"], question) and wording.LOADED.isdisjoint(whole["parts"].split()):
        before = before[: whole.start("parts")] + before[whole.end("parts") + 1 :]
    words = before.split()
    while len(words) > 1 and words[-1] in wording.SURELY and words[-2] in (wording.LINKS | wording.SURELY):
        words.pop()
    if words[0] == "according" and not _is_plain(before.partition(" ,")[0].split(), question):
        return False
    if question.letters and (wording.LOADED.isdisjoint(words) and not wording.TAKES_BACK.search(before)):
        # where the other options are known, any words may lead to the answer
        last = words[len(words) - words[::-1].index(",") :] if "," in words else words
        if last and not _is_plain(last, question) and not _is_matter(last):
            return False
        opens = words[-1] == "," and (words[0] in wording.OPENS or _is_plain(words, question))
        led = opens or words[-1] in wording.LINKS
        return (led or wording.LINK_PHRASE.search(before) is not None) and not wording.ODD.search(before)
    if words[-1] in wording.LINKS:
        return words[-1] not in wording.PAST and _is_plain(words[:-1], question)
    led = words[-1] == "," or wording.LINK_PHRASE.search(before) is not None
    return led and wording.PLAIN.issuperset(w for w in words if w not in wording.MARKS)


def _is_matter(words: list[str]) -> bool:
    """Whether a lead to an option's letter or text says what the question is after ("enzyme affected is")."""
    *subject, link = words
    return (
        link == "is"
        and 0 < len(subject) <= wording.MAX_SUBJECT
        and all(word.isalpha() and word not in wording.MARKS for word in subject)
        and all(
            words.isdisjoint(subject)
            for words in (wording.ABOUT_ANSWERS, wording.BADLY, wording.FAMILY, wording.FINITE)
        )
    )


def _is_plain(words: list[str], question: Question) -> bool:
    """Whether all words are plain or the question's own; "1." may number the answer."""
    return (len(words) == 1 and words[0].isdigit() and (question.letters or words[0] == "1")) or all(
        word in wording.MARKS
        or ((word in wording.PLAIN or word in question.words) and word not in wording.LOADED)
        or (has_cjk(word) and all(part in question.text for part in wording.CHINESE_PLAIN.split(word)))
        for word in words
    )


def _is_neutral(text: str, own: str, question: Question) -> bool:
    """Whether a text beside the claim of `own` names nothing else and takes nothing back."""
    text = wording.SURE.sub("", text).strip(wording.AROUND)
    if question.open:
        words = [word for word in text.split() if word != own]
        if all(word in wording.KINDS_OF_DISEASE or _is_plain([word], question) for word in words):
            return True
        return _explains(words, question) or (own not in text and _tells(text, question))
    if set(wording.ANY_REF.findall(text)) - {own} or wording.ODD.search(text):
        return False
    if question.verdicts and question.labels[ord(own) - FIRST] in question.unsure:
        return not wording.WITHDRAWS.search(text)
    doubted = wording.TAKES_BACK.search(text) or wording.WITHDRAWS.search(text)
    return not doubted or _is_about_something_else(text, question)


def _tells(text: str, question: Question) -> bool:
    """Whether a text beside an open question's answer is a whole sentence that offers no answer itself."""
    if has_cjk(text):
        return len(text) >= wording.MIN_CJK_SENTENCE and not wording.CHINESE_OFFERS.search(text)
    text = wording.HEADER.sub("", text)
    words = text.split()
    if not wording.COMPARES.isdisjoint(words) and all(
        len(w) < wording.MIN_LETTERS or w[0].isdigit() for w in words
    ):
        return "or" not in words and not wording.ODD.search(text)  # "p < 0.05"
    denied = wording.DENIED.search(text) if wording.SELF.isdisjoint(words) else None
    if wording.ADVICE.fullmatch(text):
        return not _names_disease(words, question)
    short = denied or (words and words[0] in wording.OPENERS and not wording.FINITE.isdisjoint(words))
    whole = _is_said(words) and len(words) >= (wording.MIN_SENTENCE - 1 if short else wording.MIN_TELLING)
    if (
        not whole
        or words[0] in wording.JOINING
        or ":" in words[: wording.MIN_LETTERS]
        or wording.ODD.search(text)
    ):
        return False
    if denied:
        text = wording.SETS_ASIDE.sub(" ", text[: denied.start()] + text[denied.end() :])
    if wording.TAKES_BACK.search(text) or wording.WITHDRAWS.search(text) or wording.OFFERS.search(text):
        return False
    subjects = (
        words[max(i - wording.SUBJECT, 0) : i] for i, word in enumerate(words) if word in wording.FINITE
    )
    return denied is not None or not any(_names_disease(subject, question) for subject in subjects)


def _names_disease(words: list[str], question: Question) -> bool:
    """Whether a word among `words` ends as names of diseases do, or stands before such a word as "disease"."""
    return any(
        wording.DISEASE.fullmatch(word)
        or (word in wording.HEADS_OF_NAMES and i > 0 and not _is_plain([words[i - 1]], question))
        for i, word in enumerate(words)
    )


def _sets_aside(after: str, question: Question) -> bool:
    """Whether the text behind a reference is "not ..." or "rather than ..." with a name of a disease, and no more."""
    if not (found := wording.SET_ASIDE.fullmatch(after)):
        return False
    *first, last = found[1].split()
    known = wording.ADVERBS.isdisjoint(first) and not any(
        word.endswith(("ing", "ed", "ly")) or _is_plain([word], question) or word in wording.LOADED
        for word in first
    )
    return known and _names_disease([*first, last], question)


def _is_about_something_else(text: str, question: Question) -> bool:
    """Whether a doubt in `text` is not about the answer: a sentence of its own that does not speak of it."""
    own_words = wording.SELF_OF_VERDICT if question.verdicts else wording.SELF
    if wording.ANY_REF.search(text) or wording.WITHDRAWS.search(text):
        return False
    if has_cjk(text):
        return len(text) >= wording.MIN_CJK_SENTENCE and not wording.CHINESE_SELF.search(text)
    words = text.split()
    return (
        len(words) >= wording.MIN_SENTENCE
        and own_words.isdisjoint(words)
        and (_is_said(words) or len(words) >= wording.MIN_TELLING)
    )


def _is_said(words: list[str]) -> bool:
    """Whether the words are a sentence and not a scrap: they hold a verb."""
    return bool(words) and (
        not wording.FINITE.isdisjoint(words) or words[0] in wording.SUBJECTS or has_cjk(words[0])
    )


def _explains(words: list[str], question: Question) -> bool:
    """Whether a text beside an open question's answer explains that answer and names no other."""
    if ":" in words[:2] and words[0] in wording.HEADERS:
        words = words[words.index(":") + 1 :]
    text = " ".join(words)
    if not words or words[0] not in wording.EXPLAINING or not wording.DOUBTS.isdisjoint(words[1:]):
        return False
    if wording.ODD.search(text) or wording.TAKES_BACK.search(text):
        return False
    awaited = words[0] in ("a", "an")  # whether an answer could stand here
    for i, word in enumerate(words):
        if awaited and word not in wording.COMMON:
            if not (_is_plain([word], question) or word.endswith("ed")):
                return False
            awaited = False
        relative = word == "that" and i > 0 and words[i - 1] in wording.HEADS  # "a disorder that affects ..."
        joins = word in ("and", "or", ",", "being") and _is_plain(words[max(i - 1, 0) : i], question)
        leads = word in wording.LINKS or wording.LINK_PHRASE.search(" ".join(words[max(i - 1, 0) : i + 1]))
        if joins or (leads and not relative):
            awaited = True
    return True


def _is_sentence(comment: str, question: Question) -> bool:
    """Whether a comment is long enough to say something: a scrap ("C. A second") may add an answer."""
    words = comment.strip(wording.AROUND).split()
    long = len(words) >= wording.MIN_WORDS or (has_cjk(comment) and len(comment) >= wording.MIN_CJK)
    if len(words) < wording.MIN_SENTENCE and words and words[0] in wording.DEICTIC:
        long = False  # "That is a lie": short, and about the answer
    if question.letters and comment.rstrip().endswith(":"):  # a heading
        long = wording.LOADED.isdisjoint(words)
    return long or _is_plain([word for word in words if word not in wording.KINDS_OF_DISEASE], question)
