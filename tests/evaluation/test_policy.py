"""Seeds of sampled trajectories."""

from __future__ import annotations

from itertools import product

from medr3_plugin.evaluation.policy import Sampling, trajectory_seed


def asked(question: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": question}]


def test_a_seed_belongs_to_one_sample_of_one_question_and_repeats() -> None:
    def seeds() -> list[int]:
        return [
            trajectory_seed(Sampling(seed=seed), number, asked(f"Which disease is {i}?"))
            for seed, number, i in product(range(2), range(4), range(50))
        ]

    assert seeds() == seeds()
    assert len(set(seeds())) == 400
    assert all(0 <= seed < 2**31 for seed in seeds())
    # consecutive turns of a trajectory count up from its seed: two trajectories do not meet
    assert min(b - a for a, b in zip(sorted(seeds()), sorted(seeds())[1:], strict=False)) > 8
