"""The words of which the grammar of answers is made (`rewards.answer.grammar`)."""

from __future__ import annotations

from medr3_plugin.text import listed

PLAIN = frozenset(
    listed(
        # function words
        "a an this that these those it its is are was were be been being has have had of in on at to for from by "
        "with and as which who whom whose he she they his her their him them here there all so thus therefore "
        "hence overall finally conclusion summary short i we my our would should must will can do does most "
        "mostlikely likely probable best only very clearly strongly highly also because since given due based "
        "according considering during when where while "
        # what is asked for and what it is like
        "answer answers option choice diagnosis dx ans condition disease disorder syndrome cause explanation "
        "decision verdict response treatment therapy drug agent medication management step test investigation "
        "finding study mechanism organism pathogen name gene protein final correct right single appropriate "
        "suitable accurate reasonable preferred consistent compatible keeping classic classical typical "
        "characteristic suggestive indicative diagnostic pathognomonic key main primary underlying working "
        "presumptive definitive clinical genetic medical next letter question options choices among retrieved "
        "rationale justification "
        # why
        "fit fits fitting match matches matching explain explains explained support supports supported suggest "
        "suggests indicate indicates point points confirm confirms show shows present presents presented "
        "presenting known called named described reported seen found provided listed above conclude believe think "
        "choose select pick go say diagnose recommend opt accounts account strong well patient patients case "
        "child boy girl man woman infant newborn individual presentation picture findings feature features "
        "symptom symptoms sign signs history evidence suffering consideration careful carefully reviewing review "
        "selected chosen corresponds statement scenario context vignette problem text passage passages sources "
        "taken taking together account into altogether once after then now us you means mean leads lead leaves us "
        "everything clear evident determined identified mentioned noted stated describes described established "
        "available current complete thorough whole highest greatest optimal ideal ultimately consequently "
        "accordingly aligns line initial proposed recommended assessment impression evaluation examining "
        "comparing concluding across my your result outcome such analyzing data result results constellation "
        "combination phenotype profile pattern information reasoning analysis literature documents search "
        "document abstract article studies trial trials"
    )
)
"""Words that name no answer: function words, and what is asked for, what it is like, and why."""
LOADED = frozenset(
    listed(
        "not no never neither nor none without least less un unlikely except excluding exclude excluded wrong "
        "incorrect false other second alternative differential rather versus or possible possibly perhaps maybe "
        "may might could if but either both s t whether unclear unknown cannot hard hardly difficult impossible "
        "doubtful questionable doubt worst poor against avoid few nobody fails"
    )
)
"""Never plain, even as words of the question: what stands behind them is not what is asked for."""
LINKS = frozenset(listed("is are was were be : = 是 为"))
"""What may stand between a subject and the answer."""
PRAISE = frozenset(
    listed("answer correct right best diagnosis choice option mostlikely appropriate suitable")
)
"""What an answer is said to be."""
OPENS = frozenset(
    listed("of among from given considering based after upon in according overall therefore thus hence so")
)
"""What an introduction of the answer may begin with."""
REASON_WORDS = frozenset(listed("because since given as due"))
"""What a reason begins with."""
SURELY = frozenset(listed("clearly definitely therefore thus indeed hence certainly surely"))
"""Adverbs between a link and the answer."""
HEADERS = frozenset(listed("explanation reasoning rationale reason justification why"))
"""Headings of an explanation."""
EXPLAINING = frozenset(
    listed(
        "this these it he she they a an patient findings finding features symptoms signs presentation history "
        "evidence combination constellation documents study studies trial article results data"
    )
)
"""What a sentence that explains the answer may begin with."""
DOUBTS = (LOADED - frozenset(listed("or may might could"))) | frozenset(
    listed(
        "also however although though unless better more mimic mimics mimicking resembles resembling overlaps "
        "differentials candidates versus represents favors favours"
    )
)
"""Words of doubt in an explanation."""
HEADS = frozenset(listed("disorder disease condition syndrome findings features symptoms signs"))
"""Nouns whose relative clause names no answer."""
COMMON = frozenset(
    listed(
        "a an rare genetic congenital inherited hereditary common chronic acute progressive autosomal recessive "
        "dominant metabolic typically usually commonly often"
    )
)
"""Words between an article and the noun of an explanation."""
SAME = {
    "most likely": "mostlikely",
    "most probable": "mostlikely",
    "i d": "i would",
    "i ll": "i will",
    "why ?": "explanation",
}
"""Phrases that are read as one word."""
