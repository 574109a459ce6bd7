"""One job as the user writes it, in YAML or Python, checked once and trusted inside.

`source`, `prompt`, `model`, `sampling`, `label` or `labels`, and `output` decide the result; `resources` only speed,
and `notify` neither.
Knows nothing of files: `load.py` reads them.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field, model_validator

from relabel.spec.engines.keys import Server, Vllm
from relabel.spec.engines.limits import check_engine
from relabel.spec.label import Label, NamedLabel
from relabel.spec.query import Query, check_query
from relabel.spec.running.notify import Notify
from relabel.spec.running.resources import Resources
from relabel.spec.section import BOOKKEEPING, Section, column_of
from relabel.spec.sections import Model, Output, Prompt, Sampling
from relabel.spec.source import Source


class Spec(Section):
    """One job of relabel: every row of `source` gets its label, or one of each of `labels`, in `output`."""

    source: Source
    """The files that the rows come from, and their format."""
    prompt: Prompt = Prompt()
    """What the model reads of a row."""
    model: Model
    """The model, and how it is loaded."""
    sampling: Sampling = Sampling()
    """How tokens are chosen. The default is greedy decoding of at most 256 tokens."""
    label: Label = Label()
    """How the label is taken from the generated text. The default is the whole text, in the column `label`."""
    labels: list[NamedLabel] = []
    """Several labels for each row, each with a prompt of its own. They replace `label`."""
    output: Output
    """Where the labels are written."""
    vllm: Vllm = Vllm()
    """How vLLM runs the model, where `model.engine` is `vllm` or `auto`."""
    server: Server = Server()
    """The servers that generate, where `model.engine` is `server`."""
    resources: Resources = Resources()
    """Processes, memory and time limits. They decide speed alone, and may change between runs of one recipe."""
    notify: Annotated[list[Notify], Field(max_length=10)] = []
    """Who is told how a run ended: addresses and commands. It may change between runs of one recipe."""

    @model_validator(mode="before")
    @classmethod
    def _reads_batch_files(cls, fields: object) -> object:
        """What goes without saying of a batch file: its rows are chats, and `custom_id` tells their answers apart."""
        if not isinstance(fields, dict):
            return fields
        source = _keys(fields.get("source"))
        if source is None or source.get("format") != "openai":
            return fields
        prompt, output = _keys(fields.get("prompt", {})), _keys(fields.get("output"))
        if prompt is not None and prompt.get("user") is None:
            fields = {**fields, "prompt": {"messages": "messages", **prompt}}
        if output is not None and isinstance(keep := output.get("keep", []), list) and "custom_id" not in keep:
            fields = {**fields, "output": {**output, "keep": ["custom_id", *keep]}}
        return fields

    @model_validator(mode="after")
    def _is_one_job(self) -> Spec:
        if self.labels and "label" in self.model_fields_set:
            raise ValueError("label and labels: give one of the two")
        names = [label.name for label in self.labels]
        if twice := [name for name in names if names.count(name) > 1]:
            raise ValueError(f"labels: {twice[0]!r} is named twice")
        for query in self.queries:
            check_query(query, f"labels {query.name}: " if query.name else "")
        check_engine(self.model, self.resources, self.vllm, self.server, self.queries)
        columns = [
            *("source_file", "source_row", "status", "reason", *self.output.named),
            *(column_of(query.name, key) for query in self.queries for key in query.columns),
        ]
        if clash := [name for name in columns if columns.count(name) > 1]:
            raise ValueError(f"the output would have column {clash[0]!r} twice; {self._way_out(clash[0])}")
        return self

    @property
    def queries(self) -> tuple[Query, ...]:
        """What is asked about each row, in order."""
        if not self.labels:
            return (Query(name="", prompt=self.prompt, sampling=self.sampling, label=self.label),)
        return tuple(self._query(label) for label in self.labels)

    def _way_out(self, column: str) -> str:
        """How not to have a column twice."""
        ways = ["drop it from output.keep"] if column in self.output.named else []
        if not self.labels and column not in BOOKKEEPING:
            ways.append("write labels: [{name: x, ...}] in place of label, whose columns then begin with x_")
        return ", or ".join([*ways, "rename it in the label, its pattern or its JSON schema"])

    def _query(self, label: NamedLabel) -> Query:
        prompt = {
            "user": self.prompt.user if label.user is None else label.user,
            "system": self.prompt.system if label.system is None else label.system,
        }
        new = {"max_new_tokens": label.max_new_tokens or self.sampling.max_new_tokens}
        return Query(
            name=label.name,
            prompt=self.prompt.model_copy(update=prompt),
            sampling=self.sampling.model_copy(update=new),
            label=label,
        )


def _keys(section: object) -> dict[str, object] | None:
    """The keys that are given in a section, in YAML or as an object; None where it is neither."""
    if isinstance(section, BaseModel):
        return section.model_dump(exclude_unset=True)
    return section if isinstance(section, dict) else None
