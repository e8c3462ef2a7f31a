"""Where templates run: Jinja2 in a sandbox, bounded in time and size.

Merge fields (`personal`) work by a rewrite of the parsed template: an expression
that stands in an output is handed to the filter `_print`, which writes a token
for a field; text that a template captures instead of printing it (`{% set %}…`,
macros, `super()`) is handed to `_capture`, so that it can be asked about, but not
unnoticed.  `_step` counts the rounds of loops and macros.
"""

import difflib
import re
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, Final

from jinja2 import StrictUndefined, nodes, pass_context, pass_environment, pass_eval_context
from jinja2.compiler import CodeGenerator, Frame
from jinja2.exceptions import SecurityError
from jinja2.nodes import EvalContext
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup

from newsletter.issues.language import direction, isolated
from newsletter.issues.markdown import escape as escape_markdown
from newsletter.issues.personal import Merged, MergeText, Reader, plain, printed
from newsletter.issues.words import words_in

#: What one template may write, in characters.
MAX_OUTPUT: Final = 5_000_000
#: How many rounds of loops and calls of macros one template may take.
MAX_STEPS: Final = 2_000_000
#: A call of a macro costs as much as so many rounds.
_CALL_STEPS: Final = 20
_MAX_NUMBER: Final = 1_000_000
_MAX_BITS: Final = 256
#: Filters that make as much as a number tells them.
_PADDING: Final = frozenset(("batch", "center", "format", "indent", "round", "slice", "wordwrap"))
_WIDE_FORMAT = re.compile(r"\d{6}")


class Endless(Exception):  # noqa: N818 - becomes a TemplateError at once
    """A template writes or loops without end."""


class _Undefined(StrictUndefined):
    """Names what is missing as a template author knows it, and the nearest name there is."""

    @property
    def _undefined_message(self) -> str:
        name, thing = str(self._undefined_name), self._undefined_obj
        if self._undefined_hint:
            return self._undefined_hint
        known = [a for a in getattr(type(thing), "__slots__", ()) if not a.startswith("_")]
        near = difflib.get_close_matches(name, known, 1)
        suffix = f"; did you mean {near[0]!r}?" if near else ""
        what = getattr(type(thing), "template_name", "")
        return f"{what} has no {name!r}{suffix}" if what else f"{name!r} is undefined{suffix}"


class _Generator(CodeGenerator):
    """Compiles a template after `_Rewriter` has been over it."""

    def visit_Template(self, node: nodes.Template, frame: Frame | None = None) -> None:  # noqa: N802 - Jinja's name
        _Rewriter(self.environment).rewrite(node)
        super().visit_Template(node, frame)


