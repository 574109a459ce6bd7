"""One step of the scheduler as one forward of the model: a stream of tokens in, logits of the rows that go on out.

Knows the model, its slots and the prompts of the rows in flight; not how tokens are chosen or where a row ends.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol, cast

import torch

from relabel.engine.api.request import Request
from relabel.engine.model.collate import PER_TOKEN, collate
from relabel.engine.model.sizes import max_tokens
from relabel.engine.model.traits import takes_features
from relabel.engine.model.upload import upload
from relabel.engine.runner.attention import NAME, Ragged
from relabel.engine.runner.cuda_graphs import Graphs
from relabel.engine.runner.draft_attention import FEW
from relabel.engine.runner.flash import Span, spans_of_decoded
from relabel.engine.runner.kernels import Kernels
from relabel.engine.runner.kv_cache import KVCache
from relabel.engine.runner.prefill_attention import by_shape, group_chunks
from relabel.engine.runner.stream import Stream
from relabel.engine.scheduling.step import DecodeRow, Layout, PrefillChunk, Step

if TYPE_CHECKING:
    from transformers import PreTrainedModel


FindAxes = Callable[..., tuple[torch.Tensor, torch.Tensor]]
"""From the tensors of a row to its positions on three axes, and how far those of its text are shifted."""


PLACED = ("mm_token_type_ids", "image_grid_thw")
"""What such a function needs of a row beside its tokens."""


class Sees(Protocol):
    """A model with a vision tower."""

    def get_image_features(self, **tensors: object) -> object: ...


class Forward:
    """Computes steps on one model. While it does, the model's text attention is the ragged one."""

    def __init__(self, model: PreTrainedModel, kernels: Kernels | None = None) -> None:
        self.model = model
        self.device: torch.device = model.device
        kernels = kernels or Kernels.of(self.device)
        self.block_tokens = kernels.block_tokens
        self.kv_cache = KVCache(Layout(0, 0, self.block_tokens))
        self._newest_S = torch.zeros(0, dtype=torch.long, device=self.device)
        """The newest token of each slot, on the device: the next step needs no look at the host."""
        self._image_token = getattr(model.config, "image_token_id", None)
        self._find_axes: FindAxes | None = getattr(model.base_model, "get_rope_index", None)
        """Of models whose positions have three axes (M-RoPE)."""
        self._takes_features = takes_features(model)
        self._flash, capture = kernels.flash, kernels.capture
        self._graphs = capture and Graphs(capture, buckets=kernels.buckets, first_uses=kernels.first_uses)
        """Of decode steps over these slots."""
        self._positions: dict[int, tuple[torch.Tensor | None, int]] = {}
        """Of rows with images: positions [3, prompt] and how far decoding is shifted against the slot's positions."""

    def lay_out(self, layout: Layout) -> None:
        """Slots and blocks of another number; what the old ones held is forgotten."""
        self.kv_cache = KVCache(layout, self.device, most_tokens=max_tokens(self.model))
        self._newest_S = torch.zeros(layout.num_slots, dtype=torch.long, device=self.device)
        if self._graphs is not None:
            self._graphs.forget()

    def run(
        self, step: Step, requests: dict[int, Request], drafts: Mapping[int, Sequence[int]] | None = None
    ) -> tuple[torch.Tensor, list[int]]:
        """Logits [R, vocabulary] and the R rows they are for: the decoded ones, those with drafts, then those whose
        prompt is complete.

        `drafts` holds, for rows with one, the newest token and the draft; such a row has logits for each of these.
        """
        decode_rows = sorted(step.decode_rows, key=lambda row: (row.num_drafted > 0, row.slot))
        plain = [row for row in decode_rows if not row.num_drafted]
        if self._graphs is not None and not step.chunks and plain == decode_rows and self.kv_cache.are_by_token:
            table = [(row.slot, row.position, row.position + self._shift(row.row)) for row in decode_rows]
            if (logits_RV := self._graphs.run(self._decode, table, self.device)) is not None:
                return logits_RV, [row.row for row in decode_rows]
        chunks = sorted(step.chunks, key=by_shape)
        stream = Stream.of(decode_rows, drafts or {}, chunks, requests)
        slots_T, positions_T = (upload(each, self.device, torch.long) for each in (stream.slots, stream.positions))
        ids_T = torch.cat([self._newest_S[slots_T[: len(plain)]], upload(stream.ids, self.device, torch.long)])
        alone = plain if len(decode_rows) > FEW or plain == decode_rows else []
        images = self._images([requests[chunk.row] for chunk in chunks if self._has_image(requests[chunk.row], chunk)])
        ragged = Ragged(
            kv_cache=self.kv_cache,
            places=self.kv_cache.places(slots_T, positions_T),
            decode_slots=tuple(row.slot for row in alone),
            decode_positions=tuple(row.position for row in alone),
            drafted=[
                Span(row.slot, row.position, row.position + 1 + row.num_drafted) for row in decode_rows[len(alone) :]
            ],
            prefill_groups=group_chunks(chunks, step.num_decoded),
            flash=self._flash,
        )
        output = self.model(
            input_ids=ids_T[None],
            position_ids=self._position_ids(decode_rows, chunks, requests, positions_T),
            use_cache=False,
            logits_to_keep=upload(stream.wanted, self.device, torch.long),
            ragged=ragged,
            **images,
        )
        decoded = [row.row for row in decode_rows for _ in range(1 + row.num_drafted)]
        return output.logits[0], decoded + [chunk.row for chunk in chunks if chunk.is_last]

    def set_newest(self, slots: Sequence[int], tokens_R: torch.Tensor) -> None:
        """The tokens that were chosen for these slots: the next step decodes them."""
        self._newest_S.index_copy_(0, upload(slots, self.device, torch.long), tokens_R)

    def forget(self, row: int) -> None:
        """A row has ended."""
        self._positions.pop(row, None)

    def _position_ids(
        self,
        decode_rows: Sequence[DecodeRow],
        chunks: Sequence[PrefillChunk],
        requests: dict[int, Request],
        positions_T: torch.Tensor,
    ) -> torch.Tensor:
        """[1, T], or [3, 1, T] where images give positions three axes."""
        if (find_axes := self._find_axes) is None:
            return positions_T[None]
        position_ids = positions_T.expand(3, -1).clone()
        shifts = [self._shift(row.row) for row in decode_rows for _ in range(1 + row.num_drafted)]
        at = len(shifts)
        position_ids[:, :at] += upload(shifts, self.device, torch.long)
        for chunk in chunks:
            request, length = requests[chunk.row], chunk.end - chunk.start
            if chunk.row not in self._positions and request.tensors:
                self._positions[chunk.row] = self._positions_with_images(find_axes, request)
            own, _ = self._positions.get(chunk.row, (None, 0))
            if own is not None:
                position_ids[:, at : at + length] = own[:, chunk.start : chunk.end]
            at += length
        return position_ids[:, None]

    def _decode(self, table_3R: torch.Tensor) -> torch.Tensor:
        """Logits [R, vocabulary] of decoded rows from their slots, their positions there and those of the model."""
        slots_R, positions_R, position_ids_R = table_3R
        spans = spans_of_decoded(slots_R, positions_R, self.kv_cache)
        ragged = Ragged(
            kv_cache=self.kv_cache,
            places=self.kv_cache.places(slots_R, positions_R),
            decode_slots=(),
            decode_positions=(),
            drafted=(),
            prefill_groups=(),
            flash=self._flash,
            of_graph=spans,
        )
        output = self.model(
            input_ids=self._newest_S[slots_R][None],
            position_ids=position_ids_R.expand(3, 1, -1) if self._find_axes is not None else position_ids_R[None],
            use_cache=False,
            ragged=ragged,
        )
        return output.logits[0]

    def _shift(self, row: int) -> int:
        return self._positions.get(row, (None, 0))[1]

    def _positions_with_images(self, find_axes: FindAxes, request: Request) -> tuple[torch.Tensor, int]:
        # on the host: on CUDA the loops of this function would wait for the device some ten times an image
        own = {name: request.tensors[name] for name in PLACED if name in request.tensors}
        batch = collate([replace(request, tensors=own)], 0, torch.device("cpu"))
        positions, delta = find_axes(**batch)
        return upload(positions[:, 0].numpy(), self.device), int(delta)

    def _has_image(self, request: Request, chunk: PrefillChunk) -> bool:
        """Not what follows the images of a row that took them from its prefix group."""
        token = self._image_token
        return bool(request.tensors) and (token is None or token in request.prompt_ids[chunk.start : chunk.end])

    def _images(self, requests: Sequence[Request]) -> Mapping[str, object]:
        """The features of all images of a step, from one call of the vision tower; or pixels, where it takes none."""
        if not requests:
            return {}
        batch = collate(requests, 0, self.device)
        pixels = {
            name: tensor for name, tensor in batch.items() if name not in {"input_ids", "attention_mask", *PER_TOKEN}
        }
        if not self._takes_features:
            return pixels
        return {"mm_encoder_outputs": {"image": cast(Sees, self.model).get_image_features(**pixels, return_dict=True)}}


class RaggedAttention:
    """Within it the model's text layers attend through the KV cache; outside they are as they were."""

    def __init__(self, model: PreTrainedModel) -> None:
        self._model = model
        self._own = cast(str, model.config.get_text_config(decoder=True)._attn_implementation)
        self._is_nested = model.config.get_text_config(decoder=True) is not model.config

    def __enter__(self) -> None:
        self._set(NAME)

    def __exit__(self, *_: object) -> None:
        self._set(self._own)

    def _set(self, name: str) -> None:
        self._model.set_attn_implementation({"text_config": name} if self._is_nested else name)
