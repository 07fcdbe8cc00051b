"""References without a language model: what the gold documents say about the question's terms and the answer.

Terms come from vocabularies, facts from the sentences of the gold documents that name a term of the question or
the answer (lexicon extractor). Weaker than verified reasoning: there is one reference an item, it says what is
known rather than how to conclude, and it is only as good as the vocabulary.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

from medr3_plugin.data.questions.items import Item
from medr3_plugin.data.references.pipeline import Outcome
from medr3_plugin.knowledge.extract import LexiconExtractor
from medr3_plugin.knowledge.text import sentences
from medr3_plugin.knowledge.vocabulary import Vocabulary
from medr3_plugin.records import Document, Reference, Triple, canonical_id

MAX_SENTENCES = 12
ASSOCIATED = "is associated with"


def build(items: Iterable[Item], documents: Mapping[str, Document], vocabulary: Vocabulary) -> list[Outcome]:
    """An outcome for each item; items that have references keep them.

    Args:
        documents: canonical id -> document, at least the gold documents.
    """
    outcomes = []
    for item in items:
        if item.references:
            outcomes.append(Outcome(item, "built", "had references"))
            continue
        names = map(canonical_id, item.gold_docs)
        gold = [documents[name] for name in names if name in documents]
        if not gold:
            reason = "gold document not in the corpus" if item.gold_docs else "no gold document"
            outcomes.append(Outcome(item, "dropped", f"{reason}: {', '.join(item.gold_docs)}"))
            continue
        reference = reference_of(item, gold, vocabulary)
        if reference is None:
            outcomes.append(
                Outcome(item, "dropped", "no known term: the gold document names none of the question's")
            )
            continue
        outcomes.append(Outcome(dataclasses.replace(item, references=(reference,)), "built"))
    return outcomes


def reference_of(item: Item, gold: Sequence[Document], vocabulary: Vocabulary) -> Reference | None:
    """The reference of one item, None if its gold documents state nothing about its terms."""
    asked = {mention.entity for mention in vocabulary.find(item.question)}
    answers = {mention.entity for answer in item.answers for mention in vocabulary.find(answer)}
    wanted = asked | answers
    extractor = LexiconExtractor(vocabulary)
    kept: list[str] = []
    triples: dict[tuple[str, str, str], Triple] = {}
    for document in gold:
        title = {mention.entity for mention in vocabulary.find(document.title)}
        named = {mention.entity for mention in vocabulary.find(f"{document.title}. {document.text}")}
        # what the document is about, tied to the question's terms in it: profiles and abstracts rarely repeat
        # their subject in each sentence
        for subject in sorted((title & wanted) or title):
            for entity in sorted((asked & named) - {subject}):
                triples.setdefault((subject, "+", entity), Triple(subject, ASSOCIATED, entity, True))
        for sentence in sentences(document.text):
            if len(kept) >= MAX_SENTENCES:
                break
            entities = {mention.entity for mention in vocabulary.find(sentence)}
            if not entities & wanted:
                continue
            kept.append(sentence)
            for triple in extractor.extract(sentence):
                if triple.head in wanted or triple.tail in wanted:
                    key = (triple.head, triple.relation, triple.tail)
                    triples.setdefault(key, Triple(triple.head, triple.relation, triple.tail, True))
    if not triples:
        return None
    return Reference(
        triples=tuple(triples.values()), text=f"{' '.join(kept)} The answer is {item.answers[0]}.".strip()
    )
