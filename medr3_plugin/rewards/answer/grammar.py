"""The grammar of answers, over a reading (`reading.read`): which one label does it give?

    answer      = sentence { sentence }            at least one claims; all claims agree; all others are neutral
    claim       = [carrier] REF [ending] [reason]
    carrier     = plain words that end in a link   "The most likely diagnosis is", "Answer:", "答案是"
    ending      = "is the correct answer", "是正确答案", ...
    reason      = ("because" | "since" | "," "which" | ...) neutral text
    neutral     = text that names no other label, unless to deny it ("B is incorrect", "rather than B"), and
                  does not take the answer back

More sentences claim, see `claims`. What an open question's answer could be is not known, so there neutral text says
nothing new, or explains: it begins by referring to what was said ("This ...", "The findings ..."), holds no word of
doubt, and wherever an answer could follow ("... is", "... consistent with"), plain words do; or it tells: a whole
sentence that says nothing of this case, its answer or other candidates, and does not explain what is asked about by
something else. What the grammar does not cover has no label: that is for the judge.
"""

from __future__ import annotations

import re

from medr3_plugin.rewards.answer import beside, claim_words, doubts, wording
from medr3_plugin.rewards.answer.claims import is_exception, relates_as_asked, sentence_claim
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
    reading = read(text, question)
    for sentence, leads in _statements(reading.text, question):
        if wording.OF_OTHERS.fullmatch(sentence):
            others = True
            continue
        rest, excluded = _without_denied(sentence, question)
        if others and (line := wording.LINE_OF_OPTION.match(rest)):
            rest, excluded = rest[line.end() :], excluded + line[1]
        denied += excluded
        claim = _claim(rest, question) or (
            sentence_claim(rest, question, reading.lettered) if question.letters or question.open else None
        )
        if claim is None and wording.VALUE.fullmatch(rest):
            return None  # "not: C", "alternative: C"
        if claim:
            claimed.add(claim[0])
            reasons.append(claim[1])
        else:
            of_other = excluded or (denied_before and rest.split(" ", 1)[0] in wording.DEICTIC)
            (reasons if of_other or leads else comments).append(rest)
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


def _claim(sentence: str, question: Question) -> tuple[str, str] | None:
    """(the reference that a sentence gives as the answer, its reason); None if it gives none."""
    text = sentence.lstrip(wording.AROUND)
    if question.open:
        text = wording.NOT_BUT.sub("", text)
    ref = wording.ANY_REF.search(text)
    if ref is None:
        return None
    context, carrier = _without_context(text[: ref.start()].strip(), question)
    after = text[ref.end() :].strip()
    after = after if "(" in carrier else after.removeprefix(") ")  # "C) is correct"
    after, asides = _without_asides(after, ref[0], question)
    asides += [context] if context and not question.open else []
    if named := wording.CALLED_ANSWER.match(after):  # "I consider C to be the best option"
        carrier, after = wording.CONSIDERS.sub("choose", carrier), after[named.end() :].strip()
    if not _is_carrier(carrier, question):
        return None
    reason = _reason(after, carrier, question)
    return None if reason is None else (ref[0], " , ".join([*asides, *filter(None, [reason])]))


def _reason(  # noqa: PLR0911 - one return a kind of reason
    after: str, carrier: str, question: Question
) -> str | None:
    """What stands behind a claimed reference and has to be neutral; None if the claim ends otherwise."""
    if not after:
        return ""
    if after.startswith((",", "(", "[", "–", "—", "-", ":")) and beside.is_plain(after.split(), question):
        return after  # ", according to the documents", "(most likely)"
    after = after.removeprefix(", ") if after.startswith(", is ") else after
    after = after.removeprefix(": ") if after.startswith((": correct", ": yes", ": 正确")) else after
    if found := wording.IDENTIFIES.match(after):
        rest = after[found.end() :].split()
        known = (found["best"] or found["well"]) and not question.open
        bad = not wording.BADLY.isdisjoint(rest) or beside.has_other_number(rest, question)
        plain = not bad and (known or beside.is_plain(rest, question))
        return " , ".join(rest) if plain else None
    if question.letters and wording.APPOSITION.match(after):
        return None  # what is said of the option stands behind the second comma
    if ending := wording.ENDING.match(after):
        said = (ending["said"] or "").split()
        if after.startswith("would") and claim_words.RANKS.isdisjoint(said):
            return None  # "C would be right"
        said = _behind_praise(said, carrier, question)
        if said is None:
            return None
        after = " ".join([*said, after[ending.end() :].strip()]).strip()
        mark, _, told = after.partition(" ")
        if question.letters and mark in (",", ":", "–", "—") and _opens_no_other(told):
            return told
    return _explanation(after.lstrip(")] .").rstrip(")] .,:;"), question)


