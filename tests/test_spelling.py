"""British and American words are one, in answers, in the reasoning and in search; other words are not."""

from __future__ import annotations

import pytest

from medr3_plugin.retrieval.index.spelling import spellings
from medr3_plugin.spelling import american
from medr3_plugin.text import listed, tokens

PAIRS = listed("""
behavioural:behavioral neurone:neuron manoeuvre:maneuver tumour:tumor tumoural:tumoral tumourigenesis:tumorigenesis
discolouration:discoloration odour:odor labouring:laboring vapour:vapor favourable:favorable harbouring:harboring
catheterise:catheterize catheterisation:catheterization localised:localized generalisable:generalizable
paralyse:paralyze dialyser:dialyzer analysing:analyzing haemolysed:hemolyzed anaemia:anemia anaesthesia:anesthesia
aetiology:etiology caecum:cecum foetus:fetus foetal:fetal oedema:edema oesophagus:esophagus oestrogen:estrogen
diarrhoea:diarrhea apnoeic:apneic coeliac:celiac gynaecology:gynecology paediatric:pediatric orthopaedic:orthopedic
leukaemia:leukemia leucocyte:leukocyte leucorrhoea:leukorrhea ischaemia:ischemia uraemia:uremia naevus:nevus
phaeochromocytoma:pheochromocytoma caesarean:cesarean homoeostasis:homeostasis myxoedema:myxedema haem:heme
pharmacopoeia:pharmacopeia centre:center centred:centered fibre:fiber litre:liter calibre:caliber titre:titer
goitre:goiter programme:program aluminium:aluminum grey:gray mould:mold sulphate:sulfate sulphonamide:sulfonamide
labelling:labeling unlabelled:unlabeled remodelling:remodeling signalling:signaling modelling:modeling
counselling:counseling cancelled:canceled tunnelled:tunneled defence:defense practise:practice disc:disk ageing:aging
judgement:judgment catalogue:catalog analogue:analog artefact:artifact distention:distension fibreoptic:fiberoptic
speciality:specialty orientated:oriented ciclosporin:cyclosporin aciclovir:acyclovir amoxycillin:amoxicillin
""")
OTHERS = listed("""
ileum:ilium dysphagia:dysphasia perineal:peroneal leucine:leukine toe:te callus:callous humeral:humoral
sulfate:sulfite glycerin:glycine discus:disc arteritis:arthritis mucus:mucous apoe:ape haem:hem mucosae:mucose
fibre:fibber adrenaline:noradrenaline ionised:iodised aerobic:erobic
""")


@pytest.mark.parametrize("pair", PAIRS)
def test_british_and_american_words_are_one(pair):
    british, us = pair.split(":")
    for form in ("{}", "{}s") if not british.endswith(("s", "e")) else ("{}",):
        assert tokens(form.format(british)) == tokens(form.format(us))
    assert tokens(f"acute {british}") == tokens(f"Acute {us.capitalize()}")
    assert american(british) == american(us) == spellings(british)[0]


@pytest.mark.parametrize("pair", OTHERS)
def test_words_of_different_meaning_stay_apart(pair):
    one, other = pair.split(":")
    assert tokens(one) != tokens(other)


def test_the_antiepileptics_are_no_emergency_department():
    assert tokens("AED") != tokens("ED")
