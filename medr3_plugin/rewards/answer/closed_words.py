"""Words and patterns of `closed`: claims of choice questions, where the one option named stands out."""

from __future__ import annotations

import re

from medr3_plugin.text import listed

NOT_TRUE = re.compile(r"\b(?:not|n t) (?:true|correct|right|the answer)\b|\b(?:incorrect|untrue|false)\b")
CONCLUDES = frozenset(listed("therefore thus so hence consequently accordingly conclusively overall"))
REASON_BEGINS = re.compile(
    r"(?:^| )(?:(?:, )?(?:because|since|given|due to|based on|which|who|where)|"
    r", (?:as(?! well)|making|leading|causing|resulting|thereby))(?= |$)"
)
SUPERLATIVE = re.compile(
    r"\b(?:most|mostlikely|best|(?:great|high|larg|clos|strong|saf|clear)est|main|primary|ideal|optimal|"
    r"correct|right|answer|preferred|choice|appropriate|suitable|recommended|indicated|warranted|chosen|selected|"
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
ONE_OF_SEVERAL = re.compile(
    r"\b(?:an?|one) (?:of|(?:possible )?(?:option|choice|answer|example)(?! (?:that|which)))\b"
)
UNITS = frozenset(
    listed(
        "mg g kg mcg ug ml l dl mmhg mm cm m % / mmol mol years year months month weeks days hours minutes degrees"
    )
)
CONDITIONALS = frozenset(listed("if unless provided assuming suppose supposing when whenever"))
HISTORY = frozenset(listed("was were had have taken taking"))  # "is known to have taken C"
NOT_WHAT_IS = re.compile(
    r"\b(?:not|n t|t|never|cannot|no)(?: [a-z]+)?(?: (?:be|is|are))? *$|"
    r"\b(?:incorrect|false|untrue) (?:answer|option|choice)s?\b"
)
SOURCES = frozenset(
    listed("studies documents guidelines standards evidence literature information data trials analysis")
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
    r"(?:^|(?:^| )(?:should|must|needs? to) (?:be )?)"
    r"(?:start(?:ed)?|begin|begun|given?|administer|prescribed?|initiate|perform|order|obtain|receive|get)"
    r"(?: (?:this |his |her )?(?:patient|him|her|them|treatment|therapy))?(?: on| with)?$"
)
CHOOSES = re.compile(
    r"(?:^| )(?:favou?rs?|point(?:s|ing)? to(?:wards?)?|supports?|confirms?|indicat(?:es?|ing)|suggest(?:s|ing)?|"
    rf"leads? (?:me |us )?to|leading to|corresponds? to|fits?|match(?:es)?)$|(?:^| ){COMMITS}|{ORDERS}"
)
