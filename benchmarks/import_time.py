"""What the plugin adds to `import verl`: fresh processes, plugin on and off in turn, median of N.

    python benchmarks/import_time.py [--runs 5]

Two figures: the whole import with and without the plugin, and, less noisy, the time of importing the plugin
itself in a process that has just imported verl without it.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys

WHOLE = "import time; start = time.perf_counter(); import verl; print(time.perf_counter() - start)"
ALONE = "import verl, time; start = time.perf_counter(); import medr3_plugin.plugin; print(time.perf_counter() - start)"


def seconds(code: str, plugins: str) -> float:
    environment = {**os.environ, "VERL_USE_EXTERNAL_PLUGINS": plugins}
    environment.pop("VERL_PLATFORM", None)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return float(done.stdout.strip().splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    on, off, alone = [], [], []
    for _ in range(runs):
        on.append(seconds(WHOLE, "auto"))
        off.append(seconds(WHOLE, "none"))
        alone.append(seconds(ALONE, "none"))
    print(f"import verl, plugin on    median {statistics.median(on):.3f} s  ({min(on):.3f} to {max(on):.3f})")
    print(
        f"import verl, plugin off   median {statistics.median(off):.3f} s  ({min(off):.3f} to {max(off):.3f})"
    )
    print(f"import of the plugin      median {1000 * statistics.median(alone):.1f} ms")


if __name__ == "__main__":
    main()
