"""Cues that an answer does not commit itself to one thing: refusal, hedging, alternatives, negation.

The cues are closed lists of words in English and Chinese, with the words for "or" of a few more languages. An
answer in words we do not know is never made right by that: a rule says "right" only for what it recognises
completely. The cues decide between "wrong" and "ask the judge".
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from medr3_plugin.text import fold, has_cjk, listed


def _alternation(phrases: str) -> str:
    return "|".join(re.escape(phrase.strip()).replace(r"\ ", " ") for phrase in phrases.split(","))


def _cue(english: str, chinese: str) -> re.Pattern[str]:
    return re.compile(
        rf"(?<![\w-])(?:{_alternation(english)})(?![\w-])|{_alternation(chinese)}", re.IGNORECASE
    )


REFUSAL = _cue(
    "cannot be determined, can not be determined, can't be determined, could not be determined, "
    "cannot determine, can't determine, cannot be answered, cannot answer, can't answer, cannot say, "
    "unable to determine, unable to answer, unable to diagnose, impossible to determine, impossible to say, "
    "not enough information, insufficient information, insufficient data, insufficient evidence, "
    "more information is needed, further testing is needed, further information is needed, "
    "i don't know, i do not know, don't know, do not know, not known, unknown, undetermined, indeterminate, "
    "unclear, unsure, not sure, not certain, no answer, no diagnosis, n/a, no idea, as an ai, "
    "consult a doctor, consult a physician, consult your doctor, see a doctor",
    "无法确定,无法判断,无法诊断,无法回答,不能确定,不能判断,难以确定,难以判断,不确定,不清楚,不知道,信息不足,资料不足,"
    "证据不足,未知,待定,建议就医,咨询医生",
)
HEDGE = _cue(
    "possibly, perhaps, maybe, might be, might, may be, could be, could also be, could, can be, "
    "cannot rule out, cannot exclude, can't rule out, not ruled out, suspected, suspicion of, "
    "differential, differentials, differential diagnosis, differential diagnoses, among others, or similar, "
    "etc, such as, one of, any of, some of, depends, depending on, if not, also consider, also possible, "
    "is possible, are possible, another possibility, alternatively, alternative",
    "可能,也许,或许,大概,疑似,不排除,不能排除,鉴别诊断,等等,之一,取决于,另一种",
)
ALTERNATIVE = _cue(
    "or, or else, and/or, either, versus, vs, vs., both, oder, ou, oppure, eller, или",
    "或者,或是,还是,或,以及,兼有",
)
# what the final answer is not: "X rather than Y" still answers X
_CONTRAST = re.compile(
    r"(?:[,;]\s*(?:and |but )?not |\(not |\brather than\b|\binstead of\b|\bas opposed to\b"
    r"|[,，、]?\s*(?:而不是|而非))",
    re.IGNORECASE,
)
# after these words comes a reason, not another answer
_CAUSE = re.compile(
    r"[,;]?\s*\b(?:because|based on"
    r"|(?:since|given)(?= (?:the|that|this|these|his|her|its|their|he|she|it|they|there|a)\b)"
    r"|as (?:evidenced|shown|suggested|indicated|supported) by"
    r"|which is (?:supported|suggested|confirmed) by)\b"
    r"|(?:\n|[.;]\s+)(?:explanation|reason|reasoning|rationale|justification|解析|解释|理由)\s*[:：]"
    r"|[，,；]?\s*(?:因为|由于|基于)",
    re.IGNORECASE,
)
# in a reason or contrast, these words add or put forward another answer
_ANOTHER = re.compile(
    r"\b(?:but|also|however|actually|equally|both|as well(?! as))\b|\btoo$"
    r"|\b(?:answer|diagnosis|choice|option) (?:is|was|would be|should be)\b"
    r"|但|答案(?:是|为)|也(?:是|对|正确|可)",
    re.IGNORECASE,
)
# a letter alone that is neither excluded nor part of a name such as "vitamin D"
_LONE_LETTER = re.compile(
    r"(?<![\w-])(?<!not )(?<!than )(?<!instead of )(?<!vitamin )(?<!hepatitis )(?<!factor )(?<!protein )"
    r"(?<!type )(?<!group )(?<!class )(?<!stage )(?<!influenza )([A-Zb-z])(?![\w'’-])(?! (?:cells?|lymphocytes?)\b)"
    r"(?! (?:is|are|was) (?:wrong|incorrect|excluded|unlikely|not|ruled out|less likely)\b)"
)

_NEGATIONS = frozenset(
    fold(word)
    for word in listed(
        "not no never neither nor without isn wasn doesn don cannot unlikely excluded excluding exclude "
        "excludes ruled absent absence negative except incorrect wrong false impossible denied unlike "
        "against none instead rather hardly barely scarcely doubt doubtful besides"
    )
)
_DENIAL = re.compile(
    r"\s*(?:is|are|was|were|can|could|would|should|does|do|did|has|have|seems|looks)(?:n[’']t\b|(?: \w+){0,3}? "
    r"(?:not|never|no|excluded|eliminated|discarded|rejected|unlikely|incorrect|wrong|false|impossible|distractors?|"
    r"less|least|ruled out|inconsistent)\b)",
    re.IGNORECASE,
)
_NEGATION_CJK = re.compile("不是|并非|而非|不支持|不考虑|排除|没有|不可能|除外|不像|否认|非|不|无")
_CLAUSE = re.compile(r"[.;:!?。；：！？\n,，]|\b(?:but|however|although|though|while|whereas)\b|但是|但|然而")
_MAX_REASON_CHARS = 300
_APART_FROM = re.compile(r"(?:other than|(?:any|every)thing but|all but|apart from|aside from)(?: an?)?$")
_YES_NO = frozenset(("yes", "no", "maybe"))
_BEFORE, _AFTER = 3, 4  # how many words away a negation still belongs to the name


def clauses(text: str) -> list[str]:
    """`text` cut at punctuation, line ends and adversative words; no empty pieces.

    >>> clauses("Not gout, but pseudogout.")
    ['Not gout', 'pseudogout']
    """
    return [piece.strip() for piece in _CLAUSE.split(text) if piece and piece.strip()]


def claim(text: str) -> str:
    """The part of `text` before its one reason ("because ...") or contrast ("rather than ...").

    Only a tail that is short and one sentence is dropped: whatever else the text says stays in the claim.

    >>> claim("gout because urate is high"), claim("gout because urate is high. Or sepsis")
    ('gout', 'gout because urate is high. Or sepsis')
    """
    cuts = [match for match in (_CAUSE.search(text), _CONTRAST.search(text)) if match and match.start() > 0]
    if not cuts:
        return text
    cut = min(cuts, key=lambda match: match.start())
    tail = text[cut.end() :]
    if len(tail) > _MAX_REASON_CHARS or re.search(r"[.;!?\n。；！？](?!\d)", tail) or HEDGE.search(tail):
        return text
    return text[: cut.start()].strip(" ,;:，；")


def takes_back(text: str, accepted: Collection[str], options: Mapping[str, str]) -> bool:
    """Whether the reason or contrast in `text` adds, or changes to, another answer.

    Args:
        text: a statement that a rule would take for a right answer.
        accepted: the accepted answers.
        options: option texts by upper-case letter; empty for open questions.

    >>> takes_back("Gout because urate is high", ["Gout"], {}), takes_back("Gout, not pseudogout", ["Gout"], {})
    (False, False)
    >>> takes_back("Gout because the answer is sepsis", ["Gout"], {}), takes_back("Gout, not gout", ["Gout"], {})
    (True, True)
    """
    cause, contrast = _CAUSE.search(text), _CONTRAST.search(text)
    first = min((cut for cut in (cause, contrast) if cut), key=lambda cut: cut.start(), default=None)
    if first is None:
        return False
    said, tail = fold(text[first.start() :]), text[first.end() :]
    gold = {fold(name) for name in accepted}
    named = {fold(option) for option in options.values()} - gold
    if said in named:
        return True  # "contradicted, not enough evidence": the option "not enough evidence"
    if any(said and said in name for name in gold | named):
        return False  # the words are part of a name
    if _ANOTHER.search(tail):
        return True
    if first is contrast:  # what it excludes may be anything but the answer itself
        if fold(tail) in gold or re.match(r"(?:just|only)\b", tail.strip(), re.IGNORECASE):
            return True
        cause = _CAUSE.search(tail)
        tail = tail[cause.end() :] if cause else ""
    right = {letter for letter, option in options.items() if letter in accepted or fold(option) in gold}
    others = {letter: fold(option) for letter, option in options.items() if letter not in right}
    letters = {letter.upper() for letter in _LONE_LETTER.findall(tail)}
    # "no difference was seen" is no answer "no"; at the end the word is one
    names = [option for option in others.values() if option not in _YES_NO]
    last = (fold(tail).split() or [""])[-1]
    answered = last in _YES_NO and last in others.values()
    return (
        answered or not letters.isdisjoint(others) or any(mentions(tail, name)[0] for name in names if name)
    )


def find(words: list[str], name: list[str]) -> int:
    """Position of `name` in `words` (both folded), -1 if it is not there."""
    width = len(name)
    if not width:
        return -1
    first = name[0]
    for start in range(len(words) - width + 1):
        if words[start] == first and words[start : start + width] == name:
            return start
    return -1


def mentions(text: str, name: str) -> tuple[bool, bool]:
    """How `text` speaks of `name`, a folded key: (asserted somewhere, negated somewhere).

    >>> mentions("not gout, but pseudogout", "gout"), mentions("it is gout", "gout")
    ((False, True), (True, False))
    """
    asserted = negated = False
    wanted = name.split()
    pieces = [fold(clause) for clause in clauses(text)]
    if len(wanted) > 1 and not any(name in piece for piece in pieces):
        pieces = [fold(text)]  # a name with punctuation of its own
    for piece in pieces:
        if has_cjk(name):
            key, short = piece.replace(" ", ""), name.replace(" ", "")
            at = key.find(short)
            if at >= 0:
                outside = key[:at] + " " + key[at + len(short) :]
                doubt = _NEGATION_CJK.search(outside) is not None
                negated, asserted = negated or doubt, asserted or not doubt
            continue
        words = piece.split()
        at = find(words, wanted)
        if at >= 0:
            around = words[max(0, at - _BEFORE) : at] + words[at + len(wanted) :][:_AFTER]
            doubt = not _NEGATIONS.isdisjoint(around) or _APART_FROM.search(" ".join(words[:at])) is not None
            negated, asserted = negated or doubt, asserted or not doubt
    return asserted, negated


def starts_negated(text: str) -> bool:
    """Whether `text` begins by denying what follows: "not gout", "no evidence of gout", "排除痛风"."""
    words = fold(text).split()[:2]
    return bool(words and (words[0] in _NEGATIONS or words[-1] in ("not", "unlikely"))) or (
        _NEGATION_CJK.match(text.strip()) is not None
    )


def denies(predicate: str) -> bool:
    """Whether a predicate denies its subject: "is incorrect", "can be excluded", "is the least likely".

    >>> denies("is wrong"), denies("would be less likely"), denies("is right, no other fits")
    (True, True, False)
    """
    return _DENIAL.match(predicate) is not None or re.match(r"\s*(?:是)?错", predicate) is not None