class _Rewriter:
    """Puts the filters `_print`, `_capture` and `_step` where the module docstring says."""

    def __init__(self, environment: Any) -> None:
        self._environment = environment

    def rewrite(self, node: nodes.Node) -> None:
        """Change a node's children, and theirs."""
        if isinstance(node, nodes.Output):
            node.nodes = [self._printed(child) for child in node.nodes]
            return
        for name, value in node.iter_fields():
            if isinstance(value, nodes.Expr):
                setattr(node, name, self._used(value))
            elif isinstance(value, nodes.Node):
                self.rewrite(value)
            elif isinstance(value, list):
                setattr(node, name, [new for child in value for new in self._child(child)])
        if isinstance(node, nodes.FilterBlock) or (isinstance(node, nodes.AssignBlock) and node.filter is not None):
            node.filter = self._captured(node.filter, node)
        elif isinstance(node, nodes.For | nodes.Macro | nodes.CallBlock):
            weight = 1 if isinstance(node, nodes.For) else _CALL_STEPS
            step = self._filter("_step", nodes.Const(weight), node)
            node.body.insert(0, nodes.ExprStmt(step).set_lineno(node.lineno).set_environment(self._environment))

    def _child(self, child: object) -> list[object]:
        if isinstance(child, nodes.Expr):
            return [self._used(child)]
        if isinstance(child, nodes.Node):
            self.rewrite(child)
        if isinstance(child, nodes.AssignBlock):
            # {% set x %}…{% endset %} makes plain markup of whatever a filter gives; so: {% set x = x|_capture %}
            return [child, self._recaptured(child)]
        return [child]

    def _recaptured(self, block: nodes.AssignBlock) -> nodes.Assign:
        target = block.target
        value: nodes.Expr
        if isinstance(target, nodes.NSRef):
            value = nodes.Getattr(nodes.Name(target.name, "load"), target.attr, "load")
        else:
            assert isinstance(target, nodes.Name)
            value = nodes.Name(target.name, "load")
        value.set_lineno(block.lineno, override=True)
        value.set_environment(self._environment)
        assign = nodes.Assign(target, self._filter("_capture", value, block))
        return assign.set_lineno(block.lineno).set_environment(self._environment)  # type: ignore[return-value]

    def _printed(self, expression: nodes.Expr) -> nodes.Expr:
        """An expression whose value goes into the output."""
        if isinstance(expression, nodes.TemplateData | nodes.Const):
            return expression
        if isinstance(expression, nodes.Concat):
            expression.nodes = [self._printed(part) for part in expression.nodes]
            return expression
        if isinstance(expression, nodes.Filter) and expression.node is not None and not expression.args:
            inner = expression.node
            if expression.name in ("e", "escape"):
                return self._filter("_print", self._used(inner), expression, nodes.Const("j"))
            if expression.name == "md":
                return self._filter("_print", self._used(inner), expression, nodes.Const("m"))
        if isinstance(expression, nodes.Call):
            # What a macro or super() printed goes on into the output as it is, tokens and all.
            self.rewrite(expression)
            return self._filter("_print", expression, expression)
        return self._filter("_print", self._used(expression), expression)

    def _used(self, expression: nodes.Expr) -> nodes.Expr:
        """An expression whose value is worked with."""
        if isinstance(expression, nodes.Const | nodes.TemplateData | nodes.Name):
            return expression
        self.rewrite(expression)
        if isinstance(expression, nodes.Call | nodes.Concat | nodes.Add | nodes.Mod):
            return self._filter("_capture", expression, expression)
        return expression

    def _captured(self, filter_: nodes.Filter | None, node: nodes.Node) -> nodes.Filter:
        """A chain of filters over captured output, with `_capture` as its first link."""
        first = self._filter("_capture", None, node)
        link = filter_
        while link is not None and isinstance(link.node, nodes.Filter):
            link = link.node
        if link is None or link.name == "_capture":
            return filter_ or first
        link.node = first
        return filter_ or first

    def _filter(self, name: str, inner: nodes.Expr | None, at: nodes.Node, *args: nodes.Expr) -> nodes.Filter:
        made = nodes.Filter(inner, name, list(args), [], None, None)
        for node in (made, *args):
            node.set_lineno(at.lineno)
            node.set_environment(self._environment)
        if inner is not None and getattr(inner, "lineno", None) is None:
            inner.set_lineno(at.lineno)
            inner.set_environment(self._environment)
        return made


# ------------------------------------------------------------- the filters behind it


