"""Layouts of public datasets: how each one's own files say question, options, answer and gold documents.

A layout is a function from the rows of a source to a parser; `DATASETS` names them all,
and a program may add its own. Every parser also
accepts the generic layout, so that a file converted by another tool can be named for what it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from medr3_plugin.data.layouts import bioasq, generic, medmcqa, medxpertqa, mmlu, pubmedqa, rarearena
from medr3_plugin.data.questions.items import Item
from medr3_plugin.data.questions.reading import RawRow
from medr3_plugin.errors import UserError
from medr3_plugin.text import has_cjk

Parser = Callable[[RawRow], Item]


@dataclass(frozen=True, slots=True)
class Layout:
    """A named dataset.

    Attributes:
        parser: given all rows (some layouts must look at the whole file first), the function that turns one
            row into an item; it raises `RowError` for a bad row and `RowSkipped` for one that is not wanted.
        about: one line for the command line's help.
        hub: where it is on the Hub, if anywhere, as `owner/name[[:config]:split]`; only a hint.
        hub_file: the file of that dataset which is meant, where it holds others of another form.
    """

    parser: Callable[[Sequence[RawRow]], Parser]
    about: str
    hub: str = ""
    hub_file: str = ""


def _each(parse: Parser) -> Callable[[Sequence[RawRow]], Parser]:
    """A parser that needs no look at the other rows."""
    return lambda _: parse


DATASETS: dict[str, Layout] = {
    # MedQA (Jin et al. 2020) is in the generic layout; its US questions exist with five and with four options, and a
    # source with both is refused. bigbio/med_qa comes as a script: it is read from the Hub's own parquet copy
    "medqa_us": Layout(generic.parser("medqa_us"), "MedQA, USMLE (US)", "GBaker/MedQA-USMLE-4-options:test"),
    "medqa_mainland": Layout(
        generic.parser("medqa_mainland"),
        "MedQA, MCMLE (Mainland China)",
        "bigbio/med_qa:med_qa_zh_4options_source:test",
    ),
    "medqa_taiwan": Layout(
        generic.parser("medqa_taiwan"), "MedQA, TWMLE (Taiwan)", "bigbio/med_qa:med_qa_tw_source:test"
    ),
    "medmcqa": Layout(medmcqa.parser, "MedMCQA (AIIMS, NEET PG)", "openlifescienceai/medmcqa:validation"),
    "pubmedqa": Layout(
        _each(pubmedqa.parse), "PubMedQA, labelled yes/no/maybe", "qiaojin/PubMedQA:pqa_labeled:train"
    ),
    "mmlu_med": Layout(_each(mmlu.parse), "MMLU, the six medical subjects", "cais/mmlu:all:test"),
    "medxpertqa": Layout(
        _each(medxpertqa.parse), "MedXpertQA, text subset", "TsinghuaC3I/MedXpertQA:Text:test"
    ),
    "nejm": Layout(generic.parser("nejm"), "NEJM-style questions (generic layout)"),
    "rarearena_rds": Layout(
        _each(partial(rarearena.parse, "rarearena_rds")),
        "RareArena, screening",
        "THUMedInfo/RareArena",
        "RDS.json",
    ),
    "rarearena_rdc": Layout(
        _each(partial(rarearena.parse, "rarearena_rdc")),
        "RareArena, confirmation",
        "THUMedInfo/RareArena",
        "RDC.json",
    ),
    "bioasq": Layout(_each(bioasq.parse), "BioASQ task b, yes/no and factoid"),
    "rare_disease": Layout(generic.parser("rare_disease"), "rare-disease cases (source 'hpo': generated)"),
    "search_r1": Layout(
        generic.parser("search_r1"), "Search-R1's training rows", "PeterJinGo/nq_hotpotqa_train:train"
    ),
    "generic": Layout(
        generic.parser("generic"),
        "your own rows with question, answer(s), options; jsonl, json, csv, tsv, parquet",
    ),
}

_COLUMNS: Mapping[str, tuple[frozenset[str], ...]] = {
    "medmcqa": (frozenset(("opa", "opb")),),
    "pubmedqa": (frozenset(("final_decision",)),),
    "medxpertqa": (frozenset(("medical_task", "body_system")),),
    "bioasq": (frozenset(("body", "type")), frozenset(("exact_answer",))),
    "rarearena": (frozenset(("case_report", "diagnosis")),),
    "medqa": (frozenset(("meta_info", "answer_idx")),),
    "mmlu_med": (frozenset(("subject", "choices")),),
    "search_r1": (frozenset(("golden_answers",)),),
}
"""Dataset, or family of them -> columns that only its own files have."""
_ANY = ("generic", "nejm", "rare_disease")
"""Names under which files of every layout may come."""


def check_origin(dataset: str, rows: Sequence[RawRow], source: str) -> None:
    """Refuse a source most of whose rows are of another dataset: ids, rubrics and gold documents would be wrong.

    Raises:
        UserError: names the dataset that it looks like.
    """
    readable = [row.data for row in rows if not row.error]
    if dataset in _ANY or not readable:
        return
    found, count = (Counter(filter(None, map(_origin, readable))).most_common(1) or [("", 0)])[0]
    if 2 * count > len(readable) and not dataset.startswith(found):
        names = " or ".join(f"`{name}`" for name in DATASETS if name.startswith(found))
        raise UserError(
            f"{source}: its rows look like {names}, not like `{dataset}`: prepare it under that name, or under "
            "`generic` if it is your own file"
        )
    if dataset == "medqa_us" and 2 * sum(has_cjk(str(data.get("question"))) for data in readable) > len(
        readable
    ):
        raise UserError(f"{source}: its questions are Chinese: use medqa_mainland or medqa_taiwan")


def _origin(data: Mapping[str, Any]) -> str:
    """The dataset, or family of datasets, of a row; "" if its columns do not show it."""
    for name, forms in _COLUMNS.items():
        if any(form <= data.keys() for form in forms):
            return name
    own = data.get("dataset")
    return str(own) if own in DATASETS and own not in _ANY else ""
