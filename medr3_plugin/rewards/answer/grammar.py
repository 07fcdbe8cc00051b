"""The grammar of answers, over a reading (`reading.read`): which one label does it give?

    answer      = sentence { sentence }            at least one claims; all claims agree; all others are neutral
    claim       = [carrier] REF [ending] [reason]
    carrier     = plain words that end in a link   "The most likely diagnosis is", "Answer:", "答案是"
    ending      = "is the correct answer", "是正确答案", ...
    reason      = ("because" | "since" | "," "which" | ...) neutral text
    neutral     = text that names no other label, unless to deny it ("B is incorrect", "rather than B"), and
                  does not take the answer back

An open question does not say what else could be answered, so there neutral text holds plain words and words of
the question, or explains: it begins by referring to what was said ("This ...", "The findings ..."), holds no word of
doubt, and wherever an answer could follow ("... is", "... consistent with"), plain words do. What the grammar does
not cover has no label: that is for the judge.

The regular expressions hold no quantifier inside another over the same words: everything is linear in the text.
"""

from __future__ import annotations

import re

from medr3_plugin.rewards.answer.names import Question
from medr3_plugin.rewards.answer.reading import FIRST, REF, read, sentences
from medr3_plugin.rewards.answer.words import (
    COMMON,
    DOUBTS,
    EXPLAINING,
    HEADERS,
    HEADS,
    LINKS,
    LOADED,
    OPENS,
    PLAIN,
    PRAISE,
    REASON_WORDS,
    SAME,
    SURELY,
)
from medr3_plugin.text import has_cjk

