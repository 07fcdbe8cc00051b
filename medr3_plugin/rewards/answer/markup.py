"""An answer without what only wraps it: code fences, JSON, LaTeX, Markdown, HTML."""

from __future__ import annotations

import json
import re

_FENCE = re.compile(r"\s*```[\w-]*\s*\n?(?P<inside>[^`]*)```\s*", re.DOTALL)
# \boxed{C}, \text{C}, \mathbf{C}: innermost first, so that nesting goes in a few rounds
_MACRO = re.compile(r"\\(?:boxed|fbox|text|textbf|textit|mathrm|mathbf|mathit|mathsf|emph)\s*\{([^{}]*)\}")
_MACRO_DEPTH = 3
_MATH = re.compile(r"\\[()\[\],; ]|\$")
_HTML = re.compile(r"</?(?:b|i|u|em|strong|p|span|code|answer|sub|sup|br)\s*/?>", re.IGNORECASE)
_EMPHASIS = re.compile(r"\*\*|__|`|(?<![\w*])\*(?=[^\s*])|(?<=[^\s*])\*(?![\w*])")
_LINE_START = re.compile(r"(?m)^[ \t]*(?:(?:#{1,6}|>|[-*+•])[ \t]+|[✅✔✓☑]\ufe0f?)[ \t]*")
_ALONE_IN_BRACKETS = re.compile(r"<([^<>\n]{1,80})>")
_JSON_DEPTH = 3
_PYTHON_VALUE = re.compile(r"(?:\{\s*'\w+'\s*:\s*\[?|\[)\s*'(?P<inside>[^']*)'\s*\]?\s*\}?")


def unwrap(answer: str) -> str:
    r"""The statement inside the mark-up of `answer`.

    One fence around the whole, JSON with a single value (an object of one key, a list of one), LaTeX's boxes and
    fonts, Markdown's emphasis, headings and bullets are taken off.

    >>> unwrap('```json\n{"answer": "C"}\n```'), unwrap("The answer is $\\boxed{\\text{C}}$."), unwrap("**C**. Gout")
    ('C', 'The answer is C.', 'C. Gout')
    >>> unwrap('{"answer": "Croup", "confidence": 0.2}')
    '{"answer": "Croup", "confidence": 0.2}'
    """
    text = answer.strip()
    if fenced := _FENCE.fullmatch(text):
        text = fenced["inside"].strip()
    text = _only_value(text)
    if alone := _ALONE_IN_BRACKETS.fullmatch(text):
        return alone[1]
    for _ in range(_MACRO_DEPTH):
        text = _MACRO.sub(r" \1", text) if "\\" in text else text
    text = _LINE_START.sub("", _EMPHASIS.sub("", _HTML.sub("", _MATH.sub("", text))))
    return re.sub(r"[ \t]+", " ", text)


def _only_value(text: str) -> str:
    """The one value of a JSON object or list; any other text as it is."""
    if not (text.startswith(("{", "[")) and text.endswith(("}", "]", "}.", "]."))):
        return text
    text = text.removesuffix(".")
    if python := _PYTHON_VALUE.fullmatch(text):
        return python["inside"].strip()
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    for _ in range(_JSON_DEPTH):
        if isinstance(value, dict | list) and len(value) == 1:
            value = next(iter(value.values() if isinstance(value, dict) else value))
    return value.strip() if isinstance(value, str) else str(value) if type(value) in (int, float) else text
