"""The honest trajectories that the attacks are measured against."""

from __future__ import annotations

from medr3_plugin.records import Document, Hit, Reference, Sample, SearchTurn, Triple

QUESTION = (
    "A 54-year-old man wakes with sudden severe pain, redness and swelling of the first metatarsophalangeal "
    "joint after an evening of beer and red meat. He takes hydrochlorothiazide. What is the most likely diagnosis?"
)
ANSWERS = ("Gout", "Gouty arthritis")
OPTIONS = {"A": "Septic arthritis", "B": "Pseudogout", "C": "Gout", "D": "Rheumatoid arthritis"}

REVIEW = Document(
    id="d1",
    title="Crystal arthropathies",
    text="Thiazide diuretics cause hyperuricemia. Hyperuricemia leads to monosodium urate crystals in the joint. "
    "Monosodium urate crystals trigger acute inflammation, which is gout. Alcohol increases serum urate.",
    source="review",
    evidence_type="systematic review",
    evidence_level=8,
)
TRIAL = Document(
    id="d2",
    title="Colchicine in acute flares",
    text="Colchicine reduces pain of acute gout within 24 hours. Colchicine inhibits neutrophil migration.",
    source="trials",
    evidence_type="RCT",
    evidence_level=6,
)
NOISE = Document(
    id="n1",
    title="Asthma in children",
    text="Inhaled corticosteroids reduce exacerbations of asthma. Salbutamol relieves bronchospasm in children.",
    source="meta",
    evidence_type="meta-analysis",
    evidence_level=9,
)
REFERENCE = Reference(
    triples=(
        Triple("thiazide diuretic", "causes", "hyperuricemia", True),
        Triple("alcohol", "increases", "serum urate", True),
        Triple("hyperuricemia", "leads to", "monosodium urate crystals", True),
        Triple("monosodium urate crystals", "trigger", "acute inflammation", True),
        Triple("acute inflammation", "causes", "joint pain"),
        Triple("gout", "affects", "first metatarsophalangeal joint"),
    ),
    text="Thiazides and alcohol raise urate; urate crystals inflame the joint of the big toe.",
)
VOCABULARY = [
    *("gout", "pseudogout", "septic arthritis", "rheumatoid arthritis", "hyperuricemia", "thiazide diuretic"),
    *("hydrochlorothiazide", "alcohol", "serum urate", "monosodium urate crystals", "acute inflammation"),
    *("joint pain", "joint", "colchicine", "pain", "first metatarsophalangeal joint", "neutrophil migration"),
    *("asthma", "inhaled corticosteroids", "salbutamol", "bronchospasm", "exacerbations", "children"),
    *("fever", "sepsis", "osteoarthritis", "lupus"),
]

REASONING = (
    "The patient takes a thiazide diuretic and drank alcohol. A thiazide diuretic causes hyperuricemia. Alcohol "
    "increases serum urate. Hyperuricemia leads to monosodium urate crystals. "
)
CONCLUSION = (
    "So monosodium urate crystals trigger acute inflammation. Acute inflammation causes joint pain. Monosodium "
    "urate crystals cause gout. Gout affects "
    "the first metatarsophalangeal joint, which fits this man. "
)
QUERY = "thiazide hyperuricemia acute monoarthritis"


def shown(document: Document) -> str:
    return f"<document>({document.source}, {document.evidence_type}) {document.text}</document>"


def turn(*documents: Document, query: str = QUERY, outcome: str = "ok") -> SearchTurn:
    hits = tuple(Hit(document, 1.0) for document in documents)
    ids = tuple(document.id for document in documents) if outcome == "ok" else ()
    return SearchTurn(query=query, hits=hits, shown=ids, outcome=outcome)  # type: ignore[arg-type]


def search(*documents: Document, query: str = QUERY) -> str:
    return f"<search>{query}</search>" + "".join(map(shown, documents))


HONEST_THINK = f"{REASONING}{search(REVIEW)}{CONCLUSION}"
HONEST_TURNS = (turn(REVIEW),)


def respond(think: str = HONEST_THINK, answer: str = "Gout") -> str:
    return f"<think>{think}</think><answer>{answer}</answer>"


def sample(
    response: str,
    *,
    searches: tuple[SearchTurn, ...] = HONEST_TURNS,
    options: dict[str, str] | None = None,
    stage: str = "joint",
    question: str = QUESTION,
    answers: tuple[str, ...] = ANSWERS,
) -> Sample:
    return Sample(
        id="attack",
        question=question,
        response=response,
        answers=answers,
        options=options,
        gold_docs=("d1",),
        references=(REFERENCE,),
        searches=searches,
        stage=stage,
    )
