"""Rare-disease diagnosis from phenotypes: a question set of any size with gold documents and references.

Each question lists signs of a patient, drawn from the annotations of one disease, some in layperson words;
the answer is the disease, the gold document its profile, the reference its annotated facts. Diseases are
split into train and validation by family: neither a disease nor its numbered sibling is on both sides.
"""

from __future__ import annotations

import dataclasses
import hashlib
import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from medr3_plugin.data.prepare import Loaded
from medr3_plugin.data.questions import parquet, prompts, reading
from medr3_plugin.data.questions.items import Item
from medr3_plugin.data.quickstart import corpora, disease_names, hpo
from medr3_plugin.errors import UserError
from medr3_plugin.records import Reference, Triple
from medr3_plugin.text import bare_words

DATASET = "rare_disease"
HAS_SIGN = "has sign"
VALIDATION_SHARE = 0.2
PATIENCE = 5
"""Rounds over all diseases without a new question after which none is expected."""
EXAMPLE_DISEASES = ("OMIM:219700", "OMIM:203500", "OMIM:277900", "OMIM:154700")
"""Cystic fibrosis, alkaptonuria, Wilson disease and Marfan syndrome: as many as are shown as examples are not asked."""


@dataclass(frozen=True, slots=True)
class Wording:
    """How a question is put.

    Attributes:
        signs: how many signs a question lists.
        layperson_share: chance that a sign with a layperson synonym is put in those words, in [0, 1].
        max_sign_characters: longer sign names are not asked.
        examples: example turns before each question, at most `len(EXAMPLE_DISEASES)`.
        terms_named: how many of them, the first ones, put signs in layperson words, name the medical terms and search
            with those; the others copy the signs.
        unsearched: how many of them, the first ones, answer without a search: what they show is a policy that seldom
            searches.
    """

    signs: int = 4
    layperson_share: float = 0.3
    max_sign_characters: int = 32
    examples: int = 4
    terms_named: int = 0
    unsearched: int = 0


@dataclass(frozen=True, slots=True)
class Question(Item):
    """One diagnosis question; `words[i]` is how `signs[i]` (an HPO id) is written in it."""

    disease_id: str = ""
    signs: tuple[str, ...] = ()
    words: tuple[str, ...] = ()


