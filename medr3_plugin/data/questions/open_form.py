"""Choice questions that mean nothing without their options, which the open form hides.

Two kinds: the right answer is a word about the options ("all of the above", "both 1 and 2", 以上都是), or the question
asks for the one that does not fit ("all of the following except", 不包括). Countless things are no symptom of a
disease, so what is right cannot be told from what is wrong. A positive "which of the following" has one answer as a
rule, and stays.
"""

from __future__ import annotations

import re
import unicodedata

from medr3_plugin.data.questions.items import Item

_ABOUT_OPTIONS = re.compile(
    r"(?:all|none|any|both|either|neither|some|most|one|two|three)(?: of)?(?: the)?(?: \w+)? "
    r"(?:above|below|foregoing|preceding|aforementioned|options|choices|answers)\b"
    r"|(?:all|none|any|both|either|neither) of (?:these|those|them|the following|the two)\b"
    r"|(?:all|both|none|neither|either|any)(?: (?:is|are) (?:true|correct|right|false|incorrect|wrong))?"
    r"|(?:none|neither|both|all)(?: \w+)? (?:true|correct)"
)
_WITHIN = re.compile(r"\b(?:all|none|any|both|either|one) (?:of )?the above\b")
_ABOUT_OPTIONS_ZH = re.compile(
    r"(?:(?:以上|上述|前述|前面|以下|下列|上列|这些).{0,6}?)?(?:都|均|皆|全部?)(?:不?(?:是|对|正确|可以?|有|错误?|非|能|属于|符合)|无)"
    r"|(?:以上|上述|前述|上列)(?:的)?(?:所有|全部|各项|各种|任何|两者|二者|三者|选项|答案).{0,8}"
    r"|(?:全部|所有|两者|二者|三者)(?:选项|答案)?(?:都|均|皆)?(?:不?(?:是|对|正确)|可以?|有)?|无以上.{0,6}|非以上.{0,6}"
)
_JOINT = "(?: ?(?:[,;+&、]|(?<!\\d)/) ?(?:and )?| and | or | nor |和|及|与|或)"
_LABELS = re.compile(
    "(?:(?:both|only|all|either|neither|options?|choices?|statements?|选项) )?"
    f"(?:[a-e]+|[1-6])(?:{_JOINT}(?:[a-e]+|[1-6]))*(?: (?:only|both|alone|(?:is|are) (?:true|correct|right)))?"
)
_SEVERAL = re.compile("[a-e]{2}|[a-e1-6].*[a-e1-6]")
_ONE = re.compile("(?<![a-z0-9])[a-e1-6](?![a-z0-9])")
_WITH_A_WORD = re.compile(
    "(?:both|only|all|either|neither|options?|choices?|statements?|选项)\\b|.* (?:only|both|alone|true|correct|right)$"
)

