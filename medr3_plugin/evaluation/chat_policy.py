"""Evaluates a server that only has `/v1/chat/completions`, and detects what a server supports.

The tag protocol over chat messages: the model is stopped at `</search>`, gets the documents, and continues. How it gets
them decides what it sees, so that is chosen once and recorded:

* `chat`: the assistant's message is continued (`continue_final_message`: vLLM, SGLang). The model sees what
  it saw in training.
* `chat-turns`: the documents are the next user message, and the model begins another one. Any chat server can
  do that; it is not what a policy was trained on.

A chat server may cut the stop string off without saying which one it was. So generation only stops where the
text tells, in an open search or answer; a document that the model writes itself is read to its end, and the
environment sees that it is forged.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle
from typing import Any

from medr3_plugin.environment.episode import Generate, Generation
from medr3_plugin.evaluation.policy import (
    OPENED_BY,
    EndpointPolicy,
    Message,
    PolicyFailure,
    Sampling,
    trajectory_seed,
    with_stop,
)

NOTES: dict[str, str] = {
    "completions": "",
    "chat": "Asked over /v1/chat/completions, the assistant's message continued after documents.",
    "chat-turns": "Asked over /v1/chat/completions, documents as user messages: the prompts are not those of "
    "training.",
}
"""The ways to query a server, and what a reader of the results should know about each."""

_CONTINUE = {"continue_final_message": True, "add_generation_prompt": False}


class ChatPolicy(EndpointPolicy):
    """A chat server, see the module.

    Args:
        tokenizer: measures the budgets of documents and response. The model's own, or any other where that
            cannot be had: none of its tokens is sent.
        continued: whether the assistant's message is continued (`chat`), else `chat-turns`.
    """

    def __init__(self, url: str, model: str, tokenizer: Any, *, continued: bool) -> None:
        super().__init__(url, model, tokenizer)
        self.continued = continued

    def sampler(self, sampling: Sampling, number: int, prompt: Sequence[Message]) -> Generate:
        """The generator for one trajectory."""
        begun = prompt[-1]["content"] if prompt[-1]["role"] == "assistant" else ""
        asked = list(prompt[:-1] if begun else prompt)
        pieces: list[str] = []  # in turns what the model said and what it was shown
        known = 0  # tokens up to the end of the last piece
        seed = trajectory_seed(sampling, number, prompt)

        def messages() -> list[Message]:
            if not self.continued:
                roles = cycle(("assistant", "user"))
                turns = zip(roles, pieces, strict=False)
                return [*asked, *({"role": role, "content": piece or "Go on."} for role, piece in turns)]
            own = begun + "".join(pieces)
            return [*asked, {"role": "assistant", "content": own}] if own else asked

        async def generate(token_ids: list[int], *, stop: list[str], max_tokens: int) -> Generation:
            nonlocal known
            if pieces:
                pieces.append(self.tokenizer.decode(token_ids[known:], skip_special_tokens=True))
            request = messages()
            stop = [string for string in stop if string in OPENED_BY]
            body = {
                "messages": request,
                "stop": stop,
                "max_tokens": max_tokens,
                "seed": seed + len(pieces) // 2,
                **(_CONTINUE if request[-1]["role"] == "assistant" else {}),
            }
            choice = await self._choice("/chat/completions", sampling, body)
            text = self._text(choice, stop)
            if begun and not pieces and not self.continued:
                text = text.lstrip().removeprefix(begun)  # it was not told that this is there already
            ids = self.tokenizer.encode(text, add_special_tokens=False)[:max_tokens]
            pieces.append(self.tokenizer.decode(ids, skip_special_tokens=True))
            known = len(token_ids) + len(ids)
            return Generation(ids, cut=choice.get("finish_reason") == "length")

        return generate

    def _text(self, choice: dict[str, Any], stop: Sequence[str]) -> str:
        """What the model said, with the stop string at which it was cut off."""
        message = choice["message"]
        text: str = message.get("content") or ""
        if not text and (message.get("reasoning_content") or message.get("reasoning")):
            raise PolicyFailure(
                f"{self.url} removes the reasoning, and the searches in it, from its replies: start it "
                "without a reasoning parser",
                "no_output",
            )
        return with_stop(choice, text, stop)


def endpoint(api: str, url: str, model: str, tokenizer: Any) -> EndpointPolicy:
    """The policy that queries a server by `api`."""
    if api == "completions":
        return EndpointPolicy(url, model, tokenizer)
    return ChatPolicy(url, model, tokenizer, continued=api == "chat")


async def find_api(policy: EndpointPolicy) -> str:
    """What the server of `policy` has: `completions` before `chat` before `chat-turns`; four tokens are made.

    A server that ignores `continue_final_message` answers all the same. It is told by the prompt's length:
    a continued message has no end mark and no new turn behind it.

    Raises:
        PolicyFailure: it supports none of them, or does not answer.
    """
    ids = policy.tokenizer.encode("Count to five.", add_special_tokens=False)
    if await policy.probe("/completions", prompt=ids) is not None:
        return "completions"
    messages = [{"role": "user", "content": "Count to five."}, {"role": "assistant", "content": "One, two,"}]
    if await policy.probe("/chat/completions", messages=messages[:1]) is None:
        raise PolicyFailure(
            f"{policy.url} answers neither /completions nor /chat/completions for model {policy.model!r}: "
            f"check the address and --model-name; it said: {policy.refusal}",
            "status_404",
        )
    whole = await policy.probe("/chat/completions", messages=messages)
    continued = await policy.probe("/chat/completions", messages=messages, **_CONTINUE)
    return "chat" if whole and continued and continued < whole else "chat-turns"
