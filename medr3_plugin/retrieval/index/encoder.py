"""Sentence encoders for dense retrieval: one model, or one for queries and one for articles (MedCPT).

An index remembers its encoder by a fingerprint of the model's files (checked when the index is opened) and by
the embeddings of a few fixed sentences (checked when the model is loaded), so that a wrong model, prefix or
pooling is refused and does not return nonsense.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from medr3_plugin.errors import UserError, needs
from medr3_plugin.hub_name import hub_or_cache
from medr3_plugin.retrieval.index.manifest import sample_digest

logger = logging.getLogger(__name__)

Vectors = npt.NDArray[np.float32]

PROBES = ("Metformin lowers blood glucose.", "autosomal recessive muscular dystrophy", "Wann hilft Aspirin?")
"""Sentences whose embeddings an index keeps to recognise its encoder by."""
_MIN_PROBE_COSINE = 0.99  # bfloat16 against float32 gives 0.996 and more, another model 0.0 to 0.6
_MODEL_FILES = (".json", ".safetensors", ".bin", ".txt", ".model")


@dataclass(frozen=True, slots=True)
class EncoderConfig:
    """How texts become vectors.

    Attributes:
        path: folder or Hugging Face name of the model for queries, and for documents unless `article_path`.
        article_path: the model for documents, if it is a different one.
        query_prefix: put before each query (E5: `query: `).
        article_prefix: put before each document (E5: `passage: `).
        pooling: `cls` or `mean` for a plain transformer; None takes what the model folder says.
        normalise: cosine similarity if true, else the raw inner product (MedCPT, Contriever).
        max_tokens: longer texts are cut; None takes the model's own limit.
        dtype: `auto` is bfloat16 on a GPU or a CPU with AVX-512, where it halves the time, else float32
            (on AVX2 alone bfloat16 was six times slower).
        device: `cpu`, `cuda`, ...; None lets sentence-transformers choose.
    """

    path: str
    article_path: str | None = None
    query_prefix: str = ""
    article_prefix: str = ""
    pooling: Literal["cls", "mean"] | None = None
    normalise: bool = True
    max_tokens: int | None = None
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    device: str | None = None

    def identity(self) -> dict[str, Any]:
        """What makes vectors comparable: everything but speed."""
        fields = asdict(self)
        for name in ("dtype", "device", "path", "article_path"):
            fields.pop(name)
        return {
            **fields,
            "files": {
                "query": fingerprint(self.path),
                "article": fingerprint(self.article_path) if self.article_path else None,
            },
        }


def with_own_prompts(config: EncoderConfig) -> EncoderConfig:
    """The configuration with the prompts that the models bring along (`config_sentence_transformers.json`).

    A prefix that is given stays. The prompts become the prefixes that an index records, so that an index built
    without them is still searched without them. A model that is not on this machine is left as it is, with a warning.
    """
    found: dict[str, Any] = {}
    paths = dict.fromkeys((config.path, config.article_path or config.path))
    prompts_of = {path: _prompts(path) for path in paths}
    for prefix, path, names in (
        ("query_prefix", config.path, ("query",)),
        ("article_prefix", config.article_path or config.path, ("document", "passage", "corpus")),
    ):
        if not getattr(config, prefix):
            prompts = prompts_of[path]
            found[prefix] = next((prompts[name] for name in names if prompts.get(name)), "")
    return replace(config, **found)


def _prompts(path: str) -> Mapping[str, str]:
    folder = Path(path).expanduser()
    if not folder.is_dir():
        logger.warning(
            "encoder %s: not a folder, so its own prompts for queries and documents are not read; give them with "
            "--query-prefix and --article-prefix if it has any", path,
        )  # fmt: skip
        return {}
    file = folder / "config_sentence_transformers.json"
    if not file.is_file():
        return {}
    try:
        prompts = json.loads(file.read_text(encoding="utf-8")).get("prompts") or {}
        return {str(name): str(prompt) for name, prompt in prompts.items() if prompt}
    except (ValueError, AttributeError) as error:
        raise UserError(f"{file}: not readable as JSON with prompts ({error})") from error


def fingerprint(path: str) -> str | None:
    """Checksum over the model files of a folder (large ones sampled); None for a hub name."""
    folder = Path(path).expanduser()
    if not folder.is_dir():
        return None
    digest = hashlib.sha256()
    for file in sorted(file for file in folder.rglob("*") if file.suffix in _MODEL_FILES):
        digest.update(file.relative_to(folder).as_posix().encode() + sample_digest(file).encode())
    return digest.hexdigest()


class Encoder:
    """A loaded encoder; safe to use from several threads (calls take turns: tokenizers are not).

    A separate model for articles is loaded by the first `encode_articles`: searching never needs it.

    Raises:
        MissingExtra: sentence-transformers is not installed.
        UserError: the model cannot be loaded.
    """

    def __init__(self, config: EncoderConfig) -> None:
        self.config = config
        self._query_model = load_model(config.path, config)
        self._article_model = None if config.article_path else self._query_model
        self._lock = threading.Lock()
        self.dimension = int(self._query_model.get_embedding_dimension())

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """`[texts, dimension]` float32."""
        return self._encode(self._query_model, self.config.query_prefix, texts, None)

    def encode_articles(self, texts: Sequence[str], batch_size: int | None = None) -> Vectors:
        """`[texts, dimension]` float32; `batch_size` texts together, by default what suits the device.

        Raises:
            UserError: the model for articles cannot be loaded.
        """
        with self._lock:
            if self._article_model is None:
                self._article_model = load_model(str(self.config.article_path), self.config)
        return self._encode(self._article_model, self.config.article_prefix, texts, batch_size)

    def probe(self) -> Vectors:
        """`[2 * probes, dimension]`: the probes as queries, then as articles; what an index keeps."""
        return np.concatenate([self.encode_queries(PROBES), self.encode_articles(PROBES)])

    def record(self) -> dict[str, Any]:
        """What an index keeps of the encoder that it was built with."""
        probe = [[round(float(value), 6) for value in row] for row in self.probe()]
        return {"encoder": asdict(self.config), "dimension": self.dimension, "probe": probe}

    def _encode(self, model: Any, prefix: str, texts: Sequence[str], batch_size: int | None) -> Vectors:
        if not texts:
            return np.empty((0, self.dimension), dtype=np.float32)
        # half surrogate pairs cannot be encoded and would stop the tokenizer
        clean = [text.encode("utf-8", "replace").decode() for text in texts]
        with self._lock:
            encoded = model.encode(
                clean,
                prompt=prefix or None,  # not joined here: some models leave their prompt out of the mean
                batch_size=batch_size or _batch_size(model),
                convert_to_numpy=True,
                show_progress_bar=False,
            )
        vectors = np.asarray(encoded, dtype=np.float32)
        if self.config.normalise:
            # here and not in the model: in bfloat16 a norm is off by up to half a percent
            vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        return vectors


def _batch_size(model: Any) -> int:
    """Texts encoded together: what a CPU's caches hold (docs/benchmarks/retrieval.md), more on a GPU."""
    import torch

    return min(32, 2 * torch.get_num_threads()) if model.device.type == "cpu" else 32


