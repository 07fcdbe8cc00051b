"""A vocabulary of medical terms: synonyms to one canonical name, and terms found in running text."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from medr3_plugin import tables
from medr3_plugin.errors import UserError
from medr3_plugin.knowledge.stopwords import STOPWORDS
from medr3_plugin.knowledge.text import Word, name_forms, normal_form, words
from medr3_plugin.text import fold

_SHORT = 600  # characters of the longest text whose mentions are remembered


class Mention(NamedTuple):
    """An entity in a text: its canonical name, and where (`text[start:end]`)."""

    entity: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One concept: its preferred name and its synonyms.

    Attributes:
        loose: the synonyms among them that may name something else too (related, broader or narrower).
    """

    name: str
    synonyms: tuple[str, ...] = ()
    loose: frozenset[str] = frozenset()


class _Target(NamedTuple):
    entity: str
    upper_only: bool
    """an abbreviation that may be an ordinary word in lower case ("ALL"): only upper case counts"""


class Vocabulary:
    """Names -> canonical names, and longest matches in text.

    An entry whose name is already known joins the entity of that name, so several vocabularies can be
    stacked; a name that two entries claim as a synonym stays with the first. Names made of stop words alone
    and single letters are left out.
    """

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self._targets: dict[str, _Target] = {}
        # trie over word forms; the key "" of a node holds the term that ends there
        self._trie: dict[str, Any] = {}
        self._canonical: set[str] = set()
        self._size = 0
        self._remembered = lru_cache(maxsize=8192)(self._find)
        entries = self._entries = tuple(entries)
        # preferred names first: a synonym must not take another concept's own name
        canonical = [self._add(entry.name, None) for entry in entries]
        for entry, entity in zip(entries, canonical, strict=True):
            if entity:
                self._size += 1
                self._canonical.add(entity)
                for synonym in entry.synonyms:
                    self._add(synonym, entity)

    @classmethod
    def load(cls, *paths: str | Path) -> Vocabulary:
        """Read vocabulary files, see `read_entries`. Earlier files take precedence.

        Raises:
            UserError: a file is missing or empty, or a row is wrong; names file, line and key.
        """
        return cls(entry for path in paths for entry in read_entries(path))

    def __len__(self) -> int:
        """Number of entries with a usable name."""
        return self._size

    def synonyms(self, name: str) -> tuple[str, ...]:
        """Other names of exactly the thing that `name` names.

        For a preferred name its exact synonyms; for an exact synonym of one entry that entry's preferred name (two
        synonyms of one entry need not be the same thing). Signs, numbers and the order of words count, so
        "HBsAg-" is no "HBsAg+". A synonym that is another entry's preferred name, or of two entries, is none.

        >>> vocabulary = Vocabulary([Entry("Croup", ("viral croup", "laryngitis"), frozenset(["laryngitis"]))])
        >>> vocabulary.synonyms("croup"), vocabulary.synonyms("Viral croup"), vocabulary.synonyms("laryngitis")
        (('viral croup',), ('Croup',), ())
        """
        key = fold(name)
        preferred, owners = self._by_key
        if key in preferred:
            own = preferred[key]
            return tuple(
                synonym
                for synonym in own.synonyms
                if synonym not in own.loose and owners.get(fold(synonym)) == {own.name}
            )
        return tuple(owners[key]) if len(owners.get(key, ())) == 1 else ()

    @cached_property
    def _by_key(self) -> tuple[dict[str, Entry], dict[str, set[str]]]:
        """Folded preferred name -> its entry, and folded exact synonym -> the preferred names of its entries."""
        preferred: dict[str, Entry] = {}
        for entry in self._entries:
            known = preferred.get(fold(entry.name))
            synonyms = (*known.synonyms, *entry.synonyms) if known else entry.synonyms
            loose = known.loose | entry.loose if known else entry.loose
            preferred[fold(entry.name)] = Entry(known.name if known else entry.name, synonyms, loose)
        owners: dict[str, set[str]] = {}
        for entry in preferred.values():
            for synonym in entry.synonyms:
                if synonym not in entry.loose and (key := fold(synonym)) not in preferred:
                    owners.setdefault(key, set()).add(entry.name)
        return preferred, owners

    def knows(self, entity: str) -> bool:
        """Whether this is a canonical entity of the vocabulary."""
        return entity in self._canonical

    def normalise(self, text: str) -> str:
        """Canonical name of the entity that `text` as a whole names; its normal form if it is unknown."""
        form = normal_form(text)
        target = self._targets.get(form)
        return target.entity if target else form

    def find(self, text: str) -> tuple[Mention, ...]:
        """Entities in `text`, longest match first come, without overlaps, in order.

        Short texts are remembered: the sentences of a trajectory are looked at for several parts.

        >>> vocabulary = Vocabulary([Entry("Fever", ("pyrexia", "high temperature"))])
        >>> [mention.entity for mention in vocabulary.find("No pyrexia, no high temperatures.")]
        ['fever', 'fever']
        """
        return self._remembered(text) if len(text) <= _SHORT else self._find(text)

    def _find(self, text: str) -> tuple[Mention, ...]:
        return self.find_in(text, words(text))

    def find_in(self, text: str, tokens: Sequence[Word]) -> tuple[Mention, ...]:
        """As `find`, for a text whose words are known already."""
        mentions: list[Mention] = []
        trie, count = self._trie, len(tokens)
        taken = 0  # words up to here belong to a mention
        for first in [place for place, (form, _, _) in enumerate(tokens) if form in trie]:
            if first < taken:
                continue
            start = tokens[first][1]
            node, last = trie[tokens[first][0]], first
            found = None
            while node is not None:
                target = node.get("")
                if target is not None:
                    end = tokens[last][2]
                    if not target.upper_only or text[start:end].isupper():
                        found = Mention(target.entity, start, end)
                        taken = last + 1
                last += 1
                node = node.get(tokens[last][0]) if last < count else None
            if found is not None:
                mentions.append(found)
        return tuple(mentions)

    def _add(self, name: str, entity: str | None) -> str | None:
        """Make `name` a name of `entity` (of a new entity for None); returns its entity, None if unusable."""
        form = normal_form(name)
        if form in self._targets:
            return self._targets[form].entity
        forms = name_forms(name)
        if not forms or len(form) < 2 or all(f in STOPWORDS for f in forms):
            letters = name.strip()
            if not (len(letters) >= 2 and letters.isupper() and forms):
                return None
        target = _Target(entity or form, name.isupper() and len(name) <= 5 and len(forms) == 1)
        self._targets[form] = target
        node = self._trie
        for f in forms:
            node = node.setdefault(f, {})
        node[""] = target
        return target.entity


