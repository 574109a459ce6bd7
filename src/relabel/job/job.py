"""What every stage of a run needs to know: small, frozen, and the same in every process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pyarrow as pa

from relabel.data.labels.columns import output_schema, own_columns
from relabel.data.labels.kept import kept_columns
from relabel.data.labels.reasoning_formats import ReasoningFormat, format_of
from relabel.data.store.objects import Version
from relabel.spec import Label, Spec


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """That only rejected rows of published parts are asked, and which."""

    reasons: frozenset[str]
    """Codes of reasons; empty for all."""

    def wants(self, reason: str) -> bool:
        """Whether a row that was rejected for this reason, `code: detail` or the code alone, is asked again."""
        return not self.reasons or reason.partition(":")[0] in self.reasons


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One run. Two jobs are equal where their recipes are, so that a process can keep what it built for one."""

    fingerprint: str
    """Of the recipe that the output is known by."""
    spec: Spec = field(compare=False)
    """Resolved: its paths are absolute and its model is one commit."""
    kept: pa.Schema = field(compare=False)
    """The columns of the source that stand in the output."""
    has_row: bool = field(default=False, compare=False)
    """Whether the source has a column `row`, which is then what templates mean by that."""
    reasoning: str | None = field(default=None, compare=False)
    """The name of the format of reasoning that the model was found to have; None where none fits."""
    retry: Retry | None = field(default=None, compare=False)
    """None in a run, which makes parts that are not there or do not count."""
    bad: Mapping[str, Version] = field(default_factory=dict, compare=False)
    """Parts that are there and do not count, as they were found: published over, if they are still those."""
    digests: Mapping[str, str] = field(default_factory=dict, compare=False)
    """Of those that another version of their file was made into, what was read of their rows: they stay, if the rows
    read the same now. Empty for a part that does not say."""

    def format_of(self, label: Label) -> ReasoningFormat | None:
        """How the reasoning in a label's texts is marked; None where they are left as they are."""
        return format_of(label.reasoning, self.reasoning)

    @property
    def makes_copies(self) -> bool:
        """Whether engines that have nothing to do at the end make copies of units that others are slow with.

        A budget counts what begins, and a retry merges with what is there: neither has any.
        """
        resources = self.spec.resources
        is_free = self.retry is None and not resources.budget.is_set
        return resources.copies and resources.most_actors > 1 and is_free

    @property
    def output(self) -> str:
        """Where the parts go."""
        return self.spec.output.path

    @property
    def image_root(self) -> str | None:
        """The folder that relative paths of images are in; None where rows have no images."""
        return self.spec.source.image_root

    @property
    def schema(self) -> pa.Schema:
        """The schema of every part."""
        labels = {query.name: query.label for query in self.spec.queries}
        return output_schema(self.kept, labels, self.spec.sampling.num_samples)


def kept_of(spec: Spec, columns: pa.Schema) -> pa.Schema:
    """Of the columns of a source those that stand in the output of a spec."""
    labels = {query.name: query.label for query in spec.queries}
    return kept_columns(spec.output.keep, columns, own_columns(labels, spec.sampling.num_samples))
