"""Encoding a corpus on a Ray cluster, shard by shard, so that a run that was stopped resumes where it was.

Every worker opens the document store and loads the encoder once, takes the numbers of shards, and writes each
shard's vectors beside the others (`vectors.encode_shard`: written under another name and renamed). The folder
must therefore be one that all nodes see under the same path, as a training cluster's shared disk is.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tqdm import tqdm

from medr3_plugin.errors import UserError, needs
from medr3_plugin.retrieval.index.encoder import Encoder, EncoderConfig
from medr3_plugin.retrieval.index.store import DocumentStore
from medr3_plugin.retrieval.index.vectors import encode_shard, is_done, shard_path, shard_ranges

_KEPT = "finished shards are kept, start again to resume"


class ShardEncoder:
    """Ray Data's worker: the number of a shard in, that number and its documents out."""

    def __init__(
        self, make_encoder: Callable[[], Encoder], documents: str, shards: str, batch_size: int | None
    ) -> None:
        self._store = DocumentStore(Path(documents))
        self._shards = Path(shards)
        self._batch_size = batch_size
        self._make_encoder = make_encoder
        self._encoder: Encoder | None = None

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """Encode and write one shard; a user's mistake is returned, for Ray would bury it in its trace."""
        number = int(row["item"])
        try:
            if self._encoder is None:
                self._encoder = self._make_encoder()
            rows = encode_shard(self._encoder, self._store, self._shards, number, self._batch_size)
        except UserError as error:
            return {"shard": number, "documents": 0, "error": str(error)}
        return {"shard": number, "documents": rows, "error": ""}


def encode_corpus(
    encoder: EncoderConfig | Callable[[], Encoder],
    documents: str | Path,
    shards: str | Path,
    *,
    workers: int | None = None,
    gpus_per_worker: float = 0.0,
    batch_size: int | None = None,
) -> int:
    """Encode all documents of a store with Ray Data; existing shards are left as they are.

    Args:
        encoder: its configuration, or what makes one in a worker.
        documents: folder of a `store.DocumentStore`.
        shards: folder for the vectors, read by `vectors.Shards`; seen by all nodes under this path.
        workers: processes, each with an encoder of its own; None: as many as the cluster's CPUs (or GPUs)
            allow, but not more than there are shards to do.
        gpus_per_worker: GPUs for each; a fraction lets workers share one.
        batch_size: texts encoded together; None: what suits the device.

    Returns:
        How many documents were encoded now.

    Raises:
        UserError: the encoder cannot be loaded, or a worker failed; the message has the cause.
    """
    with needs("ray", "verl", "encoding on Ray"):
        import ray
        import ray.data
    folder, target = Path(documents).resolve(), Path(shards).resolve()
    store = DocumentStore(folder)
    ranges = shard_ranges(len(store))
    store.close()
    missing = [
        n for n, (start, stop) in enumerate(ranges) if not is_done(shard_path(target, n), stop - start)
    ]
    if not missing:
        return 0
    if not ray.is_initialized():
        ray.init(include_dashboard=False)
    wanted = min(len(missing), workers or _room(ray, gpus_per_worker))
    make = encoder if callable(encoder) else functools.partial(Encoder, encoder)
    # one block per shard, so that each is a task of its own and the work spreads evenly
    pending = ray.data.from_items(missing, override_num_blocks=len(missing))
    encoded = pending.map(
        ShardEncoder,
        fn_constructor_args=(make, str(folder), str(target), batch_size),
        concurrency=wanted,
        num_cpus=1,
        num_gpus=gpus_per_worker or None,
    )
    context = ray.data.DataContext.get_current()
    bars, context.enable_progress_bars = context.enable_progress_bars, False  # one bar is enough: ours
    done = 0
    total = sum(ranges[n][1] - ranges[n][0] for n in missing)
    try:
        with tqdm(total=total, desc=f"encoding ({wanted} Ray workers)", unit="doc", disable=None) as bar:
            for row in encoded.iter_rows():
                if row["error"]:
                    raise UserError(f"{target}: shard {row['shard']}: {row['error']}; {_KEPT}")
                done += row["documents"]
                bar.update(row["documents"])
    except ray.exceptions.RayError as error:
        reason = f"{type(error).__name__}: {str(error).strip().splitlines()[-1]}"
        raise UserError(f"{target}: encoding stopped ({reason}); {_KEPT}") from error
    finally:
        context.enable_progress_bars = bars
    return done


def _room(ray: Any, gpus: float) -> int:
    """How many workers the cluster can hold at once; one CPU is left to Ray Data's own tasks."""
    resources = ray.cluster_resources()
    by_gpu = resources.get("GPU", 0.0) / gpus if gpus else float("inf")
    return max(1, int(min(resources.get("CPU", 1.0) - 1.0, by_gpu, 1024)))
