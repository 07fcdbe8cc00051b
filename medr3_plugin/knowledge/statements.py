"""What a text states and what it denies, clause by clause, without a vocabulary.

A clause is a bag of content words with a polarity. Two clauses speak of the same thing if most words of the shorter
one stand in the other; then they agree or contradict each other by their polarity. This sees a denial wherever it
stands ("None of the following is true: ...", "That is wrong."), for which triples have no place.

English and Chinese. Other languages yield clauses that deny nothing.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import chain, repeat
from typing import NamedTuple

from medr3_plugin.knowledge.asserted import FALSE, FALSE_CHINESE, asserted, denied_behind
from medr3_plugin.knowledge.relation import is_negated
from medr3_plugin.knowledge.stopwords import FUNCTION_WORDS
from medr3_plugin.knowledge.text import raw_words, sentences, word_form, word_forms
from medr3_plugin.knowledge.triggers import Triggers

_SENTENCE_END = re.compile(r"\s(?:(?<=[.!?]\s)\s*|(?<=\n)\n*)")
_CHINESE_END = re.compile("[。！？]")
_CHINESE_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|(?<=[。！？])|\n+")
# the first character stands apart: a pattern that opens with a set of characters is searched for in half the time
_CLAUSE_END = re.compile(
    r"[;；，、：,:abswiuABSWIU而因所但](?i:(?<=[;；，、：])|(?<=[,:])\s|(?<=\ba)(?:nd|lthough)\b|(?<=\bb)(?:ut|ecause)\b"
    r"|(?<=\bs)(?:o|ince)\b|(?<=\bw)(?:hereas|hile|hich|hen)\b|(?<=\bi)f\b|(?<=\bu)ntil\b"
    r"|(?<=.而)且?|(?<=.因)此|(?<=.所)以|(?<=.但)是)"
)
# what denies a whole clause, as "no fever" does not; "does not exclude" asserts
_DENIAL = re.compile(
    r"\b(?:not(?! (?:only|just|merely|surpris|unexpected))|never|cannot|neither|hardly|false|untrue|wrong|incorrect|"
    r"mistaken|myths?|nonsense|misconception|(?<!no )(?<!without )(?<!beyond )doubt\w*|dismiss\w*|irrelevant|"
    r"reject\w*|refut\w*|disagree\w*|rul(?:e|es|ed|ing) out|exclud\w+|unlikely|fails? to)\b|n['’]t\b"
    r"|不(?!仅|但|断|同|良)|没有|并非|未(?!来)|否认|排除|错误|有误|无关|谣言|误区",
    re.IGNORECASE,
)
_MAY_DENY = Triggers(
    "not n't n’t never neither hardly false untrue wrong incorrect mistaken myth nonsense misconception doubt dismiss "
    "irrelevant reject refut disagree rul exclud unlikely fail 不 没有 并非 未 否认 排除 错误 有误 无关 谣言 误区"
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
_SHORT = 9
"""Words of the longest sentence that can deny the one before it as a whole."""
# findings of a person are no facts of medicine: "he does not have fever" contradicts no document
_PERSON = re.compile(
    r"\b(?:patients?|he|she|his|her|him|we|i|they|man|woman|boy|girl|child|infant|denies|denied)\b|患者|病人|他|她|我",
    re.IGNORECASE,
)
_PASSIVE = re.compile(r"\b(?:by|from|due to|because of|after|with|of|in)\b|由|被|因", re.IGNORECASE)
_CJK = re.compile("[\u3400-\u9fff]")
_MAY_HOLD_CJK = re.compile("[\u2e80-\U0010ffff]")

ENOUGH = 3
"""Fewest common content words of two clauses that speak of the same thing."""
_MOST = 0.6
"""Smallest share of the shorter clause's content words that are common."""
_LONGEST = 40
"""Words of the longest clause that is compared: a list of everything states nothing."""


class Statement(NamedTuple):
    """A clause: its content words, whether it denies, and its text."""

    words: frozenset[str]
    denied: bool
    text: str


class Fact(NamedTuple):
    """A triple as content words: those of its head alone, those of its tail alone, and whether it is negated."""

    head: frozenset[str]
    tail: frozenset[str]
    denied: bool


