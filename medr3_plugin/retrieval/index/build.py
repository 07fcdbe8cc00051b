"""Building an index folder: documents, engines, manifest.

A build that is started again with the same arguments over the same corpus uses the vectors that are encoded already
(`build_folder`), and does nothing if the index is finished.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

from tqdm import tqdm

from medr3_plugin.errors import RunFailed, UserError
from medr3_plugin.installed import versions_of
from medr3_plugin.outputs import FULL, whole_folder
from medr3_plugin.records import Document
from medr3_plugin.retrieval.corpus.chunking import Chunker, model_tokens, word_tokens
from medr3_plugin.retrieval.corpus.documents import BadRows, read_corpus
from medr3_plugin.retrieval.index import analyser
from medr3_plugin.retrieval.index import manifest as manifest_file
from medr3_plugin.retrieval.index.build_folder import (
    check_replaceable,
    finished_index,
    locked,
    vectors_folder,
)
from medr3_plugin.retrieval.index.dense_build import KINDS
from medr3_plugin.retrieval.index.encoder import Encoder, EncoderConfig, with_own_prompts
from medr3_plugin.retrieval.index.lexical import K1, B
from medr3_plugin.retrieval.index.lexical_build import build_lexical
from medr3_plugin.retrieval.index.provenance import provenance
from medr3_plugin.retrieval.index.store import DocumentStore, StoreWriter

EngineName = Literal["bm25", "dense", "hybrid"]
Source = str | Path | Iterable[str | Path]
T = TypeVar("T")

SKIPPED = "skipped_rows.jsonl"
"""In an index's folder `documents`, if rows were skipped: `{"error"}` of each, with file, line and field."""
_PACKAGES = "medr3-plugin numpy PyStemmer opencc faiss-cpu sentence-transformers torch transformers".split()  # noqa: SIM905


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """What an index is built with.

    Attributes:
        k1: BM25's saturation of term counts.
        b: BM25's share of length normalisation, 0 to 1.
        dense_index: `auto`, or one of `dense_build.KINDS`.
        chunk_tokens: cut documents longer than this; 0 leaves them whole.
        chunk_overlap: tokens that passages share.
        chunk_tokenizer: model whose tokens count; None counts words and punctuation marks.
        batch_size: passages encoded at a time; None: what suits the device.
    """

    k1: float = K1
    b: float = B
    dense_index: str = "auto"
    chunk_tokens: int = 0
    chunk_overlap: int = 0
    chunk_tokenizer: str | None = None
    batch_size: int | None = None


