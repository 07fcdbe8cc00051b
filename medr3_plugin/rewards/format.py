"""Format score: does the trajectory have the shape that the prompt asks for."""

from __future__ import annotations

from medr3_plugin.trajectory import Trajectory


def format_score(trajectory: Trajectory, soft: float = 0.0) -> float:
    """Format score F in {0, soft, 1}.

    * 0: no `</think>`, an answer inside the think region, or no answer.
    * `soft`: the think tags are not exactly one pair at the start, the answer tags not exactly one pair, a
      tag or a document is out of place, or there is text outside of the think region and the answer.
    * 1: otherwise.

    Source: the paper's release, stage 1 (there `soft` is 0).

    >>> from medr3_plugin.trajectory import parse
    >>> format_score(parse("<think>why</think><answer>flu</answer>"))
    1.0
    >>> format_score(parse("<think>why</think>so <answer>flu</answer>"), soft=0.5)
    0.5
    """
    if not trajectory.think_closes or trajectory.answer_in_think or trajectory.answer is None:
        return 0.0
    as_asked = (
        trajectory.think_at_start
        and trajectory.think_opens == trajectory.think_closes == 1
        and trajectory.answer_opens == trajectory.answer_closes == 1
        and not trajectory.stray_tags
        and not trajectory.forged
        and not trajectory.text_outside
    )
    return 1.0 if as_asked else soft
