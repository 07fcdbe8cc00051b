"""How much each engine counts for one query, estimated without any label.

Two observations, both about the query at hand:

* **A ranking that knows the answer stands out from itself.** z = (best score − mean of the others) / standard
  deviation of the others, over the first 100 results. It has no unit, so BM25's and the encoder's can be
  compared; a flat list (z near 2 to 3) is what an engine returns that sees nothing special.
* **One vector cannot hold a list.** Sentence encoders are trained on sentences; a query of fifty findings is
  averaged into a place near everything. Beyond `SENTENCE_TERMS` terms the encoder's share falls as 1 / terms.

The weight of BM25 is z_b² / (z_b² + z_d² · min(1, SENTENCE_TERMS / terms)), that of the encoder the rest:
squares, because engines' independent errors weigh by inverse variance. docs/benchmarks/retrieval.md
says on which half of which query sets this form was chosen, and what it gave on the others.
"""

from __future__ import annotations

import numpy as np

from medr3_plugin.retrieval.index.lexical import Scores

SENTENCE_TERMS = 16
"""Terms (stop words left out) of a long sentence."""
_LEAST, _MOST = 0.1, 20.0


def standing_out(scores: Scores) -> float:
    """z of the first score against the others, 0.1 to 20; 0 without any result.

    Args:
        scores: of one query, best first; 0 where there was no result.
    """
    if not len(scores) or scores[0] <= 0:
        return 0.0
    others = np.asarray(scores[1:], dtype=np.float64)
    if not len(others):
        return _LEAST
    distance, spread = float(scores[0]) - others.mean(), others.std()
    return float(np.clip(distance / max(spread, 1e-9), _LEAST, _MOST))


def lexical_weight(lexical: Scores, dense: Scores, terms: int) -> float:
    """BM25's weight, 0 to 1; the encoder has the rest.

    Args:
        lexical: BM25's scores of one query, best first.
        dense: the encoder's.
        terms: terms of the query that the corpus knows.
    """
    own = standing_out(lexical) ** 2
    other = standing_out(dense) ** 2 * min(1.0, SENTENCE_TERMS / max(terms, 1))
    return own / (own + other) if own + other else 0.5
