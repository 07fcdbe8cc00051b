"""Other names of what a query asks for, searched for beside its own words.

The analyser gives one form to what is written in several ways, in documents and queries alike. What has different
words altogether (EKG and ECG, FVIII and factor VIII, I-131 and 131I, SSRIs and SSRI, stage 2 of a scale and its 2), and
what is one word here and two there (BI-RADS, breast feeding, HPV 16, JAK2V617F), is looked for here instead: only
queries change, so no index is built anew.
"""

# ruff: noqa: SIM905  (word lists are easier to read and to check on one line)

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Callable, Container, Iterator, Sequence

from medr3_plugin.retrieval.index.analyser import STOP_WORDS, stem, terms, terms_of
from medr3_plugin.retrieval.index.folding import GRAM_RUN, fold
from medr3_plugin.retrieval.index.notation import ROMAN, notations

_SAME = [
    line.split("|")
    for line in """
ecg|ekg
levodopa|l-dopa
levothyroxine|l-thyroxine
mesalazine|mesalamine
ursodiol|ursodeoxycholic acid
nitroglycerin|nitroglycerine|glyceryl trinitrate
cotrimoxazole|co-trimoxazole|trimethoprim sulfamethoxazole|tmp-smx
co-amoxiclav|amoxicillin clavulanate
breastfeeding|breast feeding
healthcare|health care
metaanalysis|meta-analysis
strep|streptococcus
c diff|c difficile
ciclosporine|cyclosporine
t1d|t1dm|dm1|dm type 1|type 1 dm|iddm|type 1 diabetes
t2d|t2dm|dm2|dm type 2|type 2 dm|niddm|type 2 diabetes
diarrhoeal|diarrheal|diarrhea
f508del|deltaf508|delta f508|phe508del
coq10|coenzyme q10
ft3|free t3
ft4|free t4
dsdna|ds-dna|double-stranded dna
ssdna|ss-dna|single-stranded dna
dsrna|ds-rna|double-stranded rna
ssrna|ss-rna|single-stranded rna
pelvis|pelves
stigma|stigmata
meninx|meninges
tritium|h-3|3h
p53|tp53
p63|tp63
apoe2|apoe epsilon2
apoe3|apoe epsilon3
apoe4|apoe epsilon4
h influenzae|haemophilus influenzae
hib|haemophilus type b
2,3-bpg|2,3-dpg
1st|first
2nd|second
3rd|third
4th|fourth
""".split("\n")
    if line
]
_SAME += [
    [short, f"{short}s"]
    for short in "ssri snri ppi uti sti tki ici mri bmi aki maoi acei nrti nnrti cni ssi tbi pci gpi rti lrti".split()
]
_SAME += [
    [pair.replace("-", ""), pair]
    for pair in "follow-up work-up check-up long-term short-term well-being cross-over self-care".split()
]
_ISOTOPES = """
i iodine 123 124 125 131 | tc technetium 99m | lu lutetium 177 | ga gallium 67 68 | f fluorine 18 | y yttrium 90
sr strontium 89 90 | ra radium 223 226 | in indium 111 | tl thallium 201 | rb rubidium 82 | c carbon 11 13 14
ac actinium 225 | at astatine 211 | bi bismuth 213 | co cobalt 57 60 | cr chromium 51 | cs cesium 134 137
cu copper 64 67 | er erbium 169 | fe iron 59 | ho holmium 166 | ir iridium 192 | n nitrogen 13
o oxygen 15 | p phosphorus 32 | pd palladium 103 | re rhenium 186 188 | rn radon 222 | s sulfur 35 | sm samarium 153
xe xenon 133 | zr zirconium 89"""
for symbol, name, *numbers in map(str.split, _ISOTOPES.replace("\n", "|").strip("|").split("|")):
    _SAME += [
        [f"{n}{symbol}", f"{symbol}-{n}", f"{symbol}{n}", f"{n}-{symbol}", f"{name}-{n}"] for n in numbers
    ]