def read_entries(path: str | Path) -> Iterator[Entry]:
    """Entries of a vocabulary file: jsonl, plain or gzipped.

    A row has `name` and optionally `synonyms`, a list of strings or of objects with `text` and optionally `scope`
    (OBO's: EXACT, RELATED, BROAD or NARROW; EXACT if absent); other keys are ignored.

    Raises:
        UserError: the file is missing or empty, or a row is wrong; names file, line and key.
    """
    path = Path(path)
    if path.is_dir():
        raise UserError(f"vocabulary {path} is a folder: give the jsonl file")
    if not path.is_file():
        raise UserError(
            f"vocabulary file {path} does not exist: make it with `medr3 data vocab --out {shlex.quote(str(path))}`"
        )
    row = None
    for row in tables.json_lines(path):
        if row.error:
            raise UserError(f"{row.where}: {row.error}")
        yield _entry(row.data, row.where)
    if row is None:
        raise UserError(f"vocabulary {path} is empty: make it again with `medr3 data vocab`")


def _entry(row: Mapping[str, Any], where: str) -> Entry:
    name = row.get("name")
    if not isinstance(name, str) or not name.strip():
        raise UserError(f"{where}: key 'name' must be a non-empty string")
    synonyms = row.get("synonyms") or ()
    if not isinstance(synonyms, list | tuple):
        raise UserError(f"{where}: key 'synonyms' must be a list")
    texts = [s.get("text") if isinstance(s, Mapping) else s for s in synonyms]
    names = tuple(text for text in texts if isinstance(text, str))
    if len(names) < len(texts):
        raise UserError(f"{where}: key 'synonyms' must hold strings or objects with 'text'")
    loose = (s["text"] for s in synonyms if isinstance(s, Mapping) and s.get("scope", "EXACT") != "EXACT")
    return Entry(name, names, frozenset(loose))
