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

from medr3_plugin.rewards.answer import beside, doubts, wording
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
    neutral = all(beside.is_neutral(text, own, question) for text in comments + reasons)
    return (
        question.labels[ord(own) - FIRST]
        if neutral and all(beside.is_sentence(c, question) for c in comments)
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
    if after.startswith((",", "(", "[", "–", "—", "-", ":")) and beside.is_plain(after.split(), question):
        return ref[0], " , ".join([*asides, after])  # ", according to the documents", "(most likely)"
    after = after.removeprefix(", ") if after.startswith(", is ") else after
    after = after.removeprefix(": ") if after.startswith(": correct") else after
    if found := wording.IDENTIFIES.match(after):
        rest = after[found.end() :].split()
        known = (found["best"] or found["well"]) and not question.open
        if wording.BADLY.isdisjoint(rest) and (known or beside.is_plain(rest, question)):
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
    if not after or (question.open and beside.sets_aside(after, question)):
        return ref[0], " , ".join(asides)
    grounds = wording.BECAUSE.match(after) if question.open else None
    if grounds and beside.is_ground(after[grounds.end() :], question):
        return ref[0], " , ".join(asides)
    for pattern, applies in (
        (wording.REASON, True),
        (wording.TAIL, not question.verdicts),
        (wording.VERDICT_GOES_ON, question.verdicts),
    ):
        if applies and (opened := pattern.match(after)):
            return ref[0], " , ".join([*asides, after[opened.end() :]])
    opened = wording.GOES_ON.match(after)
    if opened and (
        beside.is_said(words := after[opened.end() :].split()) or (question.letters and len(words) > 2)
    ):
        return ref[0], " , ".join([*asides, after[opened.end() :]])
    return None


def _without_context(before: str, question: Question) -> tuple[str, str]:
    """A first clause that only gives grounds ("As there is no rash, ..."), and the rest."""
    context, comma, carrier = before.rpartition(" ,")
    first, _, said = context.partition(" ")
    if not (comma and carrier.strip() and first in wording.GROUNDS):
        return "", before
    plain = beside.is_plain(said.split(), question)
    if (first == "according" and not plain) or (
        question.open and not plain and not beside.is_ground(said, question)
    ):
        return "", before
    return context, carrier.strip()


def _without_asides(after: str, own: str, question: Question) -> tuple[str, list[str]]:
    """What follows a reference without other names of the same, records and sources; what stands in brackets."""
    asides = []
    for _ in range(wording.MAX_ASIDES):
        found = (aside.match(after) for aside in (wording.SAME_AS, wording.RECORD, wording.BRACKETED))
        match = next(filter(None, found), None)
        if match is None or set(wording.ANY_REF.findall(match[0])) - {own}:
            break
        if match.re is wording.BRACKETED:
            known = doubts.COMMON | doubts.KINDS_OF_DISEASE
            if "%" in match[1] or (
                question.open
                and not beside.is_plain([w for w in match[1].split() if w not in known], question)
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
        return beside.is_plain(context, question) and (
            wording.CHINESE_CARRIER.fullmatch(last) is not None
            or (before[-1] in "是为:" and beside.is_plain([last.rstrip("是为")], question))
        )
    whole = wording.WHOLE_OF_PARTS.match(before) if question.open else None
    if (
        whole
        and beside.is_ground(whole["parts"], question)
        and wording.LOADED.isdisjoint(whole["parts"].split())
    ):
        before = before[: whole.start("parts")] + before[whole.end("parts") + 1 :]
    words = before.split()
    while len(words) > 1 and words[-1] in wording.SURELY and words[-2] in (wording.LINKS | wording.SURELY):
        words.pop()
    if words[0] == "according" and not beside.is_plain(before.partition(" ,")[0].split(), question):
        return False
    if question.letters and (wording.LOADED.isdisjoint(words) and not doubts.TAKES_BACK.search(before)):
        # where the other options are known, any words may lead to the answer
        last = words[len(words) - words[::-1].index(",") :] if "," in words else words
        if last and not beside.is_plain(last, question) and not _is_matter(last):
            return False
        opens = words[-1] == "," and (words[0] in wording.OPENS or beside.is_plain(words, question))
        led = opens or words[-1] in wording.LINKS
        return (led or wording.LINK_PHRASE.search(before) is not None) and not doubts.ODD.search(before)
    if words[-1] in wording.LINKS:
        return words[-1] not in wording.PAST and beside.is_plain(words[:-1], question)
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
            for words in (wording.ABOUT_ANSWERS, wording.BADLY, wording.FAMILY, doubts.FINITE)
        )
    )
