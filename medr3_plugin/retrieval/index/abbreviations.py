"""Abbreviations and their long forms as a corpus defines them: "immune thrombocytopenia (ITP)", "ITP (immune ...)".

They are found while BM25 is built, by the algorithm of Schwartz and Hearst (2003): the long form is the shortest end of
the words before the bracket that has the abbreviation's characters in order, the first of them at the beginning of a
word. Before a bracket in Chinese stands a run of characters without a beginning (患有慢性阻塞性肺疾病（COPD）); the
long form is what most runs end with.

Kept are senses that several documents define, and a fair share of those that define the abbreviation at all. A query
that has one form is searched for the other, too (`lexical`).
"""

from __future__ import annotations

import itertools
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from medr3_plugin.retrieval.index.analyser import STOP_WORDS, terms
from medr3_plugin.retrieval.index.folding import GRAM_RUN, fold
from medr3_plugin.retrieval.index.notation import ROMAN

NAME = "abbreviations.json"
"""Beside the files of BM25: `[[abbreviation, documents that define it, [[documents, [long form, ...]], ...]], ...]`."""

_MOST = 1 << 19
"""Pairs remembered while building; the rarest are forgotten beyond that (some 100 MB)."""
_MOST_KEPT = 100_000
_DOCUMENTS = 2
"""That define a sense at least."""
_SHARE = 0.2
"""Of the documents that define an abbreviation, which define a sense at least."""
_VARIANTS = 4
"""Long forms of a sense that are recognised in queries."""
_LONGEST = 12
"""Words or Chinese characters of a long form."""

_BEFORE = 120
_BRACKET = re.compile(r"[(（]([^()（）;；,，]{2,100})([)）;；,，])")
_LONGEST_SHORT = 10
_SHORT = re.compile(r"(?=.*[A-Z].*[A-Z])[A-Za-z0-9][A-Za-z0-9-]{0,8}[A-Za-z0-9]")
_SHORT_BEHIND = re.compile(r"\s{0,2}([A-Za-z0-9-]{2,10})[)）]")
_CAPITALS = re.compile("[A-Z]")
_TWO_CAPITALS = re.compile("[A-Z]{2}")
_CLAUSE = re.compile(r"[.,:;!?()（）。，、；：！？]")
_UNIT = re.compile("[a-zA-Z0-9]+|[\u3400-\u4dbf\u4e00-\u9fff]")
"""Names are compared by these: words, and Chinese characters."""
_WORDS = "".join(c if c.isalnum() else " " for c in map(chr, range(128)))
"""As `_UNIT`, for ASCII."""
_UNITS = frozenset({"bp", "hr", "kb", "pm"})
_BEFORE_NUMERALS = frozenset(
    {"type", "stage", "phase", "grade", "class", "group", "factor", "collagen", "category", "level"}
)
_HAN_END = re.compile("[\u3400-\u4dbf\u4e00-\u9fff]{2,12}\\Z")


class Use(NamedTuple):
    """An abbreviation of which a query has one form.

    Attributes:
        short: the abbreviation.
        long: the long form that most documents write.
        documents: how many define the abbreviation.
        share: of them, how many in this sense, 0 to 1.
        shortened: whether the query has the abbreviation, and not its long form.
        word: what the query has, if it may be another word: small letters (all, aids) or a plural (loss is no LOSs);
            else empty.
    """

    short: str
    long: str
    documents: int
    share: float
    shortened: bool
    word: str


class Finder:
    """Finds the abbreviations that texts define, in bounded memory."""

    def __init__(self) -> None:
        self._pairs: Counter[tuple[str, str]] = Counter()
        self._forgotten = 0

    def add(self, text: str) -> None:
        """Look at a document's text."""
        if found := set(_defined(text)):
            self._pairs.update(found)
            if len(self._pairs) > _MOST:
                self._forget()

    def _forget(self) -> None:
        while len(self._pairs) > _MOST // 2:
            self._forgotten += 1
            self._pairs = Counter({p: n for p, n in self._pairs.items() if n > self._forgotten})

    def write(self, path: Path) -> int:
        """Write what is kept, if anything; returns how many abbreviations."""
        shorts: defaultdict[str, list[tuple[str, str, int]]] = defaultdict(list)
        for (short, long), count in self._pairs.items():
            shorts[short.lower()].append((short, long, count))
        kept = []
        for pairs in shorts.values():
            documents = sum(count for _, _, count in pairs)
            if documents >= _DOCUMENTS and (senses := _senses(pairs, documents)):
                kept.append((max(pairs, key=lambda pair: (pair[2], pair[0]))[0], documents, senses))
        kept = sorted(kept, key=lambda entry: (-entry[1], entry[0]))[:_MOST_KEPT]
        if kept:
            path.write_text(json.dumps(kept, ensure_ascii=False), encoding="utf-8")
        return len(kept)