class Said(NamedTuple):
    """How often own statements agree with others, and how often they contradict them."""

    agreeing: int = 0
    contradicting: int = 0

    def plus(self, *others: Said) -> Said:
        """All together."""
        return Said(
            self.agreeing + sum(other.agreeing for other in others),
            self.contradicting + sum(other.contradicting for other in others),
        )

    @property
    def balance(self) -> float:
        """(agreeing − contradicting) / (agreeing + contradicting), in [-1, 1]; 1 if nothing is contradicted."""
        if not self.contradicting:
            return 1.0
        return (self.agreeing - self.contradicting) / (self.agreeing + self.contradicting)


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
    following = False
    before = 0  # where the statements of the sentence before begin
    end = _CHINESE_SENTENCE_END if _CHINESE_END.search(text) else _SENTENCE_END
    for sentence in filter(None, map(str.strip, end.split(text))):
        if sentence.endswith(("?", "？")):
            continue
        read = _read(sentence)
        if read.takes_back:
            start = 0 if read.takes_back == "all" else before
            found[start:] = [statement._replace(denied=not statement.denied) for statement in found[start:]]
            continue
        following = (following and not _OWN_WORD_AGAIN.match(sentence)) or read.denies_what_follows
        before = len(found)
        found += (
            [clause._replace(denied=not clause.denied) for clause in read.clauses]
            if following
            else read.clauses
        )
    return found


def asserted_sentences(text: str) -> list[str]:
    """The sentences of `text`, or what is left of them, that assert something; none that is denied as a whole.

    >>> asserted_sentences("Alcohol raises urate. That is wrong. It is false that beer helps, but wine does not help.")
    ['but wine does not help.']
    """
    found: list[str] = []
    following = False
    before = 0
    for sentence in sentences(text):
        if sentence.endswith(("?", "？")):
            continue
        read = _read(sentence)
        if read.takes_back:
            del found[0 if read.takes_back == "all" else before :]
            continue
        following = (following and not _OWN_WORD_AGAIN.match(sentence)) or read.denies_what_follows
        before = len(found)
        if not following:
            left = read.asserted
            if _MAY_DENY.in_text(left) and _COMPLEMENT.in_text(left):
                left = _DENIED_COMPLEMENT.sub(_unless_asserted, left)
            if left := left.strip(" ,，"):
                found.append(left)
    return found


def _unless_asserted(match: re.Match[str]) -> str:
    return "" if denies(match["by"] or match["by_chinese"]) else match[0]


class _Sentence(NamedTuple):
    """A sentence by itself.

    Attributes:
        takes_back: what before it it denies: nothing (empty), the sentence `before`, `all`.
        asserted: what it asserts, see `knowledge.asserted`; empty if it takes that back itself.
    """

    takes_back: str
    denies_what_follows: bool
    asserted: str
    clauses: tuple[Statement, ...]


@lru_cache(maxsize=4096)  # a text is read as it was written and again without its copies
def _read(sentence: str) -> _Sentence:
    denial = _DENIES_WHAT_PRECEDES.match(sentence)
    if denial and len(word_forms(sentence)) <= 2 * _SHORT and len(content_words(sentence)) <= _SHORT // 3:
        return _Sentence("all" if denial["all"] or denial["none"] else "before", False, "", ())
    clauses = []
    before = denied_behind(sentence)
    sentence = asserted(sentence if before is None else before)
    may_deny = _MAY_DENY.in_text(sentence)
    for clause in _CLAUSE_END.split(sentence):
        bare, denials = _without_denials(clause) if may_deny else (clause, 0)
        words = frozenset(_stems(bare))
        if words and len(words) <= _LONGEST:
            clauses.append(Statement(words, (denials % 2 == 1) != (before is not None), clause))
    follows = _MAY_DENY_WHAT_FOLLOWS.in_text(sentence) and bool(_DENIES_WHAT_FOLLOWS.search(sentence))
    return _Sentence("", follows, sentence if before is None else "", tuple(clauses))


def denies(clause: str) -> bool:
    """Whether a clause denies what it names.

    >>> denies("It does not exclude gout"), denies("Gout is ruled out"), denies("痛风可以排除")
    (False, True, True)
    """
    return _without_denials(clause)[1] % 2 == 1


def _without_denials(text: str) -> tuple[str, int]:
    """The text without its denials, and how many they are."""
    return _DENIAL.subn(" ", text) if _MAY_DENY.in_text(text) else (text, 0)


@lru_cache(maxsize=65536)
def content_words(text: str) -> frozenset[str]:
    """Stems of the words of `text` that are neither function words nor denials; of Chinese text pairs of characters."""
    return frozenset(_stems(_without_denials(text)[0]))


def _stems(text: str) -> list[str]:
    if text.isascii() or not _MAY_HOLD_CJK.search(text):
        return list(filter(None, map(_content_stem, raw_words(text))))
    stems: list[str] = []
    before = ""
    for form in word_forms(text):
        if _CJK.match(form):
            if form not in FUNCTION_WORDS:
                if before:
                    stems.append(before + form)
                before = form
        else:
            before = ""
            if form not in FUNCTION_WORDS:
                stems.append(_stem(form))
    return stems


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


