"""Reading YAML: what is refused is refused with its line and a way out, by either parser."""

import io
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from newsletter.errors import ConfigError
from newsletter.yamlfile import (
    ListNode,
    MapNode,
    Scalar,
    Unclear,
    language_tag,
    meaning,
    nearest,
    not_text,
    parse_items,
    parse_tree,
    read_items,
    read_tree,
    scalar,
)
from newsletter.yamlfile.read import PARSER, PYTHON_PARSER

both = pytest.mark.parametrize("parser", [PARSER, PYTHON_PARSER], ids=["C", "Python"])


def problems(text: str, parser: Any = PARSER) -> list[str]:
    """Everything that is wrong with a text, fatal or not."""
    try:
        return [str(problem) for problem in parse_tree(text, "f.yaml", parser=parser).problems]
    except ConfigError as error:
        return [str(problem) for problem in error.problems]


@both
def test_every_value_comes_with_its_line(parser: Any) -> None:
    tree = parse_tree("a: x\n# comment\nb:\n  - 'no'\n  - |\n    text\nc: {d: 5}\n", "f.yaml", parser=parser)

    assert () == tree.problems
    assert (
        MapNode(
            1,
            {
                "a": Scalar(1, "x", False),
                "b": ListNode(4, (Scalar(4, "no", True), Scalar(5, "text\n", True))),
                "c": MapNode(7, {"d": Scalar(7, "5", False)}),
            },
            {"b": 3},
        )
        == tree.root
    )


@both
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\nb: 2\na: 3\n", ["f.yaml:3: `a` stands here twice: first in line 1"]),
        (
            "a: &x 1\nb: *x\n",
            [
                "f.yaml:1: `&x` is an anchor, which is not supported: leave it out, or quote it if it is text",
                "f.yaml:2: `*x` is an alias, which is not supported: write the value out, or quote it if it is text",
            ],
        ),
        ("a: 1\n<<: {b: 2}\n", ["f.yaml:2: `<<` is a merge key, which is not supported: write the values out"]),
        (
            "a: !!python/object x\n",
            ["f.yaml:1: `!!python/object` is a tag, which is not supported: leave it out, or quote it if it is text"],
        ),
        ("a: 1\n---\nb: 2\n", ["f.yaml:2: a second document begins here: keep one per file, without `---`"]),
        ("a:\n\tb: 1\n", ["f.yaml:2: a tab cannot indent: use blanks"]),
        ("a: 1\nb: @x\n", ["f.yaml:2: text that begins with @ must be quoted"]),
        ("a: %x\n", ["f.yaml:1: text that begins with % must be quoted"]),
        (
            "a: b: c\n",
            ["f.yaml:1: a second `:` in one line: quote the text, or begin a new line for the key"],
        ),
        ("a: 1\n  b: 2\n", ["f.yaml:2: does not line up with the lines above it"]),
        ("- a\nb: 1\n", ["f.yaml:2: does not line up with the lines above it"]),
        ("a: 'x\nb: 2\n", ["f.yaml:1: a quotation mark that is opened here is never closed"]),
        (
            "a: [1,\nb: 2\n",
            ["f.yaml:3: a comma or the closing ] is missing (the bracket was opened in line 1)"],
        ),
        ("a: 1\nfoo\nb: 2\n", ["f.yaml:2: is neither `key: value` nor `- item`"]),
        ("a: - b\n", ["f.yaml:1: a list begins on a line of its own"]),
        ('a: "\\q"\n', ["f.yaml:1: a backslash has a meaning between double quotes: use single quotes"]),
        ("a: {{ x }}\n", ["f.yaml:1: a key must be text: quote the value if it begins with { or ["]),
        (
            "no: x\n",
            ['f.yaml:1: a key must be text: no means yes or no in YAML: quote it if it is text: "no"'],
        ),
        ("a: x\nb: \x07\n", ["f.yaml:2: the control character U+0007 is not allowed here: remove it"]),
        ('a: "x\\e[31m"\n', ["f.yaml:1: the control character U+001B is not allowed here: remove it"]),
        ("[" * 20_000, ["f.yaml:1: is nested more than 20 deep"]),
        ("a: 1\n" + "".join(f"{'  ' * i}k:\n" for i in range(25)), ["f.yaml:22: is nested more than 20 deep"]),
    ],
)
def test_what_surprises_in_yaml_is_refused_with_its_line(text: str, expected: list[str], parser: Any) -> None:
    assert expected == problems(text, parser)


@both
def test_an_alias_bomb_costs_nothing(parser: Any) -> None:
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    levels += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 9)]

    found = problems("\n".join(levels), parser)

    assert "f.yaml:1: `&a0` is an anchor" in found[0]
    assert len(found) > 60


def test_all_that_is_wrong_is_said_at_once_and_a_thousand_mistakes_are_counted() -> None:
    found = problems("".join(f"- &x{i} a\n" for i in range(1000)))

    assert 101 == len(found)
    assert "f.yaml: and 900 more mistakes" == found[-1]


