"""The messages to a judge model: a rubric as the system message, the case as the user message.

The rubrics are text files in `prompts/`: `answer` and `rare_disease`, in English and Chinese. The student's
answer is fenced by a marker line made from a hash of that answer: no answer can contain its own fence, and
the same case always makes the same prompt (the store of replies needs that). Nothing in a case can be a control
token of the judge's chat template.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from string import Template

from medr3_plugin.llm.control_tokens import as_data, fence
from medr3_plugin.llm.prompt_file import prompt
from medr3_plugin.text import fold, has_cjk, plain

PROMPTS = Path(__file__).parent / "prompts"
RARE_DISEASE_DATASETS = frozenset(
    ("rarearena", "rarearena_rdc", "rarearena_rds", "rare_disease", "phenopacket_store")
)
"""Datasets judged by the rare-disease rubric, in any case."""

MAX_QUESTION_CHARS = 8_000
"""A longer question is cut in the middle: the case is at its start, what is asked at its end."""


MAX_ALIASES = 20
"""Accepted answers shown to the judge, the preferred ones first."""


def messages(
    *,
    question: str,
    answer: str,
    answers: Sequence[str],
    options: Mapping[str, str] | None,
    rare_disease: bool,
    special_tokens: Collection[str] = (),
) -> list[dict[str, str]]:
    """Chat messages that ask for a verdict on `answer`; in Chinese if the question is Chinese.

    The rare-disease rubric does not show the question: whether two names mean the same disease does not depend on the
    case, and less text means fewer distractions.

    Args:
        question, answer, answers, options: as in `AnswerJudge.verdict`.
        rare_disease: whether the rare-disease rubric is used.
        special_tokens: control tokens of the judge's tokenizer besides the usual kinds.
    """
    language = "zh" if has_cjk(question) or has_cjk(answers[0]) else "en"
    rubric, case = ("rare_disease", "rare_case") if rare_disease else ("answer", "case")
    answer = as_data(plain(answer), special_tokens)
    gold = {fold(name) for name in answers}
    texts = [str(text) for text in (options or {}).values() if text is not None and text != ""]
    distractors = [text for text in texts if fold(text) not in gold]
    user = Template(prompt(PROMPTS / f"{case}.{language}.txt")).substitute(
        question=as_data(_shortened(question), special_tokens),
        answers=as_data(_bullets(answers[:MAX_ALIASES]), special_tokens),
        distractors=as_data(_bullets(distractors), special_tokens) if distractors else "-",
        answer=answer,
        mark=fence(answer),
    )
    system = prompt(PROMPTS / f"{rubric}.{language}.txt")
    return [{"role": "system", "content": system}, {"role": "user", "content": user}]


def is_rare_disease(dataset: str) -> bool:
    """Whether `dataset` is judged by the rare-disease rubric."""
    return dataset.casefold() in RARE_DISEASE_DATASETS


def _bullets(texts: Sequence[str]) -> str:
    return "\n".join(f"- {' '.join(text.split())}" for text in texts)


def _shortened(question: str) -> str:
    if len(question) <= MAX_QUESTION_CHARS:
        return question
    half = MAX_QUESTION_CHARS // 2
    return f"{question[:half]}\n[...]\n{question[-half:]}"
