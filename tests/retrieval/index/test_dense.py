from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from index_helpers import rows, tiny_encoder, write_jsonl

pytest.importorskip("faiss")
pytest.importorskip("sentence_transformers")

from medr3_plugin.errors import RunFailed, UserError
from medr3_plugin.retrieval.engine import Filters, SearchOptions, open_index
from medr3_plugin.retrieval.index import dense_build, vectors
from medr3_plugin.retrieval.index import encoder as encoder_module
from medr3_plugin.retrieval.index.build import BuildOptions, build_index
from medr3_plugin.retrieval.index.dense import DenseIndex
from medr3_plugin.retrieval.index.encoder import Encoder, EncoderConfig
from medr3_plugin.retrieval.index.store import DocumentStore

DIMENSION = 32


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_encoder(tmp_path_factory.mktemp("models") / "query")


@pytest.fixture(scope="module")
def other_model(tmp_path_factory):
    return tiny_encoder(tmp_path_factory.mktemp("models") / "article", seed=1)


@pytest.fixture
def corpus(tmp_path):
    return write_jsonl(tmp_path / "corpus.jsonl", rows(60))


@pytest.fixture(scope="module")
def hybrid(tmp_path_factory, model):
    folder = tmp_path_factory.mktemp("hybrid")
    build_index(write_jsonl(folder / "c.jsonl", rows(60)), folder / "index", "hybrid", encoder=str(model))
    return folder / "index"


@pytest.fixture(scope="module")
def random_shards(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shards")
    generator = np.random.default_rng(0)
    centres = generator.normal(size=(40, DIMENSION))
    points = centres[generator.integers(0, 40, 2500)] + 0.5 * generator.normal(size=(2500, DIMENSION))
    points = (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)
    for number, (start, stop) in enumerate(vectors.shard_ranges(2500)):
        vectors.write_shard(vectors.shard_path(folder, number), points[start:stop])
    return vectors.Shards(folder, 2500), points


def dense_index(folder, settings):
    """A DenseIndex over raw vectors; its encoder is never asked."""
    nothing = {"identity": {"files": {}}, "probe": [], **settings}
    return DenseIndex(folder, nothing, EncoderConfig("unused"))


@pytest.fixture(scope="module", params=["Flat", "SQ8", "HNSW", "IVF"])
def built(request, tmp_path_factory, random_shards):
    """One index of each kind over random clusters, and what the build said about it."""
    shards, points = random_shards
    folder = tmp_path_factory.mktemp(request.param)
    settings = dense_build.build_faiss(shards, folder, request.param, queries=points[::25])
    return dense_index(folder, settings), settings


def test_every_kind_reaches_its_recall_and_says_so(random_shards, built):
    points = random_shards[1]
    index, settings = built
    queries = points[::25]
    found, scores = index.search_vectors(queries, 10)
    exact = np.argsort(-(queries @ points.T), axis=1, kind="stable")[:, :10]
    measured = dense_build.recall(found.tolist(), exact.tolist())
    assert measured == pytest.approx(settings["recall_at_10"], abs=0.005)
    # SQ8 has no effort to tune; on random clusters 8 bits still keep nearly all
    assert measured >= (0.9 if settings["index"] == "SQ8" else dense_build.MIN_RECALL)
    assert (np.diff(scores, axis=1) <= 1e-5).all()


@pytest.mark.parametrize("passing", [1, 3, 400])
def test_filters_never_lose_results(random_shards, built, passing):
    queries = random_shards[1][:20]
    index = built[0]
    mask = np.zeros(2500, dtype=bool)
    mask[np.random.default_rng(1).choice(2500, passing, replace=False)] = True
    found, scores = index.search_vectors(queries, 10, mask)
    for one, its_scores in zip(found, scores, strict=True):
        held = one[one >= 0]
        assert len(held) == len(set(held)) == min(10, passing)
        assert mask[held].all()
        assert (one[len(held) :] == -1).all()
        assert (its_scores[len(held) :] == 0).all()


def test_exact_neighbours_shard_by_shard(random_shards):
    shards, points = random_shards
    queries = points[:7]
    expected = np.argsort(-(queries @ points.T), axis=1, kind="stable")[:, :10]
    np.testing.assert_array_equal(dense_build.exact_neighbours(shards, queries, 10), expected)


@pytest.mark.parametrize(
    ("documents", "kind"),
    [(10, "Flat"), (58_000, "Flat"), (126_000, "SQ8"), (2_000_000, "HNSW"), (54_000_000, "IVF")],
)
def test_the_kind_follows_the_size(documents, kind):
    assert dense_build.choose_kind(documents) == kind
    assert dense_build.index_bytes("auto", documents, 768) == dense_build.index_bytes(kind, documents, 768)


def test_dense_search_is_cosine_similarity(tmp_path, corpus, model):
    manifest = build_index(corpus, tmp_path / "index", "dense", encoder=str(model))
    assert manifest["dense"]["index"] == "Flat"
    assert manifest["dense"]["recall_at_10"] == 1.0
    engine = open_index(tmp_path / "index")
    encoder = Encoder(EncoderConfig(str(model)))
    texts = list(engine.store.texts())
    expected = encoder.encode_queries(["metformin glucose"]) @ encoder.encode_articles(texts).T
    hits = engine.search(["metformin glucose"], 5)[0]
    np.testing.assert_allclose([hit.score for hit in hits], np.sort(expected[0])[::-1][:5], atol=1e-5)
    assert engine.search(["", "  "], 5) == [[], []]
    assert len(engine.search(["metformin"], 10**6)[0]) == 60
    only = engine.search(["metformin"], 10, Filters(sources=("nih",)))[0]
    assert {hit.document.source for hit in only} == {"nih"}


def test_two_encoders_and_prefixes(tmp_path, corpus, model, other_model):
    config = EncoderConfig(
        str(model),
        article_path=str(other_model),
        query_prefix="heart ",
        article_prefix="kidney ",
        normalise=False,
    )
    build_index(corpus, tmp_path / "index", "dense", encoder=config)
    engine = open_index(tmp_path / "index")
    articles = Encoder(EncoderConfig(str(other_model), normalise=False))
    raw = Encoder(EncoderConfig(str(model), normalise=False))
    expected = (
        raw.encode_queries(["heart metformin"])
        @ articles.encode_articles([f"kidney {text}" for text in engine.store.texts()]).T
    )
    hits = engine.search(["metformin"], 3)[0]
    np.testing.assert_allclose([hit.score for hit in hits], np.sort(expected[0])[::-1][:3], rtol=1e-4)


@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_a_plain_transformer_is_pooled_as_told(model, pooling):
    plain = model.with_name(f"{model.name}-plain")
    found = Encoder(EncoderConfig(str(plain), pooling=pooling)).encode_queries(["heart failure", "stroke"])
    same = np.allclose(
        found, Encoder(EncoderConfig(str(model))).encode_queries(["heart failure", "stroke"]), atol=1e-5
    )
    assert same == (pooling == "mean")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"encoder": "{other}"}, "not those it was built with"),
        ({"encoder": "/no/such/model"}, r"/no/such/model.*--encoder"),
        ({"article_encoder": "{other}"}, r"--article-encoder .* one encoder .* leave it out"),
    ],
)
def test_another_encoder_is_refused_at_opening(hybrid, other_model, options, says):
    given = {name: value.format(other=other_model) for name, value in options.items()}
    with pytest.raises(UserError, match=says):
        open_index(hybrid, SearchOptions(**given))


