"""The reward record: the same keys for every sample, all floats.

verl takes the keys of the first sample and looks them up in all others, so a key that is sometimes missing is a crash
or a silent loss. `empty()` is therefore the only place where records are created.
"""

from __future__ import annotations

KEYS: tuple[str, ...] = (
    "score",  # the reward
    "acc",  # 1 if the answer is right
    "answer",  # answer term A
    "reasoning",  # S, of the best reference
    "reasoning_logic",
    "reasoning_semantic",
    "reasoning_statistic",
    "retrieval",  # T
    "retrieval_quality",
    "retrieval_coverage",
    "retrieval_utilisation",
    "retrieval_breadth",
    "coordination",  # C
    "paper_reasoning",  # terms of the preset paper, 0 under any other (`rewards.paper`)
    "paper_semantic",
    "paper_statistic",
    "paper_logical",
    "paper_retrieval_number",
    "paper_retrieval",
    "paper_quality",
    "paper_breadth",
    "format",  # format score F, 1 = as asked
    "penalty_format",  # penalties are zero or negative: score = answer + gate * bonus + penalties
    "penalty_length",
    "penalty_language",
    "penalty_overlong",
    "valid",  # 0: a service failed, the score is not a reward
    "forged",  # 1: the model wrote a document itself
    "searches",  # searches that were executed, the failed ones included
    "documents",  # distinct documents shown
    "search_failures",
    "judge_failures",  # 1: the judge (for a verdict, a comparison or triples) or the sentence encoder failed
    "stage",  # index of the stage's formula: 0 reasoning, 1 retrieval, 2 joint
)


def empty() -> dict[str, float]:
    """A record with every key at 0.0."""
    return dict.fromkeys(KEYS, 0.0)
