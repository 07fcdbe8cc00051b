"""The scorer's parts from its options: entity finder, extractor, sentence encoder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from medr3_plugin.errors import MissingExtra, UserError
from medr3_plugin.judge.base import AnswerJudge
from medr3_plugin.knowledge.extract import EntityFinder, Extractor, LexiconExtractor
from medr3_plugin.knowledge.phrases import PhraseFinder
from medr3_plugin.knowledge.vocabulary import Vocabulary
from medr3_plugin.rewards.encoder import SentenceEncoder, c0_for
from medr3_plugin.rewards.options import AgreementOptions, EncoderOptions, ExtractorOptions

if TYPE_CHECKING:
    from medr3_plugin.judge.llm import LLMJudge
    from medr3_plugin.knowledge.judge_agreement import JudgeAgreement


def entity_finder(options: ExtractorOptions) -> EntityFinder:
    """The vocabulary if one is configured, else phrases."""
    with _naming("extractor.vocabularies"):
        return Vocabulary.load(*options.vocabularies) if options.vocabularies else PhraseFinder()


@contextmanager
def _naming(key: str) -> Iterator[None]:
    try:
        yield
    except MissingExtra:  # names what is to be installed
        raise
    except UserError as error:
        raise UserError(f"medr3.reward.{key}: {error}") from error


def extractor(options: ExtractorOptions, finder: EntityFinder, judge: AnswerJudge | None) -> Extractor:
    """The lexicon extractor, or the judge's model as extractor.

    Raises:
        UserError: the judge extractor is configured without a judge model.
    """
    if options.kind == "lexicon":
        return LexiconExtractor(finder, options.max_triples)
    from medr3_plugin.knowledge.judge_extract import JudgeExtractor

    model = _model(judge, "extractor")
    return JudgeExtractor(model.chat, options.max_triples, model.special_tokens, _max_tokens(model))


def agreement_judge(options: AgreementOptions, judge: AnswerJudge | None) -> JudgeAgreement | None:
    """The judge's model as reader; None where rules compare.

    Raises:
        UserError: it is configured without a judge model.
    """
    if options.kind == "rules":
        return None
    from medr3_plugin.knowledge.judge_agreement import JudgeAgreement

    model = _model(judge, "agreement")
    return JudgeAgreement(model.chat, model.special_tokens, _max_tokens(model))


def _model(judge: AnswerJudge | None, section: str) -> LLMJudge:
    from medr3_plugin.judge.llm import LLMJudge

    if not isinstance(judge, LLMJudge):
        raise UserError(
            f"medr3.reward.{section}.kind: judge needs medr3.reward.judge of kind openai or router"
        )
    return judge


def _max_tokens(model: LLMJudge) -> int:
    """What a list may need, or what the judge is given for a verdict, with its thoughts, if that is more."""
    from medr3_plugin.knowledge.judge_extract import MAX_TOKENS

    given = (model.chat.params.get(name) for name in ("max_tokens", "max_completion_tokens"))
    return max([MAX_TOKENS, *(number for number in given if isinstance(number, int))])


def sentence_encoder(options: EncoderOptions) -> tuple[SentenceEncoder | None, float]:
    """The encoder and its c0; None without a path.

    Raises:
        UserError: the model cannot be loaded, or its c0 is neither given nor known.
        MissingExtra: sentence-transformers is not installed.
    """
    if options.path is None:
        return None, 0.0
    from medr3_plugin.retrieval.index.encoder import Encoder, EncoderConfig

    # first: a wrong path has no c0 either
    with _naming("encoder.path"):
        model = Encoder(EncoderConfig(path=options.path, device=options.device))
    c0 = options.c0 if options.c0 is not None else c0_for(options.path)
    return SentenceEncoder(model, options.batch_size, options.window), c0
