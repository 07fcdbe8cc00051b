"""What a sentence asserts in its writer's own name: neither a condition nor somebody else's opinion nor its denial.

"If croup causes stridor, ...", "a fool would say that croup causes stridor" and "croup causes stridor: that is a myth"
hold the same words as the assertion. Evidence that is cited ("the review says that ...") is asserted.
"""

from __future__ import annotations

import re

from medr3_plugin.knowledge.triggers import Triggers
from medr3_plugin.text import listed

FALSE = (
    r"\b(?:false|wrong|untrue|incorrect|mistaken|nonsense|rubbish|absurd|(?:a )?(?:myth|misconception|fallacy|lie)s?)\b"
    r"|(?:\b(?:not|never)|n['’]t) (?:true|so|right|correct|the case)\b"
)
"""Predicates that deny their subject, as a regular expression."""
FALSE_CHINESE = "错|不对|不是真|不成立|不实|谣言|误区|误解|假的|无稽之谈|谬论"

_IF = Triggers("if unless suppos assum imagine whether 如果 假 倘若 若 要是 除非 是否")
_CONDITION = re.compile(
    r"\b(?:if|unless|suppos(?:e|ing)|assum(?:e|ing)|imagine|whether)\b[^,;:.!?]*[,;:]?"
    r"|(?:如果|假如|假设|假使|假定|倘若|若是|若|要是|除非|是否)[^，；。！？]*[，；]?",
    re.IGNORECASE,
)
_UNREAL = re.compile(r"\b(?:would|could|might)\b", re.IGNORECASE)
_SAYING = r"(?:say|claim|think|believe|argue|assert|insist|swear|guess|maintain|imagine|pretend)"
_SAY = Triggers(
    "say said claim think thought believe argue assert insist swear guess maintain imagine pretend allege rumo "
    "supposedly 说 认为 以为 称 相信 传",
    "has it",
    "according to",
)
_OF_OTHERS = re.compile(
    r"\b(?:(?:(?:some|many|certain|few|other|most)(?: \w+)?|others|people|someone|somebody|anyone|anybody|nobody|no one"
    r"|one|lay\w+|fools?|quacks?|idiots?|liars?|sceptics|skeptics|critics|opponents|students?|novices?"
    rf"|legend|myth|rumou?r|hearsay|folklore) (?:\w+ ){{0,2}}?"
    rf"(?:{_SAYING}s?|said|claimed|thought|believed|argued|has it)\b"
    rf"|(?!(?:i|we)\b)\w+ (?:would|might|may|could) (?:\w+ )?{_SAYING}\b"
    r"|it (?:is|was|has been) (?:\w+ )?(?:said|claimed|alleged|rumou?red)\b"
    r"|(?:claims?|pretends?|alleges?|imagines?) that\b|allegedly\b|supposedly\b"
    r"|according to (?:some|an? \w+ who|fools?|rumou?rs?|folklore|legend|hearsay)\b)"
    r"|(?:有人|有些人|某些人|一些人|别人|外行|傻瓜|愚人|庸医|民间|网上)[^，。；]{0,6}?(?:说|认为|声称|以为|宣称|相信|传)"
    r"|据说|据传|谣传|传言|传说|误以为|误认为|声称",
    re.IGNORECASE,
)
_OWN_WORD_AGAIN = re.compile(r"\b(?:but|however|in fact|actually|yet)\b|但|然而|其实|事实上", re.IGNORECASE)
_DENIED_BEHIND = re.compile(
    r"(?:[:;,(—–]|\s-|…|\.\.\.)\s*(?:(?:and|but|yet|all|of|or) )*"
    rf"(?:(?:that|this|it|which|what|these|those|they)\b[^,;:]{{0,30}}?)?(?:{FALSE}|\bnot?\b)[^,;:\w]*"
    r"(?:either|at all|of course|indeed|I know|I think)?\W*$"
    rf"|[，：；（—]\s*(?:但|而|不过|可)?(?:这|那|此|以上|上述|纯属|是)[^，；。]{{0,8}}?(?:{FALSE_CHINESE})[^，；。]{{0,4}}\W*$",
    re.IGNORECASE,
)
_ALL = re.compile(r"\b(?:all|these|those|they)\b|以上|上述", re.IGNORECASE)
# the last word of a sentence that takes itself back in English; and Chinese words, anywhere, that may do so
_LAST_WORDS = listed(
    "false wrong untrue incorrect mistaken nonsense rubbish absurd myth misconception fallacy lie myths misconceptions "
    "fallacys lies true so right correct case no not either all course indeed know think"
)
_CHINESE_BEHIND = Triggers(FALSE_CHINESE.replace("|", " "))


def asserted(sentence: str) -> str:
    """`sentence` without conditions and what somebody else says; empty if nothing is left.

    >>> asserted("If croup causes stridor, we would have to know."), asserted("If untreated, croup causes stridor.")
    ('', ' croup causes stridor.')
    >>> asserted("Some say that croup is bacterial, but it is viral."), asserted("The review says it is viral.")
    ('but it is viral.', 'The review says it is viral.')
    >>> asserted("有人说痛风由病毒引起。"), asserted("如果痛风由病毒引起，应查抗体。")
    ('', '应查抗体。')
    """
    if _SAY.in_text(sentence) and (match := _OF_OTHERS.search(sentence)):
        again = _OWN_WORD_AGAIN.search(sentence, match.end())
        sentence = sentence[: match.start()] + (sentence[again.start() :] if again else "")
    if not _IF.in_text(sentence):
        return sentence
    left = _CONDITION.sub("", sentence)
    return "" if left != sentence and _UNREAL.search(left) else left


def denied_behind(sentence: str) -> tuple[str, str] | None:
    """What a sentence leaves standing, and what it takes back at its end; None if it takes back nothing.

    Of parts joined by semicolons the last is taken back; all of them by "all of that is wrong".

    >>> denied_behind("Croup causes stridor: that is a myth."), denied_behind("饮酒升高血尿酸，这是错误的。")
    (('', 'Croup causes stridor'), ('', '饮酒升高血尿酸'))
    >>> denied_behind("Croup causes stridor; he has fever, which he does not.")
    ('Croup causes stridor;', ' he has fever')
    >>> denied_behind("He is febrile, which is not surprising.")
    """
    end = len(sentence)
    while end and not (sentence[end - 1].isalnum() or sentence[end - 1] == "_"):
        end -= 1
    if not sentence[max(end - 20, 0) : end].lower().endswith(_LAST_WORDS) and (
        sentence.isascii() or not _CHINESE_BEHIND.in_text(sentence)
    ):
        return None
    if not (match := _DENIED_BEHIND.search(sentence)):
        return None
    said = sentence[: match.start()]
    last = 0 if _ALL.search(match[0]) else max(said.rfind(";"), said.rfind("；")) + 1
    in_brackets = re.search(r"\A[^(（]*[)）]", said[last:])
    return ("", said) if in_brackets else (said[:last], said[last:])
