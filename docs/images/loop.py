"""Draws `loop.svg`: how the parts meet. `python docs/images/loop.py` writes it beside this file."""

from __future__ import annotations

from pathlib import Path

BOX = (168, 78)
BOXES = {
    "stage": (20, 20, "Stage scheduler", "reasoning → retrieval → joint"),
    "rollout": (226, 20, "Rollout", "think · search · read · answer"),
    "search": (226, 150, "Retrieval", "BM25 · dense · hybrid"),
    "reward": (432, 20, "Rewards", "answer first, then the bonus"),
    "judge": (432, 150, "Judge", "only what no rule decides"),
    "update": (638, 20, "GRPO / PPO", "verl; failures never train"),
    "report": (638, 150, "Report", "every search, every reward"),
}
ARROWS = [
    ("stage", "rollout"), ("rollout", "reward"), ("reward", "update"), ("update", "report"),
]  # fmt: skip
BOTH = [("rollout", "search"), ("reward", "judge")]


def draw() -> str:
    """The picture as SVG text; colours that read on light and dark pages."""
    width, height = BOX
    parts = [
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 826 262" font-family="system-ui, sans-serif">',
        '<defs><marker id="a" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto-start-reverse"><path d="M0 0 8 4 0 8z" fill="#5b7083"/></marker></defs>',
        '<rect width="826" height="262" rx="10" fill="#f7f9fb"/>',
    ]
    for name, (x, y, title, under) in BOXES.items():
        fill = (
            "#dcebf7" if name in ("stage", "rollout", "reward") else "#eaf3ea" if name == "update" else "#fff"
        )
        parts += [
            f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="8" fill="{fill}" stroke="#8aa0b3"/>',
            f'<text x="{x + width / 2}" y="{y + 34}" text-anchor="middle" font-size="16" font-weight="600" '
            f'fill="#16324a">{title}</text>',
            f'<text x="{x + width / 2}" y="{y + 56}" text-anchor="middle" font-size="11" fill="#3d566b">{under}</text>',
        ]
    line = 'stroke="#5b7083" stroke-width="1.6" fill="none" marker-end="url(#a)"'
    for start, end in ARROWS:
        (x1, y1, *_), (x2, y2, *_) = BOXES[start], BOXES[end]
        if y1 == y2:
            parts.append(f'<path d="M{x1 + width} {y1 + height / 2}H{x2 - 2}" {line}/>')
        else:
            parts.append(f'<path d="M{x1 + width / 2} {y1 + height}V{y2 - 2}" {line}/>')
    for start, end in BOTH:
        (x1, y1, *_), (_, y2, *_) = BOXES[start], BOXES[end]
        parts.append(
            f'<path d="M{x1 + width / 2} {y1 + height + 2}V{y2 - 2}" {line} marker-start="url(#a)"/>'
        )
    # new weights go back to the rollout, above the boxes
    x1, x2 = BOXES["update"][0] + width / 2, BOXES["rollout"][0] + width / 2
    parts.append(f'<path d="M{x1} 20V10H{x2}V18" {line} stroke-dasharray="4 3"/>')
    return "\n".join([*parts, "</svg>"]) + "\n"


if __name__ == "__main__":
    Path(__file__).with_name("loop.svg").write_text(draw(), encoding="utf-8")