class RareDiseaseQuestions:
    """Generator of questions over the readable, sufficiently annotated diseases of an HPO release."""

    def __init__(self, ontology: hpo.Ontology, *, seed: int = 0, wording: Wording | None = None) -> None:
        self.ontology = ontology
        self.seed = seed
        self.wording = wording or Wording()
        self._same_name: dict[str, list[hpo.Disease]] = defaultdict(list)
        for disease in ontology.diseases.values():
            if disease.signs:
                self._same_name[bare_words(disease.name)].append(disease)
        self._pools = self._split()

    def _split(self) -> dict[str, list[hpo.Disease]]:
        held_out = {
            disease_names.family(self.ontology.diseases[i].name)
            for i in EXAMPLE_DISEASES[: self.wording.examples]
            if i in self.ontology.diseases
        }
        pools: dict[str, list[hpo.Disease]] = {"train": [], "validation": []}
        for group in self._same_name.values():
            disease = max(group, key=lambda d: (len(self._usable(d)), d.id))
            shown = disease_names.display_name(disease.name)
            family = disease_names.family(disease.name)
            if (
                family in held_out
                or not disease_names.is_readable(shown)
                or len(self._usable(disease)) < self.wording.signs
            ):
                continue
            share = (
                int.from_bytes(hashlib.sha256(f"{self.seed}/{family}".encode()).digest()[:8], "big") / 2**64
            )
            pools["validation" if share < VALIDATION_SHARE else "train"].append(disease)
        for name, pool in pools.items():
            pool.sort(key=lambda d: d.id)
            random.Random(f"{self.seed}/{name}").shuffle(pool)  # noqa: S311 (a split, not a secret)
        return pools

    def _usable(self, disease: hpo.Disease) -> list[str]:
        """Signs that can be asked: short, without commas, present in at least a few per cent of patients."""
        terms = self.ontology.terms
        return [
            term
            for term in self.ontology.characteristic_signs(disease)
            if "," not in terms[term].name
            and len(terms[term].name) <= self.wording.max_sign_characters
            and disease.signs[term] >= 0.05
        ]

    def diseases(self, split: str) -> list[hpo.Disease]:
        """The diseases of a split (`train` or `validation`), in the seeded order in which they are asked."""
        return list(self._pools[split])

    def generate(self, split: str, count: int) -> Iterator[Question]:
        """`count` different questions: each disease once, then again with other signs. Same seed, same questions.

        Two questions with the same words in any order are one, of whatever disease.

        Raises:
            UserError: no disease in the split, or fewer than `count` different questions.
        """
        pool = self._pools[split]
        if count and not pool:
            raise UserError(
                f"rare_disease: no disease is left for split {split!r}; ask for fewer signs per question"
            )
        asked: set[frozenset[str]] = set()
        number = last_new = 0
        while len(asked) < count:
            question = self.ask(pool[number % len(pool)], split, variant=number // len(pool))
            number += 1
            if (words := frozenset(question.words)) not in asked:
                asked.add(words)
                last_new = number
                yield question
            elif number - last_new > PATIENCE * len(pool):
                raise UserError(
                    f"rare_disease: only {len(asked)} different questions found for split {split!r}; "
                    f"ask for at most that many, not {count}"
                )

    def ask(self, disease: hpo.Disease, split: str, variant: int = 0) -> Question:
        """One question about `disease`; `variant` draws other signs."""
        rng = random.Random(f"{self.seed}/{disease.id}/{variant}")  # noqa: S311 (sampling)
        signs = self._draw(disease, rng)
        words = tuple(self._word(term, rng) for term in signs)
        text = question_text(words)
        digest = hashlib.sha256(text.encode()).hexdigest()[:8]
        group = self._same_name[bare_words(disease.name)]
        return Question(
            id=f"{DATASET}:{disease.id}:{digest}",
            dataset=DATASET,
            question=text,
            disease_id=disease.id,
            signs=signs,
            words=words,
            answers=tuple(disease_names.aliases(disease.name)),
            gold_docs=tuple(
                f"hpoa:{other.id}" for other in sorted(group, key=lambda d: (d.id != disease.id, d.id))
            ),
            references=self.references(disease, signs),
            split=split,
        )

    def _draw(self, disease: hpo.Disease, rng: random.Random) -> tuple[str, ...]:
        """Signs of an imagined patient, weighted by frequency and specificity, without replacement."""
        pool = self._usable(disease)
        weight = {term: disease.signs[term] * max(self.ontology.specificity(term), 0.1) for term in pool}
        # Efraimidis and Spirakis 2006: the largest u^(1/w) are a weighted sample without replacement
        keys = {term: rng.random() ** (1.0 / weight[term]) for term in pool}
        return tuple(sorted(pool, key=lambda term: -keys[term])[: self.wording.signs])

    def _word(self, term: str, rng: random.Random) -> str:
        plain = layperson_words(self.ontology, term, self.wording.max_sign_characters)
        if plain and rng.random() < self.wording.layperson_share:
            return rng.choice(plain).lower()
        return self.ontology.terms[term].name.lower()

    def references(self, disease: hpo.Disease, signs: Sequence[str]) -> tuple[Reference, ...]:
        """Two references: the disease with the patient's signs, and with the signs its profile opens with."""
        name = disease_names.display_name(disease.name)
        asked = [self.ontology.terms[term].name.lower() for term in signs]
        headline = corpora.headline_signs(self.ontology, disease)
        return tuple(
            Reference(
                triples=tuple(Triple(name, HAS_SIGN, sign, from_retrieval=True) for sign in listed),
                text=f"The signs are {', '.join(listed)}. {name} has the signs {', '.join(listed)}.",
            )
            for listed in (asked, headline)
        )


def generated(split: str, count: int, seed: int = 0) -> Loaded:
    """Questions generated from HPO, as if loaded; `dev` and `test`: the held-out diseases.

    Raises:
        UserError: another split, or fewer questions than `count`.
    """
    known = ("train", "dev", "test")
    if (split := reading.split_name(split)) not in known:
        raise UserError(
            f"rare_disease: no split {split!r} of the generated questions; known: {', '.join(known)}"
        )
    part = "train" if split == "train" else "validation"
    questions = RareDiseaseQuestions(hpo.load(), seed=seed).generate(part, count)
    return Loaded(items=[dataclasses.replace(question, split=split) for question in questions])


def layperson_words(ontology: hpo.Ontology, term: str, max_characters: int) -> list[str]:
    """The layperson words for a sign that mean no other sign, hold no comma and have at most `max_characters`."""
    return [
        word
        for word in ontology.terms[term].layperson_words
        if "," not in word and len(word) <= max_characters and ontology.wordings[bare_words(word)] == 1
    ]


def question_text(words: Sequence[str]) -> str:
    """The question for a list of signs."""
    return f"Which disease has the signs {', '.join(words)}?"


def _beginnings(text: str) -> set[str]:
    return {word[:4] for word in text.lower().split()}


def example_turns(ontology: hpo.Ontology, wording: Wording | None = None) -> list[tuple[str, str]]:
    """Short example turns (question, full trajectory) rendered from the corpus' own profiles."""
    wording = wording or Wording()
    turns = []
    for number, identifier in enumerate(EXAMPLE_DISEASES[: wording.examples]):
        disease = ontology.diseases[identifier]
        headline = corpora.headline_signs(ontology, disease)
        others = [
            (name, layperson_words(ontology, term, 20))
            for term in ontology.characteristic_signs(disease)
            if (name := ontology.terms[term].name.lower()) not in headline and len(name) <= 20
        ]
        if number < wording.terms_named:
            # words of their own, not the term's in another order
            named = [
                (word.lower(), name)
                for name, words in others
                for word in words[:1]
                if not _beginnings(word) & _beginnings(name)
            ][:2]
            asked = [named[0][0], headline[0], named[1][0], headline[1]]
            query = [named[0][1], headline[0], named[1][1], headline[1]]
            opening = f"{'. '.join(f'{words} is {name}' for words, name in named)}. "
            seen = [query[1], query[3]]
        else:
            asked = query = [headline[1], others[0][0], headline[3], headline[0]]
            opening, seen = "", [asked[0], asked[2], asked[3]]
        title = disease_names.display_name(disease.name)
        searched = (
            f"<search> {', '.join(query)} </search>"
            f"<document> {title}. {corpora.profile_summary(ontology, disease)} </document> "
        )
        if number < wording.unsearched:
            searched = ""
        response = (
            f"<think> {opening}{searched}{title} has {', '.join(seen)}. </think><answer> {title} </answer>"
        )
        turns.append((question_text(asked), response))
    return turns


def rows(
    questions: Iterable[Question],
    examples: Sequence[tuple[str, str]],
    system: str = "",
    *,
    tools: bool = False,
) -> Iterator[dict[str, Any]]:
    """Training rows of the questions, each prompt opened by the example turns; `tools`: with tool calls for tags."""
    agent = prompts.agent_of("tools" if tools else "search")
    for index, item in enumerate(questions):
        prompt = prompts.with_examples(item.question, examples, system, tools=tools)
        yield parquet.training_row(item, prompt, index=index, agent_name=agent)
