"""How hard the generated rare-disease task is: where BM25 ranks the gold profile, and prompt length in tokens.

python benchmarks/rare_disease_task.py [--questions 300] [--model FOLDER]
"""

from __future__ import annotations

import argparse
import random
import statistics

import bm25s
import Stemmer

from medr3_plugin.data.questions import prompts
from medr3_plugin.data.quickstart import build as quickstart
from medr3_plugin.data.quickstart import corpora, hpo, rare_disease

STEMMER = Stemmer.Stemmer("english")


def tokens(texts: list[str]) -> object:
    return bm25s.tokenize(texts, stopwords="en", stemmer=STEMMER, show_progress=False)


def gold_ranks(index: bm25s.BM25, rows: list[dict], items: list, queries: list[str]) -> list[int]:
    """Rank of the first gold document of each question (0 is the first), 5 if none is among five."""
    found, _ = index.retrieve(tokens(queries), k=5, show_progress=False)
    return [
        next((rank for rank, number in enumerate(ranked) if rows[number]["id"] in item.gold_docs), 5)
        for ranked, item in zip(found, items, strict=True)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--questions", type=int, default=300)
    parser.add_argument("--model", help="model folder, for prompt lengths")
    arguments = parser.parse_args()

    ontology, rng = hpo.load(), random.Random(0)
    rows = [row for source in corpora.SOURCES.values() for row in source()]
    index = bm25s.BM25()
    index.index(tokens([f"{row['title']}. {row['text']}" for row in rows]), show_progress=False)
    print(f"{len(rows)} documents, {arguments.questions} validation questions\n")
    print(
        "| signs | layperson share | query | gold first | gold in two | gold in five | diseases (train / validation) |"
    )
    print("|---|---|---|---|---|---|---|")
    for signs in (3, 4, 5):
        for share in (0.0, 0.3, 0.6, 1.0):
            wording = rare_disease.Wording(signs=signs, layperson_share=share)
            questions = rare_disease.RareDiseaseQuestions(ontology, wording=wording)
            items = list(questions.generate("validation", arguments.questions))
            pools = " / ".join(str(len(questions.diseases(split))) for split in ("train", "validation"))
            ranks = {
                # what a model gets that copies, and what one could get that knows the medical terms
                "copied": gold_ranks(index, rows, items, [", ".join(q.words) for q in items]),
                "medical terms": gold_ranks(
                    index, rows, items, [", ".join(ontology.terms[t].name for t in q.signs) for q in items]
                ),
            }
            ranks["either"] = [min(pair) for pair in zip(*ranks.values(), strict=True)]
            if signs > 3:
                # what the demonstrations of `warm_start.py` search for
                some = [", ".join(rng.sample(q.words, signs - 1)) for q in items]
                ranks["copied, all but one"] = gold_ranks(index, rows, items, some)
            for query, found in ranks.items():
                shares = " | ".join(f"{statistics.mean(rank < k for rank in found):.2f}" for k in (1, 2, 5))
                print(f"| {signs} | {share} | {query} | {shares} | {pools} |")

    if arguments.model:
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(arguments.model)
        examples = rare_disease.example_turns(ontology)
        lengths = []
        for item in rare_disease.RareDiseaseQuestions(ontology).generate("validation", arguments.questions):
            messages = prompts.with_examples(item.question, examples, quickstart.SYSTEM)
            text = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
            lengths.append(len(tokenizer.encode(text, add_special_tokens=False)))
        print(f"\nprompt tokens: {min(lengths)} to {max(lengths)}, mean {statistics.mean(lengths):.0f}")


if __name__ == "__main__":
    main()
