"""`medr3 doctor`: what is installed, what is registered, what is missing."""

from __future__ import annotations

import json
from typing import Annotated

import typer


def doctor(
    ray: Annotated[bool, typer.Option(help="Check inside a Ray worker too (about 20 s).")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show versions and registrations; exit 1 if training cannot work here."""
    from medr3_plugin.doctor import checks, versions

    installed = versions()
    if not as_json:
        for name, version in installed.items():
            print(f"  {name:<22} {version or '-'}", flush=True)
    found = []
    for check in checks(ray_worker=ray):
        found.append(check)
        if not as_json:
            mark = "ok" if check.ok else "NO" if check.needed else "-"
            print(f"{mark:<3} {check.name}: {check.found}", flush=True)
            if check.remedy:
                print(f"      -> {check.remedy}")
    usable = all(check.ok for check in found if check.needed)
    if as_json:
        about = {"versions": installed, "checks": [check._asdict() for check in found], "usable": usable}
        print(json.dumps(about, indent=1))
    else:
        print("ready to train" if usable else "training cannot work here; scoring and retrieval can")
    if not usable:
        raise typer.Exit(1)
