"""Sums in GSM8K's format: one digit for the first stage, two digits for the second.

python make_data.py FOLDER
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

SHOWN = [
    ("Tom has 3 apples and buys 5 more. How many does he have?", "3 + 5 = 8.\n#### 8"),
    ("Ann has 6 books and buys 1 more. How many does she have?", "6 + 1 = 7.\n#### 7"),
]
THINGS = ("pens", "coins", "cards", "stones", "eggs", "stamps")


def row(generator: random.Random, most: int, number: int) -> dict[str, object]:
    first, second = (generator.randint(most // 10 + 1, most) for _ in range(2))
    question = f"Sam has {first} {generator.choice(THINGS)} and buys {second} more. How many does he have?"
    turns = [
        {"role": role, "content": text}
        for shown in SHOWN
        for role, text in zip(("user", "assistant"), shown, strict=True)
    ]
    return {
        "data_source": "openai/gsm8k",  # chooses verl's reward function
        "prompt": [*turns, {"role": "user", "content": question}],
        "ability": "math",
        "reward_model": {"style": "rule", "ground_truth": str(first + second)},
        "extra_info": {"index": number},
    }


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    generator = random.Random(0)
    for name, most, count in (("one_digit", 9, 64), ("two_digits", 60, 64), ("val", 60, 8)):
        rows = [row(generator, most, i) for i in range(count)]
        pq.write_table(pa.Table.from_pylist(rows), folder / f"{name}.parquet")
        print(f"{folder / name}.parquet: {count} rows, e.g. {rows[0]['prompt'][-1]['content']}")  # type: ignore[index]


if __name__ == "__main__":
    main()
