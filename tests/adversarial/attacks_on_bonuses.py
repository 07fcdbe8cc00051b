"""Attacks on the bonuses: the copy filter, reasoning S, retrieval T and coordination C. The answer is mostly right.

A ceiling of 1.0 where a part cannot tell the attack from honest work; another part must then stay low, and
`test_attacks` shows that the reward of the joint stage stays below honest work's.
"""

from __future__ import annotations

import itertools
import random

from attack import NO_ANSWER, RIGHT, WRONG, Attack
from cases import (
    CONCLUSION,
    NOISE,
    QUERY,
    REASONING,
    REFERENCE,
    REVIEW,
    TRIAL,
    VOCABULARY,
    respond,
    search,
    shown,
    turn,
)

from medr3_plugin.records import Document

_SENTENCES = REVIEW.text.split(". ")
_NAMES = [triple.head for triple in REFERENCE.triples]
_FACTS = [(triple.head, triple.relation, triple.tail) for triple in REFERENCE.triples]
# as long as an abstract; it states every fact of the reference
_ABSTRACT = Document(
    id="d1",
    title="Crystal arthropathies",
    text="Thiazide diuretics cause hyperuricemia in about one of ten patients who take them for long. "
    "Alcohol increases serum urate, and beer does so more than wine. "
    "Hyperuricemia leads to monosodium urate crystals once the saturation point is passed. "
    "Monosodium urate crystals trigger acute inflammation when they are shed into a joint. "
    "Acute inflammation causes joint pain within a few hours and mostly at night. "
    "Gout affects the first metatarsophalangeal joint before any other joint in most men.",
    source="review",
    evidence_type="systematic review",
    evidence_level=8,
)
_ABSTRACT_SENTENCES = _ABSTRACT.text.rstrip(".").split(". ")
_ABSTRACT_WORDS = _ABSTRACT.text.split()


def _pieces(size: int) -> list[str]:
    return [" ".join(_ABSTRACT_WORDS[i : i + size]) for i in range(0, len(_ABSTRACT_WORDS), size)]


def _copied(name: str, text: str, reasoning: float = 0.2) -> Attack:
    """The abstract in disguise after the search that brought it: no reasoning, and nothing that leads to the answer."""
    return Attack(
        name,
        respond(think=f"{search(_ABSTRACT)}{text}"),
        RIGHT,
        reasoning=reasoning,
        coordination=0.0,
        searches=(turn(_ABSTRACT),),
    )


_SHUFFLED = random.Random(0).sample(_pieces(9), len(_pieces(9)))
_INTERLEAVED = itertools.chain(
    *itertools.zip_longest(_ABSTRACT_SENTENCES, TRIAL.text.split(". "), fillvalue="")
)

COPIES = [
    _copied("sentences in reverse order", ". ".join(reversed(_ABSTRACT_SENTENCES))),
    _copied("pieces of nine words, shuffled", ". ".join(_SHUFFLED)),
    _copied("pieces of five words in reverse order", " so ".join(reversed(_pieces(5)))),
    _copied(
        "six words of filler between sentences", " as everybody in the ward knows: ".join(_ABSTRACT_SENTENCES)
    ),
    _copied(
        "nine words of filler after every nine", " and this is what we all know by now: ".join(_pieces(9))
    ),
    _copied("a citation after every eight words", " [1, p. 5, see also there] ".join(_pieces(8))),
    _copied("bullets and capitals", "\n".join(f"* {piece.upper()}" for piece in reversed(_pieces(7)))),
    _copied("every second sentence of another document", ". ".join(_INTERLEAVED)),
    _copied(
        "soft hyphens in the words", _ABSTRACT.text.replace("ur", "u\u00adr").replace("al", "a\u00adl"), 0.34
    ),
    _copied(
        "letters of another alphabet", _ABSTRACT.text.replace("o", "\u043e").replace("e", "\u0435"), 0.34
    ),
    _copied("accents on the words", _ABSTRACT.text.replace("e", "é")),
    _copied("British spelling", _ABSTRACT.text.replace("emia", "aemia")),
    _copied("the answer between the sentences", " Gout! ".join(reversed(_ABSTRACT_SENTENCES))),
    Attack(
        "the copy in slices between searches",
        respond(
            think=search(_ABSTRACT)
            + "".join(f"{sentence}. <search>{QUERY}</search>" for sentence in reversed(_ABSTRACT_SENTENCES))
        ),
        RIGHT,
        reasoning=0.2,
        coordination=0.0,
        searches=(turn(_ABSTRACT), *(turn(outcome="empty"),) * len(_ABSTRACT_SENTENCES)),
    ),
    Attack(
        "the copy outside of the thinking",
        f"<think>{search(_ABSTRACT)}</think>{_ABSTRACT.text}<answer>Gout</answer>",
        RIGHT,
        reasoning=0.0,
        coordination=0.0,
        searches=(turn(_ABSTRACT),),
    ),
    Attack(
        "the copy as the answer",
        f"<think>{search(_ABSTRACT)}</think><answer>{_ABSTRACT.text}</answer>",
        WRONG,
        reasoning=0.0,
        coordination=0.0,
        searches=(turn(_ABSTRACT),),
    ),
]


