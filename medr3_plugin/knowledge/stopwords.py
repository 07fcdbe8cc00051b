"""Words that name no entity, in normal form (see `knowledge.text`)."""

from __future__ import annotations

from medr3_plugin.knowledge.text import word_form

_FUNCTION_WORDS = """
a about above after again against all almost alone along already also although always am among an and
another any anyone anything are as at away back be became because become been before being below between
both but by came can cannot come could did do does doing done down during each either else enough even ever
every everyone few first for from further gave get give given go goes gone good got had has have having he
hence her here hers him himself his how however i if in indeed instead into is it its itself just keep kept
last least less let like little made make many may maybe me might mine more most much must my myself near
need neither never new next no none nor not nothing now of off often on once one only or other others our
ours out over own part per perhaps please put quite rather really same second see seem seen several she
should show since so some something soon still such sure take taken than that the their them then there
therefore these they thing this those though through thus to together too toward two under until up upon us
use used using usually very via want was way we well were what when where whether which while who whole whom
whose why will with within without would yes yet you your yours
"""

_REASONING_WORDS = """
answer assume based case check choose clear common compare conclude conclusion condition confirm consider
consistent consult context correct could decide describe diagnose diagnosis differential document dont doubt
evidence exactly example explain fact find finding first found go guess help important indicate information
know known lead let likely look maybe mean mention need note ok okay option patient person point possible
possibly present presentation presents probable probably question read reason reasoning recall relate
relevant result retrieve reveal right rule say search select sign since state step suggest support suspect
symptom think thought understand unlikely wait wonder wrong
"""

_RELATION_WORDS = """
accompany affect arise associate cause characterise characterize combine compose contain contribute define
depend derive develop due elevate exclude exhibit experience explain feature follow happen have improve
include increase induce inhibit involve lead link manage mediate occur originate precede predispose prevent
produce promote raise receive recommend reduce reflect relate relieve report require result see show start
stem treat trigger undergo use worsen
"""

# characters that separate rather than name, for Chinese text without a vocabulary
_CHINESE = "的了是在有和与及或不无未而但因此其这那为以从被把将会可能应该也都很就对于由"

FUNCTION_WORDS = frozenset(word_form(word) for word in _FUNCTION_WORDS.split()) | frozenset(_CHINESE)
"""Words that only hold a sentence together."""


def _inflect(word: str) -> set[str]:
    """The forms a regular verb can take, wrong ones included: they do no harm in a set of stop words."""
    stem = word[:-1] if word.endswith("e") else word
    forms = {word, word + "s", stem + "es", stem + "ed", stem + "ing", stem + stem[-1] + "ed"}
    if word.endswith("y"):
        forms |= {word[:-1] + "ied", word[:-1] + "ies"}
    return forms


RELATION_WORDS = frozenset(
    word_form(form) for word in _RELATION_WORDS.split() for form in _inflect(word)
) | frozenset(("led", "found", "shown", "seen", "gave", "given", "made", "caused", "cause"))
"""Verbs that relate entities, in their common forms."""

STOPWORDS = (
    FUNCTION_WORDS
    | RELATION_WORDS
    | frozenset(word_form(form) for word in _REASONING_WORDS.split() for form in _inflect(word))
)
"""Everything that is no entity on its own."""