_LINK_PHRASE = re.compile(
    r"(?:^| )(?:(?:consistent|compatible|keeping|go|going) with|suggestive of|indicative of|characteristic of|"
    r"suggests?|indicates?|supports?|points? to|explained by|diagnosis of|presence of|that|choose|select|pick|"
    r"answer|diagnose|"
    r"conclude|opt for|leaves|means|would say|aligns? with|in line with|typical of|diagnostic of|has|have|"
    r"mostlikely|(?:corresponds?|leads?|leading) to|"
    r"suffering from|case of|called|named|known as|therefore|thus|so|hence|overall|finally|conclusion|dx|"
    r"diagnosis|choice|option|ans)(?: ,)?$"
    r"|(?:answer|ans|diagnosis|option) [-–—\]]$"
)
_CHINESE_CARRIER = re.compile(
    r"(?:(?:因此|所以|经过分析|综上所述|综上|总之|故|由此可见|由此可得|根据以上分析|根据上述分析|经分析)[,:]? ?)?"
    r"(?:(?:本题|本例|该题|此题|该患者|患者|该病例|我|我认为|这道题|这个问题)?的?"
    r"(?:最终|初步|主要|准确|唯一|推荐|正确|最佳|最有可能|最可能|最符合|最合适|最适合|最恰当|最优|临床|首选|应该|标准|参考)?的?"
    r"(?:答案?|结论|诊断|选项|疾病|治疗|药物|检查|处理|病因|选择)?(?:应该是|应当是|应为|应是|应选择?|应该选择?|是|为|选择?|:|诊断为|"
    r"患有)? ?"
    r"[::]? ?)"
    r"(?:选项? ?:?)?"
)
_ENDING = re.compile(
    r"(?:is|was|would be|should be|must be|seems to be|is therefore|is thus|remains|stands out as)"
    r"(?P<said>(?: [a-z]+){1,9})|correct"
    r"|\( (?:correct|right|best)(?: answer| option| choice)? \)"
    r"|(?:选?项)?(?:是|为)?(?:最)?(?:正确|对|最佳|符合题意|合适)(?:的)?(?:答案|选项|选择|诊断)?(?:的)?|是答案|选?项"
)
_REASON = re.compile(
    r"(?:, |\( )?(?:(?:fits|matches) best|best (?:explains|fits|matches|accounts for|describes)|because|since|given|"
    r"as|due to|based on|which|who|因为|由于|因|理由是|原因是|基于)(?= |$|[\u3400-\u9fff])"
)
_RECORD = re.compile(
    r"(?:[(\[]|,) (?:o?mim|orpha|orphanet|mondo|doid|hp|mesh|icd ‐? ?1[01]|icd)(?: [:‐-])?"
    r"(?: [a-z]?\d+(?:\.\d+)?)+(?: [)\]])?"
)
_SAME_AS = re.compile(
    rf"\( {REF} \)|(?:, |\( )?(?:(?:also|formerly|previously|otherwise|commonly) (?:known|called|named|"
    rf"termed)(?: as)?|aka|i\.e\.?|synonym :|"
    rf"又称|又名|也称|即)[,: ]*{REF}(?: \))?"
)
_LIST = rf"{REF}(?: (?:,|and|or|nor|/|、|和|或|及) {REF}| , (?:and|or|nor) {REF}| {REF}){{0,8}}"
_DENIALS = tuple(
    re.compile(pattern)
    for pattern in (
        # "B is incorrect", "A, B and D can be excluded"
        rf"{_LIST} (?:is|are|was|were|can be|could be|would be|should be|can safely be|has been|have been|being)"
        r"(?: (?:therefore|thus|also|clearly|all|both|much|far|definitely|highly))?"
        r" (?:incorrect|wrong|false|excluded|eliminated|(?:ruled|crossed) out|unlikely|less likely|least likely|"
        r"inappropriate|"
        r"contraindicated|distractors?|(?:not|never) (?:a |an )?(?:correct|right|best|mostlikely|likely|"
        r"appropriate|indicated|consistent|"
        r"supported|fitting|suitable|answer|diagnosis|typical|first ‐ line|first ‐ line treatment))\b",
        # the lines of a list of options: "B: Incorrect."
        rf"^{_LIST} (?:[:(–—-] )?(?:(?:this |it |that )?is )?"
        r"(?:incorrect|wrong|false|not correct|less likely|unlikely)\b",
        rf"{_LIST} (?:[:–—-] )?(?:it |this )?(?:(?:does|do|did|would) not|doesn t|don t|cannot|fails? to) "
        rf"(?:fit|explain|match|account|cause|apply|address|"
        r"treat|present|help|describe|answer|produce|lead|typically|usually|affect|play)\b",
        rf"(?<!cannot )(?<!can t )(?<!not )(?<!without )(?<!unable to )(?<!only )(?:rule[sd]? out|ruling out|"
        rf"exclud(?:e|es|ed|ing)|"
        rf"eliminat(?:e|es|ed|ing)|rather than|instead of|unlike|as opposed to|(?<!if )not) (?:a |an )?{_LIST}",
        rf"(?<!not )(?<!no )(?:(?:preferred|preferable|superior) (?:to|over)|(?:better|more [a-z]+) than) {_LIST}",
        rf"(?<![不无难])(?<!不能)(?<!无法)(?:排除|不选|不是|而不是|而非|并非)(?:选项)? ?{_LIST}",
        rf"{_LIST} ?(?:选?项)?(?:均|都)?(?:是)?(?:错误|不正确|不对|不符合|可以?排除|被排除|错)的?",
    )
)
_EMPTY_START = re.compile(
    r"^(?:(?:[,;:()]|选项|options?|it is|this is|and|but|so|therefore|thus|although|while|since|as|because|而是|而) ?)+"
)
_EMPTY_END = re.compile(r"(?: (?:,|and|but|because|since|as)){1,3}$")
# first a doubt, a second answer or a withdrawal; then signs of a rank or a share
_TAKES_BACK = re.compile(
    r"\b(?:not (?:sure|certain|confirmed|final|correct|right|answer|it|that one|enough)|unsure|uncertain|"
    r"guess\w*|confident|"
    r"(?:low|limited|moderate|medium|some|high|my) (?:confidence|certainty|probability|likelihood)|doubt\w*|"
    r"% (?:sure|certain\w*|confiden\w*|probab\w*|likel\w*|chance)|wrong|incorrect|mistaken?|actually|wait|sorry|"
    r"scratch that|"
    r"(?:second|on further) thought|change my|instead(?! of)|otherwise(?! healthy| normal| well| unremarkable)|"
    r"alternatively|alternative (?:answer|diagnosis|option|choice)|equally|a tie|toss|runner|backup|fallback|"
    r"(?:also|still|too) (?:be )?(?:correct|possible|acceptable|right|likely|plausible|true|fits?|considered)|"
    r"as (?:likely|good|plausible|possible)|as well(?! as)|, too|either (?:is|one|way)|both (?:are|answers|options)|"
    r"any of (?:these|them|above)|(?<!considering )all of (?:above|them|these)|none of|neither of|"
    r"can(?:not| t) (?:be )?(?:determin\w+|exclude\w*|rule\w*|decide|say|tell)|first (?:option|letter|one)|"
    r"(?:second|third|fourth|fifth|last|another|previous|next|former|latter|other) (?:one|option|choice|answer|place|"
    r"candidate|possibility|diagnosis|guess|letter)|a second|one (?:above|below|before|after)|maybe|perhaps|"
    r"i (?:(?:am|m)(?! (?:going|choosing|selecting) )|think|guess|suppose|may|might|could|can(?:not| t)|do(?: "
    r"not|n t)|would also|also|d))\b"
    r"|不确定|不肯定|也可能|也有可能|也可以|也对|也正确|都对|都正确|均正确|均可|或者|还是|不能排除|无法排除|待排|其次|另一|"
    r"猜|存疑|不一定|备选|第[一二三四五]个?选?项|前一|后一|上一|下一|更正|不对|错了"
)
_OTHERS_DENIED = re.compile(
    r"(?:all |each )?(?:of )?(?:other|remaining) (?:listed |answer )?(?:options?|choices?|answers?|diagnoses|"
    r"alternatives|ones|conditions)"
    r"(?: listed| given)? (?:is|are|do|does|can be|were) (?:all )?(?:incorrect|wrong|(?:less|un)(?: likely|likely)|"
    r"less [a-z]+|not [a-z]+(?: [a-z]+)?|excluded|ruled out|inconsistent|distractors)[^,;:()\ue000-\ue0ff]*"
    r"|none of (?:other|remaining) (?:options|choices|answers|diagnoses) [^,;:()\ue000-\ue0ff]*"
    r"|其(?:他|余)(?:选项|各项|答案)?(?:均|都)?(?:是)?(?:错误|不正确|不对|不符合|不符|可排除|错)的?"
)
_ODD = re.compile(
    r"[^\x00-\x7f\u00c0-\u024f\u3000-\u303f\u3400-\u9fff\uff00-\uffef\ue000-\ue0ff‐–—−“”‘’′″…•·°±×→↑↓≥≤≠¬]|\?|\|"
)
_REF = re.compile(REF)
_AROUND = " .,:;()[]-–—"
_MARKS = frozenset(",:()[]-–—‐.=")
_ARTICLES = re.compile(r"(?:(?:^| )(?:an?|\(|\[|<)){1,3}$")
_VERDICT_GOES_ON = re.compile(r"[,:(–—-]|(?=(?:there|it|this|that|these|they|we)\b)")
_TAIL = re.compile(r"[,:(–—-] (?=(?:an?|this|it|these)\b)")
_CHINESE_PLAIN = re.compile(
    "(?:患者|该|本|此|具有|有|的|表现|症状|体征|特征|典型|符合|提示|支持|诊断|结合|病史|检查|结果|因此|所以|疾病|病|临床|与|和|为|是|"
    "出现|存在|根据|文献|资料|检索|检索到|题意|考虑|可能性|最大|本病例|综合|通过|经|描述|情况|病例|研究|显示|表明|可知|可见|得出|结论|判断|认为|我们|我|综上所述|综上|总之|综合|分析|解释|理由|原因|一致|特点|首选|药物|治疗|答案|正确|题干|信息|所述|以上|上述|属于|常见|主要|最|由)+"
)
_SPELLINGS = re.compile(rf"\b(?:{'|'.join(map(re.escape, SAME))})(?!\w)")
_CHINESE_LOADED = re.compile("[不未无没非除错否勿]|可能|也许|似乎|[a-z]")
_MIN_WORDS, _MIN_CJK = 3, 4  # a comment shorter than that behind a letter is no sentence