_OTHERS = {name: [other for other in names if other != name] for names in _SAME for name in names}
"""A name of up to three words or joined by a hyphen -> its other names."""
_OTHERS |= {name.replace("-", " "): _OTHERS[name] for name in list(_OTHERS) if re.search("[a-z]{3}-", name)}
_SHORT_NAMES = """
aki acute kidney injury|bph benign prostatic hyperplasia|cabg coronary artery bypass grafting|chf heart failure
ckd chronic kidney disease|copd chronic obstructive pulmonary disease|dka diabetic ketoacidosis
dvt deep vein thrombosis|esrd end-stage renal disease|eskd end-stage kidney disease|gerd gastroesophageal reflux
gord gastroesophageal reflux|gord gastro-oesophageal reflux|gerd gastro-oesophageal reflux
hfpef heart failure preserved ejection fraction
hfref heart failure reduced ejection fraction|htn hypertension|ibd inflammatory bowel disease
ibs irritable bowel syndrome|nstemi non-ST-elevation myocardial infarction|osa obstructive sleep apnea
pcos polycystic ovary syndrome|pud peptic ulcer|sle systemic lupus erythematosus|sob dyspnea|tb tuberculosis
stemi ST-elevation myocardial infarction|tia transient ischemic attack|uti urinary tract infection
vte venous thromboembolism|aflutter atrial flutter|vtach ventricular tachycardia
"""
"""What doctors write in notes and questions, where text in full may have no abbreviation to be learned from.

An abbreviation of several meanings (PE, RA, MI, DM, OA, CVA, CAD) stands here beside a word that tells which.
"""
_SHORT_NAMES += "\n".join(
    f"{before}_{short} {before} {long}"
    for short, long, words in (
        (
            "mi",
            "myocardial infarction",
            "acute inferior anterior lateral posterior prior previous recent old",
        ),
        ("pe", "pulmonary embolism", "acute massive submassive"),
        ("ra", "rheumatoid arthritis", "seropositive seronegative active early"),
        ("oa", "osteoarthritis", "knee hip hand"),
        ("cad", "coronary artery disease", "stable obstructive multivessel premature"),
        ("cva", "stroke", "acute ischemic hemorrhagic embolic"),
        ("dm", "diabetes", "uncontrolled gestational"),
    )
    for before in words.split()
)
SHORT_NAMES: dict[str, str] = {}
"""Names with an abbreviation that an index's own abbreviations explain better, and the abbreviation."""
for short, long in (name.split(" ", 1) for name in _SHORT_NAMES.replace("\n", "|").strip("|").split("|")):
    _OTHERS.setdefault(short.replace("_", " "), []).append(long)
    SHORT_NAMES[short.replace("_", " ")] = short.rpartition("_")[2]
_CLASSES = frozenset("class score grade stage type category group ps status".split())
_SCALES = {
    scale: classes.split("+")
    for classes, scales in {
        "class+score": "nyha asa killip mallampati pugh child forrest",
        "score": "gleason apgar",
        "status+ps": "ecog zubrod",
        "stage": "figo arbor rai binet ckd kdigo tanner hurley bclc braak yahr fontaine dukes ajcc uicc hinchey",
        "stage+grade+group": "gold",
        "category": "bethesda bosniak rutherford",
        "type": "harris garden fitzpatrick mobitz stanford debakey siewert borrmann todani schatzker anderson",
        "grade": "wagner lawrence outerbridge hess fisher wfns simpson isup",
    }.items()
    for scale in scales.split()
}
"""A scale -> what its numbers are called."""
_NUMBERED = _CLASSES | {*_SCALES, "rads"}
_FIRST_WORDS = _NUMBERED | {name.partition(" ")[0] for name in _OTHERS}
_BEFORE_STATUS = frozenset({"performance", "physical", "functional"})
_ROMANS = {number: numeral for numeral, number in ROMAN.items()}
_NUMBER = re.compile(
    rf"(?:({'|'.join(sorted(ROMAN, key=len, reverse=True))})|g?(\d|1[0-3]))([a-d]\d?)?|[a-e]"
)
_SPLIT_PARTS = ("radio", "hydroxy", "immuno", "chemo", "hscrp", "hstn")
_SPLIT = re.compile(
    r"(radio|hydroxy|immuno|chemo|hs(?=crp|tn))([a-z]{3,})|([a-z]{2,5})(\d{2,3})|([a-z]{3,}\d?)([a-z]\d{2,4}[a-z])"
)
_LONGEST_JOINED, _LONGEST_APART = 17, 40
_ALONE = STOP_WORDS | frozenset("he she we you his her its our your can may has had all so".split())
"""Words that the word behind them does not continue: "her pes planus" is not herpes."""
_UMLAUT = re.compile("([aou])e(?=[b-df-hj-tv-z])")

