"""A row in, the conversation that its prompt is out: from the templates of a spec, or from a chat in a column.

The row's own control tokens are marked in it. Knows no chat template, no tokens and no limits of a model.
"""

from __future__ import annotations

from collections.abc import Mapping

from relabel.data.images.value import each_image
from relabel.data.prompts.chat import Message, read_chat
from relabel.data.prompts.template import PromptTemplate
from relabel.errors import RowRejected
from relabel.job.encoding.control_tokens import ControlTokens
from relabel.job.encoding.conversation import Conversation, Decode, Row
from relabel.rejected import Code
from relabel.spec import Prompt


class TemplatePrompt:
    """The `user` and `system` templates of a spec over the columns of a row. Raises SpecError where they are wrong."""

    def __init__(self, prompt: Prompt, control: ControlTokens) -> None:
        self._prompt, self._control = prompt, control
        self._template = PromptTemplate(prompt)
        text = dict.fromkeys(self._template.columns, "prompt")
        self.columns: Mapping[str, str] = text | dict.fromkeys(prompt.images, "prompt.image")
        self.example = self._messages("text", None if prompt.system is None else "text", len(prompt.images))

    def read(self, row: Row, decode: Decode) -> Conversation:
        values = [image for column in self._prompt.images for image in each_image(row.get(column))]
        images = decode(values)
        marked = {column: self._control.mark(value) for column, value in self._template.values(row).items()}
        text = self._template.render(marked, self._control.join)
        return Conversation(messages=self._messages(text.user, text.system, len(values)), images=images)

    def cuttable(self, row: Row) -> str:
        if self._prompt.truncate not in self._template.columns:
            return ""
        value = self._template.values(row)[self._prompt.truncate]
        return str(value) if value else ""

    def _messages(self, user: str, system: str | None, num_images: int) -> tuple[Message, ...]:
        first = () if system is None else (Message(role="system", parts=(system,)),)
        return *first, Message(role="user", parts=(*[None] * num_images, user))


class ChatPrompt:
    """A whole chat in a column, images included; the same one for every label of a row."""

    def __init__(self, prompt: Prompt, control: ControlTokens, *, takes_images: bool) -> None:
        self._column = prompt.messages or ""
        self._control, self._takes_images = control, takes_images
        self.columns: Mapping[str, str] = {self._column: "prompt.messages"}
        self.example = (Message(role="user", parts=(None, "text") if takes_images else ("text",)),)

    def read(self, row: Row, decode: Decode) -> Conversation:
        chat = read_chat(row[self._column])
        if chat.image_urls and not self._takes_images:
            raise RowRejected(Code.IMAGE, "the messages hold one, and the model takes none")
        images = decode(chat.image_urls)
        return Conversation(messages=chat.with_texts(self._control.mark_beside).messages, images=images)

    def cuttable(self, row: Row) -> str:
        return ""
