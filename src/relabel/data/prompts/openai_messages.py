"""The messages of OpenAI's API: what one may hold, and why one is refused.

Total: any list gives messages or a RowRejected that never quotes them. Knows the words of the API; nothing of images as
bytes, of chat templates or of models.
"""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    FailFast,
    RootModel,
    Tag,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from relabel.errors import RowRejected
from relabel.rejected import Code

Role = Literal["system", "developer", "user", "assistant"]


def _encodable(text: str) -> str:
    text.encode("utf-8")  # half a surrogate pair raises UnicodeEncodeError, which is a ValueError
    return text


_Utf8 = Annotated[str, AfterValidator(_encodable)]


class _Sparse(BaseModel):
    """An object whose keys may also stand for nothing.

    Parquet gives every struct of a list all keys, most of them null, and the API itself writes `refusal: null`.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _without_nothing(cls, value: object) -> object:
        if not isinstance(value, dict):
            return value
        return {key: item for key, item in value.items() if item is not None and item != []}


class _Text(_Sparse):
    type: Literal["text"]
    text: _Utf8


class _ImageUrl(BaseModel):
    """Where an image is. What else the API lets say of it, such as `detail`, changes nothing here."""

    model_config = ConfigDict(frozen=True, strict=True)

    url: str


class _Image(_Sparse):
    type: Literal["image_url"]
    image_url: _ImageUrl


class _Parts(RootModel[Annotated[list[Annotated[_Text | _Image, Discriminator("type")]], FailFast()]]):
    """Texts and images; a row of a million parts that are neither has one fault, not a million."""


def _kind(content: object) -> str:
    return "text" if isinstance(content, str) else "parts"


class ApiMessage(_Sparse):
    """One message as the API spells it."""

    role: Role
    content: Annotated[Annotated[_Utf8, Tag("text")] | Annotated[_Parts, Tag("parts")], Discriminator(_kind)]

    @property
    def parts(self) -> tuple[str | None, ...]:
        """The texts of the message, and None where an image stands."""
        if isinstance(self.content, str):
            return (self.content,)
        return tuple(part.text if isinstance(part, _Text) else None for part in self.content.root)

    @property
    def image_urls(self) -> tuple[str, ...]:
        """The URLs of the message's images in their order."""
        if isinstance(self.content, str):
            return ()
        return tuple(part.image_url.url for part in self.content.root if isinstance(part, _Image))


_MESSAGES = TypeAdapter(Annotated[list[ApiMessage], FailFast()])


def read_messages(value: list[object]) -> list[ApiMessage]:
    """The messages that a list holds. Raises RowRejected (prompt) with the number of the first one that is none."""
    try:
        return _MESSAGES.validate_python(value)
    except ValidationError as error:
        faults = [(one["loc"], one["type"]) for one in error.errors(include_url=False, include_context=False)]
    (index, *place), kind = min(faults, key=_rank)
    raise RowRejected(Code.PROMPT, _why(f"message {int(index) + 1}", place, kind))


def _rank(fault: tuple[tuple[int | str, ...], str]) -> int:
    """Of several faults of one message, its role comes first, its content last."""
    (_, *place), _ = fault
    return {"role": 0, "content": 2}.get(str(place[0]), 1) if place else 0


def _why(message: str, place: list[int | str], kind: str) -> str:
    if kind == "value_error":
        return f"{message} is not valid UTF-8"
    match place:
        case []:
            return f"{message} is not an object"
        case ["role"]:
            return f"{message} has a role other than {', '.join(get_args(Role))}"
        case ["content"]:
            return f"{message} has no content"
        case ["content", "parts"]:
            return f"the content of {message} is neither text nor a list of parts"
        case ["content", "parts", _, "image_url", "image_url", *_]:
            return f"{message} has an image_url without a url"
        case ["content", *_]:
            return f"{message} has a part that is neither text nor image_url"
        case _:
            return f"{message} has more than a role and content, such as tool calls"