class _NamingHalf(dict[frozenset[str], frozenset[int]]):
    """The words of a name -> places of the statements that hold half of them; references name the same things."""

    def __init__(self, places: Mapping[str, Sequence[int]]) -> None:
        super().__init__()
        self._places = places

    def __missing__(self, name: frozenset[str]) -> frozenset[int]:
        places = list(chain.from_iterable(self._places[word] for word in name if word in self._places))
        if len(name) > 2 and places:
            places = [place for place, held in Counter(places).items() if 2 * held >= len(name)]
        found = self[name] = frozenset(places)
        return found


class StatementIndex:
    """The statements of a text, found by their words."""

    def __init__(self, found: Sequence[Statement]) -> None:
        self.statements = found
        self._places: dict[str, list[int]] = {}
        for place, statement in enumerate(found):
            for word in statement.words:
                self._places.setdefault(word, []).append(place)
        self._words = frozenset(self._places)
        self.naming_half = _NamingHalf(self._places)

    def polarities(self, statement: Statement) -> set[bool]:
        """`denied` of the statements on the same matter: most words of the shorter of the two are common."""
        common = statement.words & self._words
        if len(common) < ENOUGH:
            return set()
        size = len(statement.words)
        counts = Counter(chain.from_iterable(map(self._places.__getitem__, common)))
        return {
            self.statements[place].denied
            for place, shared in counts.items()
            if shared >= ENOUGH and shared >= _MOST * min(size, len(self.statements[place].words))
        }

    def naming(self, *names: Iterable[frozenset[str]]) -> list[Statement]:
        """The statements that name each of several things: that hold all words of one of its `names`."""
        common: set[int] | None = None
        for spellings in names:
            places: set[int] = set()
            for words in spellings:
                if words and all(word in self._places for word in words):
                    places |= set.intersection(*(set(self._places[word]) for word in words))
            common = places if common is None else common & places
            if not common:
                return []
        return [self.statements[place] for place in sorted(common or ())]


def agreement(own: Iterable[Statement], others: Sequence[StatementIndex]) -> Said:
    """How many of the own statements agree with one of the others, and how many contradict one.

    A statement that does both (two documents disagree) agrees. What is denied of a person contradicts nothing.

    >>> facts = StatementIndex(statements("Thiazides raise serum urate. Urate crystals inflame joints."))
    >>> agreement(statements("Thiazides do not raise serum urate. The urate crystals inflame joints."), [facts])
    Said(agreeing=1, contradicting=1)
    """
    agreeing = contradicting = 0
    for statement in own:
        spoken_of = False
        for other in others:
            if polarities := other.polarities(statement):
                if statement.denied in polarities:
                    agreeing += 1
                    break
                spoken_of = True
        else:
            if spoken_of and not _of_a_person(statement.text):
                contradicting += 1
    return Said(agreeing, contradicting)


def fact(head: str, relation: str, tail: str) -> Fact:
    """A triple as a fact that statements can state."""
    of_head, of_tail = content_words(head), content_words(tail)
    return Fact(of_head - of_tail or of_head, of_tail - of_head or of_tail, is_negated(relation))


def stated(own: StatementIndex, facts: Sequence[Fact]) -> tuple[Said, int]:
    """How many of `facts` the own statements state, and how many they deny; and how many statements state one.

    A statement speaks of a fact if it holds half of the words of its head and of its tail, the head first (or in a
    passive clause, anywhere). A fact that is stated and denied counts as denied.

    >>> facts = [fact("alcohol", "raises", "serum urate"), fact("urate", "forms", "crystals")]
    >>> stated(StatementIndex(statements("Alcohol raises the urate. Urate does not form crystals.")), facts)
    (Said(agreeing=1, contradicting=1), 1)
    """
    agreeing, contradicting, stating = set(), set(), set()
    for place, (head, tail, denied) in enumerate(facts):
        if not (of_head := own.naming_half[head]):
            continue
        for number in of_head & own.naming_half[tail]:
            statement = own.statements[number]
            if statement.denied != denied:
                if place not in contradicting and not _of_a_person(statement.text):
                    contradicting.add(place)
            elif (place not in agreeing or number not in stating) and _in_order(statement.text, head, tail):
                agreeing.add(place)
                stating.add(number)
    return Said(len(agreeing - contradicting), len(contradicting)), len(stating)


@lru_cache(maxsize=8192)
def _of_a_person(text: str) -> bool:
    return _PERSON.search(text) is not None


def _in_order(text: str, head: frozenset[str], tail: frozenset[str]) -> bool:
    places = _places(text)
    return not places or min(map(places.get, head, _NOWHERE)) <= min(map(places.get, tail, _NOWHERE))


_NOWHERE = repeat(math.inf)


@lru_cache(maxsize=8192)
def _places(text: str) -> dict[str, int]:
    """Where a clause's content words stand first; nothing for a passive one, which may name them in any order."""
    if _PASSIVE.search(text):
        return {}
    places: dict[str, int] = {}
    for place, stem in enumerate(_stems(_without_denials(text)[0])):
        places.setdefault(stem, place)
    return places