_WORDS = "".join(c if c.isalnum() else " " if c in " -" else "." for c in map(chr, range(128)))
_WORD = re.compile(r"[^\W_]+")
_HYPHENED = re.compile(r"[^\W_]+(?:-[^\W_]+)+")

_Others = Callable[[re.Match[str]], list[str]]
_FACTOR = "xiii|xii|xi|x|ix|viii|vii|v|ii"
_IONS = dict(
    pair.split(":")
    for pair in "k:potassium na:sodium ca2:calcium ca:calcium mg2:magnesium li:lithium".split()
)
_VITAMIN = {"他命": "生素", "生素": "他命"}
_SHORT = {"vit": ("vitamin ", "维生素"), "hep": ("hepatitis ",)}
_ANTIGENS = {"surface": "s", "core": "c"}
_STEMS = dict(zip("甲乙丙丁戊abcde", "abcde甲乙丙丁戊", strict=True))
"""The first of five in Chinese, and letters: hepatitis B is 乙型肝炎 or B型肝炎."""
_BOTH = {
    "d&c": "dilatation curettage", "i&d": "incision drainage", "a&e": "emergency department",
    "h&e": "hematoxylin eosin", "t&a": "tonsillectomy adenoidectomy", "d&e": "dilation evacuation",
}  # fmt: skip


def _in_full(found: re.Match[str]) -> list[str]:
    """Vit. K, VitB12 and HepC."""
    return [name + found[1] for name in _SHORT[found[0][:3]]]


def _haemophilia(found: re.Match[str]) -> list[str]:
    """甲型血友病, A型血友病 and 血友病A."""
    letter = found[1] or found[2]
    latin, stem = sorted((letter, _STEMS[letter]))
    return [f"血友病{latin}", f"血友病{stem}", f"{stem}型血友病", f"{latin}型血友病"]


# TNF-a and GSK3b; TNF-α, TNF alpha and IL-1beta. In capitals, for hepatitis A has no alpha. IL1A is a gene's symbol,
# but few such letters are Greek (IL17A, KDM5A), and no part of a class (GP IIb, CD11b) is
_SUBUNIT = r"[A-Z](?<!\w[A-Z]){}[A-Z]{{1,4}}(?:-?\d{{1,2}})?"
_GREEK_IN_SYMBOLS = r"(?:(?<=IL1|SK3)|(?<=IL-1|SK-3)|(?<=HIF1|HNF[14])|(?<=HIF-1|HNF-[14]))[AB]"
_OF_A_CLASS = r"(?!(?<=C)D1|(?<=[IVX])[IVX]+-?[a-d])"
_LETTERED = re.compile(rf"({_SUBUNIT.format(_OF_A_CLASS)})-?([abgdk]|{_GREEK_IN_SYMBOLS})(\d?)\b")
_GREEK = re.compile(rf"({_SUBUNIT.format('')})[ -]?(α|[βß]|γ|δ|κ|alpha|beta|gamma|delta|kappa)[ -]?(\d?)\b")
_TWO_CAPITALS = re.compile("[A-Z][A-Z]")
_BEFORE_DIGITS = re.compile(r"(?<=[A-Z])(?=\d)")
_GREEK_NAMES = {"a": "alpha", "b": "beta", "g": "gamma", "d": "delta", "k": "kappa"}
_LATIN = {"α": "a", "β": "b", "ß": "b", "γ": "g", "δ": "d", "κ": "k"}