def _defined(text: str) -> Iterator[tuple[str, str]]:
    """The abbreviations that a text defines, and their long forms in small letters."""
    for found in _BRACKET.finditer(text):
        inner, end = found.groups()
        start = found.start()
        if len(inner) <= _LONGEST_SHORT:
            if not inner.islower() and (short := _abbreviation(inner)):
                yield from _before(short, text[max(0, start - _BEFORE) : start])
        elif end in ",，" and (behind := _SHORT_BEHIND.match(text, found.end())):
            if short := _abbreviation(behind[1]):
                yield from _before(short, inner)
                yield from _before(short, text[max(0, start - _BEFORE) : start])
        elif start > 1 and text[start - 1] == " " and text[start - 2].isupper():
            before = text[max(0, start - _LONGEST_SHORT - 2) : start].rsplit(maxsplit=1)[-1]
            if short := _abbreviation(before):
                whole = _units(inner)
                yield from ((short, long) for _, long in _before(short, inner) if long == whole)


def _abbreviation(word: str) -> str:
    """An abbreviation without its plural's s; empty if a word is none."""
    return word.removesuffix("s") if _SHORT.fullmatch(word) else ""


def _before(short: str, text: str) -> Iterator[tuple[str, str]]:
    """The long form of an abbreviation at the end of the text before it."""
    text = text.rstrip()
    if han := _HAN_END.search(text):
        yield short, fold(han[0])
        return
    words = _CLAUSE.split(text)[-1].split()[-min(len(short) + 5, 2 * len(short)) :]
    lowered = fold(" ".join(words)).lower()
    place = len(lowered)
    characters = [character for character in short.lower() if character.isalnum()]
    for left, character in zip(range(len(characters) - 1, -1, -1), reversed(characters), strict=True):
        place = lowered.rfind(character, 0, place)
        while not left and place > 0 and lowered[place - 1].isalnum():
            place = lowered.rfind(character, 0, place)
        if place < 0:
            return
    long = _units(lowered[lowered.rfind(" ", 0, place) + 1 :])
    own = _units(short)
    if len(own) < len(long) and f" {own} " not in f" {long} " and long.count(" ") < _LONGEST:
        yield short, long


def _units(text: str) -> str:
    return " ".join(_UNIT.findall(fold(text).lower()))


def _senses(pairs: Iterable[tuple[str, str, int]], documents: int) -> list[tuple[int, list[str]]]:
    """What an abbreviation stands for: how many documents define it so, and its long forms, the most frequent first."""
    longs: Counter[str] = Counter()
    runs: Counter[str] = Counter()
    for _, long, count in pairs:
        (longs if long[0].isascii() else runs)[long] += count
    longs += _common_ends(runs)
    senses: list[tuple[frozenset[str], list[int], list[str]]] = []
    for long, count in sorted(longs.items(), key=lambda item: (-item[1], item[0])):
        words = frozenset(terms(long))
        for others, counts, forms in senses:
            if words <= others or others <= words or 2 * len(words & others) > len(words | others):
                counts.append(count)
                if count >= _DOCUMENTS and len(forms) < _VARIANTS:
                    forms.append(long)
                break
        else:
            senses.append((words, [count], [long]))
    return [
        (sum(counts), forms)
        for _, counts, forms in senses
        if sum(counts) >= max(_DOCUMENTS, _SHARE * documents)
    ]


def _common_ends(runs: Counter[str]) -> Counter[str]:
    """The longest end that most of the runs of Chinese characters have."""
    ends: Counter[str] = Counter()
    for run, count in runs.items():
        for start in range(len(run) - 1):
            ends[run[start:]] += count
    most = [end for end, count in ends.items() if 2 * count > runs.total()]
    return Counter({end: ends[end] for end in most if len(end) == max(map(len, most))})