class Run:
    """One rendering under way: whom it is for, and how many steps it has taken."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.steps = 0


@pass_eval_context
def _print(eval_context: EvalContext, value: object, kind: str = "") -> object:
    """What an output shows: a token for a merge field, escaped text, Markdown."""
    if isinstance(value, Merged):
        if not kind or (kind == "j" and eval_context.autoescape):
            kind = "h" if eval_context.autoescape else "t"
        return printed(value, kind)
    if kind == "j":
        return Markup.escape(value)
    return escape_markdown(str(value)) if kind == "m" else value


@pass_eval_context
def _isolate(eval_context: EvalContext, value: object) -> str:
    """A text from elsewhere amid fixed words: neither turns the other round."""
    environment = eval_context.environment
    assert isinstance(environment, Sandbox)
    return isolated(direction(environment.words.language), value, html=eval_context.autoescape)


@pass_environment
def _capture(environment: "Sandbox", value: object) -> object:
    """What a template keeps instead of printing: text that can be asked about if it holds tokens."""
    if isinstance(value, str):
        if len(value) > MAX_OUTPUT:
            raise Endless("it builds a text without end")
        if environment.run is not None and environment.run.reader.token in value:
            return MergeText(environment.run.reader, value)
    return value


@pass_context  # and so not worked out once and for all when the template is compiled
def _step(context: Context, weight: int) -> int:
    """Counted at each round of a loop and each call of a macro."""
    run = getattr(context.environment, "run", None)
    if run is not None:
        run.steps += weight
        if run.steps > MAX_STEPS:
            raise Endless(f"it takes more than {MAX_STEPS:,} rounds")
    return weight


def _bounded(arguments: Iterable[object]) -> None:
    for argument in arguments:
        if isinstance(argument, int) and abs(argument) > _MAX_NUMBER:
            raise SecurityError(f"numbers over {_MAX_NUMBER:,} are not allowed here")


def _noticing(function: Callable[..., Any], name: str = "") -> Callable[..., Any]:
    """A filter or test that gets the value of a merge field, so that the question is noticed."""

    @wraps(function)
    def asked(*args: object, **kwargs: object) -> object:
        values = [plain(value) for value in args]
        named = {key: plain(value) for key, value in kwargs.items()}
        if name in _PADDING:
            _bounded([*values[1:], *named.values()])
        if name == "format" and _WIDE_FORMAT.search(str(values[0])):
            raise SecurityError("such a wide format is not allowed")
        result = function(*values, **named)
        if isinstance(result, str) and len(result) > MAX_OUTPUT:
            raise Endless("it builds a text without end")
        return result

    return asked


def _length(value: object) -> int:
    """How many parts a factor brings to a product of text or a list."""
    if isinstance(value, str | list | tuple):
        return len(value)
    return min(abs(value), MAX_OUTPUT + 1) if isinstance(value, int) and not isinstance(value, bool) else 1


class Sandbox(ImmutableSandboxedEnvironment):
    """Jinja2 for templates that may be wrong or hostile: plain data, no endless work."""

    code_generator_class = _Generator
    intercepted_binops = frozenset(("%", "*", "**"))

    def __init__(self, **options: Any) -> None:
        super().__init__(
            undefined=_Undefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            extensions=["jinja2.ext.i18n"],
            **options,
        )
        #: The rendering under way; set by `Templates`.
        self.run: Run | None = None
        #: The language of the fixed words; set by `Templates`.
        self.words = words_in()
        #: What `add_filter` gave last.  Macros that were imported keep the filters they saw first, hence the detour.
        self._given: dict[str, Callable[..., Any]] = {}
        self.globals.pop("lipsum")
        self.install_gettext_callables(  # type: ignore[attr-defined] # by the i18n extension
            self._one,
            self._many,
            newstyle=True,
        )
        self.filters.pop("random")  # the same issue is the same bytes
        for name, filter_ in self.filters.items():
            self.filters[name] = filter_ if name in ("d", "default") else _noticing(filter_, name)
        self.filters |= {"_capture": _capture, "_print": _print, "_step": _step, "md": _noticing(escape_markdown)}
        self.filters["isolate"] = _noticing(_isolate)
        for name, test in self.tests.items():
            noticing = _noticing(test)  # type: ignore[arg-type] # a callable that mypy calls a function
            self.tests[name] = test if name in ("defined", "none", "undefined") else noticing

    def add_filter(self, name: str, function: Callable[..., Any]) -> None:
        """Give templates one more filter, or another in its place."""
        self._given[name] = function

        def current(*args: object, **kwargs: object) -> object:
            return self._given[name](*args, **kwargs)

        self.filters[name] = _noticing(current, name)

    def _one(self, message: str) -> str:
        return self.words.one(message)

    def _many(self, singular: str, plural: str, number: int) -> str:
        return self.words.many(singular, plural, number)

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Look up an attribute for a template; quickly where the object is one of our views."""
        kind = type(obj)
        if "template_name" in kind.__dict__ and attribute in kind.__slots__:
            return getattr(obj, attribute)
        return super().getattr(obj, attribute)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Refuse the arithmetic that fills a machine's memory."""
        left, right = plain(left), plain(right)
        if operator == "%":
            if isinstance(left, str) and _WIDE_FORMAT.search(left):
                raise SecurityError("such a wide format is not allowed")
        elif any(isinstance(side, int) and side.bit_length() > _MAX_BITS for side in (left, right)):
            raise SecurityError("such a large number is not allowed")
        elif operator == "**":
            if isinstance(right, int) and right > _MAX_BITS:
                raise SecurityError("such a large power is not allowed")
        elif not (isinstance(left, int) and isinstance(right, int)) and _length(left) * _length(right) > MAX_OUTPUT:
            raise Endless("it builds a text without end")
        return super().call_binop(context, operator, left, right)

    def call(self, context: Context, obj: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Call something for a template; text methods get no absurd widths."""
        method = getattr(obj, "__wrapped__", obj)  # the sandbox wraps str.format
        text = getattr(method, "__self__", None)
        if isinstance(text, str):
            _bounded(args)
            _bounded(kwargs.values())
            if _WIDE_FORMAT.search(text) and method.__name__ in ("format", "format_map"):
                raise SecurityError("such a wide format is not allowed")
        if getattr(method, "__name__", "") == "strftime" and any(_WIDE_FORMAT.search(str(arg)) for arg in args):
            raise SecurityError("such a wide format is not allowed")
        return super().call(context, obj, *args, **kwargs)