def _written(name: str, letter: str, number: str) -> list[str]:
    """How a subunit is written with a Greek letter, and last with a Latin one."""
    latin = _LATIN.get(letter, letter[0].lower())
    greek = _GREEK_NAMES[latin]
    if not name[-1].isdecimal():
        return [f"{name} {greek}{number}", f"{name}-{latin}{number}"]
    plain = name.replace("-", "")
    apart = _BEFORE_DIGITS.sub("-", plain)
    return [
        f"{apart} {greek}{number}",
        f"{apart}{greek}{number}",
        f"{plain}{greek}{number}",
        f"{plain}{latin}{number}",
    ]


def lettered(query: str) -> list[str]:
    """The terms of TNF-a for TNF-α or TNF alpha in a query, and of IL1b for IL-1β."""
    return [term for found in _GREEK.findall(query) for term in _terms(_written(*found)[-1])]


_Rule = tuple[str, re.Pattern[str], _Others]
# what a query's lower case must hold before a pattern is tried, the pattern, the other names of what it finds: in the
# lower case, and of signs in the query as it is
_OF_WORDS: tuple[_Rule, ...] = (
    ("inhibitor", re.compile(r"\b([a-z\d/-]{3,}) inhibitors?\b"), lambda found: [f"{found[1]}i"]),
    # FIX would be a word of its own
    ("&", re.compile(r"\b[a-z]&[a-z]\b"), lambda found: [_BOTH.get(found[0], "")]),
    ("factor", re.compile(rf"\bfactor (?!ix\b)({_FACTOR})(a?)\b"),
     lambda found: [f"f{found[1]}{found[2]}"]),
    ("vit", re.compile(r"vit(?<![a-z]vit)\.? ?([a-ek]\d{0,2})(?![a-z\d])"), _in_full),
    ("hep", re.compile(r"hep(?<![a-z]hep)\.? ?([a-e])(?![a-z\d])"), _in_full),
    # FIB-4 is a score
    ("fib", re.compile(r"\b([av])[ -]?fib\b(?!-?\d| (?:\d|score|index))"),
     lambda found: [f"{'atrial' if found[1] == 'a' else 'ventricular'} fibrillation"]),
    ("antigen", re.compile(r"hepatitis b (e|surface|core)[ -]antigen"),
     lambda found: [f"hb{_ANTIGENS.get(found[1], 'e')}ag"]),
    # Ca 12.5 is calcium
    ("ca", re.compile(r"ca(?<!\wca)[ -]?(?!12\.)(\d\d)[.-]?(\d)\b"),
     lambda found: [f"ca {found[1]}-{found[2]}", f"ca{found[1]}{found[2]}"]),
)  # fmt: skip
_PART_OF_NAME = (
    ("dm", re.compile(r"\b(?:dm,? type|type (?:[12]|ii?) dm\b)")),
    ("fib", re.compile(r"\b[av][ -]fib\b(?!-?\d| (?:\d|score|index))")),
)
_SIGN = re.compile("[0-9*+&/>]")
_OF_SIGNS: tuple[_Rule, ...] = (
    ("*", re.compile(r"\b([A-Z]\w*)\*(\d\d):?(\d\d)\b"),
     lambda found: [f"{found[1]}*{found[2]}:{found[3]}", f"{found[1]}*{found[2]}{found[3]}"]),
    ("+", re.compile(r"\b(K|Na|Ca2?|Mg2|Li)\+"), lambda found: [_IONS[found[1].lower()]]),
    # not hepatitis B/C, influenza A/B
    ("/", re.compile(r"\b(?:V/Q|U/A|N/V)\b"), lambda found: [found[0].replace("/", "")]),
    (">", re.compile(r"(?<!\d)(\d{2,5})([ACGT])>([ACGT])\b"), lambda found: [f"{found[2]}{found[1]}{found[3]}"]),
    # patterns that begin with a letter are found quickly, so what stands before it is looked at afterwards
    ("", re.compile(r"T(?<![^\Wpc]T)\d[a-d]?(?: ?N\d[a-c]?(?: ?M\d)?)?\b"),
     lambda found: _tumour(found.string[: found.start()][-1:].strip("( "), found[0])),
    ("4", re.compile(r"4(?<!\w4)([5-9])[, ]{0,2}([xX][xyXY]*)\b"),
     lambda found: [f"4{found[1]}{joint}{found[2]}" for joint in ("", " ")[: len(found[2])]]),
    ("", re.compile(r"[ACGT](?<!\w[ACGT])(\d{2,5})([ACGT])\b"),
     lambda found: [f"{found[1]}{found[0][0]}>{found[2]}"]),
    # of 1,200, only 200 would be a term
    ("00", re.compile(r"\b(\d{2,3})(\d00)\b"), lambda found: [f"{found[1]},{found[2]}"]),
)  # fmt: skip
_SHORT_CHINESE = dict(
    pair.split(":")
    for pair in """
房颤:心房颤动 房扑:心房扑动 室颤:心室颤动 室速:室性心动过速 室上速:室上性心动过速 早搏:期前收缩
心梗:心肌梗死 心衰:心力衰竭
冠心病:冠状动脉粥样硬化性心脏病 肺心病:肺源性心脏病 脑梗:脑梗死 慢阻肺:慢性阻塞性肺疾病 支扩:支气管扩张
甲亢:甲状腺功能亢进 甲减:甲状腺功能减退 再障:再生障碍性贫血 急淋:急性淋巴细胞白血病 慢粒:慢性粒细胞白血病
流脑:流行性脑脊髓膜炎 乙脑:流行性乙型脑炎 糖网:糖尿病视网膜病变 甲肝:甲型肝炎 乙肝:乙型肝炎 丙肝:丙型肝炎 戊肝:戊型肝炎
copd:慢性阻塞性肺疾病 chf:心力衰竭 htn:高血压 ckd:慢性肾脏病 dvt:深静脉血栓 t2dm:2型糖尿病 t1dm:1型糖尿病
sle:系统性红斑狼疮 gerd:胃食管反流 tb:结核 uti:尿路感染 tia:短暂性脑缺血发作 osa:阻塞性睡眠呼吸暂停 bph:前列腺增生
""".split()
)
_CHINESE: tuple[_Rule, ...] = (
    ("", re.compile(rf"(?<![a-z])(?:{'|'.join(_SHORT_CHINESE)})(?![a-z])"), lambda found: [_SHORT_CHINESE[found[0]]]),
    ("因子", re.compile(r"第 ?([一二三四五六七八九十]+|\d+|[ivx]+) ?(?:凝血)?因子"),
     lambda found: notations(f"因子{found[1]}")),
    ("因子", re.compile(r"因子 ?([一二三四五六七八九十]+|\d+|[ivx]+)"),
     lambda found: notations(f"第{found[1]}")),
    ("型", re.compile("([甲乙丙丁戊a-e]) ?型"), lambda found: [f"{_STEMS[found[1]]}型"]),
    ("血友病", re.compile("([甲乙丙a-c]) ?型 ?血友病|血友病 ?([甲乙丙a-c])(?![a-z])"), _haemophilia),
    ("链球菌", re.compile("([a-g]) ?[族组群]"), lambda found: [found[1] + group for group in "族组群"]),
    ("维", re.compile("维(他命|生素) ?(.?)"), lambda found: [f"维{_VITAMIN[found[1]]}{found[2]}"]),
)  # fmt: skip
_CAPITALS = re.compile(
    r"[A-Z](?:(?<!\w[A-Z])(?:(?P<one>[A-Z\d-]{1,20})s|(?P<stem>[A-Z\d/-]{2,20})i"
    rf"|(?<=F)(?P<factor>{_FACTOR.upper()})(?P<a>a?)|(?P<name>[A-Z]{{1,4}}) (?P<numeral>[IVX]))"
    r"|(?<=[a-z]{2}[A-Z])[A-Z]{0,4})\b"
)


