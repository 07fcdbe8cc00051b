"""Words and patterns of a claim (`grammar`), each read where that module uses it.

The regular expressions hold no quantifier inside another over the same words: everything is linear in the text.
"""

from __future__ import annotations

import re

from medr3_plugin.rewards.answer.reading import REF
from medr3_plugin.text import listed

PLAIN = frozenset(
    listed(
        "a an this that these those it its is are was were be been being has have had of in on at to for from by with "
        "and as which who whom whose he she they his her their him them here there all so thus therefore hence "
        "overall finally conclusion summary short i we my our would should must will can do does most mostlikely "
        "likely probable best only very clearly strongly highly also because since given due based according "
        "considering during when where while prediction predicted label output value action input submit finish make "
        "makes making solution selection am confident going let me leaving asks asked ll m answer answers option "
        "choice diagnosis dx ans condition disease disorder syndrome cause explanation decision verdict response "
        "treatment therapy drug agent medication management step test investigation finding study mechanism organism "
        "pathogen name gene protein final correct right single appropriate suitable accurate reasonable preferred "
        "consistent compatible keeping classic classical typical characteristic suggestive indicative diagnostic "
        "pathognomonic key main primary underlying working presumptive definitive clinical genetic medical next "
        "letter question options choices among retrieved rationale justification fit fits fitting match matches "
        "matching explain explains explained support supports supported suggest suggests indicate indicates point "
        "points confirm confirms show shows present presents presented presenting known called named described "
        "reported seen found provided listed above conclude believe think choose select pick go say diagnose "
        "recommend opt accounts account strong well patient patients case child boy girl man woman infant newborn "
        "individual presentation picture findings feature features symptom symptoms sign signs history evidence "
        "suffering mentions consideration careful carefully reviewing review selected chosen corresponds statement "
        "scenario context vignette problem text passage passages sources taken taking together into altogether once "
        "after then now us you means mean leads lead leaves everything clear evident determined identified mentioned "
        "noted stated describes established available current complete thorough whole highest greatest optimal ideal "
        "ultimately consequently accordingly aligns line initial proposed recommended assessment impression "
        "evaluation examining comparing concluding across your result outcome such analyzing data results "
        "constellation combination phenotype profile pattern information reasoning analysis literature documents "
        "search document abstract article studies trial trials source see idx index entity plausible bottom setting "
        "responsible associated effective important common leading unifying certain molecular phenotypic female male "
        "suffers affected meets criteria specific towards toward affecting concluded concludes state diagnosed helps "
        "true expected intended what looking reason ok okay alright sure definitely certainly obviously undoubtedly "
        "evidently research dealing same tool why guidelines guideline reference references doc docs represents set "
        "presence absence association triad states per description remains used"
    )
)
# never plain, even as words of the question: what stands behind them is not what is asked for
LOADED = frozenset(
    listed(
        "not no never neither nor none without least less un unlikely except excluding exclude excluded wrong "
        "incorrect false other second alternative differential rather versus or possible possibly perhaps maybe may "
        "might could if but either both s t whether unclear unknown cannot hard hardly difficult impossible doubtful "
        "questionable doubt worst poor little yet quite just even ever still unlike against avoid few nobody nothing "
        "another fails unless something anything else out"
    )
)
LINKS = frozenset(listed("is are was were be remains : = → 是 为"))
LINK_PHRASE = re.compile(
    r"(?:^| )(?:(?:keeping|go|going) with|(?:those|that|diagnosis|presence|case|picture|features) of|dealing with|"
    r"reveals?|"
    r"(?:explained|affected|described|represented) by|"
    r"(?:consistent|compatible|suggestive|indicative|characteristic|typical|diagnostic|pathognomonic|classic|"
    r"classical|criteria|specific) (?:of|for|with)|(?:fits?|match|matches|fitting|matching)(?: best)?(?: with)?|"
    r"diagnosed with|represents?|describes?|recommend|"
    r"suggests?|indicates?|supports?|points? to|points? towards?|that|choose|select|pick|"
    r"answer|diagnose|"
    r"conclude|opt for|(?:leaves|leaving)(?: us| me)?(?: with)?|i will|i ll|i would|leads us to|going with|makes?|"
    r"making|means|"
    r"would say|aligns? with|in line with|has|have|"
    r"mostlikely|(?:corresponds?|leads?|leading) to|"
    r"suffer(?:s|ing) from|called|named|known as|therefore|thus|so|hence|overall|finally|conclusion|dx|"
    r"diagnosis|choice|option|ans)(?: ,)?$"
    r"|(?:answer|ans|diagnosis|option|choice|pick|response|key|conclusion) [-–—\]]$"
)
RECORD = re.compile(
    r"(?:[(\[]|,) (?:o?mim|orpha|orphanet|mondo|doid|hp|mesh|icd ‐? ?1[01]|icd)(?: [:‐-])?"
    r"(?: [a-z]?\d+(?:\.\d+)?)+(?: [)\]])?"
)
SAME_AS = re.compile(
    rf"[(\[] {REF} [)\]]|[/,=–—-] {REF}|or {REF}|"
    rf"(?:, |\( )?(?:(?:also|formerly|previously|otherwise|commonly) (?:known|called|named|"
    rf"termed)(?: as)?|aka|i \. e(?: \.)?|that is|namely|or|synonym :|"
    rf"又称|又名|也称|即)[,: ]*{REF}(?: \))?"
)
# behind a "not" these confirm rather than deny: "B does not differ", "B cannot fail", "B is not wrong"
NO_DENIAL = (
    "(?:(?:completely|entirely|fully|really|yet|quite|so|to) )*(?:exclu|rul|neglect|dismiss|forg|ignor|overlook|"
    "discount|discard|disregard|eliminat|reject|only|just|merely|necess|always|mean|matter|differ|contra|conflict|hurt|"
    "miss|lose|fail|lack|fall|lag|sound|look|seem|appear|den(?:y|ied)|disting|tell|separat|say|know|decid|determin|"
    "have to|bad|wrong|fals|mistak|worse|less|far|out|without|second|behind|"
    "un[a-z]*(?:ly|ed|able)|in(?:corr|appr|adeq|cons|eff|fer|acc|comp)|imp[ol])"
)
LIST = rf"{REF}(?: (?:,|and|or|nor|/|、|和|或|及) {REF}| , (?:and|or|nor) {REF}| {REF}){{0,8}}"
_NOT_IT = (
    r"(?:incorrect|wrong|false|excluded|eliminated|dismissed|discarded|rejected|disregarded|discounted|set aside|"
    r"(?:ruled|crossed) out|unlikely|(?:less|least) (?:likely|mostlikely)|inappropriate|contraindicated|distractors?)\b"
)
_NOT = rf"(?:not|never|t)(?: be)?(?: an?)?(?: (?:typically|usually|generally|expected to))? (?!be\b|{NO_DENIAL})[a-z]+"
DENIALS = tuple(
    re.compile(pattern)
    for pattern in (
        # "B is incorrect", "A, B and D can be excluded"
        rf"(?<!neither )(?<!nor ){LIST} (?:is|are|was|were|being|(?:can|could|would|should)(?: safely)? be|"
        rf"(?:has|have) been)(?: (?:therefore|thus|also|clearly|all|both|much|far|definitely|highly))? {_NOT_IT}",
        # "B does not fit", "B is not first-line"
        rf"(?<!neither )(?<!nor ){LIST} (?:[:–—-] )?(?:it |this )?(?:"
        rf"(?:is|are|was|were|does|do|did|would|can|could|should|will)n?(?: (?:therefore|thus|also|clearly|both))? "
        rf"{_NOT}|(?:cannot|fails? to)(?: be)? (?!be\b|{NO_DENIAL})[a-z]+)",
        rf"neither {REF} nor {REF}(?! [^,;]{{0,80}}\b(?:exclu|rul|wrong|incorrect|false|unlikely|less|worse|"
        r"contraindic|than|as|alone|only|both))[^,;\ue000-\ue0ff]*",
        # the lines of a list of options: "B: Incorrect.", "B (not indicated)"
        rf"(?:^|, ){LIST} (?:[:(–—-] )?(?:(?:this |it |that )?is )?(?:{_NOT_IT}|no(?= ,|$))"
        rf"|(?:^|, ){LIST} [:(–—-] (?:(?:this |it |that )?is )?{_NOT}|^(?:incorrect|wrong) (?:: )?{LIST}$",
        r"(?<!cannot )(?<!can t )(?<!not )(?<!without )(?<!unable to )(?<!only )(?:rule[sd]? out|ruling out|"
        rf"exclud(?:e|es|ed|ing)|eliminat(?:e|es|ed|ing)|rather than|instead of|as opposed to|(?<!if )not) "
        rf"(?:a |an )?{LIST}",
        rf"{LIST} (?:would|should|can|could|may|might) only (?:apply|be (?:considered|used|indicated|needed|given))\b",
        rf"(?:in|by) contrast ,? ?(?:a |an )?{LIST}"
        r" (?:would|does|do|causes?|presents?|affects?|usually|typically)(?! be\b)",
        rf"{LIST} (?:has|have|plays?) no (?:role|place|effect|bearing|relation|association|indication|benefit)\b",
        rf"(?:other|remaining) (?:answer )?(?:options|choices|answers) (?:[:(,] )?{LIST}(?: [),])? (?:is|are|do|does|"
        rf"can be|were) (?:all )?(?:{_NOT_IT}|less [a-z]+|{_NOT})",
        rf"unlike (?:a |an )?{REF}(?: (?:and|or) {REF})?",
        rf"(?<!not )(?<!no )(?:(?:preferred|preferable|superior) (?:to|over)|(?:better|more [a-z]+) than) {LIST}",
        # what would be seen in another case is not said of this one: "Fever would suggest B"
        rf"(?<!\bi )(?<!\bwe )would (?:suggest|indicate|point to|imply) (?:a |an )?{LIST}"
        r"(?!.* (?:also|too|as well|equally|same|but)\b)",
        rf"(?<![不无难])(?<!不能)(?<!无法)(?:排除|不选|不是|而不是|而非|并非)(?:选项)? ?{LIST}(?! ?(?:就是|便是|即是))",
        rf"{LIST} ?(?:: ?)?(?:选?项)?(?:均|都|也)?(?:[不非无](?!确定|一定|[^,:]{{0,80}}[不非无没未否排除但])|"
        r"(?:是)?(?:错误|不正确|不对|不符合|可以?排除|被排除|错)的?)",
    )
)
# every one of the denials holds one of these words
DENYING = frozenset(
    listed(
        "incorrect wrong false excluded eliminated dismissed discarded rejected disregarded discounted aside out "
        "unlikely likely inappropriate contraindicated distractor distractors not never less no t cannot fail fails "
        "exclude excludes excluding eliminate eliminates eliminating rather instead opposed contrast only other "
        "remaining unlike preferred preferable superior than neither would"
    )
)
SAYS_OTHERS = ("other", "remaining", "none of", "其")
EMPTY_START = re.compile(
    r"^(?:(?:[,;:()]|选项|options?|it is|this is|and|but|so|therefore|thus|although|while|since|as|because|而是|而) ?)+"
)
EMPTY_END = re.compile(r"(?: (?:,|and|but|because|since|as)){1,3}$")
OF_OTHERS = re.compile(
    r"(?:explanation (?:not|of)? ?|why (?:are |not )?|on |about )?"
    r"(?:(?:(?:all|of|each) )?(?:other|remaining|incorrect|wrong) (?:options|choices|answers|ones)|others|rest)"
    r"(?: (?:are|is|were|not|less|wrong|incorrect|right|fit|"
    r"excluded|unlikely|likely)){0,4}(?: [:?.])*|其(?:他|余)选项(?:分析)?(?: [:?])?"
)
LINE_OF_OPTION = re.compile(rf"\W{{0,4}}({REF})(?= [:).–—-]|$)")
OTHERS_DENIED = re.compile(
    r"(?:all |each )?(?:of )?(?:other|remaining) (?:listed |answer )?(?:options?|choices?|answers?|diagnoses|"
    r"alternatives|ones|conditions)"
    r"(?: listed| given)? (?:is|are|do|does|can be|were) (?:all )?(?:incorrect|wrong|(?:less|un)(?: likely|likely)|"
    r"less [a-z]+|not [a-z]+(?: [a-z]+)?|excluded|ruled out|inconsistent|distractors)[^,;:()\ue000-\ue0ff]*"
    r"|none of (?:others|(?:other|remaining) (?:options|choices|answers|diagnoses)) [^,;:()\ue000-\ue0ff]*"
    r"|其(?:他|余)(?:选项|各项|答案)?(?:均|都)?(?:是)?(?:错误|不正确|不对|不符合|不符|可排除|错)的?"
)
# a numbered source counts as a plain word, and one in brackets not at all
NUMBERED = re.compile(
    r"(?:\b(documents?|docs?|passages?|articles?|abstracts?|stud(?:y|ies)|sources?|refs?|references?|pmids?)"
    r"(?: [:#])? \d+(?:(?: (?:,|and|;|&|[‐–-]|documents?|docs?|sources?)){1,2} \d+)*)"
)
NUMBERING = re.compile(r"(?:(?:question|answer|q) )?\d+(?: [).:])?")
BADLY = LOADED | frozenset(listed("only part partly partially poorly badly worse"))
FAMILY = frozenset(
    listed(
        "mother father brother sister sibling siblings twin parents parent relatives family son daughter cousin "
        "physician doctor clinician colleague student friend resident nurse department"
    )
)
ANY_REF = re.compile(REF)
AROUND = " .,:;()[]-–—→"
MARKS = frozenset(",:()[]-–—‐.=→")
ARTICLES = re.compile(r"(?:(?:^| )(?:an?|\(|\[)){1,3}$")
NOT_BUT = re.compile(r"^not (?!only|just|merely|simply|necessarily|alone)[^,:;\ue000-\ue0ff]{1,80} but ")
CITATION = re.compile(
    r"(?:, )?(?:\[(?: \d+| ,| [–‐-])+ \]|[(\[](?: (?:see|cf|from|docs?|documents?|sources?|refs?|references?|pmids?|"
    r"evidence|fig|figure|table|and|\d+|[,:#.–‐-]))+ [)\]])"
)
MAX_ASIDES = 6
BRACKETED = re.compile(r"\( ([^()\[\]]*) \)")
SURELY = frozenset(
    listed("clearly definitely therefore thus indeed hence certainly surely likely mostlikely probably")
)
PAST = frozenset(listed("was were"))  # what a diagnosis once was
# "Had there been fever, it would be ...", "Is it ..."
CONDITIONS = frozenset(listed("had were should is are was do does did can could would"))
# a clause that begins so gives grounds for what follows its comma
GROUNDS = frozenset(
    listed(
        "given based because since as considering due according after although though while looking taking"
    )
)
DEICTIC = frozenset(listed("that this it i"))
_CHINESE_PLAIN = (
    "如上|患者|该|本|此|这些|这|道|例|具有|有|患|的|表现|治疗|给予|使用|用|应|该|当|会|就|症状|体征|特征|典型|符合|提示|支持|诊断|结合|病史|检查|结果|因此|因而|"
    "所以|故|疾病|病|病因|临床|与|和|为|是|出现|存在|根据|文献|资料|检索到|检索|题意|题干|题目|题|问题|考虑|可能性|最有?可能|最终|最后|最|大|佳|优|好|综合|通过|经过|"
    "经|描述|情况|病例|研究|显示|表明|可知|可见|由此可得|由此|得出|结论|判断|认为|我们|我|综上所述|综上|总之|分析|解释|理由|原因|一致|特点|首选|首先|药物|"
    "答案|答|回答|选项|选择|选|择|项|正确|准确|唯一|推荐|合适|适合|恰当|标准|参考|初步|遗传学?|基因|处理|对|"
    "信息|所述|以上|上述|属于|常见|主要|由|即|显然|确定|可以|可"
)
CHINESE_PLAIN = re.compile(f"(?:{_CHINESE_PLAIN})+")
# words of doubt, and nothing new that they could be about
CHINESE_DOUBTS = re.compile(
    f"(?=.*[不未无没非除错否勿])(?:{_CHINESE_PLAIN}|[不未无没非除错误否勿太但已并排能完全也])+"
)
# what leads to an answer at the end of a clause, and what is said behind it
CHINESE_LINK = re.compile(
    "(?:[是为选择患用答]|答案|选项|首选|提示|符合|考虑|给予|患有|诊断|结论|回答|治疗|药物|检查|疾病|病因)$"
)
CHINESE_PRAISE = re.compile("选?项|是|为|正确|对|最|合适|符合|可能性最大")
_SAID_AS = """\
overall: to summarize, in brief, in other words, simply put, in conclusion, in short, taken together, all in all, \
all things considered, everything considered, taking everything into account
therefore: that why, this is why, which is why, with this in mind, by exclusion, by elimination, \
by process of elimination
mostlikely: most probably, most likely, most probable
is: seems to be, appears to be
has: seems to have, appears to have
given: in light of, in view of
clearly: no doubt, without doubt, without a doubt
reviewing options: eliminating distractors, eliminating other options
option that: one that
option is: one is
correct option: correct one
best option: best one
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
CHINESE_DOUBT = re.compile("(?<!最)(?<!最有)可能(?!性?最)|也许|似乎|大概|好像")
CHINESE_DENIES = re.compile("[不未无没非除错否勿若如]")
_CHINESE_DOUBTFUL = f"{CHINESE_DENIES.pattern}|可能|也许|似乎"
CHINESE_LOADED = re.compile(f"{_CHINESE_DOUBTFUL}|[a-z]")
# what is no mere ground of an open answer
CHINESE_NO_GROUND = re.compile(
    f"^(?!根据|由于|因为|结合|鉴于|基于)|{_CHINESE_DOUBTFUL}|诊断|考虑|怀疑|误|母|父|兄|姐|妹"
)
NEGATIONS = frozenset(
    listed("not no never except least false incorrect untrue without cannot t lacks lack exception")
)
NAMES_ANSWER = frozenset(listed("answer answers option choice exception"))
PREPOSITIONS = frozenset(
    listed("to for by in on at from with of after before during within through via under among according per")
)
# what is bad of an answer, what others think of it, and what it once was: words, and how words begin
BAD = frozenset(
    listed(
        "alternative alternatives decoy decoys error errors myth myths student students people many some others "
        "colleague colleagues textbook textbooks unsafe unrelated outdated obsolete premature reserve reserved said "
        "lie lies later afterward afterwards eventually rarely popular though although however while whereas despite "
        "nearly until even ruled was were initially previously formerly earlier thought believed "
        "once hardly barely seldom far"
    )
)
BAD_STEMS = tuple(
    listed(
        "distract trap mistak tempt misconception contraindicat harm danger hazard toxic unnecessar inappropriat "
        "ineffective inadequate insufficient unsuit irrelevan worse delay stop discontinu withh replac reject dismiss "
        "refut weak ignor eliminat discard avoid questionabl uncommon consider suspect less"
    )
)
# what stands behind it is a sentence of its own
SO = re.compile(
    r" [,–—] (?:and )?(?=(?:so|hence|thus|therefore|consequently)(?: ,)? [^,:]{0,120}[\ue000-\ue0ff]"
    r"|(?:因此|因而|所以|故)[^,:]{0,20}[\ue000-\ue0ff])"
)
# "Although B may be considered, the answer is C" grants B something, and not the answer
CONCEDED = re.compile(
    rf"^(?:(?:but|however|and|therefore) ,? ?)?(?:although|though|even though|while|whereas) "
    rf"[^,\ue000-\ue0ff]{{0,80}}{LIST}"
    r"(?:(?! (?:correct|right|best|true|answer|also|equally|must|both|too|mostlikely|as|same|no|if)\b)"
    r"[^,\ue000-\ue0ff])* , "
    r"(?!.* (?:also|too|equally|same)\b)"
    rf"|^(?:虽然|尽管)[^,\ue000-\ue0ff]{{0,80}}{LIST}[^,]* , ?但是?(?!.*[也均都])"
)
CONCESSIVE = (
    "虽然",
    "尽管",
    "although",
    "though",
    "even",
    "while",
    "whereas",
    "but",
    "however",
    "and",
    "therefore",
)
# "B is tempting, but the answer is C"; "I first thought of B"
TEMPTS = re.compile(
    r"^(?=[^,]*\b(?:tempting|plausible|reasonable|attractive|at first|initially|first|considered|seems?|"
    rf"looks?|appears?|may|might|could)\b)[^,\ue000-\ue0ff]{{0,80}}{LIST}"
    r"(?:(?! (?:correct|right|best|true|answer|also|equally|must|both|too|mostlikely|no|if)\b)"
    r"[^,\ue000-\ue0ff])* , but "
    r"(?!.*\b(?:also|too|equally|same|could|might|may|so (?:is|are|was|do|does|would|has))\b)"
    rf"|^(?:at )?(?:first|initially)? ?(?:, )?i (?:had |have )?(?:first|initially|originally) "
    rf"(?:thought|considered|suspected|leaned|inclined)\b[^\ue000-\ue0ff]{{0,40}}{LIST}$"
    rf"|^(?:(?:at )?(?:first|initially) ,? ?)?{LIST} (?:was|were) (?:first |initially )?considered$"
)
# "Among A, B and C, the best is C"
AMONG = re.compile(rf"(?:^| )(?:between|among|amongst|comparing|of|from)(?: options| choices)? {LIST} ,(?= )")
TEMPTING = (" , but ", "first", "initially", " considered")  # one of these is in whatever `TEMPTS` matches
