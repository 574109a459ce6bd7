"""A row in, the conversation that its prompt is out: from the templates of a spec, or from a chat in a column.

Knows no chat template, no tokens and no limits of a model.
"""

from __future__ import annotations

from collections.abc import Mapping

from relabel.data.images.value import each_image
from relabel.data.prompts.chat import Chat, Message, read_chat
from relabel.data.prompts.reads import ROW
from relabel.data.prompts.template import PromptTemplate
from relabel.errors import RowRejected
from relabel.job.encoding.conversation import Conversation, Decode, Row
from relabel.rejected import Code
from relabel.spec import Prompt


class TemplatePrompt:
    """The `user` and `system` templates of a spec over the columns of a row. Raises SpecError where they are wrong."""

    def __init__(self, prompt: Prompt) -> None:
        self._prompt = prompt
        self._template = PromptTemplate(prompt)
        self.example = self._messages("text", None if prompt.system is None else "text", len(prompt.images))

    def columns(self, *, has_row: bool) -> Mapping[str, str]:
        text = dict.fromkeys(self._template.columns(has_row=has_row), "prompt")
        return text | dict.fromkeys(self._prompt.images, "prompt.image")

    def read(self, row: Row, decode: Decode) -> Conversation:
        values = [image for column in self._prompt.images for image in each_image(row.get(column))]
        images = decode(values) if values else []
        text = self._template.render(row)
        return Conversation(messages=self._messages(text.user, text.system, len(values)), images=images)

    def cuttable(self, row: Row) -> str:
        if self._prompt.truncate not in self._template.columns(has_row=ROW in row):
            return ""
        value = row[self._prompt.truncate]
        return value.decode() if isinstance(value, bytes) else str(value) if value else ""

    def _messages(self, user: str, system: str | None, num_images: int) -> tuple[Message, ...]:
        first = () if system is None else (Message(role="system", parts=(system,)),)
        return *first, Message(role="user", parts=(*[None] * num_images, user))


class ChatPrompt:
    """A whole chat in a column, images included; the same one for every label of a row."""

    def __init__(self, prompt: Prompt, *, takes_images: bool) -> None:
        self._column = prompt.messages or ""
        self._takes_images, self._goes_on = takes_images, prompt.continue_final_message
        self._images = prompt.images
        self.example = (Message(role="user", parts=(None, "text") if takes_images else ("text",)),)

    def columns(self, *, has_row: bool) -> Mapping[str, str]:
        return {self._column: "prompt.messages", **dict.fromkeys(self._images, "prompt.image")}

    def read(self, row: Row, decode: Decode) -> Conversation:
        chat = read_chat(row[self._column], has_images=bool(self._images))
        if chat.messages[-1].role == "assistant" and not self._goes_on:
            raise RowRejected(
                Code.PROMPT,
                "the last message is the assistant's: drop it, or go on with it by prompt.continue_final_message: true",
            )
        if chat.image_urls and not self._takes_images:
            raise RowRejected(Code.IMAGE, "the messages hold one, and the model takes none")
        images = decode(self._images_of(chat, row))
        return Conversation(messages=chat.messages, images=images)

    def cuttable(self, row: Row) -> str:
        return ""

    def _images_of(self, chat: Chat, row: Row) -> list[object]:
        """What the images of a chat are made of, in order: those of the columns stand where the messages leave room."""
        held = [image for column in self._images if row[column] is not None for image in each_image(row[column])]
        if not self._images and chat.num_places:
            raise RowRejected(Code.IMAGE, "the messages leave it to a column: name that in prompt.image")
        if len(held) != chat.num_places:
            raise RowRejected(Code.IMAGE, f"{len(held)} in the columns, {chat.num_places} places in the messages")
        own = iter(held)
        return [next(own) if url is None else url for url in chat.image_urls]