def of_a_name(query: str) -> list[str]:
    """Words of a query that are part of a name there and mean something else alone: dermatomyositis (DM), FIB-4."""
    lowered = query.lower()
    return [word for word, name in _PART_OF_NAME if word in lowered and name.search(lowered)]


def other_names(query: str) -> tuple[list[tuple[str, Sequence[str]]], list[str]]:
    """What stands in a query, and the terms of another name of it; and its words, for `joined` and `of_word`."""
    # names stand between characters without a space: EKG检查
    text = query if query.isascii() else GRAM_RUN.sub(r" \g<0> ", fold(query))
    lowered = text.lower()
    # a notation is a term
    found = [(own, [o] if o.startswith("=") else _terms(o)) for own, o in _by_pattern(text, lowered)]
    ascii_words = lowered.translate(_WORDS).replace(".", " . ") if lowered.isascii() else ""
    words = ascii_words.split() or _WORD.findall(lowered)
    if not _FIRST_WORDS.isdisjoint(words):
        found += _by_list([word for word in words if word != "."])
    if "-" in lowered:
        for word in lowered.split():
            if "-" in word:
                found += _by_hyphen(word)
    # in the query as it is: in a folded one, the name before a Greek letter has no capitals
    if _TWO_CAPITALS.search(query):
        for subunit in itertools.chain(_LETTERED.finditer(query), _GREEK.finditer(query)):
            found += [(subunit[0], _terms(other)) for other in _written(*subunit.groups())[:-1]]
    if text is not query:
        for word in _WORD.findall(query.lower()):
            if not word.isascii() and (german := word.translate(_GERMAN)) != word:
                found.append((word, terms(german)))
    return found, words


