"""Layouts of public datasets: how each one's own files say question, options, answer and gold documents.

A layout is a function from the rows of a source to a parser; `DATASETS` names them all,
and a program may add its own. Every parser also
accepts the generic layout, so that a file converted by another tool can be named for what it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from medr3_plugin.data.layouts import bioasq, generic, medmcqa, medxpertqa, mmlu, pubmedqa, rarearena
from medr3_plugin.data.questions.items import Item
from medr3_plugin.data.questions.reading import RawRow

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
        rarearena.parser("rarearena_rds"), "RareArena, screening", "THUMedInfo/RareArena", "RDS.json"
    ),
    "rarearena_rdc": Layout(
        rarearena.parser("rarearena_rdc"), "RareArena, confirmation", "THUMedInfo/RareArena", "RDC.json"
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
