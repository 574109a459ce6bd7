"""The messages of OpenAI's API: what one may hold, and why one is refused.

Total: any list gives messages or a RowRejected that never quotes them. Knows the words of the API; nothing of images as
bytes, of chat templates or of models.
"""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Literal, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    FailFast,
    Field,
    RootModel,
    Tag,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from relabel.data.prompts.part_dialects import as_api_part
from relabel.errors import RowRejected
from relabel.rejected import Code

HARMLESS = frozenset(
    (
        *(
            "annotations",
            "created",
            "created_at",
            "create_time",
            "date",
            "id",
            "message_id",
            "model",
            "name",
            "refusal",
        ),
        *("source", "timestamp", "token_count", "tokens", "update_time", "uuid", "weight"),
        *("country", "hashed_ip", "header", "lang", "language", "metadata", "state", "turn_identifier"),
    )
)
"""Keys of a message that say nothing to the model: what an answer of the API brings along, and notes of training
sets and of logs. So does any other number or yes and no."""
_CONTINUES = frozenset(("partial", "prefix"))
"""By these, where they are true, servers go on with a message of the assistant."""
_THOUGHTS = ("reasoning_content", "reasoning", "thinking")
"""What servers call the thoughts before an answer."""

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
    passed_over: ClassVar[frozenset[str]] = frozenset(("cache_control",))

    @model_validator(mode="before")
    @classmethod
    def _without_nothing(cls, value: object) -> object:
        if not isinstance(value, dict):
            return value
        return {
            key: item for key, item in value.items() if item is not None and item != [] and key not in cls.passed_over
        }


class _Text(_Sparse):
    passed_over: ClassVar[frozenset[str]] = frozenset(("cache_control", "index"))

    type: Literal["text"]
    text: _Utf8


class _ImageUrl(BaseModel):
    """Where an image is. What else the API lets say of it, such as `detail`, changes nothing here."""

    model_config = ConfigDict(frozen=True, strict=True)

    url: str


class _Image(_Sparse):
    type: Literal["image_url"]
    image_url: Annotated[_ImageUrl | str, Field(union_mode="left_to_right")]

    @property
    def source(self) -> str:
        return self.image_url if isinstance(self.image_url, str) else self.image_url.url


class _Place(_Sparse):
    """An image as transformers spells it: its URL, or the place of one that a column of the row holds."""

    type: Literal["image"]
    url: str | None = None
    image: str | None = None
    index: int | None = None
    """Of the image among those of the columns."""

    @property
    def source(self) -> str | None:
        return self.url or self.image


_Part = Annotated[_Text | _Image | _Place, Discriminator("type"), BeforeValidator(as_api_part)]


class _Parts(RootModel[Annotated[list[_Part], FailFast()]]):
    """Texts and images; a row of a million parts that are neither has one fault, not a million."""


def _kind(content: object) -> str:
    return "text" if isinstance(content, str) else "parts"


class ApiMessage(_Sparse):
    """One message as the API spells it."""

    passed_over: ClassVar[frozenset[str]] = HARMLESS

    role: Role
    reasoning_content: _Utf8 | None = None
    content: Annotated[Annotated[_Utf8, Tag("text")] | Annotated[_Parts, Tag("parts")], Discriminator(_kind)]

    @model_validator(mode="before")
    @classmethod
    def _in_one_dialect(cls, value: object) -> object:
        if not isinstance(value, dict):
            return value
        message = {
            key: item
            for key, item in value.items()
            if key in cls.model_fields or not isinstance(item, bool | int | float) or (item and key in _CONTINUES)
        }
        thoughts = [name for name in _THOUGHTS if message.get(name) not in (None, "")]
        if len(thoughts) == 1:
            message["reasoning_content"] = message.pop(thoughts[0])
        if isinstance(message.get("content"), dict):
            message["content"] = [message["content"]]
        return message

    @property
    def parts(self) -> tuple[str | None, ...]:
        """The texts of the message, and None where an image stands."""
        if isinstance(self.content, str):
            return (self.content,)
        return tuple(part.text if isinstance(part, _Text) else None for part in self.content.root)

    @property
    def image_urls(self) -> tuple[str | None, ...]:
        """The URLs of the message's images in their order, and None for one of a column."""
        return tuple(part.source for part in self._images)

    @property
    def indices(self) -> tuple[int | None, ...]:
        """Of the images that are of a column, in their order, the numbers that the message itself gives them."""
        return tuple(part.index for part in self._images if isinstance(part, _Place) and part.source is None)

    @property
    def _images(self) -> list[_Image | _Place]:
        if isinstance(self.content, str):
            return []
        return [part for part in self.content.root if not isinstance(part, _Text)]


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
    if kind == "extra_forbidden" and len(place) == 1:
        return f"{message} has {shown_name(place[0], 'a key')}, which a prompt does not take"
    match place:
        case []:
            return f"{message} is not an object"
        case ["role"]:
            return f"{message} has a role other than {', '.join(get_args(Role))}"
        case ["content"]:
            return f"{message} has no content"
        case ["content", "parts"]:
            return f"the content of {message} is neither text nor a list of parts"
        case ["content", "parts", _, _, key] if kind == "extra_forbidden":
            return f"{message} has a part with {shown_name(key, 'a key')}, which a prompt does not take"
        case ["content", "parts", _, "image_url", "image_url", *_]:
            return f"{message} has an image_url without a url"
        case ["content", *_]:
            return f"{message} has a part that is neither text nor an image"
        case _:
            return f"{message} has {shown_name(place[0], 'a key')} of another kind than text"


def shown_name(key: object, other: str) -> str:
    """A key of an object in a row, where it is a name; what is longer, or no name, may be anything."""
    return key if isinstance(key, str) and re.fullmatch(r"[A-Za-z_]\w{0,39}", key, re.ASCII) else other
