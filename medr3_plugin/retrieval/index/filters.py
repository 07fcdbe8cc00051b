"""Metadata filters: which documents a search may return."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from medr3_plugin.errors import UserError
from medr3_plugin.retrieval.corpus.evidence import HIGHEST, LOWEST
from medr3_plugin.retrieval.index.store import NO_YEAR, DocumentStore
from medr3_plugin.yaml_section import Section

Mask = npt.NDArray[np.bool_]
_LISTED = 20  # sources that an error names


class Filters(Section):
    """Conditions on a document, all of which must hold; None switches a condition off.

    Attributes:
        sources: the document's `source` is one of these (exact match).
        min_evidence_level: lowest evidence level, 1 to 9.
        max_evidence_level: highest evidence level, 1 to 9.
        min_year: first year of publication; documents without a year do not pass.
        max_year: last year of publication; documents without a year do not pass.
    """

    sources: tuple[str, ...] | None = None
    # not beyond where no document can be: the search would look like one without hits
    min_evidence_level: Annotated[int, Field(strict=True, le=HIGHEST)] | None = None
    max_evidence_level: Annotated[int, Field(strict=True, ge=LOWEST)] | None = None
    min_year: Annotated[int, Field(strict=True)] | None = None
    max_year: Annotated[int, Field(strict=True)] | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Filters:
        for name in ("evidence_level", "year"):
            lowest, highest = getattr(self, f"min_{name}"), getattr(self, f"max_{name}")
            if lowest is not None and highest is not None and lowest > highest:
                raise ValueError(f"min_{name} {lowest} is above max_{name} {highest}")
        return self

    def check_sources(self, known: Collection[str]) -> None:
        """Refuse a source that is not among those of the index.

        Raises:
            UserError: names it, and the sources there are.
        """
        if unknown := sorted(set(self.sources or ()) - set(known)):
            names = sorted(filter(None, known))
            if not names:
                raise UserError(f"filters.sources: no source {unknown[0]!r}; the index's documents name none")
            listed = ", ".join(map(repr, names[:_LISTED])) + f" and {len(names) - _LISTED} more" * (
                len(names) > _LISTED
            )
            raise UserError(f"filters.sources: the index has no source {unknown[0]!r}; it has {listed}")

    def mask(self, store: DocumentStore) -> Mask:
        """`[documents]` booleans, true where the document passes.

        Raises:
            UserError: a source that no document has, which would otherwise look like a search without hits.
        """
        mask = np.ones(len(store), dtype=np.bool_)
        if self.sources is not None:
            self.check_sources(store.sources)
            codes = [code for code, name in enumerate(store.sources) if name in self.sources]
            mask &= np.isin(store.source_codes, codes)
        if self.min_year is not None or self.max_year is not None:
            mask &= store.years != NO_YEAR
        for column, lowest, highest in (
            (store.levels, self.min_evidence_level, self.max_evidence_level),
            (store.years, self.min_year, self.max_year),
        ):
            if lowest is not None:
                mask &= column >= lowest
            if highest is not None:
                mask &= column <= highest
        return mask