def _behind_praise(said: list[str], carrier: str, question: Question) -> list[str] | None:
    """The words behind "is the best answer"; None if the predicate `said` is no praise."""
    true = said in (["correct"], ["true"], ["right"])
    if "also" in said or "known" in said[-1:] or (question.negative and carrier and true):
        return None  # where an exception is asked for, "so D is correct" may say that it is none
    cut = next((i for i, word in enumerate(said) if word in wording.REASON_WORDS), len(said))
    praise = wording.PRAISE - (wording.NAMES_ANSWER if said[:1] in (["a"], ["an"]) else set())
    if said and (praise.isdisjoint(said[:cut]) or not wording.PLAIN.issuperset(said[:cut])):
        return None
    return said[cut:]


def _explanation(after: str, question: Question) -> str | None:
    """The text of a reason; None if what stands behind a claim is no reason."""
    if not after or (question.open and beside.sets_aside(after, question)):
        return ""
    grounds = wording.BECAUSE.match(after) if question.open else None
    if grounds and beside.is_ground(after[grounds.end() :]):
        return ""
    for pattern, applies in (
        (wording.REASON, True),
        (wording.TAIL, not question.verdicts),
        (wording.VERDICT_GOES_ON, question.verdicts),
    ):
        if applies and (opened := pattern.match(after)):
            return after[opened.end() :]
    if opened := wording.GOES_ON.match(after):
        words = after[opened.end() :].split()
        if beside.is_said(words) or (question.letters and len(words) > 2):
            return after[opened.end() :]
    return None


def _without_context(before: str, question: Question) -> tuple[str, str]:
    """A first clause that only gives grounds ("As there is no rash, ..."), and the rest."""
    context, comma, carrier = before.rpartition(" ,")
    first, _, said = context.partition(" ")
    if not (comma and carrier.strip() and first in wording.GROUNDS):
        return "", before
    if question.open and first in wording.CONCESSIVE and not doubts.TAKES_BACK.search(said):
        return "", carrier.strip()  # "While croup was considered, the answer is ..." sets that aside
    if question.open or (first == "according" and not beside.is_plain(said.split(), question)):
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
            said = doubts.SURE.sub("", match[1])
            if "%" in said or (
                question.open
                and not beside.is_plain([w for w in said.split() if w not in doubts.COMMON], question)
            ):
                break
            asides.append(said)
        after = after[match.end() :].strip()
    return after, asides


def _is_carrier(  # noqa: PLR0911 - one return a kind of lead
    before: str, question: Question
) -> bool:
    """Whether the words before a reference only say that the answer follows."""
    before = wording.ARTICLES.sub("", before).strip()
    if before.endswith(" , only"):
        before = before.removesuffix(" only")
    if claim_words.ONE_OF_SEVERAL.search(before) or claim_words.CONDITIONAL.search(before):
        return False
    if before in ("", "it", "that", "only", "we") or wording.NUMBERING.fullmatch(before):
        return True
    if has_cjk(before):
        before = re.sub("[ 【】]", "", before)
        *context, last = re.split("[,:]", before.rstrip(":"))
        if question.letters:
            context = [clause for clause in context if wording.CHINESE_LOADED.search(clause)]
        if wording.CHINESE_DOUBT.search(last):
            return False
        if question.letters and last[-1:] in ("选", "择") and not wording.CHINESE_DENIES.search(last):
            return beside.is_plain(context, question)
        return beside.is_plain(context, question) and (
            wording.CHINESE_CARRIER.fullmatch(last) is not None
            or (
                before.endswith((*"是为:选", "提示", "符合", "考虑", "给予", "使用"))
                and beside.is_plain([last.rstrip("是为选")], question)
            )
        )
    words = before.split()
    while len(words) > 1 and words[-1] in wording.SURELY and words[-2] in (wording.LINKS | wording.SURELY):
        words.pop()
    if words[0] == "according" and not beside.is_plain(before.partition(" ,")[0].split(), question):
        return False
    bare = "there" not in words and (wording.PLAIN | wording.MARKS).issuperset(words)
    if question.negative and not bare and wording.NAMES_ANSWER.isdisjoint(words):
        return False  # "the drug that lowers it is C", where one is asked for that does not
    if words[-1] in wording.LINKS or words[-1] in ("it", "that", "we"):  # "I think it's C"
        told = words[-1] not in wording.PAST and words[0] not in wording.CONDITIONS
        return told and beside.is_plain(words[:-1], question) and relates_as_asked(words, question)
    led = words[-1] == "," or wording.LINK_PHRASE.search(before) is not None
    return led and wording.PLAIN.issuperset(w for w in words if w not in wording.MARKS)


def _opens_no_other(rest: str) -> bool:
    """Whether what follows the mark behind a claim begins with no second answer and no doubt."""
    first = rest.partition(" ")[0]
    return bool(first) and first not in doubts.JOINING and first not in wording.LOADED
