"""verl's FSDP engine for CPUs that computes the tokens which all trajectories begin with once.

With example turns in the prompt most of a trajectory is the same in every trajectory of a micro-batch. verl's engine
computes each copy, its padding and the logits of every token; here a micro-batch is one packed row

    prefix | suffix of trajectory 1 | suffix of trajectory 2 | ...

whose suffixes attend to the prefix and to themselves, and only tokens that the loss reads get logits. The log-probs
and gradients are those of verl's engine. What the packing cannot express (several modalities, sliding windows,
distillation) goes through verl's code unchanged.
"""

from __future__ import annotations

import functools
import inspect
import logging
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention as sdpa
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import repeat_kv, sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask
from verl.utils import tensordict_utils as tu
from verl.utils.model import extract_multi_modal_inputs
from verl.utils.torch_functional import entropy_from_logits, logprobs_from_logits
from verl.workers.engine.fsdp.transformer_impl import FSDPEngineWithLMHead

ATTENTION = "medr3_shared_prefix"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Packing:
    """Where the tokens of a micro-batch are in its packed row, `n` tokens in all before packing.

    Attributes:
        prefix: tokens that all sequences share, computed once.
        tokens: places in the unpacked `n` tokens, in the order of the packed row.
        suffixes: `[sequences, longest suffix]`, places in the packed row; shorter rows are filled with 0.
        is_suffix: of the same shape, False for the filling.
        kept: places in the packed row that get logits.
        predicted: for each of them, the place (of `n`) of the token that it predicts; the predicting token is the one
            before it.
    """

    prefix: int
    tokens: torch.Tensor
    suffixes: torch.Tensor
    is_suffix: torch.Tensor
    kept: torch.Tensor
    predicted: torch.Tensor


def pack(input_ids: torch.Tensor, loss_mask: torch.Tensor) -> Packing:
    """How to pack a micro-batch.

    Args:
        input_ids: jagged `[sequences, tokens]`, prompts and responses.
        loss_mask: jagged `[sequences, response tokens]`, or over prompt and response; not 0 for trained tokens.
    """
    sequences = list(input_ids.unbind())
    masks = [mask.bool() for mask in loss_mask.unbind()]
    starts = [len(ids) - len(mask) for ids, mask in zip(sequences, masks, strict=True)]
    # the last shared token must stay in the suffix if it predicts a trained one
    first_trained = [
        start + int(mask.int().argmax()) if bool(mask.any()) else len(ids)
        for ids, mask, start in zip(sequences, masks, starts, strict=True)
    ]
    limit = max(0, min(*first_trained, *map(len, sequences)) - 1)
    heads = torch.stack([ids[:limit] for ids in sequences])
    same = (heads == heads[0]).all(dim=0)
    prefix = int(same.int().cumprod(dim=0).sum()) if limit else 0

    tokens = [torch.arange(prefix)]
    kept, predicted = [], []
    lengths = [len(ids) - prefix for ids in sequences]
    suffixes = torch.zeros(len(sequences), max(lengths), dtype=torch.long)
    packed, unpacked = prefix, 0
    for row, (ids, mask, start, length) in enumerate(zip(sequences, masks, starts, lengths, strict=True)):
        tokens.append(torch.arange(unpacked + prefix, unpacked + len(ids)))
        suffixes[row, :length] = torch.arange(packed, packed + length)
        trained = start + mask.nonzero().squeeze(-1)
        trained = trained[trained > 0]
        kept.append(packed + trained - 1 - prefix)
        predicted.append(unpacked + trained)
        packed += length
        unpacked += len(ids)
    if not sum(map(len, kept)):
        # rows that verl filled the batch up with: a loss of 0 still needs something to come from
        kept, predicted = [torch.tensor([0])], [torch.tensor([1])]
    return Packing(
        prefix=prefix,
        tokens=torch.cat(tokens),
        suffixes=suffixes,
        is_suffix=torch.arange(max(lengths)) < torch.tensor(lengths)[:, None],
        kept=torch.cat(kept),
        predicted=torch.cat(predicted),
    )


def shared_prefix_attention(  # noqa: PLR0917 (the interface of transformers)
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    medr3_packing: Packing | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """Attention over a packed row (transformers' attention interface); without a packing, transformers' `sdpa`.

    Args:
        query: `[1, heads, tokens, head size]`.
        key: `[1, key heads, tokens, head size]`, as `value`.
        medr3_packing: how the row was packed.

    Returns:
        `[1, tokens, heads, head size]` and None.
    """
    if medr3_packing is None:
        return sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **kwargs
        )
    groups = query.shape[1] // key.shape[1]
    key, value = repeat_kv(key, groups), repeat_kv(value, groups)
    prefix, places = medr3_packing.prefix, medr3_packing.suffixes
    rows, longest = places.shape

    def suffixes(states: torch.Tensor) -> torch.Tensor:  # [rows, heads, longest, head size]
        return states[0][:, places].transpose(0, 1)

    def with_prefix(states: torch.Tensor) -> torch.Tensor:
        return torch.cat([states[:, :, :prefix].expand(rows, -1, -1, -1), suffixes(states)], dim=2)

    # filling is at the end of a suffix, where no token of the suffix sees it
    visible = torch.ones(longest, prefix + longest, dtype=torch.bool).tril(diagonal=prefix)
    own = sdpa(
        suffixes(query), with_prefix(key), with_prefix(value), visible, dropout_p=dropout, scale=scaling
    )
    output = own.transpose(1, 2)[medr3_packing.is_suffix]
    if prefix:
        heads = [states[:, :, :prefix] for states in (query, key, value)]
        shared = sdpa(heads[0], heads[1], heads[2], dropout_p=dropout, is_causal=True, scale=scaling)
        output = torch.cat([shared[0].transpose(0, 1), output])
    return output.unsqueeze(0), None