def _thought(name: str, text: str, reasoning: float) -> Attack:
    return Attack(name, respond(think=text), RIGHT, reasoning, 0.0, 0.0, searches=())


REASONING_ATTACKS = [
    _thought("facts as questions", " ".join(f"Does {a} cause {b}?" for a, _, b in _FACTS), 0.0),
    _thought(
        "both polarities", " ".join(f"{a} causes {b}. {a} does not cause {b}." for a, _, b in _FACTS), 0.5
    ),
    _thought("both directions", " ".join(f"{a} causes {b}. {b} causes {a}." for a, _, b in _FACTS), 0.5),
    _thought("every edge from itself", " ".join(f"{a} causes {a}." for a in VOCABULARY), 0.34),
    _thought("one list causes another", f"{', '.join(_NAMES)} cause {', '.join(VOCABULARY)}.", 0.26),
    _thought("a chain through the vocabulary", " causes ".join(VOCABULARY), 0.25),
    _thought(
        "honest facts among three hundred others",
        REASONING
        + CONCLUSION
        + " ".join(
            f"{a} causes {b}." for a, b in itertools.islice(itertools.permutations(VOCABULARY, 2), 300)
        ),
        0.4,
    ),
    _thought(
        "facts denied twice",
        " ".join(f"It is not so that {a} does not cause {b}." for a, _, b in _FACTS),
        0.34,
    ),
    *(
        _thought(f"every fact: {form}", " ".join(form.format(" ".join(triple)) for triple in _FACTS), 0.34)
        for form in (
            "{}: that is a myth.",
            "If {}, we would have to know.",
            "A fool would say that {}.",
            "Some people believe that {}.",
            "It is wrong that {}.",
        )
    ),
    _thought("one fact a hundred times", f"{_FACTS[0][0]} causes {_FACTS[0][2]}. " * 100, 0.25),
    _thought("facts without any relation", " / ".join(f"{a} - {b}" for a, _, b in _FACTS), 0.45),
    Attack(
        "reasoning inside the query",
        respond(think=f"<search>{REASONING}{CONCLUSION}</search>{shown(REVIEW)}"),
        RIGHT,
        reasoning=0.0,
        retrieval=0.9,
        coordination=0.0,
        searches=(turn(REVIEW, query=f"{REASONING}{CONCLUSION}".strip()),),
    ),
    Attack(
        "reasoning after the answer",
        f"{respond(think=' ')}{REASONING}{CONCLUSION}",
        RIGHT,
        reasoning=0.0,
        coordination=0.0,
        searches=(),
    ),
    Attack(
        "reasoning without an answer",
        f"<think>{REASONING}{CONCLUSION}</think>",
        NO_ANSWER,
        searches=(),
    ),
]

_BROAD = tuple(
    Document(
        id=f"b{i}",
        text=f"Salbutamol relieves bronchospasm, report {i}.",
        source=f"source {i}",
        evidence_level=9,
    )
    for i in range(6)
)
_CHUNKS = tuple(
    Document(id=f"n1#c{i}", text=f"{NOISE.text} Part {i}.", source=NOISE.source, evidence_level=9)
    for i in range(4)
)
_ALL_BROUGHT = "hyperuricemia, monosodium urate crystals, acute inflammation, alcohol, serum urate"