@pytest.mark.parametrize("text", ["", "\n\n", "# only a comment\n", "\ufeff", "%YAML 1.1\n---\n"])
def test_an_empty_file_is_no_mistake_by_itself(text: str) -> None:
    assert [] == list(parse_items(text.removeprefix("\ufeff"), "f.yaml"))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"a: 1\nb: \xff\n", "f.yaml:2: byte 0xFF is not UTF-8: save the file as UTF-8"),
        (b"# a\n" * 30_000 + b"b: caf\xe9\n", "f.yaml:30001: byte 0xE9 is not UTF-8: save the file as UTF-8"),
        (b"a: \xe2\x82", "f.yaml:1: byte 0xE2 is not UTF-8: save the file as UTF-8"),
        ("a: 1\n".encode("utf-16"), "f.yaml:1: is UTF-16: save it as UTF-8"),
        (b"a: x\n" + b"#" * 1_000_000, "f.yaml: is larger than 1 MB"),
    ],
    ids=["a stray byte", "late in the file", "cut short", "UTF-16", "too large"],
)
@both
def test_a_file_that_is_not_text_of_a_sane_size_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes, expected: str, parser: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("f.yaml").write_bytes(data)

    with pytest.raises(ConfigError) as caught:
        read_tree(Path("f.yaml"), parser=parser)

    assert expected == str(caught.value)


def test_a_missing_file_a_folder_and_a_pipe_are_named_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    said = []
    for name in ("none", "", "pipe"):
        with pytest.raises(ConfigError) as caught:
            read_tree(tmp_path / name)
        said.append(caught.value.problems[0].text)

    assert ["no such file", "cannot be read: is a directory", "is not a file"] == said


@both
def test_a_byte_order_mark_and_windows_line_ends_are_read_as_if_they_were_not_there(
    tmp_path: Path, parser: Any
) -> None:
    path = tmp_path / "f.yaml"
    path.write_bytes(b"\xef\xbb\xbf- a\r\n- b\r\n")

    assert [Scalar(1, "a", False), Scalar(2, "b", False)] == list(read_items(path, parser=parser))


@both
def test_a_list_gives_its_good_entries_before_it_complains(parser: Any) -> None:
    items = parse_items("- a\n- *b\n- [c\n", "f.yaml", parser=parser)

    assert Scalar(1, "a", False) == next(items)
    with pytest.raises(ConfigError) as caught:
        list(items)
    assert [2, 4] == [problem.line for problem in caught.value.problems]


def test_a_list_must_be_a_list() -> None:
    with pytest.raises(ConfigError, match=r"f.yaml:2: is not a list: every entry begins with `- `"):
        list(parse_items("# people\nada@example.com\n", "f.yaml"))


# --------------------------------------------------------------------------- values


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("ada", "ada"),
        ("1.2.3", "1.2.3"),
        ("+49 30 123", "+49 30 123"),
        ("7 dwarfs", "7 dwarfs"),
        ("no", False),
        ("On", True),
        ("~", None),
        ("", None),
        ("42", 42),
        ("-1", -1),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        ("12:30", Unclear("12:30")),
        ("010", Unclear("010")),
        ("0x1F", Unclear("0x1F")),
        ("1_000", Unclear("1_000")),
        (".inf", Unclear(".inf")),
        ("2026-03-02", Unclear("2026-03-02")),
        ("9" * 5000, Unclear("9" * 5000)),
    ],
)
def test_an_unquoted_value_means_what_a_person_would_expect_or_nothing_sure(written: str, expected: object) -> None:
    assert expected == meaning(written)
    assert isinstance(expected, str) == (not_text(written) is None)


@given(st.text("0123456789.:-+_xobeEinfnaINFyYsStTfFrRuUlLoO~= <", min_size=1, max_size=12))
def test_whatever_yaml_takes_for_something_else_is_not_taken_for_text(value: str) -> None:
    resolver: Any = yaml.SafeLoader(io.StringIO(""))
    tag = resolver.resolve(yaml.ScalarNode, value, (True, False))
    if tag != "tag:yaml.org,2002:str":
        assert not_text(value) is not None


@given(st.text(max_size=40) | st.from_regex(r"[\w .:#,@'&*!-]{0,12}", fullmatch=True))
@pytest.mark.parametrize("parser", [PARSER, PYTHON_PARSER], ids=["C", "Python"])
def test_a_text_that_is_written_is_read_again_in_either_style(parser: Any, text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        return
    for style in ("- %s\n", "[%s, end]\n", "{key: %s, end: end}\n", "- key: %s\n"):
        events = [e for e in yaml.parse(style % scalar(text), Loader=parser) if isinstance(e, yaml.ScalarEvent)]
        found = events[1 if "key" in style else 0]
        assert text == found.value
        assert not found.implicit[0] or not_text(found.value) is None


def test_a_near_miss_finds_what_was_meant() -> None:
    assert "language" == nearest("langauge", ["title", "language", "feeds"])
    assert "Field Notes" == nearest("field nots", ["Field Notes"])
    assert nearest("xyz", ["title", "language"]) is None


@pytest.mark.parametrize(
    ("written", "expected"), [("en", "en"), ("DE-at", "de-AT"), ("zh-hant-tw", "zh-Hant-TW"), ("sr-latn", "sr-Latn")]
)
def test_a_language_tag_is_written_as_the_standard_does(written: str, expected: str) -> None:
    assert expected == language_tag(written)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("de_DE", "write de-DE"),
        ("de_DE.UTF-8", "write de-DE"),
        ("german", "is not a language tag such as en or pt-BR"),
        ("xx", "is not a language we know"),
        ("de-QQ", "did you mean de?"),
        ("../../etc", "is not a language tag"),
    ],
)
def test_a_language_that_no_date_can_be_written_in_is_refused(written: str, said: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        language_tag(written)

    assert said in str(caught.value)