def register_attention() -> None:
    """Make the attention known to transformers by its name."""
    AttentionInterface.register(ATTENTION, shared_prefix_attention)
    AttentionMaskInterface.register(ATTENTION, sdpa_mask)  # for what goes through verl's code


def can_pack(module: torch.nn.Module) -> bool:
    """Whether the model's attention is plain causal attention through transformers' interface, on text alone."""
    config: Any = module.config
    kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
    return (
        config._attn_implementation == "sdpa"
        and kinds == {"full_attention"}
        and not getattr(config, "sliding_window", None)
        and not hasattr(config, "vision_config")
        and "logits_to_keep" in inspect.signature(module.forward).parameters
    )


class SharedPrefixEngine(FSDPEngineWithLMHead):
    """verl's engine with packed micro-batches; see the module's docstring."""

    def _build_module(self) -> Any:
        module = super()._build_module()
        self._packs = can_pack(module)
        if self._packs:
            register_attention()
            module.set_attn_implementation(ATTENTION)
        return module

    def prepare_model_inputs(self, micro_batch: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """The packed row, where verl gives a padded rectangle."""
        if reason := obstacle(micro_batch) if self._packs else "the model's attention":
            _warn_unpacked(reason)
            return super().prepare_model_inputs(micro_batch)
        packing = pack(micro_batch["input_ids"], micro_batch["loss_mask"])
        inputs = {
            "input_ids": micro_batch["input_ids"].values()[packing.tokens][None],
            "position_ids": micro_batch["position_ids"].values()[packing.tokens][None],
            # transformers leaves a mask of four dimensions as it is; the attention above needs none
            "attention_mask": torch.ones(1, 1, 1, 1, dtype=torch.bool),
            "logits_to_keep": packing.kept,
            "medr3_packing": packing,
        }
        return inputs, {"packing": packing}

    def prepare_model_outputs(
        self, output: Any, output_args: dict[str, Any], micro_batch: Any, logits_processor_func: Any
    ) -> dict[str, Any]:
        """Log-probs (and entropies) in verl's jagged layout: 0 where the loss does not read them."""
        if "packing" not in output_args:
            return super().prepare_model_outputs(output, output_args, micro_batch, logits_processor_func)
        packing: Packing = output_args["packing"]
        input_ids = micro_batch["input_ids"]
        offsets, total = input_ids.offsets(), input_ids.values()
        logits = output.logits[0].float()
        temperature = micro_batch["temperature"]
        if isinstance(temperature, torch.Tensor) and temperature.numel() > 1:
            row = torch.bucketize(packing.predicted, offsets[1:], right=True)
            logits = logits / temperature.float().flatten()[row, None]
        else:
            logits = logits / float(temperature)

        def jagged(values: torch.Tensor) -> torch.Tensor:
            everywhere = torch.zeros(len(total), dtype=values.dtype).scatter(0, packing.predicted - 1, values)
            return torch.nested.nested_tensor_from_jagged(everywhere, offsets)

        outputs = {}
        if tu.get_non_tensor_data(data=micro_batch, key="calculate_entropy", default=False):
            outputs["entropy"] = jagged(entropy_from_logits(logits))
        outputs["log_probs"] = jagged(logprobs_from_logits(logits=logits, labels=total[packing.predicted]))
        return outputs


def obstacle(micro_batch: Any) -> str:
    """What of a micro-batch the packing cannot express; empty for text alone over dense positions."""
    if micro_batch["position_ids"].dim() != 2:
        return "position_ids of several dimensions"
    # verl sends an empty dict for every trajectory of text
    if extract_multi_modal_inputs(micro_batch.get("multi_modal_inputs", [])):
        return "multi_modal_inputs"
    wanted = (
        "use_remove_padding",
        "use_fused_kernels",
        "calculate_sum_pi_squared",
        "distillation_use_topk",
        "distillation_only",
    )
    return next(
        (key for key in wanted if tu.get_non_tensor_data(data=micro_batch, key=key, default=False)), ""
    )


@functools.cache
def _warn_unpacked(reason: str) -> None:
    _log.warning("trajectories are computed one by one, two to three times slower: %s", reason)
