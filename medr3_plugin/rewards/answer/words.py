"""Words and patterns of the grammar (`grammar`). No quantifier stands inside another: all is linear in the text."""

from __future__ import annotations

import re

from medr3_plugin.rewards.answer.reading import REF
from medr3_plugin.text import listed

ANY_REF = re.compile(REF)
AROUND = " .,:;()[]-–—→"
MARKS = frozenset(",:()[]-–—‐.=→")

# ---- a claim: plain words, in any of their forms, say nothing of their own
PLAIN = frozenset(
    listed(
        "probably appears a an this that these those it its is are was were be been has have had of in on at to for "
        "from by with and as which who he she they his their her them here there all so thus therefore hence overall "
        "finally conclusion summary short i we my our would should must will can do does most mostlikely likely "
        "probable best only very clearly strongly highly also because since given due based according "
        "during when where while label output action submit finish make makes solution selection am confident go let "
        "me leaves asks ll m answer option choice diagnosis ans condition disease disorder syndrome cause "
        "explanation decision verdict response treatment therapy drug agent medication management step test finding "
        "study mechanism organism pathogen name gene protein enzyme nerve structure vitamin artery final correct "
        "right single appropriate suitable accurate reasonable preferred consistent compatible keeping classic "
        "classical typical characteristic suggestive diagnostic pathognomonic key main primary underlying clinical "
        "genetic medical next letter question among retrieved rationale justification fit fits fitting match explain "
        "support suggest indicate point confirm show present known called named described reported seen found "
        "provided listed above conclude believe think choose select pick say diagnose recommend opt account strong "
        "well patient case child boy girl man woman infant newborn presentation picture findings feature symptoms "
        "sign history evidence suffers consideration careful carefully review chosen corresponds statement context "
        "problem text passage source taken taking together into after then now us you mean lead everything clear "
        "identified state available complete highest ideal consequently accordingly line initial proposed across "
        "your result outcome such data constellation combination phenotype profile pattern information reason "
        "analysis literature documents search document abstract article studies trial see idx index entity plausible "
        "bottom setting responsible associated effective important common unifying certain molecular phenotypic "
        "female male affected meets criteria specific toward helps true expected intended what looking ok okay sure "
        "definitely certainly obviously research same why guideline reference doc docs represents set presence "
        "absence association per description remains used start begin begun give exception finalise finalize better "
        "administer prescribe initiate receive involved left decided rare"
    )
)
# never plain, even as words of the question: a claim with one of them is none, and a comment may take the answer back
LOADED = frozenset(
    listed(
        "not no never neither nor none without least un unlikely except wrong incorrect false other second "
        "differential rather versus or possible possibly perhaps maybe may might could if but either both s t "
        "whether unclear unknown cannot hard hardly difficult impossible worst poor little yet quite just even ever "
        "still unlike against few nobody nothing another fails unless something anything else out"
    )
)
# these only beside an answer, as they may begin an explanation: "C, although others are used"
BAD = frozenset(
    listed(
        "lie lies later afterwards rarely though although however while whereas despite nearly until ruled initially "
        "previously formerly earlier thought believed barely seldom far people some others said reserved part partly "
        "partially poorly badly outdated"
    )
)
LOADED_STEMS = tuple(
    listed(
        "decoy distract trap mistak tempt myth contraindicat harm danger toxic unnecessar inappropriat ineffective "
        "inadequate insufficient unsuit unsafe irrelevan worse delay stop discontinu withh replac reject dismiss "
        "refut weak ignor eliminat discard avoid questionabl uncommon consider suspect less mimic exclud alternative "
        "doubt error student"
    )
)
LINKS = frozenset(listed("is are was were be remains : = → 是 为"))
LINK_PHRASE = re.compile(
    r"(?:^| )(?:going with|go with|leaves|leaving|(?:leaves|leaving) (?:us|me)(?: with)?|left with|i will|i ll|i would|"
    r"choose|select|pick|recommend|answer|diagnose|conclude(?: with)?|opt for|settle on|would say|means|"
    r"therefore|thus|so|hence|overall|finally|conclusion|dx|diagnosis|choice|option|ans|called|named|known as|that|"
    r"answered (?:by|with)|"
    r"(?:those|that|picture|features|case|diagnosis) of|(?:described|affected) by|suffer(?:s|ing) from|has|have|"
    r"leads us to|(?:is|it) (?:likely|probably)|it appears|definitely|clearly|certainly|obviously|sure|ok|mostlikely|"
    r"(?:start|begin|give|administer|prescribe|initiate|receive)(?: (?:this )?(?:patient|him|her))?(?: on)?)(?: ,)?$|"
    r"(?:answer|ans|diagnosis|option|choice|pick|response|key|conclusion) [-–—\]]$"
)
# what stands before it is evidence, in words of its own
EVIDENCE = re.compile(
    r"(?:^| )(?:(?:strongly|highly|clearly|best|most|mostlikely|is|are|be) )*(?:favou?rs?|supports?|confirms?|"
    r"(?:points?|leads?|corresponds?|pointing|leading)(?: us| me)? to(?:wards?)?|indicat(?:es?|ing)|suggest(?:s|ing)?|"
    r"(?:fits?|match(?:es)?)(?: best)?(?: with)?|aligns? with|represents?|describes?|diagnosed with|makes?|"
    r"(?:explained|supported) by|(?:consistent|compatible|suggestive|indicative|characteristic|typical|diagnostic|"
    r"pathognomonic|classic|classical|criteria|specific) (?:of|for|with)|in line with)(?: diagnosis of)?$"
)
OF_OWN = frozenset(listed("answer answers option choice right correct true one only"))
HEADINGS = frozenset(listed("answer diagnosis option choice cause disease disorder condition"))
NAMES_ANSWER = frozenset(listed("answer answers option choice exception"))
# "Had there been fever, it would be ...", "Is it ..."
CONDITIONS = frozenset(
    listed("had were should is are was do does did can could would if suppose who why what")
)
# "Fever would suggest C", but not "The best drug would be C" or "I would choose C"
CONDITIONAL = re.compile(
    r"\bwould (?!(?:most |mostlikely |best )?be\b|(?:say|choose|select|pick|recommend|suggest|go with|answer)$)(?!$)"
)
ONE_OF_SEVERAL = re.compile(
    r"\b(?:an?|one) (?:of|(?:[a-z]+ )?(?:option|choice|answer|diagnosis)(?! that| which| of))|"
    r"\bnext (?:best )?(?:option|choice|answer|diagnosis)\b"
)
DEICTIC = frozenset(listed("that this it i"))
ITEM = re.compile(r"\d{1,2} [:.)](?= )")
NUMBERING = re.compile(r"(?:(?:question|answer|q) )?\d+(?: [).:])?")
GROUNDS = frozenset(
    listed(
        "given based because since as considering according after although though while looking taking "
        "根据 由于 因为 结合 鉴于 基于"
    )
)
FAMILY = frozenset(
    listed(
        "mother father brother sister sibling siblings twin parents parent relatives family son daughter cousin "
        "physician doctor clinician colleague student students friend resident nurse department"
    )
)
PRAISE = re.compile(
    r"\b(?:most|mostlikely|best(?! known)|main|primary|ideal|optimal|fits?|explains?|match(?:es)?|accounts? for|"
    r"describes?|(?:supported|explained) by|consistent with|correct|right|answer|diagnosis|option|likely|preferred|"
    r"choice|appropriate|suitable|recommended|indicated|chosen|selected|what)\b|"
    r"选?项|是|为|正确|对|最|合适|符合|可能性最大"
)
RANKS = frozenset(listed("answer choice option diagnosis best most mostlikely preferred ideal optimal"))
ENDS = re.compile("only|answer|it is|is|are|would be|remains|is left|is what remains|applies|does|yes")
_BECAUSE = "because|since|(?<!be )given|due to|based on|which|who|where"
_REASON = (
    rf"(?:^|(?:^| )[,(–—-] )(?P<why>{_BECAUSE}|as(?! well)|per|according to)(?= |$)|(?:^| )(?:{_BECAUSE})(?= |$)|"
    r"(?:^| )(?:[,(–—-] )?(?:因为|由于|因|理由是|原因是|基于)"
)
REASON = re.compile(_REASON)
SAID_ENDS = re.compile(rf"{_REASON}|(?:^| )[,:(–—-](?= |$)")
APPOSITION = re.compile(
    r",( [^,\ue000-\ue0ff]{1,200} ,)?"
    r"(?= (?:is|are|was|were|has|have|had|can|could|may|might|would|will|does|do|did|should|best)\b)"
)
RECORD = re.compile(
    r"(?:[(\[]|,) (?:o?mim|orpha|orphanet|mondo|doid|hp|mesh|icd ‐? ?1[01]|icd)(?: [:‐-])?"
    r"(?: [a-z]?\d+(?:\.\d+)?)+(?: [)\]])?"
)
BRACKETED = re.compile(r"\( ([^()\[\]]*) \)")
CITATION = re.compile(
    r"(?:, )?(?:\[(?: \d+| ,| [–‐-])+ \]|[(\[](?: (?:see|cf|from|docs?|documents?|sources?|refs?|references?|pmids?|"
    r"evidence|fig|figure|table|and|\d+|[,:#.–‐-]))+ [)\]])"
)
NUMBERED = re.compile(
    r"(?:\b(documents?|docs?|passages?|articles?|abstracts?|stud(?:y|ies)|sources?|refs?|references?|pmids?)"
    r"(?: [:#])? \d+(?:(?: (?:,|and|;|&|[‐–-]|documents?|docs?|sources?)){1,2} \d+)*)"
)
_SAID_AS = """\
overall: to summarize, in brief, in other words, simply put, in conclusion, in short, taken together, all in all, \
as a result, on balance
therefore: that why, this is why, which is why, by exclusion, by elimination, conclusively
mostlikely: most probably, most likely, most probable
is: seems to be, appears to be
has: seems to have, appears to have
given: in light of, in view of
clearly: no doubt, without doubt, without a doubt
indicated: of choice
option that: one that
option is: one is
correct option: correct one
it is: it s
i would: i d
i will: i ll
was not: used to be
after review: upon review
explanation: why ?"""
SAME = {
    phrase: word
    for word, _, phrases in (line.partition(": ") for line in _SAID_AS.splitlines())
    for phrase in phrases.split(", ")
}
SPELLINGS = re.compile(rf"\b(?:{'|'.join(map(re.escape, sorted(SAME, key=len, reverse=True)))})(?!\w)")
_CHINESE_PLAIN = (
    "如上|患者|该|本|此|这些|这|道|例|具有|有|患|的|表现|治疗|给予|使用|用|应|该|当|会|就|症状|体征|特征|典型|符合|提示|支持|诊断|结合|病史|检查|结果|因此|因而|"
    "所以|故|疾病|病|病因|临床|与|和|为|是|出现|存在|根据|文献|资料|检索到|检索|题意|题干|题目|题|问题|考虑|可能性|最有?可能|最终|最后|最|大|佳|优|好|综合|通过|经过|"
    "经|描述|情况|病例|研究|显示|表明|可知|可见|由此可得|由此|得出|结论|判断|认为|我们|我|综上所述|综上|总之|分析|解释|理由|原因|一致|特点|首选|首先|药物|"
    "答案|答|回答|选项|选择|选|择|项|正确|准确|唯一|推荐|合适|适合|恰当|标准|参考|初步|遗传学?|基因|处理|对|"
    "信息|所述|以上|上述|属于|常见|主要|由|即|显然|确定|可以|可"
)
CHINESE_PLAIN = re.compile(f"(?:{_CHINESE_PLAIN})+")
CHINESE_LINK = re.compile(
    "(?:[是为选择患用答]|答案|选项|首选|提示|符合|考虑|给予|患有|诊断|结论|回答|治疗|药物|检查|疾病|病因)$"
)
CHINESE_DENIES = re.compile(
    "[不未无没非除错否勿若如]|(?<!最)(?<!最有)可能(?!性?最)|也许|似乎|怀疑|误|母|父|兄|姐|妹"
)

