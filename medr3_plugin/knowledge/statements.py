"""What a text states and what it denies, clause by clause, without a vocabulary.

A clause is a bag of content words with a polarity. Denials are recognised wherever they are in the text ("None of the
following is true: ...", "That is wrong."), which triples cannot express. `agreement` compares the clauses of two texts.

English and Chinese are understood; clauses in other languages deny nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

from medr3_plugin.knowledge.asserted import FALSE, FALSE_CHINESE, asserted, denied_behind
from medr3_plugin.knowledge.stopwords import FUNCTION_WORDS
from medr3_plugin.knowledge.text import raw_words, sentences, word_form, word_forms
from medr3_plugin.knowledge.triggers import Triggers
from medr3_plugin.text import simplified

_SENTENCE_END = re.compile(r"\s(?:(?<=[.!?]\s)\s*|(?<=\n)\n*)")
_CHINESE_END = re.compile("[。！？]")
_CHINESE_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|(?<=[。！？])|\n+")
# the first character stands apart: a pattern that opens with a set of characters is searched for in half the time
_CLAUSE_END = re.compile(
    r"[;；，、：,:abswiuABSWIU而因所但](?i:(?<=[;；，、：])|(?<=[,:])\s|(?<=\ba)(?:nd|lthough)\b|(?<=\bb)(?:ut|ecause)\b"
    r"|(?<=\bs)(?:o|ince)\b|(?<=\bw)(?:hereas|hile|hich|hen|ithout(?= \w+ing\b))\b|(?<=\bi)f\b|(?<=\bu)ntil\b"
    r"|(?<=.而)且?|(?<=.因)此|(?<=.所)以|(?<=.但)是)"
)
# what denies a clause, as "with no fever" does not; "does not exclude" asserts
_DENIAL = re.compile(
    r"\b(?:not(?! (?:only|just|merely|surpris|unexpected))|never|cannot|neither|hardly|false|untrue|wrong|incorrect|"
    r"mistaken|myths?|nonsense|misconception|(?<!no )(?<!without )(?<!beyond )doubt\w*|dismiss\w*|irrelevant|"
    r"reject\w*|refut\w*|disagree\w*|rul(?:e|es|ed|ing) out|exclud\w+|unlikely|fail(?:s|ed)? to|"
    r"(?<!with )no (?!(?:other|doubt|wonder|question|matter|less|more|later|sooner)\b)|"
    r"(?:is|are|was|were|be|been) (?:without|absent)|none of|nothing(?! but\b)|"
    r"(?:argu|speak|count|recommend|advis|counsel|caution|warn)(?:e?s|e?d|ing|e)? against)\b|\A\W*nor\b|n['’]t\b"
    r"|不(?![仅但断同良全足适孕育齐稳])|没有|并非|未(?!来)|否认|排除|错误|有误|毫无|并无|无[关效益需]|可能性[小低]|谣言|误区",
    re.IGNORECASE,
)
_MAY_DENY = Triggers(
    "not n't n’t never none neither hardly false untrue wrong incorrect mistaken myth nonsense misconception doubt "
    "dismiss irrelevant reject refut disagree rul exclud unlikely fail nor without nothing absent against "
    "不 没有 并非 未 否认 排除 错误 有误 无 可能性 谣言 误区",
    "no ",
)
# "none of the following is true: ..." denies everything after it, until the writer takes the word again
_DENIES_WHAT_FOLLOWS = re.compile(
    r"\b(?:none|nothing|neither|not one)\b[^.!?]*(?:\b(?:following|follows|below)\b|:)"
    r"|\b(?:following|below|what follows)\b[^.!?]*\b(?:false|wrong|untrue|incorrect|not|lies?|myths?)\b"
    r"|(?:以下|下列|下述)[^。！？]*(?:不|错|假|没有|无)",
    re.IGNORECASE,
)
_MAY_DENY_WHAT_FOLLOWS = Triggers("none nothing neither follow below 以下 下列 下述", "not one")
_OWN_WORD_AGAIN = re.compile(
    r"\W*(?:in fact|in truth|in reality|actually|however|instead|rather|事实上|实际上|但|然而|相反)",
    re.IGNORECASE,
)
_DENIES_WHAT_PRECEDES = re.compile(
    r"\W*(?:(?P<all>(?:none|all) of (?:that|this|it|these)\b|以上|上述|这些)|(?:that|this|it)\b|这|那|此).*"
    rf"(?:{FALSE}|{FALSE_CHINESE})(?!\W+that\b)"
    r"|\W*(?P<none>none|nothing) of (?:that|this|it|these)\b.*\b(?:true|right|correct)\b",
    re.IGNORECASE,
)
# "it is wrong that ..."
_COMPLEMENT = Triggers("that 并非 不认为 不相信 不是说")
_DENIED_COMPLEMENT = re.compile(
    r"(?P<by>[^,;:.!?]*\bthat\b)[^,;:.!?]*|(?P<by_chinese>(?<![^，。；])\s*(?:并非|不认为|不相信|不是说))[^，。；]*",
    re.IGNORECASE,
)
_ASIDE = re.compile(
    r" ?[(（]([^()（）]*)[)）]|,( (?:including|such as|namely|especially|for example) [^,;:.()]{1,80}),"
)
_VERB = re.compile(r"\b(?:is|are|was|were|be|has|have|had)\b|是|为|有", re.IGNORECASE)
"""Verbs too common to be content words: a clause with one is none of a list."""
_SHORT = 9
"""Words of the longest sentence that can deny the one before it as a whole."""
_CJK = re.compile("[\u3400-\u9fff]")
_MAY_HOLD_CJK = re.compile("[\u2e80-\U0010ffff]")

_MEMBER = 2
"""Most content words of a member of a list."""
_LONGEST = 40
"""Words of the longest clause that counts: a list of everything states nothing."""


class Statement(NamedTuple):
    """A clause: its content words, whether it denies, and its text."""

    words: frozenset[str]
    denied: bool
    text: str


def statements(text: str) -> list[Statement]:
    """The clauses of `text` that state or deny something, in order.

    Questions, conditions and what others say (`knowledge.asserted`) state nothing.

    >>> [s.denied for s in statements("Alcohol raises urate, but it does not inflame the joint.")]
    [False, True]
    >>> [s.denied for s in statements("None of this is true: Alcohol raises serum urate. Urate forms crystals.")]
    [True, True, True]
    >>> [s.denied for s in statements("Alcohol raises serum urate. That is wrong.")]
    [True]
    >>> [s.denied for s in statements("Alcohol raises urate: that is a myth. If urate forms crystals, joints hurt.")]
    [True, False]
    >>> [s.denied for s in statements("饮酒升高血尿酸，但不引起关节炎。")]
    [False, True]
    """
    found: list[Statement] = []
    before = 0  # where the statements of the sentence before begin
    end = _CHINESE_SENTENCE_END if _CHINESE_END.search(text) else _SENTENCE_END
    for read, denied in _read_in_turn(filter(None, map(str.strip, end.split(text)))):
        if read.takes_back:
            start = 0 if read.takes_back == "all" else before
            found[start:] = map(_opposite, found[start:])
            continue
        before = len(found)
        found += map(_opposite, read.clauses) if denied else read.clauses
    return found


def _opposite(statement: Statement) -> Statement:
    return statement._replace(denied=not statement.denied)


def asserted_sentences(text: str) -> list[str]:
    """The sentences of `text`, or what is left of them, that assert something; none that is denied as a whole.

    >>> asserted_sentences("Alcohol raises urate. That is wrong. It is false that beer helps, but wine does not help.")
    ['but wine does not help.']
    """
    found: list[str] = []
    before = 0
    for read, denied in _read_in_turn(sentences(text)):
        if read.takes_back:
            del found[0 if read.takes_back == "all" else before :]
            continue
        before = len(found)
        if denied:
            continue
        for part in read.asserted:
            doubtful = _MAY_DENY.in_text(part) and _COMPLEMENT.in_text(part)
            left = _DENIED_COMPLEMENT.sub(_unless_asserted, part) if doubtful else part
            if left := left.strip(" ,，"):
                found.append(left)
    return found


def _unless_asserted(match: re.Match[str]) -> str:
    return "" if denies(match["by"] or match["by_chinese"]) else match[0]


class _Sentence(NamedTuple):
    """A sentence on its own.

    Attributes:
        takes_back: what before it it denies: nothing (empty), the sentence `before`, `all`.
        asserted: what it asserts, see `knowledge.asserted`, and each aside; nothing if it takes that back itself.
    """

    takes_back: str
    denies_what_follows: bool
    asserted: tuple[str, ...]
    clauses: tuple[Statement, ...]


def _read_in_turn(parts: Iterable[str]) -> Iterator[tuple[_Sentence, bool]]:
    """The sentences but for questions, and whether an earlier one denies them ("none of the following is true")."""
    denied = False
    for sentence in map(simplified, parts):
        if sentence.endswith(("?", "？")):
            continue
        read = _read(sentence)
        if not read.takes_back:
            denied = (denied and not _OWN_WORD_AGAIN.match(sentence)) or read.denies_what_follows
        yield read, denied


@lru_cache(maxsize=4096)  # a text is read as it was written and again without its copies
def _read(sentence: str) -> _Sentence:
    if denial := _takes_back(sentence):
        return _Sentence("all" if denial["all"] or denial["none"] else "before", False, (), ())
    kept, taken_back = map(asserted, denied_behind(sentence) or (sentence, ""))
    parts, denied = _asides_apart(kept), _asides_apart(taken_back)
    clauses = [clause for part in parts for clause in _clauses(part)]
    clauses += [_opposite(clause) for part in denied for clause in _clauses(part)]
    said = kept + taken_back
    follows = _MAY_DENY_WHAT_FOLLOWS.in_text(said) and bool(_DENIES_WHAT_FOLLOWS.search(said))
    return _Sentence("", follows, parts, tuple(clauses))


def _asides_apart(sentence: str) -> tuple[str, ...]:
    """The sentence, and what it says in brackets: "urate (not calcium) forms the crystals" denies nothing of urate.

    A bracket without a content word of its own belongs to the sentence: "urate does (not) form crystals".
    """
    asides: list[str] = []

    def taken_out(match: re.Match[str]) -> str:
        aside = match[1] if match[2] is None else match[2]
        if not content_words(aside):
            return " " + aside
        asides.append(aside)
        return ""

    may_hold = "(" in sentence or "（" in sentence or sentence.count(",") > 1
    rest = _ASIDE.sub(taken_out, sentence) if may_hold else sentence
    return rest, *asides


def _clauses(sentence: str) -> list[Statement]:
    clauses: list[Statement] = []
    may_deny = _MAY_DENY.in_text(sentence)
    # of a list that opens the sentence: they share its verb ("fever and rash are ...")
    members: list[str] = []
    for clause in _CLAUSE_END.split(sentence):
        if clauses and may_deny and _takes_back(clause):  # "..., but that is wrong: ..."
            clauses = list(map(_opposite, clauses))
            continue
        bare, denials = without_denials(clause) if may_deny else (clause, 0)
        words = frozenset(stems(bare))
        if not (clauses or denials or len(words) > _MEMBER or _VERB.search(clause)):
            members.append(clause)
            continue
        words = words.union(*map(stems, members))
        if words and len(words) <= _LONGEST:
            clauses.append(Statement(words, denials % 2 == 1, ",".join([*members, clause])))
        members = []
    # a list without a verb says nothing of its members together
    return clauses + [
        Statement(words, False, clause) for clause in members if (words := frozenset(stems(clause)))
    ]


def _takes_back(text: str) -> re.Match[str] | None:
    """Whether a short sentence or clause denies what stands before it."""
    denial = _DENIES_WHAT_PRECEDES.match(text)
    short = denial and len(word_forms(text)) <= 2 * _SHORT and len(content_words(text)) <= _SHORT // 3
    return denial if short else None


def denies(clause: str) -> bool:
    """Whether a clause denies what it names.

    >>> denies("It does not exclude gout"), denies("Gout is ruled out"), denies("痛风可以排除")
    (False, True, True)
    """
    return without_denials(clause)[1] % 2 == 1


def without_denials(text: str) -> tuple[str, int]:
    """The text without its denials, and how many they are."""
    text = simplified(text)
    return _DENIAL.subn(" ", text) if _MAY_DENY.in_text(text) else (text, 0)


@lru_cache(maxsize=65536)
def content_words(text: str) -> frozenset[str]:
    """Stems of the words of `text` that are neither function words nor denials; of Chinese text pairs of characters."""
    return frozenset(stems(without_denials(text)[0]))


def stems(text: str) -> list[str]:
    """As `content_words`, in order and as often as they occur; denials are not looked for."""
    if text.isascii() or not _MAY_HOLD_CJK.search(text):
        return list(filter(None, map(_content_stem, raw_words(text))))
    found: list[str] = []
    before = ""
    for form in word_forms(text):
        if _CJK.match(form):
            if form not in FUNCTION_WORDS:
                if before:
                    found.append(before + form)
                before = form
        else:
            before = ""
            if form not in FUNCTION_WORDS:
                found.append(_stem(form))
    return found


@lru_cache(maxsize=65536)
def _content_stem(word: str) -> str:
    """The stem of a word that is not Chinese; empty for a function word."""
    form = word_form(word)
    return "" if form in FUNCTION_WORDS else _stem(form)


def _stem(form: str) -> str:
    for ending in ("ing", "ed", "e"):
        if form.endswith(ending) and len(form) > len(ending) + 3:
            return form[: -len(ending)]
    return form