def build_index(
    corpus: Source,
    out: str | Path,
    engine: EngineName = "bm25",
    *,
    encoder: EncoderConfig | str | None = None,
    options: BuildOptions | None = None,
    bad_rows: BadRows | None = None,
    overwrite: bool = False,
    encode: Callable[[EncoderConfig, Path, Path], object] | None = None,
    notify: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Build an index and return its manifest; nothing is done if `out` is that index already.

    Args:
        corpus: see `corpus.documents.read_corpus`.
        out: the index folder to create.
        engine: `bm25`, `dense`, or `hybrid` for both.
        encoder: the model of a dense index, or how to use it.
        options: parameters.
        bad_rows: count and skip wrong rows instead of raising. All are listed in the index, see `SKIPPED`.
        overwrite: replace an index at `out`, and the encoded vectors of an unfinished build of another one.
        encode: fills a shard folder with the vectors of a document store, `(encoder, store folder, shard
            folder)`, in place of this process (`vectors.encode_shard` is what it must do for every shard).
        notify: told what will be built and how large before it is, or that nothing is to be done.

    Raises:
        UserError: a wrong row or option, an `out` or encoded vectors of another corpus or with other options, a
            build of the same index under way.
        RunFailed: no space.
    """
    target = Path(out)
    options = options or BuildOptions()
    config = _checked(engine, encoder, options)
    corpus = [corpus] if isinstance(corpus, (str, Path)) else list(corpus)
    tell = notify or (lambda _: None)
    try:
        made_of = provenance(
            corpus, engine, config, _deciding(options, engine), skip_bad=bad_rows is not None
        )
        with locked(target):
            if not overwrite and (finished := finished_index(target, made_of)):
                tell(f"{target}: is up to date, nothing was built")
                return finished
            check_replaceable(target)
            vectors: AbstractContextManager[Path | None] = contextlib.nullcontext()
            if config is not None:
                vectors = vectors_folder(target, made_of, overwrite=overwrite, notify=tell)
            with vectors as shard_folder, whole_folder(target) as folder:
                content = _write_parts(corpus, folder, engine, options, bad_rows)
                if config is not None and shard_folder is not None:
                    content["dense"] = _build_dense(
                        folder, shard_folder, config, options, encode=encode, notify=tell
                    )
                content["built_from"] = made_of
                content["versions"] = versions_of(*_PACKAGES)
                return manifest_file.write(folder, content)
    except OSError as error:
        full = error.errno in (*FULL, None)  # numpy tells of a short write without saying why
        raise (RunFailed if full else UserError)(
            f"{error.filename or target}: {error.strerror or f'{error} (is the disk full?)'}; "
            "fix that and run the command again, which keeps the vectors encoded so far"
        ) from error


def _checked(engine: str, encoder: EncoderConfig | str | None, options: BuildOptions) -> EncoderConfig | None:
    """The encoder of an engine with vectors, with the prompts that its model brings along.

    Raises:
        UserError: an unknown engine or kind of index, or no encoder where one is needed.
    """
    if engine not in get_args(EngineName):
        raise UserError(f"engine {engine!r}: expected one of {', '.join(get_args(EngineName))}")
    if options.dense_index not in KINDS:
        raise UserError(f"unknown dense index {options.dense_index!r}; expected one of {', '.join(KINDS)}")
    if engine == "bm25":
        return None
    config = EncoderConfig(encoder) if isinstance(encoder, str) else encoder
    if config is None or not config.path:
        raise UserError(f"engine {engine}: needs --encoder, the folder or hub name of a sentence encoder")
    return with_own_prompts(config)


def _write_parts(
    corpus: Source, folder: Path, engine: str, options: BuildOptions, bad_rows: BadRows | None
) -> dict[str, Any]:
    """Write the documents, and BM25 unless the engine is dense; what the manifest says of them."""
    documents: Iterable[Document] = read_corpus(corpus, bad_rows=bad_rows)
    content: dict[str, Any] = {"engine": engine, "chunking": None}
    if (chunker := chunker_of(options)) is not None:
        documents = chunker.chunk_all(documents)
        content["chunking"] = {
            "tokens": options.chunk_tokens,
            "overlap": options.chunk_overlap,
            "tokenizer": options.chunk_tokenizer,
        }
    content["documents"] = _write_documents(documents, folder / "documents", bad_rows)
    if engine != "dense":
        with contextlib.closing(DocumentStore(folder / "documents")) as store:
            texts = _bar(store.texts(), "BM25", len(store))
            content["bm25"] = build_lexical(texts, folder / "bm25", k1=options.k1, b=options.b)
    return content


def _deciding(options: BuildOptions, engine: str) -> dict[str, Any]:
    """The options that the index depends on."""
    without = {"batch_size", *{"bm25": ("dense_index",), "dense": ("k1", "b")}.get(engine, ())}
    deciding = {name: value for name, value in asdict(options).items() if name not in without}
    return deciding if engine == "dense" else {**deciding, "analyser": analyser.VERSION}


def _write_documents(documents: Iterable[Document], folder: Path, bad_rows: BadRows | None) -> dict[str, Any]:
    folder.mkdir()
    with StoreWriter(folder) as writer, _recorded(bad_rows, folder / SKIPPED):
        for document in _bar(documents, "documents"):
            writer.add(document)
        summary = writer.summary()
    return {**summary, "skipped_rows": bad_rows.count if bad_rows else 0}


@contextlib.contextmanager
def _recorded(bad_rows: BadRows | None, path: Path) -> Iterator[None]:
    """Write the rows that are skipped meanwhile to a file, if there are any."""
    if bad_rows is None:
        yield
        return
    with path.open("w", encoding="utf-8") as file:
        bad_rows.record = lambda message: file.write(json.dumps({"error": message}) + "\n")
        try:
            yield
        finally:
            bad_rows.record = None
    if not path.stat().st_size:
        path.unlink()


def _build_dense(
    index: Path,
    shard_folder: Path,
    config: EncoderConfig,
    options: BuildOptions,
    *,
    encode: Callable[[EncoderConfig, Path, Path], object] | None,
    notify: Callable[[str], None],
) -> dict[str, Any]:
    from medr3_plugin.retrieval.index import dense_build, vectors

    folder = index / "dense"
    folder.mkdir()
    encoder = Encoder(config)
    with contextlib.closing(DocumentStore(index / "documents")) as store:
        notify(_announcement(len(store), encoder.dimension, options))
        if encode is not None:
            encode(config, store.folder, shard_folder)
        else:
            with tqdm(total=len(store), desc="encoding", unit=" documents", disable=None) as bar:
                for number in range(len(vectors.shard_ranges(len(store)))):
                    bar.update(vectors.encode_shard(encoder, store, shard_folder, number, options.batch_size))
        shards = vectors.Shards(shard_folder, len(store))
        queries = encoder.encode_queries(dense_build.pseudo_queries(store))
    settings = dense_build.build_faiss(shards, folder, options.dense_index, queries=queries)
    return {**encoder.record(), "identity": config.identity(), "dimension": shards.dimension, **settings}


def _announcement(documents: int, dimension: int, options: BuildOptions) -> str:
    from medr3_plugin.retrieval.index import dense_build

    kind = dense_build.choose_kind(documents) if options.dense_index == "auto" else options.dense_index
    size = dense_build.index_bytes(kind, documents, dimension)
    return (
        f"{documents:,} documents x {dimension} dimensions: index {kind}, {size / 2**20:,.0f} MB of memory; "
        f"vectors while building {documents * dimension * 4 / 2**20:,.0f} MB of disk"
    )


def chunker_of(options: BuildOptions) -> Chunker | None:
    """What cuts the documents; None where they stay whole."""
    if not options.chunk_tokens:
        return None
    tokenizer = model_tokens(options.chunk_tokenizer) if options.chunk_tokenizer else word_tokens
    return Chunker(options.chunk_tokens, options.chunk_overlap, tokenizer)


def _bar(items: Iterable[T], title: str, total: int | None = None) -> Iterator[T]:
    # disable=None: no bar when stderr is not a terminal
    yield from tqdm(items, desc=title, total=total, unit=" documents", disable=None)