def joined(before: str, word: str) -> str:
    """The term of two words written as one; empty if they cannot be."""
    if len(before) + len(word) >= _LONGEST_JOINED or min(len(before), len(word)) < 2 or before[0].isdecimal():
        return ""
    if before in _ALONE or word in STOP_WORDS:  # "man is" is not "many"
        return ""
    term = stem(before + word)
    # "man aged" is not "managed": the stem must hold both words
    return term if len(term) >= len(before) + min(len(word), 3) else ""


def of_word(word: str, known: Container[str]) -> Iterator[Sequence[str]]:
    """The terms of other names of a word, of which joined ones are `known`."""
    begins = word.startswith(_SPLIT_PARTS)
    if (begins or (len(word) > 2 and not word.isalpha())) and (parts := _SPLIT.fullmatch(word)):
        yield [term for part in parts.groups() if part for term in _terms(part) or [part]]
    has_umlaut = len(word) > 5 and ("ae" in word or "oe" in word or "ue" in word)
    plain = _UMLAUT.sub(r"\1", word) if has_umlaut else word
    whole = 8 < len(word) <= _LONGEST_APART and word.isascii() and word.isalpha() and not begins
    # what documents have is no misspelt name: faeces are no faces, and what fuelled is not full
    if (whole or plain != word) and terms_of(word)[0][0] not in known:
        if plain != word and stem(plain) in known:
            yield (stem(plain),)
        if whole:
            yield from _apart(word, known)


def _apart(word: str, known: Container[str]) -> Iterator[Sequence[str]]:
    """Betablocker, which no document has, is beta blocker."""
    for place in range(4, len(word) - 4):  # a shorter second part would be an ending (ship-ment)
        if (first := stem(word[:place])) in known and (second := stem(word[place:])) in known:
            yield first, second


def _by_list(words: Sequence[str]) -> Iterator[tuple[str, Sequence[str]]]:
    for place in [place for place, word in enumerate(words) if word in _FIRST_WORDS]:
        if words[place] in _NUMBERED:
            yield from _of_a_scale(words[max(0, place - 3) : place + 2])
        for end in range(place + 1, place + 4):
            yield from _listed(" ".join(words[place:end]))


