"""Which columns a template reads: by their own names, or as `row["Product Name"]`.

Knows Jinja's syntax and scopes; nothing of values or of what a source has.
"""

from __future__ import annotations

from dataclasses import dataclass

from jinja2 import nodes
from jinja2.compiler import Frame
from jinja2.idtracking import VAR_LOAD_RESOLVE
from jinja2.meta import TrackingCodeGenerator

ROW = "row"
"""What a template calls the mapping of its columns, unless a column has that name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reads:
    """The columns that templates read."""

    by_name: frozenset[str] = frozenset()
    by_row: frozenset[str] = frozenset()
    """By constant keys of `row`."""
    whole_row: bool = False
    """Whether `row` is also read otherwise, which only a column of that name can be."""

    def __or__(self, other: Reads) -> Reads:
        return Reads(
            by_name=self.by_name | other.by_name,
            by_row=self.by_row | other.by_row,
            whole_row=self.whole_row or other.whole_row,
        )

    def columns(self, *, has_row: bool) -> frozenset[str]:
        """Where a source has a column `row`, that is what the name means."""
        if has_row:
            return self.by_name | ({ROW} if self.by_row or self.whole_row else set())
        return self.by_name | self.by_row | ({ROW} if self.whole_row else set())


def reads_of(template: nodes.Template) -> Reads:
    """The columns that a parsed template reads."""
    assert template.environment is not None, "a parsed template has the environment that parsed it"
    walk = _Walk(template.environment)
    walk.visit(template)
    return Reads(
        by_name=frozenset(walk.undeclared_identifiers - {ROW}),
        by_row=frozenset(walk.by_row),
        whole_row=walk.whole_row,
    )


class _Walk(TrackingCodeGenerator):
    """Goes through a template as Jinja compiles it, so that a loop's own `row` is not taken for the mapping."""

    by_row: set[str]
    whole_row = False

    def visit_Template(self, node: nodes.Template, frame: Frame | None = None) -> None:
        self.by_row = set()
        super().visit_Template(node, frame)

    def visit_Name(self, node: nodes.Name, frame: Frame) -> None:
        self.whole_row = self.whole_row or _is_row(node, frame)
        super().visit_Name(node, frame)

    def visit_Getitem(self, node: nodes.Getitem, frame: Frame) -> None:
        if not (_is_row(node.node, frame) and self._add(node.arg, frame)):
            super().visit_Getitem(node, frame)

    def visit_Getattr(self, node: nodes.Getattr, frame: Frame) -> None:
        if _is_row(node.node, frame) and not hasattr(dict, node.attr):
            self.by_row.add(node.attr)
        else:
            super().visit_Getattr(node, frame)

    def visit_Call(self, node: nodes.Call, frame: Frame, forward_caller: bool = False) -> None:
        called = node.node
        is_get = isinstance(called, nodes.Getattr) and called.attr == "get" and _is_row(called.node, frame)
        if is_get and node.args and self._add(node.args[0], frame):
            for other in (*node.args[1:], *node.kwargs):
                self.visit(other, frame)
        else:
            super().visit_Call(node, frame, forward_caller=forward_caller)

    def _add(self, key: nodes.Expr, frame: Frame) -> bool:
        """Take in a key of `row`, if it is a constant text."""
        try:
            name = key.as_const(frame.eval_ctx)
        except nodes.Impossible:
            return False
        if isinstance(name, str):
            self.by_row.add(name)
        return isinstance(name, str)


def _is_row(node: nodes.Node, frame: Frame) -> bool:
    if not (isinstance(node, nodes.Name) and node.name == ROW and node.ctx == "load"):
        return False
    load = frame.symbols.find_load(frame.symbols.ref(ROW))
    return load is not None and load[0] == VAR_LOAD_RESOLVE