class Abbreviations:
    """The abbreviations of an index.

    Raises:
        ValueError: the file is not what `Finder` writes (or a LookupError, TypeError).
    """

    def __init__(self, path: Path) -> None:
        self._uses: defaultdict[str, list[Use]] = defaultdict(list)
        self._reach: defaultdict[str, dict[str, int]] = defaultdict(dict)
        for short, documents, senses in json.loads(path.read_bytes()) if path.exists() else ():
            for count, forms in senses:
                "".join(forms)  # texts
                use = Use(short, forms[0], documents, count / documents, True, "")
                self._put(_units(short), use)
                plural = _units(f"{short}s")
                self._put(plural, use._replace(word=plural))
                for form in forms if 2 * count >= documents else ():
                    if " " in (name := _units(form)):
                        self._put(name, use._replace(shortened=False))
        self._first = self._uses.keys() | self._reach.keys()
        self._begun = self._first - STOP_WORDS | self._reach.keys()

    def _put(self, name: str, use: Use) -> None:
        self._uses[name].append(use)
        if " " in name:
            first, second, *rest = name.split()
            reach = self._reach[first]
            reach[second] = max(reach.get(second, 0), 2 + len(rest))

    def __len__(self) -> int:
        return len(self._uses)

    def defines(self, short: str) -> bool:
        """Whether documents say what an abbreviation, in small letters, stands for."""
        return any(use.shortened and not use.word for use in self._uses.get(short, ()))

    def commonest(self, count: int) -> list[Use]:
        """What `count` names stand for, those that most documents define first."""
        return [use for uses in itertools.islice(self._uses.values(), count) for use in uses]

    def of(self, query: str, words: Sequence[str]) -> Iterator[Use]:
        """The abbreviations of which a query has one form; not those that it defines itself.

        Args:
            query: what is searched for.
            words: its words in small letters, in order, whatever else behind them; not used if it is not ASCII.
        """
        if not query.isascii():
            query = " ".join(_UNIT.findall(fold(GRAM_RUN.sub(r" \g<0> ", query))))
        # NO is an abbreviation, no is none
        elif self._begun.isdisjoint(words) and not _TWO_CAPITALS.search(query):
            return
        words = query.lower().translate(_WORDS).split()
        first = [place for place, word in enumerate(words) if word in self._first]
        places = [(place, place + 1) for place in first if words[place] in self._uses]
        behind = [*words[1:], ""]
        for place in first:
            following = self._reach.get(words[place])
            if following and (most := following.get(behind[place])):
                ends = range(min(place + most, len(words)), place + 1, -1)
                places += [(place, end) for end in ends if " ".join(words[place:end]) in self._uses][:1]
        if not places:
            return
        written = query.translate(_WORDS).split()
        around = {
            inner: self._uses[" ".join(words[place:end])]
            for place, end in places
            for inner in range(place, end)
            if end > place + 1
        }
        for place, end in {tuple(written[place:end]): (place, end) for place, end in places}.values():
            another = end == place + 1 and self._another(words, written, place, query)
            if another or f"({written[place]}" in query:
                continue
            whole = around.get(place, ()) if end == place + 1 else ()
            for use in self._read(" ".join(words[place:end]), "".join(written[place:end])):
                # HT in 5-HT is no hormone therapy, but IL in IL-6 is interleukin
                if not whole or any(use.long in longer.long for longer in whole):
                    yield use

    def _another(self, words: Sequence[str], written: Sequence[str], place: int, query: str) -> bool:
        """Whether a word that could be an abbreviation is something else."""
        word, before = words[place], words[place - 1] if place else ""
        if word in STOP_WORDS and not written[place].isupper():
            return True
        if before.isdecimal():  # 24 hr, 5-HT
            return word in _UNITS or f"{before}-{written[place]}" in query
        if before in _BEFORE_NUMERALS and word.rstrip("abcde") in ROMAN:  # type IE is no endocarditis
            return True
        return word in ROMAN and word != "iv"

    def _read(self, name: str, as_written: str) -> Iterator[Use]:
        """What a name as it is written stands for: CTs are CT scans, CTS is a syndrome, Ras no plural of RA."""
        uses = self._uses[name]
        exact = [use for use in uses if not use.word]
        plain = len(_CAPITALS.findall(as_written)) < 2
        if len(exact) < len(uses) and as_written[-1] == "s" and not as_written[-2].islower():
            yield from (use._replace(word="") for use in uses if use.word)
        elif exact:
            yield from (use._replace(word=name) if use.shortened and plain else use for use in exact)
        elif as_written.islower() or as_written.isupper():
            # another letter behind two makes another abbreviation (MIS, MRS) or word (das, hrs)
            yield from (use for use in uses if len(use.short) > 2)
