"""The filter of copies in pieces: any order, any filling, several texts; honest quotations stay."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from medr3_plugin.knowledge.text import word_forms
from medr3_plugin.rewards.copying import RUN, Source, without_copies

SENTENCES = [
    "Patients with Marfan syndrome need imaging of the aortic root every year.",
    "Dilation of the root goes on unnoticed in more than half of them.",
    "Beta blockers slow it, and losartan does so in children.",
    "Surgery is advised from a diameter of fifty millimetres on.",
]
SOURCE = Source(word_forms(" ".join(SENTENCES)))
OWN = "This man is taller than his brothers, his lenses are displaced, and his father died young. "


def left(texts, sources=(SOURCE,)):
    return " ".join(without_copies(texts, sources, Source([])))


def test_sentences_in_any_order_with_any_filling_over_several_texts():
    for seed in range(5):
        shuffled = random.Random(seed).sample(SENTENCES, 4)
        for text in ([" ".join(shuffled)], [" and as we all know only too well ".join(shuffled)], shuffled):
            kept = left(text)
            assert not set(word_forms(kept)) & {"marfan", "dilation", "losartan", "millimeter"}, kept


def test_most_of_a_text_from_two_long_documents():
    rest = " ".join(f"word{i}" for i in range(300))
    others = [Source(word_forms(f"{' '.join(SENTENCES[i : i + 2])} {SENTENCES[0]} {rest}")) for i in (1, 2)]
    assert "losartan" not in left([" ".join(reversed(SENTENCES))], others)


def test_a_quotation_among_own_words_stays():
    for text in (f"{OWN * 2}{SENTENCES[2]} {OWN}", f"{SENTENCES[3]} {OWN}{SENTENCES[2]}"):
        assert left([text]) == text


def test_a_few_findings_of_a_long_document_stay():
    long = Source(word_forms(" ".join(SENTENCES) + " " + " ".join(f"word{i}" for i in range(300))))
    text = f"{OWN * 3}{SENTENCES[2]} {OWN}{SENTENCES[3]} {OWN}{SENTENCES[2]}"
    assert left([text], [long]) == text


def test_chinese_characters_count_as_half_a_word():
    source = "马方综合征患者每年需要检查主动脉根部因为扩张往往不被察觉而继续发展并且手术指征是直径五十毫米"
    text = f"{source[20:]}。{source[:20]}"
    assert left([text[:22]], [Source(word_forms(source))]) == text[:22]
    assert left([text * 2], [Source(word_forms(source))]).strip(" 。") != text * 2


@given(st.lists(st.sampled_from("abcdefgh"), max_size=80), st.lists(st.sampled_from("abcdefgh"), max_size=80))
def test_only_copied_words_are_cut(text, source):
    kept = word_forms(left([" ".join(text)], [Source(source)]))
    assert len(kept) == len(text) or len(text) - len(kept) >= RUN


def test_a_chinese_fact_in_other_words_is_the_models_own():
    document = (
        "有机磷抑制胆碱酯酶，使乙酰胆碱在突触处蓄积。毒蕈碱样症状包括流涎、多汗和瞳孔缩小，烟碱样症状包括肌束颤动。"
        "阿托品阻断毒蕈碱受体，但不能恢复胆碱酯酶活力。氯解磷定使磷酰化的胆碱酯酶恢复活力，应尽早使用。"
    )
    restated = (
        "有机磷抑制胆碱酯酶，所以乙酰胆碱蓄积；流涎、多汗属于毒蕈碱样症状，肌束颤动属于烟碱样症状。"
        "阿托品只阻断毒蕈碱受体，氯解磷定才使胆碱酯酶恢复活力。"
    )
    source = Source(word_forms(document))
    assert left([restated], [source]) == restated
    assert left([f"我认为{document}"], [source]).strip("，。、 ") == "我认为"