# ---- an elimination
LIST = rf"{REF}(?: (?:,|and|or|nor|/|、|和|或|及) {REF}| , (?:and|or|nor) {REF}| {REF}){{0,8}}"
_NOT_IT = (
    r"(?:incorrect|wrong|false|excluded|eliminated|dismissed|discarded|rejected|disregarded|discounted|set aside|"
    r"(?:ruled|crossed) out|unlikely|(?:less|least) (?:likely|mostlikely)|inappropriate|contraindicated|distractors?)\b"
)
_NOT = (
    r"(?:not|never|t|cannot|fails? to)(?: be)?(?: an?)?(?: (?:typically|usually|generally|expected to))? "
    r"(?:fit|match|explain|account|cause|correct|right|indicated|supported|first|recommended|appropriate|consistent|"
    r"expected|diagnostic|used|present|affect|help|address|apply|seen|answer|involve|associated|produce|likely|"
    r"mostlikely|best|treat|confirm|describe|typical|characteristic|given|needed|effective|lead|result)[a-z]*"
)
_OF_IT = rf"(?:{_NOT_IT}|{_NOT})"
DENIALS = tuple(
    re.compile(pattern)
    for pattern in (
        # "A, B and D can be excluded", "B does not fit", "B: Incorrect.", "B (not indicated)", "Incorrect: B"
        rf"(?<!neither )(?<!nor ){LIST} (?:[:(–—-] )?(?:it |this |that |which )?(?:(?:is|are|was|were|being|does|do|"
        rf"did|would|should|will|can|could|has been|have been)n?(?: safely)?(?: be)? )?(?:(?:therefore|thus|also|"
        rf"clearly|all|both|much|far|definitely|highly) )?{_OF_IT}",
        rf"^(?:incorrect|wrong) (?:: )?{LIST}$",
        rf"(?:^|, ){LIST} (?:[:–—-] )?no(?= ,|$)",
        rf"neither {REF} nor {REF} (?:is|are|does|do|fits?|explains?|would)\b(?! [^,;]{{0,80}}\b(?:exclu|rul|wrong|"
        r"incorrect|false|unlikely|less|worse|contraindic|than|as|alone|only|both))[^,;\ue000-\ue0ff]*",
        r"(?<!cannot )(?<!can t )(?<!not )(?<!without )(?<!unable to )(?<!only )(?:rule[sd]? out|ruling out|"
        r"exclud(?:e|es|ed|ing)|eliminat(?:e|es|ed|ing)|rather than|instead of|as opposed to|(?<!if )not|unlike|"
        rf"(?<!not )(?<!no )(?:preferred|preferable|superior) (?:to|over)) (?:an? )?{LIST}",
        rf"(?:in|by) contrast ,? ?(?:an? )?{LIST} (?:would|does|do|causes?|presents?|affects?)(?! be\b)",
        rf"(?<!\bi )(?<!\bwe )would (?:suggest|indicate|point to|imply) (?:an? )?{LIST}(?!.{{0,200}} (?:also|too|"
        r"as well|equally|same|but)\b)",
        rf"(?<![不无难])(?<!不能)(?<!无法)(?:排除|不选|不是|而不是|而非|并非)(?:选项)? ?{LIST}(?! ?(?:就是|便是|即是))",
        rf"{LIST} ?(?:: ?)?(?:选?项)?(?:均|都|也)?(?:[不非无](?!确定|一定|[^,:]{{0,80}}[不非无没未否排除但])|"
        r"(?:是)?(?:错误|不正确|不对|不符合|可以?排除|被排除|错)的?)",
    )
)
OTHERS_DENIED = re.compile(
    r"(?:all |each )?(?:of )?(?:other|remaining) (?:listed |answer )?(?:options?|choices?|answers?|diagnoses|ones|"
    r"conditions)(?: listed| given)?(?: [:(,] "
    rf"{LIST}(?: [),])?)? (?:is|are|do|does|can be|were) (?:all )?(?:{_OF_IT}|less [a-z]+)[^,;:()\ue000-\ue0ff]*"
    r"|none of (?:others|(?:other|remaining) (?:options|choices|answers|diagnoses)) [^,;:()\ue000-\ue0ff]*"
    r"|其(?:他|余)(?:选项|各项|答案)?(?:均|都)?(?:是)?(?:错误|不正确|不对|不符合|不符|可排除|错)的?"
)
# a heading over lines about other options, and such a line
OF_OTHERS = re.compile(
    r"(?:explanation (?:not|of)? ?|why (?:are |not )?|on |about )?"
    r"(?:(?:(?:all|of|each) )?(?:other|remaining|incorrect|wrong) (?:options|choices|answers|ones)|others|rest)"
    r"(?: (?:are|is|were|not|less|wrong|incorrect|right|fit|excluded|unlikely|likely)){0,4}(?: [:?.])*|"
    r"其(?:他|余)选项(?:分析)?(?: [:?])?"
)
# what a model ends with, whatever it answered; no words of its own choice, which might be another answer
COURTESY = re.compile(
    r"(?:i )?hope (?:that )?(?:it|this|that)(?: answer| explanation)? (?:is (?:correct|right|helpful)|helps)(?: you)?|"
    r"(?:many )?thanks?(?: you)?(?: for (?:asking|reading|(?:the|your) (?:question|time|attention)))?|"
    r"good luck|q ?e ?d|∎|done|end of (?:answer|response)|"
    r"(?:please )?(?:let me know|feel free to (?:ask|reach out))(?: if you (?:have|need|want) (?:any )?"
    r"(?:(?:further|more|other|additional) )?(?:questions?|help|clarification|information|details|explanation))?|"
    r"(?:please )?(?:note|disclaimer)? ?[:,]? ?(?:that )?(?:this|it|above) is (?:not (?:an? )?(?:professional )?"
    r"medical advice|for (?:educational|informational) purposes only)|"
    r"(?:please |always )?(?:consult|see) (?:a|your) (?:doctor|physician|healthcare (?:professional|provider))"
    r"(?: for (?:professional )?medical advice)?|"
    r"希望(?:这|以上)?(?:能|可以)?对[你您]有(?:所)?帮助|(?:以上|本回答)?(?:内容)?仅供参考|谢谢"
)
LINE_OF_OPTION = re.compile(rf"\W{{0,4}}({REF})(?= [:).–—-]|$)")
AMONG = re.compile(rf"(?:^| )(?:between|among|amongst|comparing|of|from)(?: options| choices)? {LIST} ,(?= )")
EMPTY_END = re.compile(r"(?: (?:,|and|but|because|since|as)){1,3}$")
EMPTY_START = re.compile(
    r"^(?:(?:[,;:()]|选项|options?|it is|this is|and|but|so|therefore|thus|although|while|since|as|because|而是|而) ?)+"
)
# ---- a comment
# a doubt, a second answer or a withdrawal
DOUBT = re.compile(
    r"\?|% (?:sure|certain\w*|confiden\w*|probab\w*|likel\w*|chance)|\b(?:confidence(?= [:=])|opposite|contrary|"
    r"not (?:really|sure|certain|confirmed|final|correct|right|answer|it|that one|enough|case)|"
    r"(?:right|correct|true|possible|acceptable|fine) (?:too|as well)|take (?:that|this|it) back|"
    r"unsure|uncertain\w*|hesitat\w+|guess\w*|(?<!am )(?<!i m )confident|"
    r"(?:low|limited|moderate|medium|some|high|my) (?:confidence|certainty|probability|likelihood)|doubt\w*|"
    r"wrong|incorrect|mistaken?|actually|wait|sorry|scratch that|further thought|change my|instead(?! of)|"
    r"otherwise(?! healthy| normal| well| unremarkable)|alternative(?:ly)?|equally|a tie|toss|runner|backup|fallback|"
    r"(?:also|still|too) (?:be )?(?:correct|possible|acceptable|right|likely|plausible|true|fits?|considered)|"
    r"as (?:likely|good|plausible|possible)|as well(?! as)|, too|either (?:is|one|way)|both (?:are|answers|options)|"
    r"any of (?:these|them|above)|(?<!considering )all of (?:above|them|these)|none of|neither of|"
    r"can(?:not| t) (?:be )?(?:determin\w+|exclude\w*|rule\w*|decide|say|tell)|first (?:option|letter|one)|"
    r"(?<!no )(?:second|third|fourth|fifth|last|another|previous|next|former|latter|other) (?:one|option|choice|"
    r"answer|place|candidate|possibility|diagnosis|guess|letter|thought)(?! choices)|a second|"
    r"(?:first|second|third|fourth|fifth|last|former|latter)$|50 / 50|"
    r"one (?:above|below|before|after)|maybe|perhaps|i (?:(?:am|m)(?! (?:going|left|confident|certain)\b)"
    r"|think|guess|suppose|hope|wish|may|might|could|can(?:not| t)|do(?: not|n t)|would also|also|d))\b"
    r"|不确定|不肯定|也可能|也有可能|也可以|也对|也正确|都对|都正确|均正确|均可|或者|还是|不能排除|无法排除|待排|其次|另一|"
    r"猜|除非|存疑|不一定|备选|第[一二三四五]个?选?项|前一|后一|上一|下一|更正|不对|错了"
)
WITHDRAWS = re.compile(
    r"\b(?:wait|sorry|scratch|actually|mistaken?|correct(?:ed|ion)|guess\w*|maybe|perhaps)\b"
    r"|(?:^|, )(?:no|nope|not so)(?: ,|$)|\b(?:it|that|this|answer) (?:is|was|isn|wasn)(?: t| not)$"
)
CHINESE_DOUBTS = re.compile(
    f"(?=.*[不未无没非除错否勿])(?:{_CHINESE_PLAIN}|[不未无没非除错误否勿太但已并排能完全也])+"
)
IS_TRUE = re.compile(r"\b(?:this|it|that|statement) (?:statement )?is (?:also |indeed )?(?:true|correct)\b")
CONFIRMS_NO = re.compile(
    r"^(?:it|they|this|that|there|he|she|we|one) (?:(?:is|are|was|were|do|does|did|could|will|would|should|has|have|"
    r"need) ?(?:n t|not)|cannot|can not|can t|won t)$"
)
CONFIRMS_YES = re.compile(
    r"^(?:it|they|this|that|there|he|she|we|one) (?:(?:is|are|was|were|do|does|did|can|could|will|would|should|has|"
    r"have)(?: so| indeed)?$|(?:do|does|did) (?!.*\b(?:n t|not?|nothing|little|never|nor|only|but|without|although|"
    r"though|however)\b)[a-z])"
)
# the evidence does not tell: in a few words, or said of the evidence as a whole
_UNTOLD = (
    r"(?:unclear|inconclusive|undetermined|unsettled|unproven|unknown|unresolved|indeterminate|debat(?:ed|able)|"
    r"questionable|controversial|tbd|to be (?:determined|confirmed|proven)|arguabl[ey]|hypothetical(?:ly)?|"
    r"conditional(?:ly)?)"
)
UNSETTLED = re.compile(
    r"^(?:but |though |although |however ,? ?)?(?:(?:it|this|that|which|there) )?(?:(?:is|remains|are) )?"
    rf"(?:still |only )?{_UNTOLD}$|^(?:but |although |however ,? ?)?(?:it )?depends?$|"
    r"(?:evidence|data|results|studies|findings|literature|trials) (?:is|are|was|were|remains?) (?:too |still )?"
    rf"(?:{_UNTOLD}|insufficient|mixed|conflicting|contradictory)\b|"
    r"^(?:but )?(?:insufficient|conflicting|mixed|contradictory|not enough) (?:data|evidence|results|findings)$|"
    r"尚?[无没]有?定论|证据(?:尚)?不足|不明确|尚?(?:不能|无法)(?:确定|肯定|判断)|(?:结果|证据)(?:不一|矛盾|冲突)"
)
# the same in a clause behind the answer: "but this cannot be concluded", "but it might"
_BUT = r"(?:(?:but|though|although|however|yet|while)(?: ,)? )"
_IT = r"(?:it|they|this|that|there|he|she|we|one|which)"
_NOT_OF_IT = r"(?:not| ?n t| t)"
_EVIDENCE = r"(?:evidence|data|results|stud(?:y|ies)|findings|literature|trials?)"
LEFT_OPEN = re.compile(
    rf"^{_BUT}?{_IT} (?:can ?|could ?|may |should ?){_NOT_OF_IT}(?: yet)?(?: be)? (?:conclud|determin|infer|deduc|"
    r"confirm|prov|establish|answer|sa(?:y|id)\b|t(?:el|ol)[ld]\b|know|decid|assum|judge|rul)"
    rf"|^{_BUT}?no (?:(?:firm|definit[a-z]+|clear|valid|final) )?conclusions? (?:can|could|may|is|are)\b"
    rf"|^{_BUT}?{_IT} (?:remains?|is|are|has|have) (?:still |yet )?to be (?:seen|shown|prove[dn]|determined|"
    r"established|confirmed|demonstrated)\b"
    rf"|^{_BUT}?{_EVIDENCE} (?:do|does|did|can) ?{_NOT_OF_IT} (?:allow|permit|suffice|tell|answer|settle)\b"
    rf"|^{_BUT}?(?:{_EVIDENCE} (?:is|are|was|were) (?:{_NOT_OF_IT} (?:sufficient|conclusive|clear|enough)|lacking)|"
    r"(?:there (?:is|are|was) |we have )?(?:insufficient|conflicting|mixed|contradictory|not enough|too little) "
    r"(?:data|evidence|results|findings|studies|trials)(?: (?:for|to) (?:it|this|that|say|tell|conclude|decide))?)$"
    rf"|^{_BUT}?{_IT} (?:might|may)(?: not)?(?: be| have| do(?: so)?)?$"
    rf"|^{_BUT}{_IT} (?:could|can|would)(?: be| have)?$"
    r"|(?:不能|无法|不足以|难以)[^,，:：]{0,8}(?:确定|肯定|判断|得出|下结论|推断|证明|证实|说明)"
    r"|(?:证据|数据|资料|研究)尚?不(?:足|充分)|^(?:但|但是|不过|然而)(?:它|这|其)?(?:也许|或许|有?可能)(?:会|是|有|能)?$"
)
# an answer of yes that is denied, and one of no that is doubted, in a few words behind it
DENIES_YES = re.compile(
    rf"^{_BUT}?not(?: (?!only\b|surprisingly\b)[a-z]+)?$"
    rf"|^{_BUT}{_IT} (?:is|was|are|were|do|does|did|has|have|can|could|will|would|may|might|should) ?{_NOT_OF_IT}"
    r"(?: [^ ]+){0,3}$"
    rf"|^{_BUT}?{_IT} (?:is|was|are|has|have) ?{_NOT_OF_IT}(?: yet)?(?: been)? (?:prove[dn]|shown|established|"
    r"confirmed|demonstrated|certain|known|clear|conclusive)$"
    rf"|^{_BUT}?{_IT}(?: is| s)?(?: very| highly| rather)? (?:unlikely|doubtful|improbable)$"
    rf"|^{_BUT}{_EVIDENCE} (?:is|are|do|does|did|has|have) ?{_NOT_OF_IT} [a-z]+(?: [^ ]+){{0,2}}$"
    rf"|^{_BUT}(?:there (?:is|was) )?no (?:evidence|proof)\b"
    r"|^(?:但|但是|不过|然而)?(?:它|这|其)?(?:并|也)?(?:不|不是|没有|未必|并非|不一定)$"
)
DOUBTS_NO = re.compile(
    rf"^{_BUT}{_IT} (?:might|may|could|can|would|should) (?!not\b|n t\b|t\b|never\b)[^ ]+(?: [^ ]+){{0,3}}$"
)
# words that speak of the answer; an answer of yes or no may rest on "our findings", which themselves may be unclear
SELF_OF_VERDICT = frozenset(
    listed(
        "i my me your answer answers option options choice choices diagnosis letter letters one another them none"
    )
)
SELF = SELF_OF_VERDICT | frozenset(
    listed("our we us it this it these those that here above below question others")
)
VERBS = frozenset(
    listed(
        "is are was were has have had can could may might must should will would does do did cannot isn aren wasn "
        "show suggest indicate presents cause affects improves requires develops occurs involves support states acts "
        "lead results makes reduces reveals demonstrates remains describes argues binds catalyses catalyzes consists "
        "arises begins reflect appears asks reports point explain make fit confirm lack fits matches complain "
        "usually often increases decreases inhibits blocks depends impairs denies prevents includes worsen"
    )
)
BE_OR_HAVE = frozenset(listed("is are was were has have had"))
BACKING = frozenset(listed("support match fit confirm explain suggest indicate point present"))
JOINING = frozenset(listed("or and versus vs plus not nor with also then"))
HEADER = re.compile(
    r"^(?:explanation|why|summary|evidence|findings|interpretation|background|clinical reasoning|"
    r"key (?:points|features)|reasoning|rationale|reason|justification|analysis|note|step \d+|\d+)(?: [:.)-])+ "
)
# behind an open question's answer: what may offer another one
OFFERS = re.compile(
    r"\b(?:also|too|equally|another|alternat\w+|possib\w+|plausib\w+|probab\w+|likel\w+|mostlikely|consider\w*|"
    r"suspect\w*|suspicion|differentials?|candidates?|contenders?|same|similar\w*|identical\w*|mimic\w*|resembl\w+|"
    r"overlap\w*|shares?|versus|vs|rather|otherwise|exclu\w+|ruled?|tell|told|distinguish\w*|differentiat\w+|forget|"
    r"think|thought|favou?r\w*|hedge|confus\w+|unclear|unknown|wins?|won|pick|bet|claim|idea|stronger|weaker|truth|"
    r"fact|cause of|reflection|view|answered|mind|aware\w*|beware|remember|keep|kept|bear|borne|separat\w+|discern\w*|"
    r"equal|runner|tie|sure|certain\w*|or if|in case|diagnos[ei]s|diagnosed?(?! in\b)|answers?|correct|true|explains?|"
    r"fits?|match\w*|accounts?|consistent|compatible|suggest\w*|indicates?|indicating|points?|best|better|either|"
    r"(?:patient|child|man|woman|boy|girl|infant|baby|he|she|this|it) (?:may |might |could |would )?"
    r"(?:has|have|had|is|was|be|suffers)(?! (?:no|not|never|normal|stable|several|[a-z]+ed)\b)|is it|"
    r"(?:could|might) be|may be (?!(?:[a-z]+ed|normal|abnormal|seen|found|present|absent|mild|severe|low|high|"
    r"given)\b)|call\w*|named?|here|instead|if not|last|next|first(?! ‐ line)|second|third)\b"
)
CHINESE_OFFERS = re.compile(
    "[a-z]{3}|则|若|如果|可能性|区分|相当|类似|或者|还是|排除|除外|可能[是为]|诊断|考虑|也|同样|另|答案|怀疑|"
    "无法|鉴别|相似|更|最|该患者患|即|应为|首选"
)
SURE = re.compile(
    r"\b(?:confidence|certainty)(?: level| score)? (?:[:=] |is )?(?:very high|high|1(?:\.0+)?|0\.[5-9]\d*|"
    r"[5-9]\d(?:\.\d+)? %|100 %|(?:[6-9]|10) / 10)(?= |$)"
)
OPENERS = frozenset(
    listed("when since because although while as in on at with without he she they it we there")
)
HAS_FINDINGS = re.compile(r"\b(?:patient|child|man|woman|boy|girl|infant|baby|he|she) (?:has|is)\b")
ODD = re.compile(
    r"[^\x00-\x7f\u00c0-\u024f\u3000-\u303f\u3400-\u9fff\uff00-\uffef\ue000-\ue0ff‐–—−“”‘’′″…•·°±×→↑↓≥≤≠¬]|\|"
)
