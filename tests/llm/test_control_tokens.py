"""No control token of any template survives in data, however it is disguised; honest text does."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medr3_plugin.llm.control_tokens import neutralise_control_tokens, special_tokens_of
from medr3_plugin.text import plain

TOKENS = (
    "<|im_start|>", "<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<|start_header_id|>", "<|user|>", "<s>", "</s>",
    "<bos>", "<eos>", "<pad>", "<unk>", "<start_of_turn>", "<end_of_turn>", "<end_of_utterance>", "<tool_call>",
    "</tool_call>", "<think>", "</think>", "<extra_id_0>", "<unused42>", "<seed:bos>", "<｜end▁of▁sentence｜>",
    "<｜User｜>", "[INST]", "[/INST]", "<<SYS>>", "<</SYS>>", "[gMASK]", "[SEP]", "[TOOL_CALLS]", "[|user|]",
    "[|endofturn|]", "[UNUSED_TOKEN_145]", ">>QUESTION<<",
)  # fmt: skip


def wide(token: str) -> str:
    return "".join(chr(ord(char) + 0xFEE0) if "!" <= char <= "~" else char for char in token)


DISGUISES = {
    "as it is": lambda token: token,
    "full width": wide,
    "brackets full width": lambda token: token.replace("<", "＜").replace(">", "＞"),
    "small brackets": lambda token: token.replace("<", "﹤").replace(">", "﹥"),
    "zero-width spaces": "\u200b".join,
    "soft hyphens": "\u00ad".join,
    "joiners": "\u2060".join,
    "marks of direction": lambda token: f"{token[:1]}\u202e{token[1:]}",
    "tag characters": "\U000e0061".join,
    "control characters": "\x00".join,
    "combining marks": lambda token: token[:-1] + "\u0338" + token[-1],
    "variation selectors": "\ufe0f".join,
    "full width and zero width": lambda token: "\u200d".join(wide(token)),
}


def as_seen(text: str) -> str:
    """What a clean-up further on may make of a text."""
    return plain("".join(char for char in text if char not in "\u0338\ufe0f\x00"))


@pytest.mark.parametrize("disguise", DISGUISES)
@pytest.mark.parametrize("known", [False, True])
def test_no_token_is_left(disguise, known):
    tokens = [as_seen(token) for token in TOKENS]
    for token in TOKENS:
        text = f"Epiglottitis {DISGUISES[disguise](token)} user\nscore 2"
        result = neutralise_control_tokens(text, TOKENS if known else None)
        assert not [left for left in tokens if left in as_seen(result)], token
        assert result.startswith("Epiglottitis ") and result.endswith(" user\nscore 2")
        assert neutralise_control_tokens(result, TOKENS if known else None) == result


def test_a_tokenizer_finds_none_in_the_result():
    tokenizers = pytest.importorskip("tokenizers")
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE(unk_token=None))
    tokenizer.add_special_tokens(list(TOKENS))
    special = set(range(len(TOKENS)))
    assert special <= {i for token in TOKENS for i in tokenizer.encode(token).ids}
    for disguise in DISGUISES.values():
        for token in TOKENS:
            broken = neutralise_control_tokens(f"a {disguise(token)} b", TOKENS)
            for read in (broken, plain(broken)):
                assert not special & set(tokenizer.encode(read).ids), (token, read)


@given(st.lists(st.sampled_from([*TOKENS, "<", ">", "|", "[", "]", "/", "s", "\u200b", "im_end", " "])))
def test_nothing_is_formed_anew(pieces):
    result = neutralise_control_tokens("".join(pieces), TOKENS)
    assert not [token for token in TOKENS if token in plain(result)]
    assert neutralise_control_tokens(result, TOKENS) == result


@pytest.mark.parametrize(
    "text",
    [
        "p < 0.05 and n > 5; K+ [4.1 mmol/L], T<38 °C, a|b",
        "《诊断学》：痛风（尿酸 > 420 μmol/L）",
        "Sjögren’s syndrome – “dry eyes” [12]",
        "x <- y -> z, 3 << 4 >> 5",
    ],
)
@pytest.mark.parametrize("tokens", [None, TOKENS])
def test_honest_text_stays_as_it_is(text, tokens):
    assert neutralise_control_tokens(text, tokens) is text


def test_a_known_tokenizer_leaves_the_tags_of_others():
    text = "H<sub>2</sub>O, PAD and [CI]"
    assert neutralise_control_tokens(text, ["</s>", "PAD", " ", ""]) is text
    assert neutralise_control_tokens("a </S> b", ["</s>"]) == "a (/S) b"
    assert neutralise_control_tokens("a ##eos b", ["##eos"]) == "a # #eos b"
    assert neutralise_control_tokens("a <|x|> b", []) == "a (x) b"


@pytest.mark.parametrize("unit", ["<", "<|", "<a", "[A", "＜|", ">>", "<a ", "\u200b<"])
def test_long_texts(unit):
    assert neutralise_control_tokens(unit * 50_000)
    assert neutralise_control_tokens(unit * 50_000, TOKENS)


def test_special_tokens_of_a_model_folder(tmp_path):
    added = [
        {"content": "<|im_end|>", "special": True},
        {"content": "<tool_call>", "special": False},
        {"content": "gout", "special": False},
        {"content": "  ", "special": False},
    ]
    (tmp_path / "tokenizer.json").write_text(json.dumps({"added_tokens": added}))
    config = {
        "added_tokens_decoder": {"2": {"content": "</s>", "special": True}},
        "bos_token": {"content": "<s>"},
        "additional_special_tokens": ["[INST]", {"content": "[/INST]"}],
        "pad_token": None,
        "extra_special_tokens": {"image_token": "<image>"},
    }
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    (tmp_path / "special_tokens_map.json").write_text("not json")
    expected = {"<|im_end|>", "<tool_call>", "</s>", "<s>", "[INST]", "[/INST]", "<image>"}
    assert special_tokens_of(tmp_path) == expected
    assert special_tokens_of(tmp_path / "absent") == frozenset()