def label_of(text: str, question: Question) -> str | None:
    """The label that `text` (without mark-up) answers; None where the grammar does not cover it.

    >>> from medr3_plugin.rewards.answer.names import question_of
    >>> gout = question_of("", ["Gout"], {"A": "Sepsis", "B": "Gout"}, None)
    >>> [label_of(text, gout) for text in ("It is not A. The answer is B.", "Gout, not sepsis", "A or B", "B (unsure)")]
    ['B', 'B', None, None]
    """
    claimed: set[str] = set()
    denied = ""
    comments: list[str] = []
    reasons: list[str] = []
    for sentence in sentences(read(text, question)):
        rest, excluded = _without_denied(sentence)
        denied += excluded
        claim = _claim(rest, question)
        if claim:
            claimed.add(claim[0])
            reasons.append(claim[1])
        else:
            (reasons if excluded else comments).append(rest)
    if len(claimed) != 1 or claimed & set(denied):
        return None
    own = claimed.pop()
    neutral = all(_is_neutral(text, own, question) for text in comments + reasons)
    return (
        question.labels[ord(own) - FIRST]
        if neutral and all(_is_sentence(c, question) for c in comments)
        else None
    )


def _without_denied(sentence: str) -> tuple[str, str]:
    """A sentence without the clauses that deny labels, and the references in these."""
    denied = ""

    def cut(clause: re.Match[str]) -> str:
        nonlocal denied
        denied += "".join(_REF.findall(clause[0]))
        return " "

    rest = _SPELLINGS.sub(lambda found: SAME[found[0]], sentence)
    for pattern in _DENIALS:
        rest = pattern.sub(cut, rest)
    rest, others = _OTHERS_DENIED.subn(" ", rest)
    if denied or others:
        rest = _EMPTY_END.sub("", _EMPTY_START.sub("", rest.strip())).replace(" but ", " ")
    return " ".join(rest.split()).replace("( )", "").strip(), denied


