"""Words and patterns of the text beside a claim (`beside`): what doubts, offers, sets aside or explains."""

from __future__ import annotations

import re

from medr3_plugin.rewards.answer.names import stem
from medr3_plugin.rewards.answer.wording import LOADED
from medr3_plugin.text import listed

# first a doubt, a second answer or a withdrawal; then signs of a rank or a share
TAKES_BACK = re.compile(
    r"\?|% (?:sure|certain\w*|confiden\w*|probab\w*|likel\w*|chance)|\b(?:confidence(?= [:=])|"
    r"opposite|contrary|not really|take (?:that|this|it) back|(?:right|correct|true|possible|acceptable|fine) "
    r"(?:too|as well)|not (?:sure|certain|confirmed|final|correct|right|answer|it|that one|enough|case)|"
    r"unsure|uncertain\w*|hesitat\w+|"
    r"guess\w*|(?<!am )(?<!i m )confident|"
    r"(?:low|limited|moderate|medium|some|high|my) (?:confidence|certainty|probability|likelihood)|doubt\w*|"
    r"wrong|incorrect|mistaken?|actually|wait|sorry|"
    r"scratch that|"
    r"(?:second|on further) thought|change my|instead(?! of)|otherwise(?! healthy| normal| well| unremarkable)|"
    r"alternatively|alternative (?:answer|diagnosis|option|choice)|equally|a tie|toss|runner|backup|fallback|"
    r"(?:also|still|too) (?:be )?(?:correct|possible|acceptable|right|likely|plausible|true|fits?|considered)|"
    r"as (?:likely|good|plausible|possible)|as well(?! as)|, too|either (?:is|one|way)|both (?:are|answers|options)|"
    r"any of (?:these|them|above)|(?<!considering )all of (?:above|them|these)|none of|neither of|"
    r"can(?:not| t) (?:be )?(?:determin\w+|exclude\w*|rule\w*|decide|say|tell)|first (?:option|letter|one)|"
    r"(?<!no )(?:second|third|fourth|fifth|last|another|previous|next|former|latter|other) (?:one|option|choice|"
    r"answer|place|candidate|possibility|diagnosis|guess|letter)(?! choices)|"
    r"a second|one (?:above|below|before|after)|maybe|perhaps|"
    r"i (?:(?:am|m)(?! (?:going|choosing|selecting|picking|settling|left|confident|certain)\b)"
    r"|think|guess|suppose|hope|wish|may|might|could|can(?:not| t)|do(?: "
    r"not|n t)|would also|also|d))\b"
    r"|不确定|不肯定|也可能|也有可能|也可以|也对|也正确|都对|都正确|均正确|均可|或者|还是|不能排除|无法排除|待排|其次|另一|"
    r"猜|除非|存疑|不一定|备选|第[一二三四五]个?选?项|前一|后一|上一|下一|更正|不对|错了"
)
WITHDRAWS = re.compile(
    r"\b(?:wait|sorry|scratch|actually|mistaken?|corrected|correction|guess\w*|maybe|perhaps)\b"
    r"|(?:^|, )(?:no|nope|not so)(?: ,|$)|\b(?:it|that|this|answer) (?:is|was|isn|wasn)(?: t| not)$"
)
IS_TRUE = re.compile(r"\b(?:this|it|that|statement) (?:statement )?is (?:also |indeed )?(?:true|correct)\b")
CONFIRMS_NO = re.compile(
    r"^(?:it|they|this|that|there|he|she|we|one) (?:(?:is|are|was|were|do|does|did|could|will|would|should|has|have|"
    r"need) ?(?:n t|not)|cannot|can not|can t|won t)$"
)
SELF = frozenset(
    listed(
        "i my me we our us you your answer answers option options choice choices diagnosis diagnoses this that it "
        "these those letter letters one ones here above below question another others them none"
    )
)
OF_OWN = frozenset(listed("right correct true one only"))
# an answer of yes or no may rest on "our findings", which themselves may be unclear
SELF_OF_VERDICT = SELF - frozenset(
    listed("our we us this it these those here above below question other others")
)
CHINESE_SELF = re.compile("本题|答案|选|这|该|我|此|诊断|以上|上述|它")
FINITE = frozenset(
    listed(
        "is are was were has have had can could may might must should will would does do did cannot isn aren wasn "
        "shows suggests indicates presents causes affects improves requires develops occurs involves supports states "
        "acts leads results makes reduces showed reveals revealed demonstrates demonstrated remains describes "
        "described argues binds catalyses catalyzes consists arises begins reflects reflect appears asks reports "
        "support suggest indicate show point explain make fit confirm lead cause lacks lack fits matches explains "
        "complain usually often increases decreases inhibits blocks depends impairs denies prevents includes"
    )
)
VERBS = frozenset(map(stem, FINITE))
JOINING = frozenset(listed("or and versus vs plus not nor with also then"))
HEADER = re.compile(
    r"^(?:explanation|why|summary|evidence|findings|interpretation|background|"
    r"reasoning|rationale|reason|justification|analysis|note|thought|step \d+|\d+)(?: [:.)-])+ "
)
# what is set aside: "Wilson disease is less likely"
DENIED = re.compile(
    r"(?<!not )(?<!cannot be )(?<!n t be )\b(?:(?:is|are|was|were|can be|could be|has been|have been|being) "
    r"(?:therefore |thus |also |much |far |very |then )?(?:less likely|unlikely|ruled out|excluded|not likely|"
    r"not supported|not consistent)|(?:makes?|made) [^,;]{1,80} (?:less likely|unlikely)|"
    r"(?:was|were|has been) considered but (?:lacks?|(?:does|do|did|would) not|is|was|were|are|excluded|rejected))\b"
)
# a sentence with one of these may offer another answer, or doubt the one that was given
OFFERS = re.compile(
    r"\b(?:also|too|equally|another|alternat\w+|possib\w+|plausib\w+|probab\w+|likel\w+|mostlikely|consider\w*|"
    r"suspect\w*|suspicion|differentials?|candidates?|contenders?|same|similar\w*|identical\w*|mimic\w*|resembl\w+|"
    r"overlap\w*|shares?|versus|vs|rather|otherwise|exclu\w+|ruled?|tell|told|distinguish\w*|differentiat\w+|forget|"
    r"think|thought|favou?r\w*|hedge|confus\w+|unclear|unknown|"
    r"wins?|won|pick|bet|claim|idea|stronger|weaker|truth|fact|cause of|reflection|view|answered|"
    r"(?:patient|child|man|woman|boy|girl|infant|baby|he|she|this|it) (?:may |might |could |would )?"
    r"(?:has|have|had|is|was|be|suffers)(?! (?:no|not|never|normal|stable|several|[a-z]+ed)\b)|"
    r"mind|aware\w*|beware|remember|keep|kept|bear|borne|separat\w+|discern\w*|equal|runner|tie|sure|certain\w*|"
    r"or if|in case|"
    r"(?:is|are|was|were|be|as|another|second|other|working) "
    r"(?:(?:an?|my|likely|mostlikely|probable|possible|real|true|correct|main|final) )*diagnos[ei]s|diagnosed?|"
    r"diagnos[ei]s (?:of|is|was|:|could|may|might|with|would)|answers?|correct|true|explains?|fits?|"
    r"match\w*|accounts?|consistent|compatible|suggest\w*|indicates?|indicating|points?|best|better|"
    r"(?:is|be|are) either|could be|might be|"
    r"may be (?:an? )?(?!normal|abnormal|needed|required|used|seen|found|present|absent|helpful|useful|given|due|mild|"
    r"severe|negative|positive|congenital|acquired|delayed|reduced|increased|elevated|low|high|part|necessary)|"
    r"this is|it is|that is|it s|she has|he has|patient has|this may|it may|this could|it could|is it|call\w*|named?|"
    r"here|instead|if not|last|next|first(?! ‐ line)|second|third)\b"
)
CHINESE_OFFERS = re.compile(
    "[a-z]{3}|则|若|如果|可能性|区分|相当|类似|或者|还是|排除|除外|可能[是为]|诊断|考虑|也|同样|另|答案|怀疑|"
    "无法|鉴别|相似|更|最|该患者患|即|应为|首选"
)
SURE = re.compile(
    r"\b(?:confidence|certainty)(?: level| score)? (?:[:=] |is )?(?:very high|high|1(?:\.0+)?|0\.[5-9]\d*|"
    r"[5-9]\d(?:\.\d+)? %|100 %|(?:[6-9]|10) / 10)(?= |$)"
)
# no name begins with one of these
OPENERS = frozenset(
    listed("when since because although while as in on at with without he she they it we there")
)
SUBJECTS = frozenset(listed("it he she they we"))
MIN_SENTENCE, MIN_TELLING, MIN_CJK_SENTENCE = 5, 8, 10
ODD = re.compile(
    r"[^\x00-\x7f\u00c0-\u024f\u3000-\u303f\u3400-\u9fff\uff00-\uffef\ue000-\ue0ff‐–—−“”‘’′″…•·°±×→↑↓≥≤≠¬]|\|"
)
HAS_FINDINGS = re.compile(r"\b(?:patient|child|man|woman|boy|girl|infant|baby|he|she) (?:has|is)\b")
# "rather than Wilson disease"
SET_ASIDE = re.compile(
    r"(?:, )?(?:and )?(?:not|rather than|instead of|as opposed to)(?P<name>(?: [\w‐/,-]+){1,16})"
)
EXPLAINING = frozenset(
    listed(
        "this these it he she they a an patient phenotype findings finding features symptoms signs presentation "
        "history evidence combination constellation documents study studies trial article results data"
    )
)
DOUBTS = (LOADED - frozenset(listed("or may might could"))) | frozenset(
    listed(
        "also however although though unless better more mimic mimics mimicking resembles resembling overlaps "
        "differentials candidates versus represents favors favours"
    )
)
HEADS = frozenset(listed("disorder disease condition syndrome findings features symptoms signs"))
COMMON = frozenset(
    listed(
        "a an rare genetic congenital inherited hereditary common chronic acute progressive autosomal recessive "
        "dominant metabolic several multiple many distinctive characteristic typically usually commonly often"
    )
)
MIN_WORDS, MIN_CJK = 3, 4  # a comment shorter than that behind a letter is no sentence
