"""`medr3 data build-references`: reference reasoning graphs for questions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medr3_plugin.commands.options import PARQUET, Structured, endpoint, out_file
from medr3_plugin.data.questions.prompts import Form, Style
from medr3_plugin.errors import UserError


def build_references(  # noqa: PLR0917 (typer: one parameter per option)
    source: Annotated[Path, typer.Option("--in", help="Parquet written by 'medr3 data prepare'.")],
    out: Annotated[Path, typer.Option(help="Parquet to write, with references.")],
    base_url: Annotated[str, typer.Option(help="URL of the OpenAI-compatible teacher, up to /v1.")] = "",
    model: Annotated[str, typer.Option(help="Teacher model [default: the one served].")] = "",
    api_key_env: Annotated[str, typer.Option(help="Environment variable that holds the key.")] = "",
    policy_url: Annotated[str, typer.Option(help="URL of the policy, for the difficulty filter.")] = "",
    policy_model: Annotated[str, typer.Option(help="Policy model [default: the one served].")] = "",
    policy_attempts: Annotated[
        int, typer.Option(min=1, help="Answers sampled to estimate the pass rate.")
    ] = 8,
    min_pass_rate: Annotated[
        float, typer.Option(min=0, max=1, help="Drop questions below this pass rate.")
    ] = 0.0,
    max_pass_rate: Annotated[
        float, typer.Option(min=0, max=1, help="Drop questions above this pass rate.")
    ] = 0.5,
    structured: Annotated[Structured, typer.Option(help="Constrained decoding.")] = "json_schema",
    references: Annotated[int, typer.Option(min=1, help="Verified references per question.")] = 10,
    max_trajectories: Annotated[
        int | None,
        typer.Option(
            min=1, help="Pay for at most this many trajectories per question [default: 20, or --references]."
        ),
    ] = None,
    max_tokens: Annotated[int, typer.Option(min=16, help="Maximum length of a reply, in tokens.")] = 4096,
    min_score: Annotated[
        float, typer.Option(min=1, max=5, help="Lowest grade at which a trajectory is accepted.")
    ] = 5.0,
    index: Annotated[str, typer.Option(help="Index folder or service URL for the searches.")] = "",
    topk: Annotated[int, typer.Option(min=1, help="Documents per search.")] = 3,
    max_searches: Annotated[int, typer.Option(min=0, help="Searches per trajectory.")] = 4,
    journal: Annotated[
        Path | None, typer.Option(help="Journal of paid calls [default: OUT.journal].")
    ] = None,
    concurrency: Annotated[int, typer.Option(min=1, help="Questions processed concurrently.")] = 16,
    timeout_s: Annotated[float, typer.Option(min=1, help="Timeout of one reply, in seconds.")] = 600.0,
    give_up_after: Annotated[int, typer.Option(min=1, help="Stop after this many failures in a row.")] = 8,
    parameters: Annotated[
        str,
        typer.Option(
            help="JSON object of request parameters; null omits one, such as "
            """'{"max_tokens": null, "max_completion_tokens": 4096}'."""
        ),
    ] = "",
    prompt: Annotated[
        Style | None,
        typer.Option(
            help="Prompt of the written rows, without example turns [default: as in --in, with them]."
        ),
    ] = None,
    form: Annotated[
        Form | None,
        typer.Option(
            help="choice: the questions with their options are written; open: as rewritten without them "
            "(default: as in --in). References are made on the open question either way."
        ),
    ] = None,
    keep_dropped: Annotated[
        bool, typer.Option(help="Also write dropped questions, without references.")
    ] = False,
    offline: Annotated[
        bool, typer.Option(help="Use gold documents and vocabularies, without a language model.")
    ] = False,
    corpus: Annotated[
        list[Path] | None, typer.Option(help="Corpus with the gold documents (offline).")
    ] = None,
    vocabulary: Annotated[list[Path] | None, typer.Option(help="Vocabulary file (offline).")] = None,
) -> None:
    """Build reference reasoning graphs for questions, by language models or offline from gold documents.

    Resumable: after a failure, run the same command again; no call is paid for twice.
    """
    import asyncio
    import os
    from dataclasses import replace

    from medr3_plugin.data.references import build
    from medr3_plugin.data.references.caller import Costs, request_parameters
    from medr3_plugin.data.references.pipeline import BuildOptions
    from medr3_plugin.yaml_section import validated

    out_file(out, PARQUET, [source, *(corpus or []), *(vocabulary or [])])
    if offline and not (corpus and vocabulary):
        raise UserError("--offline needs --corpus and --vocabulary")
    if not offline and not base_url:
        raise UserError(
            "give --base-url (an OpenAI-compatible endpoint), or --offline with --corpus and --vocabulary"
        )
    options = validated(
        BuildOptions,
        {
            "references": references,
            "max_trajectories": max_trajectories or max(20, references),
            "min_score": min_score,
            "policy_attempts": policy_attempts if policy_url else 0,
            "min_pass_rate": min_pass_rate,
            "max_pass_rate": max_pass_rate,
            "concurrency": concurrency,
            "give_up_after": give_up_after,
            "topk": topk,
            "max_searches": max_searches,
            "max_tokens": max_tokens,
        },
        "options",
    )
    endpoint("--base-url", base_url)
    endpoint("--policy-url", policy_url)
    if not offline and api_key_env and not os.environ.get(api_key_env):
        raise UserError(
            f"--api-key-env {api_key_env}: this environment variable is not set; put the key into it"
        )
    rows = build.read_rows(source, prompt)
    if not any(row.item.options for row in rows):
        if form == "choice":
            raise UserError(
                f"--form choice: no question of {source} has options; run 'medr3 data prepare' with --form choice"
            )
        if not offline:
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
        style=prompt,
        form=form,
        keep_dropped=keep_dropped,
    )
    for line in build.summary_lines(report, out):
        typer.echo(line)
    build.raise_for(report, out, stopped)
