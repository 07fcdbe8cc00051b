"""Settings of the progressive trainer: keys of the yaml section `medr3` that are not a section themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from medr3_plugin.yaml_section import Section, validated

SECTIONS = ("stages", "reward", "environment", "retrieval", "platform")
"""Keys of `medr3` with a validator of their own (`platform` is read by `medr3 train`)."""


class ProgressSettings(Section):
    """How a run is recorded and when it gives up.

    Attributes:
        run_dir: folder for metrics, stages, trajectories and the report.
        trajectories_per_step: trajectories written per step; 0 writes none.
        max_invalid_share: the run stops if a larger share of a step's samples is invalid (services failed).
        wrong_group_weight: factor for the advantages of groups without a right answer (estimator `medr3_grpo`): 1
            treats them like the others, 0 ignores them, 0.25 matches the gate, which pays wrong answers a quarter
            of the bonus of right ones.
        validate_at_handover: validate at the end of a stage.
        checkpoint_at_handover: write a checkpoint at the end of a stage.
    """

    run_dir: str = Field(min_length=1)
    trajectories_per_step: int = Field(default=8, ge=0)
    max_invalid_share: float = Field(default=0.5, ge=0, le=1)
    wrong_group_weight: float = Field(default=1.0, ge=0, le=1)
    validate_at_handover: bool = True
    checkpoint_at_handover: bool = True

    @classmethod
    def from_section(cls, section: Mapping[str, Any]) -> ProgressSettings:
        """Validate the plain keys of the section `medr3`; an unknown key names its yaml path."""
        own = {key: value for key, value in section.items() if key not in SECTIONS}
        return validated(cls, own, "medr3", beside=SECTIONS)