def check_probe(encoder: Encoder, expected: Sequence[Sequence[float]], index: Path) -> None:
    """Refuse an encoder that embeds queries differently from the one the index was built with.

    Args:
        encoder: its model for queries is asked; the one for articles is not loaded.
        expected: `Encoder.probe` of the build.

    Raises:
        UserError: with the similarity found.
    """
    found = encoder.encode_queries(PROBES)
    wanted = np.asarray(expected[: len(PROBES)], dtype=np.float32)
    if found.shape != wanted.shape:
        raise UserError(
            f"{index}: built with vectors of {wanted.shape[1]} dimensions, {encoder.config.path} gives "
            f"{found.shape[1]}; pass the encoder the index was built with, or build it again"
        )
    norms = np.linalg.norm(found, axis=1) * np.linalg.norm(wanted, axis=1)
    cosine = float(((found * wanted).sum(axis=1) / np.maximum(norms, 1e-12)).min())
    if cosine < _MIN_PROBE_COSINE:
        raise UserError(
            f"{index}: {encoder.config.path} is not the encoder it was built with (cosine {cosine:.2f} "
            "between then and now for the same sentence); pass the right encoder, or build the index again"
        )


def load_model(path: str, config: EncoderConfig) -> Any:
    """The sentence-transformers model of a folder or Hub name."""
    with needs("sentence-transformers", "dense", "dense retrieval"):
        import sentence_transformers.models as modules
        import torch
        from sentence_transformers import SentenceTransformer
    folder = Path(path).expanduser()
    if not folder.is_dir() and (folder.is_absolute() or path.startswith(".")):
        raise UserError(
            f"encoder {path!r}: no such folder; give the folder or hub name of a sentence encoder"
        )
    dtype = torch.bfloat16 if _use_bfloat16(config, torch) else torch.float32
    source = str(folder) if folder.is_dir() else path
    try:
        with _quiet(), hub_or_cache(source):
            if config.pooling is None:
                model = SentenceTransformer(source, device=config.device, model_kwargs={"dtype": dtype})
            else:
                transformer = modules.Transformer(source, model_kwargs={"dtype": dtype})
                pooling = modules.Pooling(transformer.get_embedding_dimension(), pooling_mode=config.pooling)
                model = SentenceTransformer(modules=[transformer, pooling], device=config.device)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        message = str(error).strip().splitlines()
        raise UserError(
            f"encoder {path!r} cannot be loaded ({message[0] if message else type(error).__name__}); "
            "give the folder or hub name of a sentence encoder"
        ) from error
    if config.max_tokens is not None:
        model.max_seq_length = config.max_tokens
    return model.eval()


def _use_bfloat16(config: EncoderConfig, torch: Any) -> bool:
    if config.dtype != "auto":
        return config.dtype == "bfloat16"
    if config.device not in {None, "cpu"} or (config.device is None and torch.cuda.is_available()):
        return bool(torch.cuda.is_available() and torch.cuda.is_bf16_supported())
    return str(torch.backends.cpu.get_cpu_capability()).startswith("AVX512")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without transformers' progress bar and load report, which have no switch of their own per call."""
    import transformers

    logger = logging.getLogger("transformers")
    level, bars = logger.level, transformers.utils.logging.is_progress_bar_enabled()
    logger.setLevel(logging.ERROR)
    transformers.utils.logging.disable_progress_bar()
    try:
        yield
    finally:
        logger.setLevel(level)
        if bars:
            transformers.utils.logging.enable_progress_bar()
