"""An answer without what only wraps it: code fences, JSON, LaTeX, Markdown, HTML."""

from __future__ import annotations

import html
import json
import re
from typing import Any

from medr3_plugin.text import GREEK

_FENCE = re.compile(r"\s*```(?:[\w-]*\s*\n|json\s)?(?P<inside>[^`]*)```\s*", re.DOTALL)
# \boxed{C}, \text{C}, \mathbf{C}: innermost first, so that nesting goes in a few rounds
_MACRO = re.compile(
    r"(?:\\|\b(?=boxed))(?:boxed|fbox|text|textbf|textit|mathrm|mathbf|mathit|mathsf|emph)\s*\{([^{}]*)\}"
)
_MACRO_DEPTH = 3
_MATH = re.compile(rf"\\[()\[\],; ]|\$|\\(?=(?:therefore|{'|'.join(GREEK.values())})\b)")
# CO_2, Ca^{2+}, K^+: as one writes them without LaTeX; 10^5 keeps its power
_INDEX = re.compile(r"(?<=[A-Za-z)])(?:_\{?(\d+)\}?|\^\{(\d*[+-]?)\}|\^([+-]))")
_AT_LEAST, _AT_MOST = (re.compile(rf"\\{side}e(?:q|qslant)?(?![A-Za-z])") for side in "gl")
_HTML = re.compile(
    r"</?(?:b|i|u|em|strong|p|span|div|code|sub|sup|mark|ul|ol|li|h[1-6]|result|output|conclusion|final|tool_call|"
    r"(?:(?:final|correct|best|selected|your|my)[_-])?(?:answer|option|choice|diagnosis|response)"
    r"(?:[_-](?:choice|option|letter|idx|index|text))?)\s*/?>",
    re.IGNORECASE,
)
_SEMICOLON = re.compile(r";(?=[^()\[\]\n]{0,80}[)\]])")  # in brackets it ends no sentence
_TABLE_ROW = re.compile(r"(?m)^[ \t]*\|(.*)\|[ \t]*$")
_STRUCK = re.compile(r"~~([^~\n]+)~~|^[ \t]*[-*+•][ \t]+\[ ?\][ \t]+(.+)$", re.MULTILINE)  # or an empty box
_TICKED = re.compile(r"(?m)^[ \t]*[-*+•][ \t]+\[[xX]\](?=[ \t])")
_CHINESE_HEADING = re.compile(r"【([^【】\n]{2,12})】[:：]?")
_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)
_ARROW = re.compile(r"(?<![<\d])(?:[-–—]{1,3}|=)>(?! ?\d)")
_EMPHASIS = re.compile(r"\*\*|__|`|(?<![\w*])\*(?=[^\s*])|(?<=[^\s*])\*(?![\w*])")
_LINE_START = re.compile(r"(?m)^[ \t]*(?:(?:#{1,6}|>(?! *[\d.])|[-*+•])[ \t]+|[✅✔✓☑]\ufe0f?)[ \t]*")
_IN_BRACKETS = re.compile(r"(?<!\w)<([^\W\d][^<>\n]{0,79})>(?!\w)")
_MAX_JSON_LINES = 40
_SNAKE_OR_CAMEL = re.compile(r"_+|(?<=[a-z])(?=[A-Z])")
# finish[C], submit_answer("C")
_CALL = re.compile(r"(?P<name>\w{1,40})\s?[(\[]\s?(?P<inside>[^()\[\]]*)[)\]]\s*;?")
_ANSWERING = re.compile("answer|finish|final|submit|choice|choose|select|print", re.IGNORECASE)
_PYTHON_VALUE = re.compile(r"(?:\{\s*'(?P<key>\w+)'\s*:\s*\[?|\[)\s*'(?P<inside>[^']*)'\s*\]?\s*\}?")