def _claim(sentence: str, question: Question) -> tuple[str, str] | None:
    """(the reference that a sentence gives as the answer, its reason); None if it gives none."""
    text = sentence.lstrip(_AROUND)
    ref = _REF.search(text)
    if ref is None or not _is_carrier(text[: ref.start()].strip(), question):
        return None
    after = text[ref.end() :].strip()
    for aside in (_SAME_AS, _RECORD):
        if (match := aside.match(after)) and set(_REF.findall(match[0])) <= {ref[0]}:
            after = after[match.end() :].strip()
    after = after.removeprefix(", ") if after.startswith(", is ") else after
    ending = _ENDING.match(after)
    if ending:
        said = (ending["said"] or "").split()
        cut = next((i for i, word in enumerate(said) if word in REASON_WORDS), len(said))
        if said and (PRAISE.isdisjoint(said[:cut]) or not PLAIN.issuperset(said[:cut])):
            return None
        after = " ".join([*said[cut:], after[ending.end() :].strip()]).strip()
    after = after.lstrip(")] .").rstrip(")] .,:;")
    if not after:
        return ref[0], ""
    for pattern, applies in (
        (_REASON, True),
        (_TAIL, not question.verdicts),
        (_VERDICT_GOES_ON, question.verdicts),
    ):
        if applies and (opened := pattern.match(after)):
            return ref[0], after[opened.end() :]
    return None


