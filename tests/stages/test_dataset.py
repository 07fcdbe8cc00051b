from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medr3_plugin.errors import UserError
from medr3_plugin.stages.dataset import StampedLoader, mixture
from medr3_plugin.stages.schedule import Schedule

SOURCES = st.lists(st.sampled_from(["a", "b", "c"]), min_size=3, max_size=60)


@given(SOURCES, st.integers(0, 5), st.integers(1, 5), st.integers(0, 3))
def test_each_data_set_has_its_share_and_rows_repeat_evenly(sources, first, second, seed):
    sources = ["a", "b", *sources]
    rows = mixture(sources, {"a": first, "b": second}, seed)
    total = first + second
    for name, weight in (("a", first), ("b", second)):
        drawn = Counter(row for row in rows if sources[row] == name)
        assert drawn.total() == round(len(sources) * weight / total)
        if drawn:
            often = [drawn[i] for i, source in enumerate(sources) if source == name]
            assert max(often) - min(often) <= 1
    assert all(sources[row] != "c" for row in rows)
    assert rows == mixture(sources, {"a": first, "b": second}, seed)


@pytest.mark.parametrize(
    ("weights", "message"), [({"x": 1.0}, r"mixture\.x: no row.*there are: a, b"), ({"a": 0.0}, "above 0")]
)
def test_weights_that_select_nothing(weights, message):
    with pytest.raises(UserError, match=message):
        mixture(["a", "b"], weights, seed=0)


class Loader:
    """Stands for verl's loader: batches are dicts of columns, the position can be saved."""

    def __init__(self):
        self.position = 0

    def __len__(self):
        return 1

    def __iter__(self):
        yield {"raw_prompt": ["p", "q"], "extra_info": [{"id": "1"}, None]}

    def state_dict(self):
        return {"position": self.position}

    def load_state_dict(self, state):
        self.position = state["position"]


def test_rows_carry_their_stage():
    [stage] = Schedule.from_config(
        [{"name": "joint", "until": {"max_steps": 1}, "max_searches": 2, "temperature": 0.5}]
    ).stages
    stamp = {"stage": "joint", "max_searches": 2, "sampling": {"temperature": 0.5}, "stage_progress": 0.0}
    [batch] = StampedLoader(Loader(), stage, lambda: 0.0, training=True)
    assert list(batch["extra_info"]) == [{"id": "1", **stamp}, stamp]
    [batch] = StampedLoader(Loader(), stage, lambda: 0.0, training=False)
    assert "sampling" not in batch["extra_info"][0]


def test_progress_is_asked_at_every_batch():
    [stage] = Schedule.from_config([{"name": "x", "until": {"max_steps": 1}}]).stages
    steps = iter((0.0, 0.5))
    loader = StampedLoader(Loader(), stage, lambda: next(steps), training=True)
    assert [batch["extra_info"][1]["stage_progress"] for _ in range(2) for batch in loader] == [0.0, 0.5]


def test_the_position_is_the_loaders():
    [stage] = Schedule.from_config([{"name": "x", "until": {"max_steps": 1}}]).stages
    loader = StampedLoader(Loader(), stage, lambda: 0.0, training=True)
    loader.load_state_dict({"position": 7})
    assert loader.state_dict() == {"position": 7} and len(loader) == 1
