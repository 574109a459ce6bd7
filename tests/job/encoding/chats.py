"""Chats as rows hold them, and the encoder that reads them."""

import base64

from relabel.job.encoding.row import RowEncoder
from relabel.spec import make_spec
from tests.encoding import encode as encode_row
from tests.pictures import png

CHAT = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "a red circle?"},
    {"role": "assistant", "content": "yes"},
    {"role": "user", "content": "at the top?"},
]


def spec_of(model, /, **sections):
    fields = {"source": {"path": "x", "format": "parquet"}, "output": {"path": "o"}, "prompt": {"messages": "chat"}}
    return make_spec({**fields, "model": {"path": str(model), "max_prompt_tokens": 1024}, **sections})


def encoder(model, /, **sections):
    return RowEncoder(spec_of(model, **sections), None)


def encode(encoder, chat):
    return encode_row(encoder, {"chat": chat})


def text(words):
    return {"type": "text", "text": words}


def image(colour="red", size=(64, 64)):
    data = base64.b64encode(png(size, colour)).decode()
    return {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}", "detail": "low"}}


def user(*parts):
    return {"role": "user", "content": list(parts)}


def colours(encoded):
    return [tuple(colour) for colour in encoded.tensors["pixel_values"].mean(axis=(2, 3)).round().tolist()]


RED, BLUE = (255, 0, 0), (0, 0, 255)
