"""Numbers published for Med-R^3 (arXiv:2507.23541), to compare yours with.

Accuracy in percent, Llama-3.1-8B-Instruct as backbone. The paper shows them as a radar chart; they were read
from the vertices of its vector graphic, so the second decimal may be off by one. The protocol of the
rare-disease sets (how many diagnoses, which judge) is not stated there: those two columns compare least well.
"""

from __future__ import annotations

BENCHMARKS = (
    *("medqa_us", "medqa_mainland", "medmcqa", "rarearena_rdc", "rarearena_rds"),
    *("mmlu_med", "nejm", "medxpertqa"),
)
"""The paper's eight benchmarks, in its order; the first five are in-domain."""

LLAMA_3_1_8B: dict[str, tuple[float, ...]] = {
    "Llama-3.1-8B-Instruct": (31.16, 41.45, 30.02, 41.85, 22.16, 37.12, 50.41, 14.90),
    "SFT": (61.39, 62.10, 63.27, 44.83, 35.20, 63.08, 49.64, 12.72),
    "UltraMedical3.1-8B": (66.86, 58.45, 65.73, 43.83, 32.39, 75.86, 50.66, 12.08),
    "R1-Searcher": (60.28, 60.92, 63.54, 42.87, 38.65, 70.19, 53.81, 15.73),
    "ReSearch": (62.76, 66.03, 66.25, 46.35, 38.44, 71.27, 53.26, 14.65),
    "AlphaMed-8B": (64.06, 64.98, 66.43, 43.55, 38.14, 71.44, 51.48, 22.01),
    "HuatuoGPT-o1-8B": (66.97, 66.15, 72.45, 49.76, 41.59, 74.52, 51.60, 14.34),
    "MedS3-8B": (73.51, 69.63, 65.47, 46.85, 37.72, 78.75, 55.09, 12.50),
    "Med-R3": (75.91, 75.95, 75.89, 57.34, 47.16, 79.07, 60.60, 16.48),
}


def published(benchmark: str) -> dict[str, float]:
    """Method -> accuracy in percent on a benchmark; empty for one the paper does not have."""
    if benchmark not in BENCHMARKS:
        return {}
    column = BENCHMARKS.index(benchmark)
    return {method: values[column] for method, values in LLAMA_3_1_8B.items()}
