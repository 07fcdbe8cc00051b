"""From the text between `<answer>` and `</answer>` to the bare statement in it.

Models wrap an answer in phrases ("The most likely diagnosis is ..."), mark-up and quotes. `statement` takes
the wrapping off and nothing else: every word that could change the meaning stays.
"""

from __future__ import annotations

import re

from medr3_plugin.rewards.answer_text import plain

_MARKUP = re.compile(r"\*\*|__|`+|^#{1,6}\s+|^>\s+", re.MULTILINE)
_BOXED = re.compile(r"\\(?:boxed|text|textbf|mathrm)\s*\{([^{}]*)\}")
_QUOTES = "\"'“”‘’«»「」『』《》"
_AROUND = " \n\t$.,;:!。，；：！、*_-–—" + _QUOTES
_SIGNED = re.compile(r"[-–—]\d")
_ADJECTIVES = (
    r"(?:(?:final|correct|best|right|overall|single|most|likely|probable|suspected|primary|underlying|definitive|"
    r"presumptive|working|genetic|clinical|appropriate|fitting|consistent) ){0,4}"
)
_NOUNS = (
    r"(?:answer|diagnosis|option|choice|disease|condition|disorder|syndrome|cause|explanation|conclusion)"
)
_LEAD_INS = (
    re.compile(r"(?:so|thus|therefore|hence|overall|in conclusion|in summary|conclusion)\b\s*[,:]?\s+", re.I),
    re.compile(
        rf"(?:(?:the|my|our|his|her|their|this) )?{_ADJECTIVES}{_NOUNS}"
        r"(?: (?:here|in this case|for this patient))?"
        r"\s*(?:(?:is|was|would be|should be|must be)\b\s*:?|[:=\n]|-\s)\s*",
        re.I,
    ),
    re.compile(
        r"(?:the|this) (?:patient|case|child|boy|girl|man|woman|infant)(?: most likely| likely| probably)? "
        r"(?:has|suffers from|is suffering from|represents)\s+",
        re.I,
    ),
    re.compile(r"(?:it|this|that) (?:is|must be)\s+", re.I),
    re.compile(r"(?:i|we) (?:would )?(?:choose|select|pick|answer|diagnose)\s+", re.I),
    re.compile(r"(?:a diagnosis of|the presence of|most likely|most probably|likely|probably)\s+", re.I),
    re.compile(r"(?:因此|所以|综上所述|综上|总之)[，,：:]?\s*"),
    re.compile(
        r"(?:本题|本例|该患者|患者|该病例)?(?:的)?(?:最终|正确|最佳|最有可能|最可能|最符合|临床)?(?:的)?"
        r"(?:答案|诊断|选项|疾病)(?:是|应为|应该是|应是|为|[:：])+\s*"
    ),
    re.compile(r"(?:应选|故选|选择|选|诊断为|(?:该)?患者患有|患有|答)[:：]?\s*"),
)
_MAX_LEAD_INS = 4


def bare(answer: str) -> str:
    """`answer` without mark-up, quotes and punctuation around it."""
    text = plain(answer)
    for _ in range(2):
        text = _BOXED.sub(r"\1", text)
    return _strip(_MARKUP.sub("", text))


def statement(text: str) -> str:
    """The statement in a `bare` answer, without the phrases that introduce it.

    >>> statement(bare("**Therefore, the most likely diagnosis is: “Jacobsen syndrome”.**"))
    'Jacobsen syndrome'
    >>> statement("The diagnosis is not Jacobsen syndrome")
    'not Jacobsen syndrome'
    """
    for _ in range(_MAX_LEAD_INS):
        for lead_in in _LEAD_INS:
            match = lead_in.match(text)
            if match and match.end() < len(text):
                text = _strip(text[match.end() :])
                break
        else:
            break
    return text


def _strip(text: str) -> str:
    text = text.strip(_AROUND) if not _SIGNED.match(text) else text.rstrip(_AROUND)
    # brackets around the whole, not those that belong to a part of it
    while len(text) > 1 and text[0] + text[-1] in ("()", "[]", "{}", "【】") and text[-1] not in text[1:-1]:
        text = text[1:-1].strip()
    return text