@functools.lru_cache(maxsize=1 << 12)
def _by_hyphen(words: str) -> Sequence[tuple[str, Sequence[str]]]:
    found: list[tuple[str, Sequence[str]]] = []
    for word in _HYPHENED.findall(words):
        parts = word.split("-")
        if len(parts) > 2:
            found.append((word, [stem("".join(parts))]))
        for pair in itertools.pairwise(parts):
            found += _listed("-".join(pair))
    return found


_GERMAN = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue"})


def _listed(name: str) -> Iterator[tuple[str, Sequence[str]]]:
    for other in _OTHERS.get(name, ()):
        yield name, _terms(other)


@functools.lru_cache(maxsize=1 << 12)
def _terms(name: str) -> Sequence[str]:
    return terms(name)


def _of_a_scale(words: Sequence[str]) -> Iterator[tuple[str, Sequence[str]]]:
    """Stage IIB of a scale is its 2B, and the other way round; without the scale's name, stage IB is 1B."""
    *names, word, number = "", "", *words
    found = _NUMBER.fullmatch(number)
    if not found:
        return
    before = names[-2 if names[-1] in _BEFORE_STATUS else -1]
    roman, digits, letter = found.groups()
    plain = number if not (roman or digits) else (digits or ROMAN[roman]) + (letter or "")
    forms = [plain, f"{_ROMANS[digits]}{letter}" if digits in _ROMANS and letter else plain]
    if word == "rads":
        yield f"{before}-rads {number}", _terms(f"{before}rads {plain}")
    elif word == "child" and number not in {"b", "c"}:
        return  # a child, 2 years old
    elif word in _SCALES:
        others = [f"{name} {plain}" for name in _SCALES[word]] + [f"{word} {form}" for form in forms]
        yield from ((f"{word} {number}", _terms(other)) for other in others)
        if word == "ckd":
            yield f"{word} {number}", _terms(f"{word} g{plain}")
    else:
        own = f"{before} {word} {number}"
        # type 1A of anything is no type IA
        named = forms if roman or before in _SCALES or word == "stage" else forms[:1]
        others = [f"{name} {form}" for name in (before, word, *_SCALES.get(before, ())) for form in named]
        yield from ((own, _terms(other)) for other in others if before not in STOP_WORDS or letter)
        if before == "rads":
            yield own, _terms(f"{names[-2]}rads {plain}")
        if before == "ckd":
            yield own, _terms(f"g{plain}")


def _tumour(prefix: str, stage: str) -> list[str]:
    """T2N0 is T2 N0, pT2N0 and cT2N0; T4b is also pT4b and cT4b."""
    parts = re.findall("[A-Z][^A-Z ]+", stage)
    forms = [joint.join(parts) for joint in ("", " ")] if len(parts) > 1 else []
    prefixed = (forms or parts) if not prefix and len(stage) > 2 else []
    return [prefix + form for form in forms] + [kind + form for kind in "pc" for form in prefixed]


def _by_pattern(text: str, lowered: str) -> Iterator[tuple[str, str]]:
    if lowered != text:
        for found in _CAPITALS.finditer(text):
            if found["one"]:
                yield found[0], found[0][:-1]
            elif found["stem"]:
                yield found[0], f"{found[0][:-1]} inhibitor"
            elif found["name"]:
                yield found[0], f"{found[0][:-2]} {ROMAN[found['numeral'].lower()]}"
            elif found["factor"]:
                yield found[0], f"factor {found['factor']}{found['a']}"
            else:  # MenACWY, siRNA
                before = _WORD.findall(text, max(0, found.start() - _LONGEST_JOINED), found.start())[-1]
                yield before + found[0], f"{before} {found[0]}"
    rules = [(lowered, _OF_WORDS if text.isascii() else _OF_WORDS + _CHINESE)]
    if _SIGN.search(text):
        rules.append((text, _OF_SIGNS))
    for searched, some in rules:
        for trigger, pattern, others in some:
            if trigger in lowered:
                for match in pattern.finditer(searched):
                    yield from ((match[0], other) for other in others(match))