RETRIEVAL_ATTACKS = [
    Attack(
        "many irrelevant documents of many sources",
        respond(think="".join(search(document) for document in _BROAD) + REASONING + CONCLUSION),
        RIGHT,
        retrieval=0.2,
        coordination=0.0,
        searches=tuple(turn(document) for document in _BROAD),
    ),
    Attack(
        "the same, each one named",
        respond(think="".join(f"{search(document)}Bronchospasm and salbutamol." for document in _BROAD)),
        RIGHT,
        reasoning=0.1,
        # only the first one brought anything that was new
        retrieval=0.2 + 0.2 / 6,
        coordination=0.0,
        searches=tuple(turn(document) for document in _BROAD),
    ),
    Attack(
        "one irrelevant document in many chunks",
        respond(think=search(*_CHUNKS) + REASONING + CONCLUSION),
        RIGHT,
        retrieval=0.1,
        coordination=0.0,
        searches=(turn(*_CHUNKS),),
    ),
    Attack(
        "named before the search, not after",
        respond(think=f"{_ALL_BROUGHT}. {search(REVIEW)}", answer="A fracture"),
        WRONG,
        reasoning=0.34,
        retrieval=0.68,
        coordination=0.0,
    ),
    Attack(
        "named in the next query only",
        respond(think=f"{search(REVIEW)}{search(query=_ALL_BROUGHT)}", answer="A fracture"),
        WRONG,
        reasoning=0.0,
        retrieval=0.68,
        coordination=0.0,
        searches=(turn(REVIEW), turn(query=_ALL_BROUGHT, outcome="empty")),
    ),
    Attack(
        "the document's names in a list of many",
        respond(think=f"{search(REVIEW)}{', '.join(VOCABULARY)}."),
        RIGHT,
        reasoning=0.16,
        retrieval=0.82,  # it is named, which is half of its use
        coordination=0.0,
    ),
    Attack(
        "a search at the very end",
        respond(think=f"{REASONING}{CONCLUSION}{search(REVIEW)}"),
        RIGHT,
        retrieval=0.68,
    ),
    Attack(
        "the document found once, then noise with every search",
        respond(think=search(REVIEW) + search(NOISE) * 8 + REASONING + CONCLUSION),
        RIGHT,
        retrieval=0.8,
        searches=(turn(REVIEW), turn(NOISE), *(turn(NOISE, outcome="duplicate"),) * 7),
    ),
    Attack(
        "a document that claims the highest evidence for another",
        respond(think=search(NOISE, TRIAL) + REASONING + CONCLUSION),
        RIGHT,
        retrieval=0.4,
        searches=(turn(NOISE, TRIAL),),
    ),
    Attack(
        "a query that quotes the gold document's id",
        respond(think=f"<search>d1</search>{shown(NOISE)}{REASONING}{CONCLUSION}"),
        RIGHT,
        retrieval=0.2,
        coordination=0.0,
        searches=(turn(NOISE, query="d1"),),
    ),
    Attack(
        "the gold document's text quoted instead of retrieved",
        respond(think=f"{search(NOISE)}{REVIEW.text}"),
        RIGHT,
        retrieval=0.2,
        coordination=0.0,
        searches=(turn(NOISE),),
    ),
]

COORDINATION_ATTACKS = [
    Attack(
        "one supported edge and no more",
        respond(think=f"{search(REVIEW)}Gout and hyperuricemia: gout means hyperuricemia."),
        RIGHT,
        reasoning=0.15,
    ),
    Attack(
        "everything in the document tied to the answer",
        respond(think=f"{search(REVIEW)}Gout causes {', '.join(VOCABULARY[4:11])}."),
        RIGHT,
        reasoning=0.34,
    ),
    Attack(
        "what the document supports, about another disease",
        respond(
            think=f"{search(NOISE)}Salbutamol relieves bronchospasm. Inhaled corticosteroids relieve asthma."
        ),
        RIGHT,
        reasoning=0.0,
        retrieval=0.5,
        coordination=0.0,
        searches=(turn(NOISE),),
    ),
    Attack(
        "an answer that names every entity",
        respond(answer=f"Gout, {_ALL_BROUGHT}"),
        WRONG,
    ),
    Attack(
        "supported edges, a wrong answer",
        respond(think=f"{search(REVIEW)}{CONCLUSION}", answer="Hyperuricemia"),
        WRONG,
    ),
    Attack(
        "edges to the answer before anything supports them",
        respond(think=f"Gout causes asthma. Gout causes bronchospasm. {search(REVIEW)}"),
        RIGHT,
        reasoning=0.1,
        retrieval=0.7,
        coordination=0.0,
    ),
]

ATTACKS_ON_BONUSES = [*COPIES, *REASONING_ATTACKS, *RETRIEVAL_ATTACKS, *COORDINATION_ATTACKS]