def test_a_copied_encoder_is_the_same_encoder(hybrid, model, tmp_path):
    shutil.copytree(model, tmp_path / "copy")
    (tmp_path / "copy" / "README.md").write_text("a note")
    engine = open_index(hybrid, SearchOptions(encoder=str(tmp_path / "copy")))
    assert engine.search(["heart"], 3) == open_index(hybrid).search(["heart"], 3)


@pytest.fixture(scope="module")
def two_models(tmp_path_factory, model, other_model):
    """An index of two encoders, and where these are after a move."""
    folder = tmp_path_factory.mktemp("two")
    for name, source in {"query": model, "article": other_model}.items():
        shutil.copytree(source, folder / "built" / name)
    config = EncoderConfig(str(folder / "built" / "query"), article_path=str(folder / "built" / "article"))
    build_index(write_jsonl(folder / "c.jsonl", rows(60)), folder / "index", "dense", encoder=config)
    (folder / "built").rename(folder / "moved")
    return folder / "index", str(folder / "moved" / "query"), str(folder / "moved" / "article")


def test_two_encoders_that_moved(two_models):
    index, query, article = two_models
    engine = open_index(index, SearchOptions(encoder=query, article_encoder=article))
    assert len(engine.search(["heart"], 3)[0]) == 3
    with pytest.raises(UserError, match=r"query encoder .* with --encoder \(search\.encoder\)"):
        open_index(index, SearchOptions(article_encoder=article))
    with pytest.raises(UserError, match=r"article encoder .*/built/article.* with --article-encoder"):
        open_index(index, SearchOptions(encoder=query))
    with pytest.raises(UserError, match=r"article encoder .* not those .* with --article-encoder"):
        open_index(index, SearchOptions(encoder=query, article_encoder=query))


