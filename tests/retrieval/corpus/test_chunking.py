from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medr3_plugin.errors import UserError
from medr3_plugin.records import Document
from medr3_plugin.retrieval.corpus.chunking import Chunker, word_tokens

texts = st.text(alphabet="ab .é\n", max_size=200)


@given(texts, st.integers(1, 12), st.data())
def test_passages_cover_all_tokens_within_the_limit(text, tokens, data):
    overlap = data.draw(st.integers(0, tokens - 1))
    spans = word_tokens(text)
    passages = Chunker(tokens, overlap).split(text)
    for start, end in passages:
        inside = [span for span in spans if start <= span[0] and span[1] <= end]
        assert len(inside) <= max(tokens, len(spans) if len(passages) == 1 else tokens)
    covered = {span for start, end in passages for span in spans if start <= span[0] and span[1] <= end}
    assert covered == set(spans)
    assert passages == sorted(set(passages))


def test_overlap_and_sentence_ends():
    text = "One two three. Four five six seven eight nine ten."
    chunker = Chunker(tokens=6, overlap=2)
    parts = [text[start:end] for start, end in chunker.split(text)]
    assert parts[0] == "One two three. Four five"
    assert parts[1].startswith("Four five")
    text = "One two three four five six. Seven eight nine ten."
    assert text[slice(*Chunker(tokens=8).split(text)[0])] == "One two three four five six."


def single_characters(text):
    return [(place, place + 1) for place, character in enumerate(text) if not character.isspace()]


@pytest.mark.parametrize("tokenizer", [word_tokens, single_characters])
@pytest.mark.parametrize("number", ["3.5", "3.5mg", ".05", "1.2.3"])
def test_a_decimal_point_ends_no_sentence(tokenizer, number):
    text = f"a b c d e f {number} mg daily for a week and a day"
    for size in range(4, 40):
        parts = [text[start:end] for start, end in Chunker(size, tokenizer=tokenizer).split(text)]
        if tokenizer is word_tokens:
            assert sum(number in part for part in parts) == 1
        # a limit of characters may fall anywhere, but no part is cut short for the point
        assert not any(len(part.replace(" ", "")) < size and part.endswith(".") for part in parts[:-1])
    assert word_tokens("Group 2. 17 patients, mortality.12 Then") == word_tokens(
        "Group 2, 17 patients, mortality,12 Then"
    )
    assert Chunker(8).split("a b c d e f 3.5 mg daily")[0] == (0, len("a b c d e f 3.5 mg"))


def test_ids_are_stable_and_columns_kept():
    document = Document(
        id="x", title="T", text="a b c d e f", source="s", evidence_level=7, extra={"pmid": "1"}
    )
    parts = list(Chunker(2).chunk(document))
    assert [part.id for part in parts] == ["x#c0", "x#c1", "x#c2"]
    assert all((part.title, part.source, part.evidence_level) == ("T", "s", 7) for part in parts)
    assert parts[1].extra == {"pmid": "1", "parent_id": "x", "chunk": 1}
    longer = Document(id="x", title="T", text="a b c d e f g h")
    assert [part.text for part in Chunker(2).chunk(longer)][:3] == [part.text for part in parts]


def test_a_document_that_fits_is_untouched():
    document = Document(id="x", text=" short text ")
    assert list(Chunker(10).chunk(document)) == [document]


@pytest.mark.parametrize(("tokens", "overlap"), [(0, 0), (5, 5), (5, -1)])
def test_wrong_sizes(tokens, overlap):
    with pytest.raises(UserError):
        Chunker(tokens, overlap)


def test_chinese_is_cut_at_the_ends_of_its_sentences():
    text = "痛风由血尿酸升高引起，急性发作用秋水仙碱。" * 20
    passages = Chunker(50).split(text)
    assert len(passages) > 5
    assert all(text[start:end].endswith("。") for start, end in passages)
