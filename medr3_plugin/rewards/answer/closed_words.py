"""Words and patterns of `closed`: claims of choice questions, where the one option named stands out."""

from __future__ import annotations

import re

from medr3_plugin.rewards.answer.wording import PREPOSITIONS
from medr3_plugin.text import listed

NOT_TRUE = re.compile(r"\b(?:not|n t) (?:true|correct|right|the answer)\b|\b(?:incorrect|untrue|false)\b")
CONCLUDES = frozenset(listed("therefore thus so hence consequently accordingly overall"))
NAMES_OPTION = CONCLUDES | frozenset(listed("option choice answer only statement , a an"))
# between "is" and what it is
BEHIND_LINK = PREPOSITIONS | frozenset(
    listed(
        "mostlikely likely probably clearly therefore thus indeed called known named termed as described explained "
        "caused seen found located present due associated related type form kind a an that given about around "
        "approximately : perform give administer start do use order obtain initiate prescribe"
    )
)
REASON_BEGINS = re.compile(
    r"(?:^| )(?:(?:, )?(?:because|since|given|due to|based on|which|who|where)|"
    r", (?:as(?! well)|making|leading|causing|resulting|thereby))(?= |$)"
)
SUPERLATIVE = re.compile(
    r"\b(?:most|mostlikely|best|(?:great|high|larg|clos|strong|saf|clear)est|main|primary|ideal|optimal|"
    r"correct|right|answer|preferred|choice|appropriate|suitable|recommended|indicated|warranted|"
    r"(?<!an )(?:option|one) (?:that|which|supported|described)|what (?:we|question|you|i) )\b"
)
# a number before "to" or a hyphen, or behind it: a range, of which an option is only one end
RANGE_BEFORE = re.compile(
    r"(?:\d|[‐–—-]|\b(?:\d+(?:\.\d+)?|few|one|two|three|four|five|six) (?:to|and|[‐–—-])) ?$"
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
DEFINES = re.compile(
    r"(?:is|are|would be) (?!(?:an?|one|out|part|devoid|capable|free|full|some|typical|characteristic|independent|"
    r"known|likely|something|thing|able|due|there|also|not)\b)(?:[a-z]+ ){1,4}?"
    r"(?:of|to expect|in question|asked for|being asked|that|which|given to|used to|used for|responsible for)\b"
)
UNITS = frozenset(
    listed(
        "mg g kg mcg ug ml l dl mmhg mm cm m % / mmol mol years year months month weeks days hours minutes degrees"
    )
)
NOT_WHAT_IS = re.compile(
    r"\b(?:not|n t|t|never|cannot|no)(?: [a-z]+)?(?: (?:be|is|are))? *$|"
    r"\b(?:incorrect|false|untrue) (?:answer|option|choice)s?\b"
)
SOURCES = frozenset(
    listed("studies documents guidelines standards evidence literature information data trials analysis")
)
OPINION = re.compile(
    r"^(?:(?:i|we) (?:strongly |firmly |can |would |therefore )?(?:believe|conclude|find|feel|infer|say|maintain)|"
    r"in my (?:opinion|view|judgement|judgment|assessment)|it (?:follows|is clear|is evident)|this means)"
    r"(?: that)?(?: ,)?(?: |$)"
)
COMMITS = (
    r"(?:looks like|left with|(?:leaves?|leaving)(?: us| me)?(?: with)?|go(?:es|ing)? (?:with|for)|arrived? at|"
    r"settl(?:e|ed|ing) (?:on|for)|opt(?:ing)? for|choos(?:e|ing)|pick(?:ing)?|select(?:ing)?|answered (?:by|with)|"
    r"conclud(?:e|ing)(?: that)?|stick(?:ing)? with|commit(?:ting)? to|submit(?:ting)?|brings? (?:me|us) to|"
    r"(?:comes?|boils?|narrow(?:s|ed)? it|narrow(?:s|ed)?) down to|definitely|clearly|certainly|obviously|undoubtedly|"
    r"surely|alright|okay|ok|well|finally|ultimately)(?: ,)?$"
)
COMMITTED = re.compile(rf"(?:^| ){COMMITS}")
CHOOSES = re.compile(
    r"(?:^| )(?:favou?rs?|point(?:s|ing)? to(?:wards?)?|supports?|confirms?|indicat(?:es?|ing)|suggest(?:s|ing)?|says|"
    rf"leads? (?:me |us )?to|leading to|corresponds? to|fits?|match(?:es)?)$|(?:^| ){COMMITS}"
)
POINTING = frozenset(
    listed("pointing favoring favouring leaving making suggesting indicating confirming leading")
)
