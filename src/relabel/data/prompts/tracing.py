"""Jinja templates whose own text is known in what they write: see `origin`.

Every literal of a template is its own, in its text and in its expressions. Knows how Jinja compiles a template; nothing
of rows, prompts or chat templates.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import count
from string import Formatter
from typing import cast

from jinja2 import Environment, Template, nodes, pass_eval_context
from jinja2.compiler import CodeGenerator, Frame
from jinja2.filters import sync_do_join
from jinja2.sandbox import SandboxedEnvironment, SandboxedFormatter

from relabel.data.prompts.origin import Traced, is_own, join, own
from relabel.data.prompts.outline import joined, written


def traced(environment: Environment) -> Environment:
    """The same environment, whose templates write `Traced` texts. What they are given is data, unless it is traced."""
    same = environment.overlay()
    same.extend(own_texts={})
    same.code_generator_class = _Code
    same.concat = join  # pyright: ignore[reportAttributeAccessIssue]
    same.filters = {**environment.filters, "join": _join}
    if isinstance(same, SandboxedEnvironment):  # which has a method of texts, `format`, of its own
        same.wrap_str_format = _known_formats(same, same.wrap_str_format)  # pyright: ignore[reportAttributeAccessIssue]
    return same


def outlined(environment: Environment) -> Environment:
    """The same, whose templates take and write blanks, too: see `outline`."""
    same = traced(environment)
    same.code_generator_class = _OutlineCode
    same.concat = joined  # pyright: ignore[reportAttributeAccessIssue]
    same.extend(written=written)
    return same


def template_of(environment: Environment, source: str) -> Template:
    """A template of its text. Raises TemplateError."""
    template = environment.from_string(source)
    template.globals = dict(template.globals)  # Jinja goes through them for each text, and through a chain for 4 us
    return template


def may_be_outlined(template: nodes.Template) -> bool:
    """Whether a parsed template has nothing that writes another text each time, or that takes a blank for a number."""
    if next(template.find_all(nodes.Mod), None) or any(one.name == "lipsum" for one in template.find_all(nodes.Name)):
        return False
    return not any(one.name in _NOT_OUTLINED for one in template.find_all((nodes.Filter, nodes.Test)))


_NOT_OUTLINED = frozenset({"random", "sum", "divisibleby"})
"""Python's own `sum` refuses texts, and `'...' % text` counts them: to both a blank is no text."""


class _Code(CodeGenerator):
    """Writes each literal of a template as a text that is the template's own."""

    def visit_Const(self, node: nodes.Const, frame: Frame) -> None:
        self.write(self._literal(node.as_const(frame.eval_ctx)))

    def visit_TemplateData(self, node: nodes.TemplateData, frame: Frame) -> None:
        if frame.eval_ctx.volatile:
            return super().visit_TemplateData(node, frame)
        return self.write(self._literal(node.as_const(frame.eval_ctx)))

    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:
        if frame.eval_ctx.volatile or frame.eval_ctx.autoescape:
            return super().visit_Concat(node, frame)
        self.write("environment.concat(map(str, (")
        for part in node.nodes:
            self.visit(part, frame)
            self.write(", ")
        return self.write(")))")

    def _output_const_repr(self, group: Iterable[str]) -> str:
        return self._known("".join(group))

    def _literal(self, value: object) -> str:
        """The source of a constant. Jinja computes what it can before any row is there: also lists, and pairs."""
        if type(value) is str:
            return self._known(value)
        if isinstance(value, list | tuple):
            texts = "".join(f"{self._literal(item)}, " for item in cast(Sequence[object], value))
            return f"[{texts}]" if isinstance(value, list) else f"({texts})"
        if isinstance(value, dict):
            pairs = cast(dict[object, object], value).items()
            return f"{{{''.join(f'{self._literal(key)}: {self._literal(item)}, ' for key, item in pairs)}}}"
        return str(value) if isinstance(value, float) else repr(value)

    def _known(self, text: str) -> str:
        texts: dict[str, Traced] = self.environment.own_texts  # pyright: ignore[reportAttributeAccessIssue]
        texts[text] = own(text)
        return f"environment.own_texts[{text!r}]"


class _OutlineCode(_Code):
    """Writes what a blank stands for without making a text of it."""

    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:
        if frame.eval_ctx.volatile or frame.eval_ctx.autoescape:
            return super().visit_Concat(node, frame)
        self.write("environment.concat(map(environment.written, (")
        for part in node.nodes:
            self.visit(part, frame)
            self.write(", ")
        return self.write(")))")

    def _output_child_pre(self, node: nodes.Expr, frame: Frame, finalize: CodeGenerator._FinalizeInfo) -> None:
        if frame.eval_ctx.volatile or frame.eval_ctx.autoescape or finalize.src is not None:
            return super()._output_child_pre(node, frame, finalize)
        return self.write("environment.written(")


Format = Callable[..., str]


def _known_formats(
    environment: SandboxedEnvironment, wrap: Callable[[object], Format | None]
) -> Callable[[object], Format | None]:
    """The same for texts that are the template's own: what they write around their fields is its own, too."""

    def wrapped(method: object) -> Format | None:
        plain_format = wrap(method)
        text = getattr(method, "__self__", None)
        if plain_format is None or not isinstance(text, Traced) or getattr(method, "__name__", "") != "format":
            return plain_format
        if not is_own(text, 0, len(text)):
            return plain_format

        def known_format(*args: object, **kwargs: object) -> str:
            written = plain_format(*args, **kwargs)
            pieces: list[str] = []
            numbers = count()
            for literal, name, spec, conversion in Formatter().parse(text):
                pieces.append(own(literal))
                if spec or conversion:
                    return written
                if name is not None:
                    place = name or str(next(numbers))
                    pieces.append(str(SandboxedFormatter(environment).get_field(place, args, kwargs)[0]))
            known = join(pieces)
            return known if known == written else written

        return known_format

    return wrapped


@pass_eval_context
def _join(context: nodes.EvalContext, value: Iterable[object], d: str = "", attribute: str | int | None = None) -> str:
    """Jinja's own filter joins by a text that knows nothing."""
    return sync_do_join(context, value, d if isinstance(d, Traced) else Traced(d), attribute)
