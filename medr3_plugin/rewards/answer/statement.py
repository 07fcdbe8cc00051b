"""From the text between `<answer>` and `</answer>` to the bare statement in it.

Models wrap an answer in phrases ("The most likely diagnosis is ..."), mark-up and quotes. `readings` takes
the wrapping off, layer by layer, and nothing else: every word that could change the meaning stays.
"""

from __future__ import annotations

import json
import re

from medr3_plugin.rewards.answer.doubt import claim
from medr3_plugin.text import listed, plain, tokens

_MARKUP = re.compile(
    r"\*\*|__|`+|^#{1,6}\s+|^>\s+(?!\d)|\\[()\[\]]|</?(?:b|i|u|em|strong|p|br)\s*/?>", re.MULTILINE
)
_MACRO = re.compile(r"\\(?:boxed|fbox|text|textbf|textit|mathrm|mathbf|mathit|mathsf)\s*\{([^{}]*)\}")
_QUOTES = "\"'“”‘’«»「」『』《》"
_AROUND = " \n\t$.,;:!。，；：！、*_-–—" + _QUOTES
_SIGNED = re.compile(r"[-–—]\d")
_FIRST_ITEM = re.compile(r"(?:1[.)]|[-•])\s+(?=[^\W\d])")

_ADJECTIVES = (
    r"(?:(?:final|correct|best|right|overall|single|most|highly|very|likely|probable|suspected|primary|"
    r"underlying|definitive|presumptive|working|genetic|clinical|medical|appropriate|suitable|fitting|"
    r"accurate|plausible|reasonable|preferred|consistent|specific) ){0,4}"
)
_NOUNS = (
    r"(?:answer(?: choice| option)?|ans\.?|diagnosis|dx\.?|option|choice|disease|condition|disorder|syndrome|"
    r"cause|explanation|conclusion|decision|verdict|response)"
)
_SURELY = r"(?: (?:therefore|thus|hence|clearly|definitely|indeed|most likely|likely|probably)(?= ))?"
_PATIENT = r"(?:patient|case|child|boy|girl|man|woman|infant|newborn)"
_FINDINGS = (
    r"(?:(?:the|this|these|all|his|her|their) )?(?:(?:available|clinical|overall|combined|described|genetic|above|"
    r"patient's|retrieved) ){0,3}(?:presentation|picture|findings?|features?|signs and symptoms|symptoms|"
    r"phenotype|constellation|history|evidence|data|results?|study|studies|literature|case)"
    r"(?: (?:here|in this case|of this patient|as a whole))?"
)
_LEAD_INS = (
    re.compile(
        r"(?:so|thus|therefore|hence|overall|altogether|ultimately|finally|in conclusion|in summary|in short|"
        r"to conclude|to sum up|conclusion)\b\s*[,:]?\s+",
        re.I,
    ),
    # what the answer rests on, before a comma and the phrase that gives it
    re.compile(
        r"(?:based on|given|considering|according to|in light of|in view of|from|in)\s[^.;:?!\n]{1,160},\s+"
        rf"(?=(?:i|we|(?:the|my|our|his|her|their|this|it) (?:{_ADJECTIVES}{_NOUNS}|is))\b)",
        re.I,
    ),
    re.compile(
        rf"(?:(?:the|my|our|his|her|their|this) )?(?:{_PATIENT}[’']s )?{_ADJECTIVES}{_NOUNS}"
        r"(?: (?:here|in this case|for this patient|(?:to|for) (?:the|this) question))?"
        rf"\s*(?:(?:[’']s|is|was|would be|should be|must be)\b{_SURELY}(?:\s*:| that\b)?|[:=\n]|-\s)\s*",
        re.I,
    ),
    re.compile(
        rf"(?:the|this) {_PATIENT}(?: most likely| likely| probably)? "
        r"(?:has|suffers from|is suffering from|represents)\s+",
        re.I,
    ),
    re.compile(
        rf"(?:(?:{_FINDINGS}|this) (?:(?:strongly|clearly|best|most likely) )?"
        r"(?:suggests?|supports?|indicates?|shows?|fits?|points? to|(?:is|are) (?:most |best |highly )?"
        r"(?:consistent with|suggestive of|indicative of|characteristic of|typical of|diagnostic of|"
        r"explained by))(?: that| the answer)?)\s+",
        re.I,
    ),
    re.compile(r"(?:it|this|that)(?:[’']s| is| must be)(?: (?:called|known as|termed))?\s+", re.I),
    re.compile(
        r"(?:i|we) (?:(?:would|will) )?(?:choose|select|pick|answer|diagnose|go with|opt for|conclude|believe|"
        r"think|say)(?: that)?\s+",
        re.I,
    ),
    re.compile(
        r"(?:(?:a|the) diagnosis of|the presence of|(?:most likely|most probably|likely|probably)\s*:?)\s+",
        re.I,
    ),
    re.compile(r"(?:因此|所以|综上所述|综上|总之|由此可[得见知]|故(?=答案|本题|正确))[，,：:]?\s*"),
    re.compile(r"【(?:答案|诊断)】\s*"),
    re.compile(
        r"(?:本题|本例|该患者|患者|该病例|我)?(?:的)?(?:最终|正确|最佳|最有可能|最可能|最符合|临床)?(?:的)?"
        r"(?:答案|诊断|选项|疾病|(?<=正确)的)(?:(?:应该是|应为|应是|是|为|选(?!项))\s*[:：]?|[:：])\s*"
    ),
    re.compile(r"(?:本题|我|故)?(?:应该|应)?(?:选择|选(?!项)|诊断为|(?:该)?患者患有|患有|答(?!案))[:：]?\s*"),
)
_MAX_LEAD_INS = 4
_LEAD_OUTS = (
    re.compile(
        rf"\s+(?:is|was|would be|should be|must be)\s+(?:(?:the|my)\s+{_ADJECTIVES}{_NOUNS}"
        r"(?:\s+(?:here|in this case|for this patient))?|correct|right|(?:the\s+)?most\s+(?:likely|probable))",
        re.I,
    ),
    re.compile(
        r"\s*(?:是|为)(?:正确(?:的|答案)|最佳答案|答案|对的)|(?<=[A-Za-z])(?:选?项)?正确|(?<=[A-Za-z])选?项"
    ),
)
_COPULA = re.compile(r"\b(?:is|are|was|were|is called|are called)\b\s*:?\s+", re.I)
_MAX_COPULAS = 3
_ECHO_CHARS = 200
_NOT_AN_ECHO = frozenset(
    listed(
        "not no never neither nor none without least less un unlikely except excluding wrong incorrect false "
        "other second alternative differential"
    )
)
_FUNCTION_WORDS = frozenset(listed("the a an of for in to and this that which with by on it these"))