def test_searching_loads_the_query_model_alone(two_models, monkeypatch):
    index, query, article = two_models
    load, loaded = encoder_module.load_model, []
    monkeypatch.setattr(
        encoder_module, "load_model", lambda path, config: loaded.append(path) or load(path, config)
    )
    engine = open_index(index, SearchOptions(encoder=query, article_encoder=article))
    engine.warm_up()
    engine.search(["heart"], 3)
    assert loaded == [query]
    encoder = engine.retriever.encoder
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(encoder.encode_articles, [["heart"]] * 4))
    assert loaded == [query, article]


def test_the_probe_catches_what_the_files_do_not(hybrid, two_models, other_model, monkeypatch):
    """A hub name has no files to compare: then the embeddings of fixed sentences must do."""
    monkeypatch.setattr("medr3_plugin.retrieval.index.dense.check_identity", lambda *args: None)
    index, _, article = two_models
    for engine in (
        open_index(hybrid, SearchOptions(encoder=str(other_model))),
        open_index(index, SearchOptions(encoder=article, article_encoder=article)),
    ):
        with pytest.raises(UserError, match="cosine"):
            engine.warm_up()


@pytest.mark.parametrize(
    ("encoder", "says"),
    [
        ({"path": "/no/such/model"}, "no such folder"),
        ({"path": "./none"}, "no such folder"),
        ({"path": "{model}", "article_path": "/no/such/model"}, "'/no/such/model': no such folder"),
        ({"path": "{empty}"}, "cannot be loaded"),
    ],
)
def test_an_encoder_that_is_none(tmp_path, corpus, model, encoder, says):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty/config.json").write_text("{}")
    given = {name: value.format(model=model, empty=tmp_path / "empty") for name, value in encoder.items()}
    with pytest.raises(UserError, match=says):
        build_index(corpus, tmp_path / "index", "dense", encoder=EncoderConfig(**given))
    assert not (tmp_path / "index").exists()


def test_hybrid_finds_what_either_finds(hybrid):
    engine = open_index(hybrid)
    query = "warfarin stroke fibrillation"
    hits = engine.search([query], 60)[0]
    assert len(hits) == 60
    lexical = engine.retriever.lexical.search([query], 1)[0][0, 0]
    dense = engine.retriever.dense.search([query], 1)[0][0, 0]
    best = {hit.document.id for hit in hits[:3]}
    assert {engine.store[int(lexical)].id, engine.store[int(dense)].id} & best
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    # no word known: the encoder alone
    assert len(engine.search(["zzzz"], 5)[0]) == 5
    assert engine.search([" "], 5) == [[]]


def test_threads_share_one_encoder(hybrid):
    engine = open_index(hybrid)
    queries = ["heart failure", "asthma children", "iron", "stroke warfarin trial"]
    expected = [engine.search([query], 5)[0] for query in queries]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda number: engine.search([queries[number % 4]], 5)[0], range(64)))
    for number, answer in enumerate(answers):
        assert [hit.document.id for hit in answer] == [hit.document.id for hit in expected[number % 4]]


def test_odd_texts_are_encoded(model):
    encoder = Encoder(EncoderConfig(str(model)))
    found = encoder.encode_queries(["", "\ud800", "\x00", "a" * 100_000, "</document>"])
    assert found.shape == (5, DIMENSION)
    assert np.isfinite(found).all()
    assert encoder.encode_queries([]).shape == (0, DIMENSION)


def test_encoding_goes_on_after_the_shards_that_are_there(tmp_path, corpus, model, monkeypatch):
    monkeypatch.setattr(vectors, "SHARD_ROWS", 16)
    original, encoded = Encoder.encode_articles, []

    def dies_at_the_third(self, texts, batch_size=None):
        if len(encoded) == 2:
            raise OSError(28, "No space left on device")
        encoded.append(len(texts))
        return original(self, texts, batch_size)

    monkeypatch.setattr(Encoder, "encode_articles", dies_at_the_third)
    with pytest.raises(RunFailed, match="No space left"):
        build_index(corpus, tmp_path / "index", "dense", encoder=str(model))
    assert encoded == [16, 16]
    encoded.clear()

    # vectors of something else are not thrown away unasked
    kept = corpus.read_bytes()
    write_jsonl(corpus, rows(9))
    with pytest.raises(UserError, match=r"corpus\.jsonl.*--overwrite"):
        build_index(corpus, tmp_path / "index", "dense", encoder=str(model))
    assert not encoded
    corpus.write_bytes(kept)  # put back, with another time of change: the build resumes

    def counts(self, texts, batch_size=None):
        encoded.append(len(texts))
        return original(self, texts, batch_size)

    monkeypatch.setattr(Encoder, "encode_articles", counts)
    build_index(corpus, tmp_path / "index", "dense", encoder=str(model))
    assert encoded == [16, 12, 3]  # the two shards that were missing, and the probe
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]
    monkeypatch.undo()
    build_index(corpus, tmp_path / "fresh", "dense", encoder=str(model))
    queries = ["metformin", "heart failure"]
    assert open_index(tmp_path / "index").search(queries, 5) == open_index(tmp_path / "fresh").search(
        queries, 5
    )


