"""Format score: does the trajectory have the shape that the prompt asks for."""

from __future__ import annotations

from medr3_plugin.trajectory import Trajectory


def format_score(trajectory: Trajectory) -> float:
    """Format score F: 1 if the trajectory has the shape that was asked for, else 0.

    That is: one think region at the start, closed; one answer outside of it; no tag or document out of place; no
    text outside of the two.

    Source: the paper's release, stage 1.

    >>> from medr3_plugin.trajectory import parse
    >>> format_score(parse("<think>why</think><answer>flu</answer>"))
    1.0
    >>> format_score(parse("<think>why</think>so <answer>flu</answer>"))
    0.0
    """
    as_asked = (
        trajectory.answer is not None
        and not trajectory.answer_in_think
        and trajectory.think_at_start
        and trajectory.think_opens == trajectory.think_closes == 1
        and trajectory.answer_opens == trajectory.answer_closes == 1
        and not trajectory.stray_tags
        and not trajectory.forged
        and not trajectory.text_outside
    )
    return float(as_asked)
