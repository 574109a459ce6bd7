"""Parts of a message as other APIs and data sets spell them, in the words of OpenAI's chat completions.

Total: what is of no known dialect stays as it is, for whoever reads parts to refuse. Knows the shape of one part;
nothing of messages.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from pydantic import JsonValue

Part = dict[str, JsonValue]


def as_api_part(value: object) -> object:
    """A text or an image of Anthropic, of the Responses API, of transformers or of Qwen-VL as OpenAI has it."""
    if not isinstance(value, dict):
        return value
    part: Part = {key: item for key, item in cast(Part, value).items() if item is not None}
    match part:
        case {"type": "input_text" | "output_text", "text": text}:
            return {**_without(part, "annotations", "logprobs"), "type": "text", "text": text}
        case {"type": "refusal", "refusal": text}:
            return {**_without(part, "refusal"), "type": "text", "text": text}
        case {"type": "input_image", "image_url": url}:
            return {**_without(part, "detail"), "type": "image_url", "image_url": url}
        case {"type": "image", "source": {"type": "base64", "data": str(data), **rest}}:
            kind = rest.get("media_type")
            return {**_without(part, "source"), "url": f"data:{kind if isinstance(kind, str) else ''};base64,{data}"}
        case {"type": "image", "source": {"type": "url", "url": str(url)}}:
            return {**_without(part, "source"), "url": url}
        case {"type": "image", "path": str(place)} if not part.keys() & {"url", "image"}:
            return {**_without(part, "path"), "url": place}
        case {"type": "image", "base64": str(data)} if not part.keys() & {"url", "image"}:
            return {**_without(part, "base64"), "url": data}
        case {"text": str()} | {"image": str()} if len(part) == 1:
            return {"type": next(iter(part)), **part}
        case _:
            return value


def _without(part: Mapping[str, JsonValue], *keys: str) -> Part:
    return {key: item for key, item in part.items() if key not in keys}