_SENTENCE = re.compile(r"(?<=[.?!])\s+(?=[A-Z0-9\"'(])|[。！？]|\n")
_NAME = r"(?!\W{1,3}(?:positives?|negatives?|labou?r|ribs?|(?:vocal )?cords?|pelvis|aneurysms?|teeth|tooth|lumen)\b)"
_WRONG = rf"(?:not|never|cannot|\w+n['’]t|false{_NAME}|incorrect|untrue|wrong|except|unlikely|least)\b"
_IS = "(?:is|are|was|were|does|do|can|may|might|must|shall|should|will|would)"
_EXCLUDES = re.compile(
    r"\b(?:all|each|any) (?:of )?(?:the )?(?:following|these)\b[^.?!]*\bexcept\b"
    # which of the following is not ..., up to what is said of a patient who does not ...
    r"|\b(?:which|what|among)(?: one)?(?: (?:of|among|amongst))? (?:the )?(?:following|these|options|statements)\b"
    r"(?:(?!\b(?:who|that|when|if|because|whose|where|while|after|patients?)\b)[^.?!])*?"
    rf"(?<!at ){_WRONG}(?! only\b)"
    # the following is not ...; ... is not used in which of these
    rf"|\bthe following (?:\w+ ){{0,3}}?{_IS} not\b"
    r"|\bnot(?: \w+){1,5} (?:in|by|of|with|for|to|from) (?:which of (?:the following|these)|(?:the )?following)\b"
)
_EXCEPT = re.compile(
    # normal except for a fever is a finding
    r"\b(?:all|any|each|every|these|true|correct|both)\b.*\bexcept(?:ing)?\b(?! for a| for an| for the)"
    r"|\bexcept\b\W*(?:one|which)?\W*$"
)
_ASKS_FOR_WRONG = re.compile(
    # False about ..., Not a cause of ..., The incorrect statement is, ... of which is not true
    rf"^\W*(?:the )?(?:not|false{_NAME}|incorrect|untrue|wrong|least likely)\b"
    r"|\b(?:false|incorrect|wrong|untrue|not (?:true|correct)) "
    r"(?:statements?|options?|ones?|about|regarding|concerning|is|are|pairs?|match|combination)\b"
    r"|\b(?:is|are|which) (?:false|incorrect|wrong|untrue|not (?:true|correct))\W*$"
    r"|\bleast likely\b"
    # which drug is not given in ..., what is not seen
    rf"|\b(?:which|what) (?:\w+ ){{0,4}}?{_IS}(?: not|n['’]t)\b"
    # ... is not seen in:
    rf"|\b(?:{_IS} not|not to be)(?: \w+){{0,5}}? (?:in|of|by|with|for|to|from|on|at|includes?|cause|be)\W*$"
)
_BECAUSE = re.compile(r"\b(?:why|how|because|due|reason)\b")
_WRONG_ZH = "(?:不(?:正确|对|包括|包含|属于|是|符合|恰当|妥|准确|合适)|最不|错误|有误|无关|例外|除外|欠妥)"
_NOT_ZH = "不(?:应|宜|能|会|可|常见|需|支持|含|存在|具|用|出现|利|影响|参与|引起|导致|主张|提倡|适)"
_EXCLUDES_ZH = re.compile(
    "除(?:了)?.{0,8}(?:下列|以下|下述|哪|何|那).{0,12}外|除.{1,24}外.{0,4}(?:均|都|皆)"
    rf"|(?:下列|以下|下述|哪|何|叙述|说法|描述|关于|有关)[^，,；;]*(?:{_WRONG_ZH}|{_NOT_ZH})[^，,；;]*$"
    rf"|{_WRONG_ZH}(?:[^，,；;]{{0,20}}(?:是|有|为|项))?[（(）)\s:：…_]*$"
    rf"|{_NOT_ZH}[^，,；;]{{0,12}}的(?:是|有|为|项)[（(）)\s:：…_]*$"
)


def needs_options(item: Item) -> str:
    """Why a choice question cannot be asked without its options; empty if it can.

    >>> asked = Item("1", "d", "Which of the following causes gout?", ("Both of the above",), {"A": "x", "B": "y"})
    >>> needs_options(asked)
    'the right answer refers to the options'
    """
    if not item.options:
        return ""
    question = unicodedata.normalize("NFKC", item.question)
    options = [_plain(text) for text in item.options.values()]
    if any(_about_options(_plain(answer), options) for answer in item.answers):
        return "the right answer refers to the options"
    if _excludes(question):
        return "the question asks which of the options does not fit"
    return ""


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).lower().strip(" .。,;!")


def _about_options(answer: str, options: list[str]) -> bool:
    if _ABOUT_OPTIONS.fullmatch(answer) or _ABOUT_OPTIONS_ZH.fullmatch(answer) or _WITHIN.search(answer):
        return True
    if not _LABELS.fullmatch(answer):
        return False
    several = bool(_SEVERAL.search(answer))
    if several and _WITH_A_WORD.match(answer):
        return True
    # AB is a blood group and C a vitamin, unless all options are letters, and some of them several
    contents = [t for t in options if not (_ABOUT_OPTIONS.fullmatch(t) or _ABOUT_OPTIONS_ZH.fullmatch(t))]
    labels = [text for text in contents if _LABELS.fullmatch(text)]
    if len(labels) == len(contents) and any(map(_SEVERAL.search, labels)):
        return True
    # the only letters among words are about options, but not about those behind: vitamins "A and D" as option B
    named = [int(label) if label.isdecimal() else ord(label) - ord("a") + 1 for label in _ONE.findall(answer)]
    before = answer in options and max(named, default=9) <= options.index(answer)
    return several and before and len(labels) == 1


def _excludes(question: str) -> bool:
    sentences = [part for part in _SENTENCE.split(question.strip()) if part and part.strip(" ?？:：.")]
    last = sentences[-1] if sentences else ""
    if _EXCLUDES_ZH.search(last.rstrip(" ?？.。:：")):
        return True
    lowered = last.lower().strip()
    if _EXCEPT.search(lowered) or (_ASKS_FOR_WRONG.search(lowered) and not _BECAUSE.search(lowered)):
        return True
    return any(map(_EXCLUDES.search, map(str.lower, sentences)))
