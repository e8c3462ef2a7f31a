"""Rules of the house that a reader relies on: where time, chance, printing and the environment come from."""

import ast
import inspect
import re
from collections.abc import Callable, Iterator

import pytest

from newsletter import errors
from tests.project.tree import dotted, modules

#: A file with more lines than this has more than one purpose.  Exceptions, each with its reason.
LONGEST = 450
LONGER: dict[str, str] = {}

Rule = Callable[[ast.Module], Iterator[str]]


def broken(rule: Rule, *, but: Callable[[str], bool]) -> list[str]:
    """Where the rule is broken, as `path:line: what`, outside the files it exempts."""
    return [f"newsletter/{path}:{what}" for path, tree in modules().items() if not but(path) for what in rule(tree)]


def uses_time_or_chance(tree: ast.Module) -> Iterator[str]:
    clocks = {"now", "utcnow", "today"}
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                for name in names:
                    if name.name in {"uuid", "random", "secrets", "time"}:
                        yield f"{node.lineno}: import {name.name}"
            case ast.ImportFrom(module="uuid" | "random" | "secrets" | "time" as module, names=names):
                # A type is no source of time.
                if {name.name for name in names} - {"struct_time"}:
                    yield f"{node.lineno}: from {module} import …"
            case ast.Attribute(attr=attr) if attr in clocks and dotted(node.value).rpartition(".")[2] in {
                "datetime",
                "date",
            }:
                yield f"{node.lineno}: {dotted(node)}"
            case ast.Attribute() if dotted(node) in {"os.urandom", "email.utils.make_msgid", "email.utils.localtime"}:
                yield f"{node.lineno}: {dotted(node)}"
            case ast.ImportFrom(module="email.utils", names=names):
                for name in names:
                    if name.name in {"make_msgid", "localtime"}:
                        yield f"{node.lineno}: {name.name}"


def prints(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id="print" | "input" as name)):
                yield f"{node.lineno}: {name}()"
            case ast.Attribute() if dotted(node) in {"sys.stdout", "sys.stderr", "sys.stdin"}:
                yield f"{node.lineno}: {dotted(node)}"


def reads_the_environment(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Attribute() if dotted(node) in {"os.environ", "os.environb", "os.getenv", "os.putenv"}:
                yield f"{node.lineno}: {dotted(node)}"
            case ast.ImportFrom(module="os", names=names):
                for name in names:
                    if name.name in {"environ", "getenv"}:
                        yield f"{node.lineno}: from os import {name.name}"


def test_time_ids_and_chance_come_from_the_clock_alone() -> None:
    assert [] == broken(uses_time_or_chance, but=lambda path: path == "clock.py")


def test_only_the_commands_print() -> None:
    assert [] == broken(prints, but=lambda path: path.startswith("cli/"))


def test_only_the_config_reads_the_environment() -> None:
    assert [] == broken(reads_the_environment, but=lambda path: path == "config.py" or path.startswith("config/"))


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        (uses_time_or_chance, "import time"),
        (uses_time_or_chance, "from time import monotonic"),
        (uses_time_or_chance, "import uuid"),
        (uses_time_or_chance, "from secrets import token_hex"),
        (uses_time_or_chance, "x = datetime.now(UTC)"),
        (uses_time_or_chance, "x = datetime.datetime.utcnow()"),
        (uses_time_or_chance, "x = date.today()"),
        (uses_time_or_chance, "from email.utils import make_msgid"),
        (uses_time_or_chance, "x = os.urandom(16)"),
        (prints, "print('hello')"),
        (prints, "sys.stderr.write('hello')"),
        (reads_the_environment, "x = os.environ['HOME']"),
        (reads_the_environment, "x = os.getenv('HOME')"),
        (reads_the_environment, "from os import environ"),
    ],
)
def test_the_rules_catch_what_they_are_for(rule: Rule, code: str) -> None:
    assert list(rule(ast.parse(code)))


def test_a_file_has_one_purpose_and_at_most_450_lines() -> None:
    lengths = {path: max((node.end_lineno or 0) for node in tree.body) for path, tree in modules().items() if tree.body}

    too_long = {path: length for path, length in lengths.items() if length > LONGEST}
    assert LONGER.keys() == too_long.keys(), too_long


def everything_public() -> Iterator[tuple[str, ast.AST]]:
    """Modules, public classes and public functions, with where they stand."""
    for path, tree in modules().items():
        # A migration's two functions are named by alembic, and its module says what it does.
        migration = path.startswith("store/migrations/")
        if tree.body:
            yield f"newsletter/{path}", tree
        scopes: list[tuple[ast.Module | ast.ClassDef, str]] = [] if migration else [(tree, "")]
        while scopes:
            scope, prefix = scopes.pop()
            for node in scope.body:
                if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) or node.name[0] == "_":
                    continue
                if any(dotted(d).endswith((".setter", "overload", "override")) for d in node.decorator_list):
                    continue
                yield f"newsletter/{path}:{node.lineno} {prefix}{node.name}", node
                if isinstance(node, ast.ClassDef):
                    scopes.append((node, f"{node.name}."))


def test_everything_public_says_what_it_is_in_a_sentence() -> None:
    silent, unfinished = [], []
    for place, node in everything_public():
        assert isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        docstring = ast.get_docstring(node)
        if not docstring:
            silent.append(place)
        elif docstring.splitlines()[0].rstrip()[-1] not in ".?!:…`)":
            unfinished.append(f"{place}: {docstring.splitlines()[0]}")

    assert [] == silent
    assert [] == unfinished


# ---- the tree of errors


def all_errors() -> list[type[errors.NewsletterError]]:
    """Every class of the tree, the root first."""
    kinds = [kind for _, kind in inspect.getmembers(errors, inspect.isclass)]
    return sorted(
        (kind for kind in kinds if issubclass(kind, errors.NewsletterError)), key=lambda kind: len(kind.__mro__)
    )


def test_every_error_has_its_own_sentence() -> None:
    without = [kind for kind in all_errors() if not (kind.__dict__.get("__doc__") or "").strip()]

    assert [] == without


def test_the_tree_in_the_docstring_is_the_tree_in_the_code() -> None:
    tree = inspect.cleandoc(errors.__doc__ or "").split("\n\n")[1]
    drawn: dict[str, tuple[str, str | None]] = {}
    above: list[tuple[int, str]] = []
    for line in tree.splitlines():
        found = re.match(r"([\s│├└─]*)(\w+)(?:.*?exit (\d+))?", line)
        assert found
        indent, name, code = found.groups()
        above = [(depth, parent) for depth, parent in above if depth < len(indent)]
        drawn[name] = (above[-1][1] if above else "Exception", code)
        above.append((len(indent), name))
    kinds = all_errors()

    assert {kind.__name__: kind.__mro__[1].__name__ for kind in kinds} == {name: at[0] for name, at in drawn.items()}
    for kind in kinds:
        own = kind.__dict__.get("exit_code")
        assert (kind.__name__, None if own is None else str(own)) == (kind.__name__, drawn[kind.__name__][1])


def test_an_error_is_its_message_and_carries_what_to_type_next() -> None:
    error = errors.StoreError("the database is damaged", hint="newsletter db info")

    assert ("the database is damaged", "newsletter db info") == (str(error), error.hint)
    assert {1, 2, 75} == {kind.exit_code for kind in all_errors()}
