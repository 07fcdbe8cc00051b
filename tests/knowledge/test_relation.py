from __future__ import annotations

import pytest

from medr3_plugin.knowledge.relation import is_negated


@pytest.mark.parametrize(
    ("relation", "negated"),
    [
        ("causes", False),
        ("", False),
        ("is associated with", False),
        ("inhibits", False),
        ("nodule of", False),
        ("knows", False),
        ("DOES NOT CAUSE", True),
        ("doesn't cause", True),
        ("does_not_cause", True),
        ("is not", True),
        ("without", True),
        ("rules out", True),
        ("ruled out", True),
        ("rule_out", True),
        ("excludes", True),
        ("negative for", True),
        ("lacks", True),
        ("is absent in", True),
        ("not without", False),
        ("does not exclude", False),
        ("导致", False),
        ("不导致", True),
        ("排除", True),
        ("不能排除", False),
        ("无", True),
    ],
)
def test_polarity(relation, negated):
    assert is_negated(relation) is negated
