"""Is a batch the same as its rows alone? A few probes at start-up, before a wrong mask or kernel can write labels.

Knows how to compute logits three ways; what follows from the verdict is decided in `loading`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from PIL import Image
from transformers import GenerationConfig

from relabel.engine.api.request import Request
from relabel.engine.model.collate import PER_TOKEN, collate
from relabel.engine.model.traits import is_paddable
from relabel.engine.runner.forward import Forward, RaggedAttention
from relabel.engine.runner.kernels import Kernels
from relabel.engine.scheduling.step import DecodeRow, Layout, PrefillChunk, Step

if TYPE_CHECKING:
    from transformers import BatchFeature, PreTrainedModel, PreTrainedTokenizerBase, ProcessorMixin
    from transformers.generation.utils import GenerateDecoderOnlyOutput

TOLERANCE = {torch.float32: 1e-3, torch.float64: 1e-3, torch.bfloat16: 0.2, torch.float16: 0.2}
"""Of the distance between two sets of logits over their own spread. Rounding of a whole model gives 1e-6 in float32 and
some 0.03 in bfloat16 (more where experts are chosen); a wrong mask or position gives about 1."""
LENGTHS = (19, 2, 47, 7)
"""Tokens of the probes: mixed, and one longer than the narrow windows of small models."""


class Probes:
    """The logits of the first and the second new token of a few rows, alone and batched.

    `with_image` is one more row, of a model that sees: packing hands the features over apart from the pixels.
    """

    @torch.inference_mode()
    def __init__(
        self, model: PreTrainedModel, with_image: Request | None = None, kernels: Kernels | None = None
    ) -> None:
        self._model, self._kernels = model, kernels or Kernels.of(model.device)
        prompts = _prompts(model, LENGTHS if is_paddable(model) else LENGTHS[:1] * len(LENGTHS))
        self._rows = [Request(id=row, prompt_ids=prompt) for row, prompt in enumerate(prompts)]
        if with_image is not None:
            self._rows.append(replace(with_image, id=len(self._rows)))
        first = [self._generated([row]) for row in self._rows]
        self._longer = [_longer(row, int(logits.argmax())) for row, logits in zip(self._rows, first, strict=True)]
        self._alone = torch.cat([*first, *(self._generated([row]) for row in self._longer)])

    @property
    def are_finite(self) -> bool:
        """Whether the model gives numbers at all."""
        return bool(self._alone.isfinite().all())

    def difference(self, batched: Callable[[], torch.Tensor]) -> float:
        """How far batched logits are from those alone, over the spread of these; infinite where they are not finite."""
        with torch.inference_mode():
            apart = (batched() - self._alone).norm(dim=-1) / (self._alone - self._alone.mean(-1, keepdim=True)).norm(
                dim=-1
            )
        worst = apart.max().item()
        return worst if worst == worst else float("inf")

    def padded(self) -> torch.Tensor:
        """As the static engine computes them: left-padded, by `generate`."""
        return torch.cat([self._generated(self._rows), self._generated(self._longer)])

    def ragged(self) -> torch.Tensor:
        """As the continuous engine computes them: prompts in one stream, the second token through the slots.

        On a CPU that of some is a draft token.
        """
        forward, requests = Forward(self._model, self._kernels), {row.id: row for row in self._rows}
        newest = [row.prompt_ids[-1] for row in self._longer]
        # the last token of the prompt once more, and the second one as its draft
        drafted = [] if self._kernels.capture else self._rows[::2]
        drafts = {row.id: [row.prompt_ids[-1], newest[row.id]] for row in drafted}
        longest = max(len(row.prompt_ids) for row in self._longer)
        forward.lay_out(Layout.of_rows(len(self._rows), longest, forward.block_tokens))
        first: dict[int, torch.Tensor] = {}
        with RaggedAttention(self._model):
            for with_images in (False, True):  # never in one step, as in the scheduler
                rows = [row for row in self._rows if bool(row.tensors) == with_images]
                chunks = [PrefillChunk(row.id, row.id, 0, len(row.prompt_ids), is_last=True) for row in rows]
                if chunks:
                    logits, order = forward.run(Step((), tuple(chunks)), requests)
                    first.update({row: logits[at] for at, row in enumerate(order)})
            forward.set_newest(range(len(newest)), torch.tensor(newest, device=self._model.device))
            live = tuple(
                DecodeRow(row.id, row.id, len(row.prompt_ids) - (row.id in drafts), int(row.id in drafts))
                for row in self._rows
            )
            num_runs = self._kernels.first_uses if self._kernels.capture else 1  # the last one is replayed
            second, order = [forward.run(Step(live, ()), requests, drafts) for _ in range(num_runs)][-1]
        last = {row: at for at, row in enumerate(order)}
        second = second[[last[row.id] for row in self._rows]]
        return torch.cat([torch.stack([first[row.id] for row in self._rows]), second]).float()

    def _generated(self, rows: Sequence[Request]) -> torch.Tensor:
        own, self._model.generation_config = self._model.generation_config, GenerationConfig()
        config = GenerationConfig(
            max_new_tokens=1, do_sample=False, output_logits=True, return_dict_in_generate=True, pad_token_id=0
        )
        try:
            generate = cast("Callable[..., GenerateDecoderOnlyOutput]", self._model.generate)
            output = generate(**collate(rows, 0, self._model.device), generation_config=config)
        finally:
            self._model.generation_config = own
        return cast("tuple[torch.Tensor, ...]", output.logits)[0].float()


def image_probe(processor: PreTrainedTokenizerBase | ProcessorMixin) -> Request | None:
    """A row with an image of noise, as the processor of a model that sees makes it; None where it makes none."""
    token = getattr(processor, "image_token", None)
    if token is None or getattr(processor, "image_processor", None) is None:
        return None
    noise = np.random.default_rng(0).integers(0, 256, (56, 84, 3), dtype=np.uint8)
    process = cast("Callable[..., BatchFeature]", processor)
    batch = process(text=[f"{token} a"], images=[Image.fromarray(noise)], return_tensors="pt")
    tensors = {name: np.asarray(value) for name, value in batch.items() if name not in ("input_ids", "attention_mask")}
    return Request(id=0, prompt_ids=batch["input_ids"][0].tolist(), tensors=tensors)


def _longer(row: Request, token: int) -> Request:
    """The row with its first new token; what its processor says of each token goes on with 0, for text."""
    tensors = {
        name: np.pad(value, ((0, 0), (0, 1))) if name in PER_TOKEN else value for name, value in row.tensors.items()
    }
    return replace(row, prompt_ids=[*row.prompt_ids, token], tensors=tensors)


def _prompts(model: PreTrainedModel, lengths: Sequence[int]) -> list[list[int]]:
    """Ids strewn over the vocabulary, none of them one that the config gives a meaning (images, padding, ends)."""
    config = model.config
    named = [value for part in (config, config.get_text_config(decoder=True)) for value in part.to_dict().items()]
    special = {id for name, value in named if name.endswith(("token_id", "token_index")) for id in _ids(value)}
    vocab_size = config.get_text_config(decoder=True).vocab_size
    plain = [id for id in range(min(vocab_size, 50_000)) if id not in special]
    steps = iter(range(sum(lengths)))
    return [[plain[next(steps) * 7919 % len(plain)] for _ in range(length)] for length in lengths]


def _ids(value: object) -> list[int]:
    return [value] if isinstance(value, int) else list(value) if isinstance(value, list | tuple) else []