def bare(answer: str) -> str:
    """`answer` without mark-up, quotes and punctuation around it; the one value of a JSON object of one key."""
    text = plain(_value(answer))
    for _ in range(2):
        text = _MACRO.sub(r"\1", text)
    return _strip(_MARKUP.sub("", text))


def readings(whole: str) -> list[str]:
    """A `bare` answer, and what is left of it as the phrases around the statement are taken off one by one.

    The last reading is the statement. The others count too: an accepted answer may itself begin or end with
    such a phrase.

    >>> readings(bare("**Therefore, the most likely diagnosis is: “Jacobsen syndrome”.**"))[-1]
    'Jacobsen syndrome'
    >>> readings("The diagnosis is not Jacobsen syndrome")[-1]
    'not Jacobsen syndrome'
    >>> readings("It is gout")
    ['It is gout', 'gout']
    """
    found = [whole]
    for _ in range(_MAX_LEAD_INS):
        text = found[-1]
        match = next((m for lead_in in _LEAD_INS if (m := lead_in.match(text)) and m.end() < len(text)), None)
        if match is None:
            break
        found.append(_strip(text[match.end() :]))
    found += [reading for text in found if (reading := _without_lead_out(text))]
    if first := _FIRST_ITEM.match(found[-1]):
        found.append(found[-1][first.end() :])
    return found


def core(text: str) -> str:
    """The claim of a statement: without its reason or contrast, and without the phrase that ends it.

    >>> core("Gout is the best answer because urate is high")
    'Gout'
    """
    said = claim(text)
    return _without_lead_out(said) or said


def _without_lead_out(text: str) -> str:
    """What stands before the phrase that ends `text`; empty without one."""
    for lead_out in _LEAD_OUTS:
        for match in lead_out.finditer(text):
            if match.end() == len(text):
                return _strip(text[: match.start()])
    return ""


def echoes(text: str, question: str) -> list[str]:
    """What a statement says after words of the question: `X` for "The drug of choice is X".

    Only positive words of the question may stand before it, so that what is left answers the question.

    >>> echoes("The drug of choice for absence seizures is ethosuximide",
    ...        "What is the drug of choice for a child with absence seizures?")
    ['ethosuximide']
    """
    copulas = list(_COPULA.finditer(text, 0, _ECHO_CHARS))[:_MAX_COPULAS]
    if not copulas:
        return []
    known = _FUNCTION_WORDS.union(tokens(question)) - _NOT_AN_ECHO
    found = []
    for match in copulas:
        before = tokens(text[: match.start()])
        if before and known.issuperset(before):
            found.append(_strip(text[match.end() :]))
    return found


def _value(answer: str) -> str:
    """`{"answer": "B"}` is the answer B."""
    text = answer.strip()
    if text.startswith("{") and text.endswith("}"):
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            return answer
        if (
            isinstance(value, dict)
            and len(value) == 1
            and isinstance(only := next(iter(value.values())), str)
        ):
            return only
    return answer


def _strip(text: str) -> str:
    text = text.strip(_AROUND) if not _SIGNED.match(text) else text.rstrip(_AROUND)
    # brackets around the whole, not those that belong to a part of it
    while (
        len(text) > 1
        and text[0] + text[-1] in ("()", "[]", "{}", "<>", "【】")
        and text[-1] not in text[1:-1]
    ):
        text = text[1:-1].strip()
    return text
