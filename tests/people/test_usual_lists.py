"""The quick way through a list says what the parser says, or nothing."""

import io
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from newsletter.errors import ConfigError
from newsletter.yamlfile import ListNode, MapNode, Node, parse_items
from newsletter.yamlfile.read import PARSER, PYTHON_PARSER, _Reader
from newsletter.yamlfile.usual import usual_items


def outcome(text: str, *, quick: bool, parser: Any = PARSER) -> tuple[list[Node], list[str]]:
    """Every entry, and every mistake."""
    nodes: list[Node] = []
    said: list[str] = []
    try:
        nodes.extend(parse_items(text, "f", parser=parser) if quick else by_parser(text, parser))
    except ConfigError as error:
        said = [str(problem) for problem in error.problems]
    return nodes, said


def by_parser(text: str, parser: Any) -> list[Node]:
    data = text.encode()
    return list(_Reader(lambda: io.BytesIO(data), "f", len(data) + 1, parser).items())


def taken(text: str) -> int:
    """How many entries are read without a parser."""
    asked = 0

    def alone(_text: str, _line: int) -> Node | None:
        nonlocal asked
        asked += 1
        return None

    return sum(1 for node in usual_items(iter(text.splitlines(keepends=True)), alone) if node is not None)


def values(node: Node) -> Any:
    """A node without its lines: the parsers place an empty value differently."""
    if isinstance(node, ListNode):
        return [values(item) for item in node.items]
    if isinstance(node, MapNode):
        return {key: values(value) for key, value in node.pairs.items()}
    return node[1:]


LINES = [
    "- ada@example.com",
    "- email: ada@example.com",
    "  name: Ada Lovelace",
    "  name: O'Brien & Sons (Ltd.)",
    "  name: 'Grace: Hopper'",
    '  name: "Grace"',
    "  digests: [daily, weekly]",
    "  digests: [ daily ]",
    "  digests: []",
    "  language: no",
    "  attributes: {city: Arlington, age: 36}",
    "  attributes: {no: x}",
    "  city: a  b",
    "  note: a # b",
    "  note: a #b",
    "  note: |",
    "    text",
    "  text",
    "# comment",
    "  # comment",
    "",
    "  ",
    "- # comment",
    "-",
    "- *x",
    "- &x a",
    "- !t a",
    "- - a",
    "- [a",
    "- b]",
    '- "a',
    '- b"',
    "- 'it''s'",
    '- "a\\tb"',
    "- a: b: c",
    "- {email: x@example.com}",
    "- ? a",
    "--- ",
    "...",
    "%YAML 1.1",
    "name: x",
    "\t- a",
    "- a\tb",
    "- a\x85b",
    "# a\u2028- b",
    "- é@example.com",
    "- 12:30",
    "- a, b",
    "- a,b: c",
    "- -x",
    "  - x",
    "- =",
    "- a=b",
    "- <<: x",
    "  <<: x",
    "- a\rb",
    "- \x07",
    "- \ufeffa",
]

texts = st.lists(st.sampled_from(LINES) | st.text("-: #'\"[]{},&*!|>%@`a1\t\\", max_size=8), max_size=8)
breaks = st.sampled_from(["\n", "\n", "\r\n", "\r"])


@settings(max_examples=200)
@given(texts, breaks, st.booleans())
@example(["- |", "  text"], "\n", False)
@example(["- email: a", "  email: b"], "\n", True)
@example(["- a", "---", "- b"], "\n", True)
@example(['- "a', "- b", '- c"', "- d"], "\n", True)
@example(["- a", "...", "- b"], "\n", True)
@pytest.mark.parametrize("parser", [PARSER, PYTHON_PARSER], ids=["C", "Python"])
def test_every_file_is_read_as_the_parser_reads_it(parser: Any, lines: list[str], line_break: str, ends: bool) -> None:
    text = line_break.join(lines) + (line_break if ends else "")

    nodes, said = outcome(text, quick=True, parser=parser)
    expected_nodes, expected_said = outcome(text, quick=False, parser=parser)

    assert expected_said == said
    # After a mistake the list is not used; until then it is the same.
    assert expected_nodes == nodes if not said else expected_nodes[: len(nodes)] == nodes[: len(expected_nodes)]


@settings(max_examples=100)
@given(st.lists(st.sampled_from([line for line in LINES if line.isprintable()]), max_size=8))
def test_both_parsers_read_the_same(lines: list[str]) -> None:
    text = "\n".join(lines)
    by_c, by_python = outcome(text, quick=False), outcome(text, quick=False, parser=PYTHON_PARSER)

    assert bool(by_c[1]) == bool(by_python[1])
    if not by_c[1]:
        assert [values(node) for node in by_c[0]] == [values(node) for node in by_python[0]]


def test_the_usual_list_needs_no_parser() -> None:
    text = """\
# people

- ada@example.com
- email: grace@example.com
  # remark
  name: Grace Hopper
  digests: [daily, weekly]
  attributes: {city: Arlington, team: Mark II}

- email: 'konrad@example.com'
  name: "Zuse, Konrad"
"""
    assert 3 == taken(text)


def test_an_unusual_entry_among_usual_ones_keeps_its_line() -> None:
    text = "- a@example.com\n\n- email: b@example.com # friend\n  name: >\n    long\n- c@example.com\n"

    assert [1, 3, 6] == [node.line for node in parse_items(text, "f")]
    assert outcome(text, quick=False) == outcome(text, quick=True)
