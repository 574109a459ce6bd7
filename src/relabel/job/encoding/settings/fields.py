"""The fields of a request by which a row sets how it is sampled: those of OpenAI's API, and of vLLM beside them.

Total: any text gives fields or a RowRejected that names one and never quotes its value. Knows nothing of labels.
"""

from __future__ import annotations

import json
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from relabel.data.prompts.openai_messages import shown_name
from relabel.data.sources.formats.openai import NO_SAY
from relabel.errors import RowRejected
from relabel.rejected import Code

NEUTRAL_VALUES: dict[str, tuple[object, ...]] = {
    "add_generation_prompt": (True,),
    "add_special_tokens": (False,),
    "audio": (),
    "best_of": (1,),
    "continue_final_message": (False,),
    "echo": (False,),
    "frequency_penalty": (0,),
    "function_call": ("none", "auto"),
    "guided_decoding_backend": ("auto", "guidance"),
    "guided_grammar": (),
    "guided_whitespace_pattern": (),
    "ignore_eos": (False,),
    "include_reasoning": (True,),
    "include_stop_str_in_output": (False,),
    "length_penalty": (1,),
    "logprobs": (False,),
    "modalities": (["text"],),
    "n": (1,),
    "parallel_tool_calls": (True, False),
    "prediction": (),
    "presence_penalty": (0,),
    "prompt_logprobs": (0,),
    "return_token_ids": (False,),
    "return_tokens_as_token_ids": (False,),
    "reasoning_effort": (),
    "skip_special_tokens": (True,),
    "spaces_between_special_tokens": (True, False),
    "tool_choice": ("none", "auto"),
    "top_logprobs": (0,),
    "use_beam_search": (False,),
    "verbosity": (),
    "web_search_options": (),
}
"""Fields of OpenAI and of vLLM that cannot be obeyed, and the values with which they ask for nothing.

No field asks for anything by null, an empty list or an empty object.
"""
IN_THE_SPEC = {
    "n": "sampling.num_samples",
    "continue_final_message": "prompt.continue_final_message",
}
"""What of these is set for all rows alike."""


def _whole(value: object) -> object:
    """A number such as 512.0, as tables with gaps have them, as the integer that it is."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Whole = Annotated[int, BeforeValidator(_whole)]
NewTokens = Annotated[Whole, Field(ge=1, lt=2**31)]
TokenId = Annotated[Whole, Field(ge=0, lt=2**31)]
Stop = Annotated[str, Field(min_length=1, max_length=256)]


class Fields(BaseModel):
    """The fields of the API that a row may set."""

    model_config = ConfigDict(frozen=True, strict=True, hide_input_in_errors=True)

    max_tokens: NewTokens | None = None
    max_completion_tokens: NewTokens | None = None
    temperature: Annotated[float, Field(ge=0, le=10)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    seed: Annotated[Whole, Field(ge=-(2**63), lt=2**63)] | None = None
    stop: Stop | Annotated[list[Stop], Field(max_length=4)] | None = None
    response_format: dict[str, object] | None = None
    # what vLLM takes beside the fields of OpenAI
    min_tokens: Annotated[Whole, Field(ge=0, lt=2**31)] | None = None
    top_k: Annotated[Whole, Field(ge=-1, lt=2**31)] | None = None
    min_p: Annotated[float, Field(ge=0, le=1)] | None = None
    repetition_penalty: Annotated[float, Field(gt=0, le=10)] | None = None
    stop_token_ids: Annotated[list[TokenId], Field(max_length=64)] | None = None
    chat_template_kwargs: dict[str, object] | None = None
    guided_json: dict[str, object] | str | None = None
    guided_regex: str | None = None
    guided_choice: list[str] | None = None
    structured_outputs: dict[str, object] | None = None


def read_fields(settings: object) -> Fields:
    """The fields in the JSON text of a row. Raises RowRejected (settings)."""
    try:
        fields = json.loads(settings if isinstance(settings, str) else "")
    except (ValueError, RecursionError) as error:
        raise RowRejected(Code.SETTINGS, "not JSON") from error
    if not isinstance(fields, dict):
        raise RowRejected(Code.SETTINGS, "not a JSON object")
    fields = _with_extra(fields)
    known = {name: fields[name] for name in Fields.model_fields if name in fields}
    for name in sorted(fields.keys() - known.keys()):
        if fields[name] not in (None, [], {}, *NEUTRAL_VALUES.get(name, ())):
            remedy = f": set {IN_THE_SPEC[name]} in the spec" if name in IN_THE_SPEC else ""
            raise RowRejected(Code.SETTINGS, f"{shown_name(name, 'a field')} is not supported{remedy}")
    try:
        own = Fields.model_validate(known)
    except ValidationError as error:
        name = error.errors()[0]["loc"][0]
        raise RowRejected(Code.SETTINGS, f"{name} is out of range, or of another kind than the API's") from error
    if None not in (own.max_tokens, own.max_completion_tokens) and own.max_tokens != own.max_completion_tokens:
        raise RowRejected(Code.SETTINGS, "max_tokens and max_completion_tokens differ")
    return own


def _with_extra(fields: dict[str, object]) -> dict[str, object]:
    """The fields of an `extra_body` beside the others: clients of Python put them there before they send a body."""
    extra = fields.get("extra_body")
    if not isinstance(extra, dict):
        return fields
    extra = {name: value for name, value in extra.items() if name not in NO_SAY and value is not None}
    body = {name: value for name, value in fields.items() if name != "extra_body"}
    for name in sorted(extra.keys() & body.keys()):
        if body[name] is not None and body[name] != extra[name]:
            raise RowRejected(Code.SETTINGS, f"{shown_name(name, 'a field')} differs between the body and extra_body")
    return body | extra
