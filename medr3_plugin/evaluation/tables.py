"""Evaluation results as JSON, Markdown and LaTeX."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from medr3_plugin.evaluation.chat_policy import NOTES
from medr3_plugin.evaluation.published import LLAMA_3_1_8B, published
from medr3_plugin.evaluation.results import BenchmarkResult
from medr3_plugin.evaluation.statistics import Comparison
from medr3_plugin.runs.files import RESULTS

_NOTE = (
    "Published: arXiv:2507.23541, Llama-3.1-8B-Instruct as backbone, read from the vertices of the paper's "
    "radar chart; other prompts, judge and corpus than here."
)


def write_tables(
    folder: Path,
    results: Sequence[BenchmarkResult],
    *,
    label: str,
    compared: Mapping[str, Comparison] | None = None,
    other: str = "",
    with_published: bool = False,
    missing: Mapping[str, tuple[int, int]] | None = None,
    api: str = "",
) -> list[Path]:
    """Write `results.json`, `results.md` and `results.tex`; returns their paths.

    Args:
        label: name of the evaluated model.
        compared: paired comparisons by benchmark, with the evaluation called `other`.
        with_published: add the published numbers of the paper.
        missing: benchmark -> (missing samples, samples requested).
        api: how the model's server was queried, a key of `chat_policy.NOTES`; empty without a server.
    """
    notes = [note for note in (incomplete(missing) if missing else "", NOTES.get(api, "")) if note]
    document = {
        "model": label,
        "api": api or None,
        "benchmarks": [asdict(result) | {"accuracy": result.accuracy._asdict()} for result in results],
        "missing": {name: count for name, (count, _) in (missing or {}).items()},
        "compared_with": other or None,
        "comparisons": {
            name: comparison._asdict() | {"difference": comparison.difference._asdict()}
            for name, comparison in (compared or {}).items()
        },
    }
    if with_published:
        document["published"] = {result.benchmark: published(result.benchmark) for result in results}
    files = {
        RESULTS: json.dumps(document, indent=2, ensure_ascii=False) + "\n",
        "results.md": markdown(results, label, compared, other, with_published, notes=notes),
        "results.tex": latex(results, label, with_published, notes),
    }
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in files]


def markdown(
    results: Sequence[BenchmarkResult],
    label: str,
    compared: Mapping[str, Comparison] | None = None,
    other: str = "",
    with_published: bool = False,
    *,
    notes: Sequence[str] = (),
) -> str:
    """The tables in Markdown; accuracies in percent with 95 % bootstrap intervals over questions."""
    head = ["benchmark", "questions", "accuracy % [95 % CI]", "pass@n %", "answered %", "searches",
            "gold recall %", "tokens (generated + inserted)", "undecided", "invalid"]  # fmt: skip
    body = [
        [
            r.benchmark,
            str(r.questions),
            f"{100 * r.accuracy.mean:.1f} [{100 * r.accuracy.low:.1f}, {100 * r.accuracy.high:.1f}]",
            f"{100 * r.pass_at_n:.1f} (n={r.n})",
            f"{100 * r.answered:.1f}",
            f"{r.searches:.2f}",
            "–" if r.gold_recall is None else f"{100 * r.gold_recall:.1f}",
            f"{r.generated_tokens:.0f} + {r.inserted_tokens:.0f}",
            str(r.undecided),
            str(r.invalid),
        ]
        for r in results
    ]
    parts = [f"## {label}\n", _markdown_table(head, body)]
    parts += [f"\n{note}\n" for note in notes]
    if len(results) > 1:
        mean = sum(r.accuracy.mean for r in results) / len(results)
        parts.append(f"\nMean accuracy over benchmarks: {100 * mean:.1f} %\n")
    if compared:
        rows = []
        for name, c in compared.items():
            mean, low, high = (100 * value for value in c.difference)
            difference = f"{mean:+.1f} [{low:+.1f}, {high:+.1f}]"
            cells = [str(c.questions), difference, str(c.better), str(c.worse), f"{c.p_value:.2g}"]
            rows.append([name, *cells])
        counted = ("better", "worse", "p (sign flip)")
        head = ["benchmark", "shared questions", "difference, points [95 % CI]", *counted]
        parts += [f"\n## Against {other}, question by question\n", _markdown_table(head, rows)]
    if with_published and any(published(r.benchmark) for r in results):
        known = [r for r in results if published(r.benchmark)]
        ours = [label, *(f"**{100 * r.accuracy.mean:.1f}**" for r in known)]
        rows = [ours, *([m, *(f"{published(r.benchmark)[m]:.1f}" for r in known)] for m in LLAMA_3_1_8B)]
        parts += [
            "\n## Beside published numbers\n",
            _markdown_table(["method", *(r.benchmark for r in known)], rows),
        ]
        parts.append(f"\n{_NOTE}\n")
    return "\n".join(parts)


def incomplete(missing: Mapping[str, tuple[int, int]]) -> str:
    """One sentence about missing samples."""
    counts = ", ".join(f"{name} {count} of {asked} samples" for name, (count, asked) in missing.items())
    return f"Incomplete, missing: {counts}."


def latex(
    results: Sequence[BenchmarkResult],
    label: str,
    with_published: bool = False,
    notes: Sequence[str] = (),
) -> str:
    """A booktabs table: methods down, benchmarks across; accuracy in percent with its interval."""
    names = [r.benchmark for r in results]
    lines = [
        "% needs \\usepackage{booktabs}; intervals: 95 % bootstrap over questions",
        *(f"% {note}" for note in notes),
        f"\\begin{{tabular}}{{l{'r' * len(names)}}}",
        "\\toprule",
        " & ".join(["Method", *map(_tex, names)]) + " \\\\",
        "\\midrule",
    ]
    if with_published:
        for method in LLAMA_3_1_8B:
            values = [published(name).get(method) for name in names]
            lines.append(
                " & ".join([_tex(method), *("--" if v is None else f"{v:.1f}" for v in values)]) + " \\\\"
            )
        lines.append("\\midrule")
    cells = [
        # both ends: near 0 and 100 the interval lies to one side
        f"{100 * r.accuracy.mean:.1f}{{\\tiny\\,[{100 * r.accuracy.low:.1f}, {100 * r.accuracy.high:.1f}]}}"
        for r in results
    ]
    lines += [" & ".join([_tex(label), *cells]) + " \\\\", "\\bottomrule", "\\end{tabular}", ""]
    return "\n".join(lines)


def _markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    return "\n".join([line(head), "|" + "---|" * len(head), *map(line, rows)]) + "\n"


def _tex(text: str) -> str:
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    return "".join(special.get(c, "\\" + c if c in "&%$#_{}" else c) for c in text)
