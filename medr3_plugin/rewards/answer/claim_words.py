"""Words and patterns of `claims`."""

from __future__ import annotations

import re

from medr3_plugin.rewards.answer.reading import REF
from medr3_plugin.text import listed

CONCLUDES = frozenset(listed("therefore thus so hence consequently accordingly conclusively overall"))
_BECAUSE = "because|since|(?<!be )given|due to|based on|which|who|where"
_REASON = (
    rf"(?:^|(?:^| )[,(–—-] )(?P<why>{_BECAUSE}|as(?! well)|per|according to)(?= |$)|(?:^| )(?:{_BECAUSE})(?= |$)|"
    r"(?:^| ), (?:making|leading|causing|resulting|thereby)(?= |$)|"
    r"(?:^| )(?:[,(–—-] )?(?:因为|由于|因|理由是|原因是|基于)"
)
REASON_BEGINS = re.compile(_REASON)
# where what is said of a reference ends
SAID_ENDS = re.compile(rf"{_REASON}|(?:^| )[,:(–—-](?= |$)")
APPOSITION = re.compile(
    r",( [^,\ue000-\ue0ff]{1,200} ,)?"
    r"(?= (?:is|are|was|were|has|have|had|can|could|may|might|would|will|does|do|should)\b)"
)
CONSIDERED = re.compile(rf"\b(?:i|we)(?: would)? (?:consider|regard|view|judge|deem) ({REF}) (?:to be|as)\b")
GROUNDING = frozenset(("because", "since", "given", "as", "based on", "according to"))
# said behind a reference, and nothing else
ENDS = re.compile("only|answer|it is|is|are|would be|remains|is left|is what remains|applies|does|yes")
SUPERLATIVE = re.compile(
    r"\b(?:most|mostlikely|best(?! known)|main|primary|ideal|optimal|"
    r"fits?|explains?|match(?:es)?|accounts? for|describes?|supported by|consistent with|"
    r"correct|right|answer|diagnosis|option|likely|preferred|choice|appropriate|suitable|recommended|indicated|warranted|chosen|selected|"
    r"(?:should|must|needs? to) be (?:started|begun|given|administered|prescribed|initiated|performed|ordered)|"
    r"(?<!an )(?:option|one) (?:that|which|supported|described)|what (?:we|question|you|i|is) )\b"
)
# a number before "to" or a hyphen, or behind it: a range, of which an option is only one end
RANGE_BEFORE = re.compile(
    r"(?:\d|‐|\b(?:\d+(?:\.\d+)?|few|one|two|three|four|five|six) (?:to|and|[‐–—-])) ?$"
)
RANGE_AFTER = re.compile(r" (?:(?:to|[‐–—-]) \d|\d|[‐–—/])")
IS_UNTRUE = re.compile(
    r"(?: \( [^()]* \))?(?: ,)? (?:is|are) (?:also |likely |clearly |therefore |probably )?"
    r"(?:not true|untrue|false|(?:an? )?exception|(?P<wrong>incorrect|not correct|not right|wrong))\b"
)
IS_NOT = re.compile(
    r"(?: \( [^()]* \))?(?: ,)? (?:(?:is|are|was|were|do|does|did|can|could|would|will|should|has|have) "
    r"not|cannot|never)\b"
)
# "one of", "an answer is", "the next best answer", "a 19-year-old answer": not the answer
ONE_OF_SEVERAL = re.compile(
    r"\b(?:(?:an?|one) (?:of|(?:[a-z]+ )?(?:option|choice|answer|example)(?! (?:that|which)))|"
    r"(?:an?|one) (?:[a-z]+ )?diagnosis(?! of)|(?:next best|next|old) (?:option|choice|answer|diagnosis))\b"
)
# "Fever would suggest C", but not "The best drug would be C" or "I would choose C"
CONDITIONAL = re.compile(r"(?<!\bi )(?<!\bwe )\bwould (?!(?:most |mostlikely |best )?be\b)|\bwould have\b")
# what a conditional has to say for it to answer: "C would be the best choice", but not "C would be right"
RANKS = frozenset(
    listed(
        "answer choice option diagnosis treatment drug step test best most mostlikely preferred ideal optimal"
    )
)
MODALS = frozenset(listed("may might could possibly perhaps maybe"))
CONDITIONALS = frozenset(listed("if unless provided assuming suppose supposing when whenever"))
HISTORY = frozenset(listed("was were had have taken taking"))  # "is known to have taken C"
NOT_WHAT_IS = re.compile(
    r"\b(?:not|n t|t|never|cannot|no)(?: [a-z]+)?(?: (?:be|is|are))? *$|"
    r"\b(?:incorrect|false|untrue) (?:answer|option|choice)s?\b"
)
OPINION = re.compile(
    r"^(?:(?:however|but|and|yet)(?: ,)?(?: |$))?"
    r"(?:(?:(?:i|we) (?:strongly |firmly |can |would |therefore )?(?:believe|conclude|find|feel|infer|say|maintain)|"
    r"in my (?:opinion|view|judgement|judgment|assessment)|it (?:follows|seems|appears|is clear|is evident)|"
    r"this means)(?: that)?(?: ,)?(?: |$))?"
)
INTERPOSED = re.compile(
    r" , (?:in my (?:view|opinion)|i (?:believe|think)|then|therefore|thus|of course|indeed|clearly|overall) ,(?= )"
)
COMMITS = (
    r"(?:looks like|left with|(?:leaves?|leaving)(?: us| me)?(?: with)?|go(?:es|ing)? (?:with|for)|arrived? at|"
    r"settl(?:e|ed|ing) (?:on|for)|opt(?:ing)? for|choos(?:e|ing)|pick(?:ing)?|select(?:ing)?|answered (?:by|with)|"
    r"conclud(?:e|ing)(?: that)?|stick(?:ing)? with|commit(?:ting)? to|submit(?:ting)?|brings? (?:me|us) to|"
    r"(?:comes?|boils?|narrow(?:s|ed)? it|narrow(?:s|ed)?) down to|definitely|clearly|certainly|obviously|undoubtedly|"
    r"surely|alright|okay|ok|well|finally|ultimately)(?: ,)?$"
)
# "Start him on C", "The patient should receive C"
ORDERS = (
    r"(?:^|(?:^| )(?:should|must|would|needs? to|is to|(?:step|treatment|management) is(?: to)?) (?:be )?)"
    r"(?:start(?:ed)?|begin|begun|given?|administer|prescribed?|initiate|perform|order|obtain|receive|get|undergo|"
    r"treat(?:ed)?|proceed|needs?)"
    r"(?: (?:this |his |her )?(?:patient|him|her|them|treatment|therapy))?(?: on| with)?$"
)
# what stands before it is evidence, or the one who decides
CHOOSES = re.compile(
    r"(?:^| )(?:(?:strongly|highly|clearly|all|best|mostlikely|together|is|are|be|presentation) )*"
    r"(?:favou?rs?|point(?:s|ing)?(?: us)? to(?:wards?)?|supports?|confirms?|indicat(?:es?|ing)|suggest(?:s|ing)?|"
    r"leads? (?:me|us) to|leading to|corresponds? to|fits?|match(?:es)?|(?:explained|accounted for|supported) by|"
    r"(?:consistent|compatible|suggestive|indicative|characteristic|typical|diagnostic|pathognomonic|classic|"
    r"hallmarks?|picture|case) (?:of|for|with))(?: diagnosis of)?$|"
    rf"(?:^| ){COMMITS}|{ORDERS}"
)
