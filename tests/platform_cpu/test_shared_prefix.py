"""Packed micro-batches give verl's own log-probs, entropies and gradients."""

from __future__ import annotations

import copy

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("verl")

from verl.workers.engine.fsdp.transformer_impl import FSDPEngine, FSDPEngineWithLMHead  # noqa: E402

from medr3_plugin.platform_cpu.shared_prefix import SharedPrefixEngine, can_pack, pack  # noqa: E402

TEMPLATE = [1, 2, 3, 4, 5, 6, 7, 8]
# prompt, response, trained tokens of the response
SAMPLES = {
    "one group": [([*TEMPLATE, 9], [10, 11, 12], [1, 0, 1]), ([*TEMPLATE, 9], [10, 13], [1, 1])],
    "several prompts": [
        ([*TEMPLATE, 20, 21], [10, 11, 12, 13, 14], [1, 1, 0, 0, 1]),
        ([*TEMPLATE, 22], [10], [1]),
        ([*TEMPLATE, 20, 23, 24], [30, 31, 32], [0, 1, 1]),
    ],
    "nothing shared": [([2, 3], [4, 5], [1, 1]), ([6], [7, 8, 9], [1, 0, 1])],
    "alone": [(TEMPLATE, [9, 10], [1, 1])],
    "all the same": [([1, 2], [3], [1]), ([1, 2], [3], [1])],
    "one begins like the other ends": [([1, 2], [3, 4], [1, 1]), ([1, 2, 3], [4], [1])],
    "nothing trained": [([*TEMPLATE, 9], [10, 11], [0, 0]), ([*TEMPLATE, 9], [12, 13], [0, 0])],
    "nothing trained in one": [([*TEMPLATE, 9], [10, 11], [0, 0]), ([*TEMPLATE, 9], [12, 13], [1, 1])],
}


@pytest.fixture(scope="module")
def config():
    from transformers import LlamaConfig

    return LlamaConfig(
        vocab_size=40,
        hidden_size=24,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=6,
        num_key_value_heads=2,
        attn_implementation="sdpa",
    )


def micro_batch(samples, temperature, **flags):
    from tensordict import NonTensorData, NonTensorStack, TensorDict
    from verl.utils import tensordict_utils as tu

    def jagged(rows):
        return torch.nested.as_nested_tensor([torch.tensor(row) for row in rows], layout=torch.jagged)

    data = TensorDict(
        {
            "input_ids": jagged([prompt + response for prompt, response, _ in samples]),
            "position_ids": jagged(
                [list(range(len(prompt) + len(response))) for prompt, response, _ in samples]
            ),
            "loss_mask": jagged([mask for _, _, mask in samples]),
        },
        batch_size=[len(samples)],
    )
    if isinstance(temperature, list):
        data["temperature"] = torch.tensor(temperature)
    else:
        tu.assign_non_tensor(data, temperature=temperature)
    tu.assign_non_tensor(data, use_remove_padding=False, calculate_entropy=True, **flags)
    # an empty dict each, as verl's agent loop sends text
    data["multi_modal_inputs"] = NonTensorStack(*[NonTensorData({}) for _ in samples])
    return data


def outputs(engine_class, config, data):
    """Log-probs, entropies and gradients of `engine_class`, on the same weights every time."""
    from transformers import LlamaForCausalLM

    class InOneProcess(engine_class):
        def __init__(self):
            self.use_ulysses_sp, self.pad_to_length, self.compute_entropy_from_logits = False, None, None
            self.engine_config = type("Config", (), {"entropy_checkpointing": False})
            self.module = self._build_module()

    def build(_):
        torch.manual_seed(0)
        return LlamaForCausalLM(copy.deepcopy(config))  # the engine changes its attention

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FSDPEngine, "_build_module", build)
        engine = InOneProcess()
    inputs, arguments = engine.prepare_model_inputs(data)
    raw = engine.module(**inputs, use_cache=False)
    found = engine.prepare_model_outputs(raw, arguments, data, None)
    trained = trained_places(data)
    weights = torch.linspace(0.5, 2, int(trained.sum()))
    loss = (found["log_probs"].values()[trained] * weights).sum() + found["entropy"].values()[trained].sum()
    loss.backward()
    gradients = torch.cat([p.grad.flatten() for p in engine.module.parameters()])
    return {key: value.values()[trained].detach() for key, value in found.items()}, gradients, arguments


def trained_places(data):
    """Places of the predictions that the loss reads: one before each trained token."""
    places = []
    for ids, mask in zip(data["input_ids"].unbind(), data["loss_mask"].unbind(), strict=True):
        place = torch.zeros(len(ids), dtype=torch.bool)
        place[len(ids) - len(mask) - 1 : len(ids) - 1] = mask.bool()
        places.append(place)
    return torch.cat(places)


@pytest.mark.parametrize("temperature", [1.0, 0.6, "per sample"])
@pytest.mark.parametrize("samples", SAMPLES.values(), ids=SAMPLES)
def test_same_as_verls_engine(samples, temperature, config):
    if temperature == "per sample":
        temperature = [0.5 + 0.25 * i for i in range(len(samples))]
    data = micro_batch(samples, temperature)
    expected, gradients, _ = outputs(FSDPEngineWithLMHead, config, data)
    found, own_gradients, arguments = outputs(SharedPrefixEngine, config, data)
    assert "packing" in arguments
    for key, values in expected.items():
        torch.testing.assert_close(found[key], values, msg=key)
    torch.testing.assert_close(own_gradients, gradients, atol=1e-5, rtol=1e-4)


def test_the_shared_tokens_are_packed_once():
    samples = SAMPLES["several prompts"]
    data = micro_batch(samples, 1.0)
    packing = pack(data["input_ids"], data["loss_mask"])
    assert packing.prefix == len(TEMPLATE)
    assert len(packing.tokens) == len(TEMPLATE) + sum(
        len(prompt) + len(response) - len(TEMPLATE) for prompt, response, _ in samples
    )


def test_what_it_cannot_pack_goes_through_verls_code(config):
    data = micro_batch(SAMPLES["one group"], 1.0, calculate_sum_pi_squared=True)
    found, _, arguments = outputs(SharedPrefixEngine, config, data)
    assert "sum_pi_squared" in found and "packing" not in arguments


def test_sliding_windows_are_not_packed():
    from transformers import MistralConfig, MistralForCausalLM

    sizes = {"vocab_size": 8, "hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1}
    heads = {"num_attention_heads": 1, "num_key_value_heads": 1, "attn_implementation": "sdpa"}
    assert not can_pack(MistralForCausalLM(MistralConfig(**sizes, **heads, sliding_window=4)))
    assert can_pack(MistralForCausalLM(MistralConfig(**sizes, **heads, sliding_window=None)))