def test_encoded_vectors_of_something_else_go_when_asked(tmp_path, corpus, model, monkeypatch):
    folder = tmp_path / ".index.vectors"
    folder.mkdir()
    (folder / "shard-00000.npy").write_bytes(b"days of work")
    with pytest.raises(UserError, match="--overwrite"):
        build_index(corpus, tmp_path / "index", "dense", encoder=str(model))
    assert (folder / "shard-00000.npy").read_bytes() == b"days of work"
    build_index(corpus, tmp_path / "index", "dense", encoder=str(model), overwrite=True)
    assert len(open_index(tmp_path / "index")) == 60
    # a corpus without a usable row leaves no folder
    broken = write_jsonl(tmp_path / "broken.jsonl", [{"id": "x"}])
    with pytest.raises(UserError, match="broken"):
        build_index(broken, tmp_path / "other", "dense", encoder=str(model))
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_a_missing_shard_is_named(tmp_path):
    vectors.write_shard(vectors.shard_path(tmp_path, 0), np.zeros((2048, 4), dtype=np.float32))
    with pytest.raises(UserError, match="shard-00001"):
        vectors.Shards(tmp_path, 3000)


def test_another_process_may_encode(tmp_path, corpus, model):
    """The hook of distributed encoding fills the shard folder; the index is the same."""
    seen = []

    def encode(config, store_folder, shard_folder):
        store, encoder = DocumentStore(store_folder), Encoder(config)
        seen.append(len(store))
        for number in range(len(vectors.shard_ranges(len(store)))):
            vectors.encode_shard(encoder, store, shard_folder, number)

    one = build_index(corpus, tmp_path / "one", "dense", encoder=str(model), encode=encode)
    two = build_index(corpus, tmp_path / "two", "dense", encoder=str(model))
    assert seen == [60]
    assert one["files"] == two["files"]


def test_approximate_kinds_from_the_command_options(tmp_path, corpus, model):
    hnsw, unknown = (BuildOptions(dense_index=kind) for kind in ("HNSW", "PQ"))
    manifest = build_index(corpus, tmp_path / "index", "dense", encoder=str(model), options=hnsw)
    assert manifest["dense"]["recall_at_10"] >= dense_build.MIN_RECALL
    assert manifest["dense"]["search"]["efSearch"] >= 64
    assert len(open_index(tmp_path / "index").search(["heart"], 5)[0]) == 5
    with pytest.raises(UserError, match="'PQ'"):
        build_index(corpus, tmp_path / "pq", "dense", encoder=str(model), options=unknown)


def test_the_prompts_that_a_model_brings_are_used(tmp_path):
    tiny_encoder(tmp_path / "model")
    config = tmp_path / "model" / "config_sentence_transformers.json"
    given = json.loads(config.read_text()) if config.is_file() else {}
    prompts = {"query": "metformin glucose insulin: ", "document": "stroke warfarin: "}
    config.write_text(json.dumps({**given, "prompts": prompts}))
    build_index(
        write_jsonl(tmp_path / "corpus.jsonl", rows(8)),
        tmp_path / "index",
        "dense",
        encoder=str(tmp_path / "model"),
    )
    engine = open_index(tmp_path / "index")
    from sentence_transformers import SentenceTransformer

    own = SentenceTransformer(str(tmp_path / "model")).encode(
        ["heart failure"], prompt_name="query", normalize_embeddings=True
    )
    ours = engine.retriever.encoder.encode_queries(["heart failure"])
    assert float((own * ours).sum()) > 0.99
    assert engine.manifest["dense"]["encoder"]["query_prefix"] == prompts["query"]
    assert engine.manifest["dense"]["encoder"]["article_prefix"] == prompts["document"]
