"""Everything relabel raises on purpose.

RelabelError
├── Refused                  exit code 2: nothing was started; the message says what to change
│   ├── SpecError            the spec (or the command line) is wrong
│   ├── SourceRefused        a source path matches nothing, cannot be reached, or would write clashing parts
│   ├── RecipeChanged        the output folder was made by another recipe
│   ├── SourceChanged        a source file changed since its parts were made
│   └── ModelRefused         the model cannot be loaded safely or cannot do what the spec asks
│       └── ArgumentRefused  the same, where one argument of the engine has to be changed
├── SourceUnreadable         one source file is broken: the others go on, the run ends incomplete
├── PartDamaged              one published part cannot be read back
├── StoreFailed              the output cannot be listed, read or written: no bucket, no permission, disk full
├── UnitGivenUp              one unit killed its processes again and again: the others go on, the run ends incomplete
├── RunFailed                Ray or a worker failed as a whole: what is published stays, the same command goes on
│   └── DeviceLost           the context of the GPU is gone: only another process can go on
└── RowRejected              one row cannot be labelled: it is written as a reject with its reason

Anything else that escapes is a bug or a broken machine.
"""

from typing import ClassVar

from relabel.rejected import Code, Rejected


class RelabelError(Exception):
    """The root of the tree; its text is a sentence for the person at the terminal."""

    page: ClassVar[str] = "reference/exit-codes.md"
    """The page below docs/ that says more; a kind of error has that of its parent, or its own."""


class Refused(RelabelError):
    """The run was refused before any work was done."""


class SpecError(Refused):
    """The spec cannot be used as it is written."""

    page = "reference/spec.md"


class SourceRefused(Refused):
    """The source as a whole cannot be planned."""

    page = "guide/sources.md"


class RecipeChanged(Refused):
    """The output holds labels of another recipe."""

    page = "guide/nightly.md"


class SourceChanged(Refused):
    """A source file is not the one its published parts were made from."""

    page = "guide/nightly.md"


class ModelRefused(Refused):
    """The model cannot be loaded, or not safely, or lacks what the spec needs."""

    page = "guide/engines.md"


class ArgumentRefused(ModelRefused):
    """An argument of the engine has to be changed. Whoever gave it may know it by another name.

    Made of its sentence in three parts: `ArgumentRefused("there is no such commit; leave out ", "revision", "")`.
    """

    def __init__(self, before: str, argument: str, after: str) -> None:
        super().__init__(before, argument, after)
        self.argument = argument

    def __str__(self) -> str:
        return self.called(self.argument)

    def called(self, name: str) -> str:
        """The sentence with another name for the argument."""
        before, _, after = self.args
        return f"{before}{name}{after}"


class SourceUnreadable(RelabelError):
    """A source file cannot be read: missing, truncated, corrupt, or of another shape than the rest."""

    page = "guide/sources.md"


class PartDamaged(RelabelError):
    """A published part cannot be read back whole."""

    page = "explanation/faults-and-threats.md"


class StoreFailed(RelabelError):
    """The output folder or bucket failed; what is published stays, and a rerun goes on from there."""

    page = "explanation/faults-and-threats.md"


class UnitGivenUp(RelabelError):
    """Rows of a unit, its file or the machine end every process that takes it."""

    page = "explanation/faults-and-threats.md"


class RunFailed(RelabelError):
    """The run could not go on; everything published so far stands."""

    page = "guide/cluster.md"


class DeviceLost(RunFailed):
    """The device failed in a way after which nothing of this process can use it."""


class RowRejected(RelabelError):
    """A row that gets a reason in place of a label; its text is that of the reason, and never quotes the row."""

    def __init__(self, code: Code, detail: str) -> None:
        self.rejected = Rejected(code, detail)
        super().__init__(str(self.rejected))