def _is_carrier(before: str, question: Question) -> bool:
    """Whether the words before a reference only say that the answer follows."""
    before = _ARTICLES.sub("", before).strip()
    if before in ("", "it", "that"):
        return True
    if has_cjk(before):
        before = re.sub("[ 【】]", "", before)
        *context, last = re.split("[,:]", before.rstrip(":,"))
        if question.letters:
            context = [clause for clause in context if _CHINESE_LOADED.search(clause)]
        return _is_plain(context, question) and (
            _CHINESE_CARRIER.fullmatch(last) is not None
            or (before[-1] in "是为:" and _is_plain([last.rstrip("是为")], question))
        )
    words = before.split()
    if len(words) > 1 and words[-2] in LINKS and words[-1] in SURELY:
        words.pop()
    if question.letters and (LOADED.isdisjoint(words) and not _TAKES_BACK.search(before)):
        # where the other options are known, any words may lead to the answer
        last = words[len(words) - words[::-1].index(",") :] if "," in words else words
        if last and not _is_plain(last, question):
            return False
        led = words[-1] in LINKS or (words[0] in OPENS and words[-1] == ",")
        return (led or _LINK_PHRASE.search(before) is not None) and not _ODD.search(before)
    if words[-1] in LINKS:
        return _is_plain(words[:-1], question)
    return _LINK_PHRASE.search(before) is not None and PLAIN.issuperset(w for w in words if w not in _MARKS)


def _is_plain(words: list[str], question: Question) -> bool:
    """Whether all words are plain or the question's own; "1." may number the answer."""
    return (len(words) == 1 and words[0].isdigit() and (question.letters or words[0] == "1")) or all(
        word in _MARKS
        or ((word in PLAIN or word in question.words) and word not in LOADED)
        or (has_cjk(word) and all(part in question.text for part in _CHINESE_PLAIN.split(word)))
        for word in words
    )


def _is_neutral(text: str, own: str, question: Question) -> bool:
    """Whether a text beside the claim of `own` names nothing else and takes nothing back."""
    text = text.strip(_AROUND)
    if question.open:
        words = [word for word in text.split() if word != own]
        return _is_plain(words, question) or _explains(words, question)
    return not (set(_REF.findall(text)) - {own} or _ODD.search(text) or _TAKES_BACK.search(text))


def _explains(words: list[str], question: Question) -> bool:
    """Whether a text beside an open question's answer explains that answer and names no other."""
    if ":" in words[:2] and words[0] in HEADERS:
        words = words[words.index(":") + 1 :]
    text = " ".join(words)
    if not words or words[0] not in EXPLAINING or not DOUBTS.isdisjoint(words[1:]):
        return False
    if _ODD.search(text) or _TAKES_BACK.search(text):
        return False
    awaited = words[0] in ("a", "an")  # whether an answer could stand here
    for i, word in enumerate(words):
        if awaited and word not in COMMON:
            if not (_is_plain([word], question) or word.endswith("ed")):
                return False
            awaited = False
        relative = word == "that" and i > 0 and words[i - 1] in HEADS  # "a disorder that affects ..."
        joins = word in ("and", "or", ",", "being") and _is_plain(words[max(i - 1, 0) : i], question)
        leads = word in LINKS or _LINK_PHRASE.search(" ".join(words[max(i - 1, 0) : i + 1]))
        if joins or (leads and not relative):
            awaited = True
    return True


def _is_sentence(comment: str, question: Question) -> bool:
    """Whether a comment is long enough to say something: a scrap ("C. A second") may add an answer."""
    words = comment.strip(_AROUND).split()
    long = len(words) >= _MIN_WORDS or (has_cjk(comment) and len(comment) >= _MIN_CJK)
    return long or _is_plain(words, question)
