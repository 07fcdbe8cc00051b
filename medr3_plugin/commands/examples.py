"""An example of every command, shown at the end of its help."""

EXAMPLES = {
    "doctor": "medr3 doctor --no-ray",
    "recipes list": "medr3 recipes list",
    "recipes copy": "medr3 recipes copy one_gpu_1_5b ./my_project",
    "recipes validate": "medr3 recipes validate ./my_project trainer.n_gpus_per_node=2",
    "recipes rehearse": "medr3 recipes rehearse ./my_project --stand-ins",
    "data prepare": "medr3 data prepare medqa_us --source questions.jsonl --split train --out data/train.parquet",
    "data build-references": (
        "medr3 data build-references --in train.parquet --out references.parquet \\\n"
        "    --base-url http://127.0.0.1:8000/v1 --index indexes/textbooks"
    ),
    "data vocab": "medr3 data vocab --out data/vocabulary.jsonl.gz",
    "data quickstart": "medr3 data quickstart --out data/quickstart",
    "data model": "medr3 data model --out models/SmolLM2-135M-Instruct",
    "data encoder": "medr3 data encoder --out models/all-MiniLM-L6-v2",
    "corpus build": "medr3 corpus build --source articles.jsonl --out data/corpus",
    "corpus sources": "medr3 corpus sources",
    "index build": "medr3 index build --corpus data/corpus --out indexes/mine --engine bm25",
    "index info": "medr3 index info --index indexes/mine --json",
    "index evaluate": "medr3 index evaluate --source R2MED --out indexes/r2med --engine bm25",
    "search": 'medr3 search --index indexes/mine "treatment of scurvy" --topk 3',
    "serve": "medr3 serve --index indexes/mine --port 8765",
    "score": "medr3 score --in trajectories.jsonl --out scored.jsonl --stage joint --explain",
    "train": "medr3 train ./my_project trainer.n_gpus_per_node=2",
    "promote": "medr3 promote runs/mine",
    "eval": (
        "medr3 eval --model runs/mine/model --benchmark medqa_us --data data/benchmarks \\\n"
        "    --index indexes/mine --out results/mine"
    ),
    "report": "medr3 report runs/mine --out report.html",
}
"""Command without `medr3` -> example. One that runs over several lines is written as for a shell."""
