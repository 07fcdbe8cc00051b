"""Settings of the search environment: the yaml section `medr3.environment`."""

from __future__ import annotations

import re
import string
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from medr3_plugin.records import NOTICES
from medr3_plugin.yaml_section import Section, validated

_CONTENT_FIELDS = ("text", "summary", "title")
_TAG = re.compile(r"</?(?:think|search|document|answer)>")
TEMPLATE_FIELDS = ("header", "title", "text", "summary", "source", "evidence_type", "year")


def _without_tags(text: str) -> str:
    if tag := _TAG.search(text):
        raise ValueError(f"holds the tag {tag[0]}, which would be read as one of the trajectory's own")
    return text


def _known_fields_only(template: str) -> str:
    try:
        template.format(**dict.fromkeys(TEMPLATE_FIELDS, ""))
        named = {field for _, field, _, _ in string.Formatter().parse(template)}
    except (KeyError, IndexError, ValueError, AttributeError) as error:
        fields = ", ".join(f"{{{field}}}" for field in TEMPLATE_FIELDS)
        raise ValueError(f"can hold the fields {fields}, and other braces doubled ({error})") from error
    if not named.intersection(_CONTENT_FIELDS):
        raise ValueError(
            f"shows nothing of a document; name {', '.join(f'{{{f}}}' for f in _CONTENT_FIELDS)} or several"
        )
    return template


Line = Annotated[str, AfterValidator(_without_tags)]
Template = Annotated[Line, AfterValidator(_known_fields_only)]


class EnvironmentSettings(Section):
    """How a search is answered inside a trajectory. All lengths are tokens of the policy's tokenizer.

    Attributes:
        max_searches: most searches per trajectory; a stage may set its own.
        topk: documents requested per search.
        document_tokens: budget of one rendered document, including its tags.
        search_tokens: budget of all documents of one search.
        answer_reserve: response tokens reserved for the answer, which documents never use.
        document_template: how a document is written between its tags. Fields: header (source, evidence
            type and year, as far as known), title, text, summary (the corpus column, else the text), source,
            evidence_type, year.
        stop_at_answer: end generation at `</answer>`, for small models that do not stop by themselves.
        query_gain: also search for the bare question, for the metric `search/query_gain`; only where gold documents
            are known, once per question and process.
        prefill_think: append `<think>` to the prompt, as the paper does, unless the chat template already has.
        empty_line: neutral text shown between document tags if a search found nothing. This and the next four are best
            written in the language of the questions.
        duplicate_line: shown if a search found only documents that were shown before.
        failed_line: shown if a search failed.
        malformed_line: shown if a search had no usable query.
        limit_line: shown for a search beyond `max_searches`.
    """

    max_searches: int = Field(default=4, ge=0)
    topk: int = Field(default=5, ge=1, le=100)
    document_tokens: int = Field(default=512, ge=16)
    search_tokens: int = Field(default=2048, ge=16)
    answer_reserve: int = Field(default=256, ge=1)
    document_template: Template = "{header}{title}. {text}"
    stop_at_answer: bool = False
    query_gain: bool = True
    prefill_think: bool = False
    empty_line: Line = NOTICES["empty"]
    duplicate_line: Line = NOTICES["duplicate"]
    failed_line: Line = NOTICES["failed"]
    malformed_line: Line = NOTICES["malformed"]
    limit_line: Line = NOTICES["limit"]

    @classmethod
    def from_mapping(cls, options: Mapping[str, Any] | None) -> EnvironmentSettings:
        """Validate the yaml section; a wrong key or value names its yaml path."""
        return validated(cls, options or {}, "medr3.environment")