def unwrap(answer: str) -> str:
    r"""The statement inside the mark-up of `answer`.

    A fence around the whole, the call of a tool, JSON (one value alone, several as a line each), LaTeX's boxes
    and fonts, Markdown's emphasis, headings and bullets are taken off.

    >>> unwrap('```json\n{"answer": "C"}\n```'), unwrap("The answer is $\\boxed{\\text{C}}$."), unwrap("**C**. Gout")
    ('C', 'The answer is C.', 'C. Gout')
    >>> unwrap('{"final_answer": "Croup", "confidence": 0.2}'), unwrap('finish["C"]'), unwrap("| Answer | &lt;5 mm |")
    ('final answer: Croup\nconfidence: 0.2', 'C', 'Answer: <5 mm')
    """
    text = answer.strip()
    if fenced := _FENCE.fullmatch(text):
        text = fenced["inside"].strip()
    if alone := _IN_BRACKETS.fullmatch(text):
        return alone[1]
    text = _TICKED.sub("", _CHINESE_HEADING.sub(r"\n\1：", _SEMICOLON.sub(",", text)))
    text = _STRUCK.sub(lambda struck: f" not {struck[1] or struck[2]}\n", text)
    if "|" in text:
        text = _TABLE_ROW.sub(_row, text)
    if ">" in text:
        text = _ARROW.sub("→", text)
    text = _IN_BRACKETS.sub(r"\1", _HTML.sub("", _BREAK.sub("\n", text))).strip()
    text = html.unescape(_values(text))
    if (call := _CALL.fullmatch(text)) and _ANSWERING.search(call["name"]):
        text = call["inside"].strip("\"' ")
    for _ in range(_MACRO_DEPTH):
        text = _MACRO.sub(r" \1", text) if "{" in text else text
    if "\\" in text or "_" in text or "^" in text:
        text = _AT_MOST.sub("≤", _AT_LEAST.sub("≥", text))
        text = _INDEX.sub(lambda index: index[1] or index[2] or index[3] or "", text)
    text = _LINE_START.sub("", _EMPHASIS.sub("", _MATH.sub("", text)))
    return re.sub(r"[ \t]+", " ", text)


def _row(row: re.Match[str]) -> str:
    """The cells of a table's row in a line."""
    return ": ".join(filter(None, map(str.strip, row[1].split("|"))))


def _values(text: str) -> str:
    """The values of a JSON object or list, a line each with its key; any other text as it is."""
    if not (text.startswith(("{", "[")) and text.endswith(("}", "]", "}.", "]."))):
        return text
    text = text.removesuffix(".")
    if python := _PYTHON_VALUE.fullmatch(text):
        return _told([(_words(python["key"] or "answer"), python["inside"].strip())])
    try:
        lines = _lines(json.loads(text, object_pairs_hook=_Pairs))
    except (ValueError, RecursionError):
        return text
    if not lines or len(lines) > _MAX_JSON_LINES:
        return text
    return _told(lines)


def _told(lines: list[tuple[str, str]]) -> str:
    """The values as lines behind their keys; of one `answer` the value alone."""
    if len(lines) == 1 and lines[0][0] == "answer":
        return lines[0][1]
    return "\n".join(f"{key}: {value}" for key, value in lines)


def _words(key: str) -> str:
    return _SNAKE_OR_CAMEL.sub(" ", key).strip().casefold()


class _Pairs(list[tuple[str, Any]]):
    """A JSON object with all its pairs: of two under one key neither is lost."""


def _lines(value: Any, key: str = "answer") -> list[tuple[str, str]]:
    """(key, value) of everything in a JSON value."""
    if isinstance(value, _Pairs):
        return [line for name, inner in value for line in _lines(inner, _words(name))]
    if isinstance(value, list):
        numbered = key == "answer" and len(value) > 1  # several answers, not one and a remark
        return [
            line
            for number, inner in enumerate(value, 1)
            for line in _lines(inner, str(number) if numbered else key)
        ]
    if value is None:
        return []
    return [(key, value.strip() if isinstance(value, str) else json.dumps(value))]
