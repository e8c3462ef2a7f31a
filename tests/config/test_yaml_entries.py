"""Entries of a list changed in place: every character of the others stays, and nothing else is said than was meant."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from newsletter.yamlfile import Data, flow, parse_tree
from newsletter.yamlfile.entries import Change, change_entries
from newsletter.yamlfile.locate import CannotEdit, shapes
from newsletter.yamlfile.swift import says

NEW: Change = {("name",): "Ada L."}


def change(text: str, changes: Mapping[int, Change]) -> str:
    return change_entries(text, changes, short="email")


@pytest.mark.parametrize(
    ("before", "wanted", "after"),
    [
        # An address alone stays one as long as it can.
        ("- a@x.test  # why\n", {("email",): "b@x.test"}, "- b@x.test  # why\n"),
        ("- 'a@x.test'\n", {("email",): "b@x.test"}, "- 'b@x.test'\n"),
        ("- a@x.test  # why\n- z\n", NEW, "- email: a@x.test  # why\n  name: Ada L.\n- z\n"),
        ('- "a@x.test"', NEW, '- email: "a@x.test"\n  name: Ada L.'),
        ("- a@x.test\r\n- z\r\n", NEW, "- email: a@x.test\r\n  name: Ada L.\r\n- z\r\n"),
        ("-   a@x.test\n", NEW, "-   email: a@x.test\n    name: Ada L.\n"),
        ("- a@x.test\n", {("email",): "b", **NEW}, "- email: b\n  name: Ada L.\n"),
        ("- a@x.test\n", {("attributes", "city"): "no"}, '- email: a@x.test\n  attributes: {city: "no"}\n'),
        ("- a@x.test\n", {("name",): None}, "- a@x.test\n"),
        ("[a@x.test, z]\n", NEW, "[{email: a@x.test, name: Ada L.}, z]\n"),
        # Keys of a mapping: quotation marks, comments and order stay.
        ("- email: a # 1\n  name: 'b' # 2\n", {("name",): "O'Hara"}, "- email: a # 1\n  name: 'O''Hara' # 2\n"),
        ('- email: a\n  name: "b"\n', {("name",): "c"}, '- email: a\n  name: "c"\n'),
        ("- email: a\n  # of the name\n  name: b\n", NEW, "- email: a\n  # of the name\n  name: Ada L.\n"),
        ("- email: a # 1\n# of z\n- z\n", NEW, "- email: a # 1\n  name: Ada L.\n# of z\n- z\n"),
        ("- name: b\n  email: a\n", {("name",): None}, "- email: a\n"),
        ("- email: a\n  name: b # gone\n  # stays\n- z\n", {("name",): None}, "- email: a\n  # stays\n- z\n"),
        ("- email: a\n  name:\n", NEW, "- email: a\n  name: Ada L.\n"),
        ("- email: a\n  name:   # none\n", NEW, "- email: a\n  name: Ada L.   # none\n"),
        ("-\n  email: a\n", NEW, "-\n  email: a\n  name: Ada L.\n"),
        ("- email: a\n  name: |\n    b\n    c\n- z\n", NEW, "- email: a\n  name: Ada L.\n- z\n"),
        ("- email: a\n  name: >-\n    b\n    c\n- z\n", NEW, "- email: a\n  name: Ada L.\n- z\n"),
        ("- email: a\n  name: b\n    c\n- z\n", NEW, "- email: a\n  name: Ada L.\n- z\n"),
        ("- ? email\n  : a\n  name: b\n", NEW, "- ? email\n  : a\n  name: Ada L.\n"),
        # In braces.
        ("- {email: a}  # 1\n", NEW, "- {email: a, name: Ada L.}  # 1\n"),
        ("- {email: a, name: b, tags: [x]}\n", {("name",): None}, "- {email: a, tags: [x]}\n"),
        ("- {email: a, name: b}\n", {("name",): None}, "- {email: a}\n"),
        ("- {name: b, email: a}\n", {("name",): None}, "- {email: a}\n"),
        ("- {\n    email: a, # 1\n    name: b\n  }\n", NEW, "- {\n    email: a, # 1\n    name: Ada L.\n  }\n"),
        ("- {\n    email: a # 1\n  }\n", NEW, "- {\n    email: a, name: Ada L. # 1\n  }\n"),
        # Lists keep what stays in them, with its comment.
        ("- email: a\n  tags: [x, y]\n", {("tags",): ["x", "z"]}, "- email: a\n  tags: [x, z]\n"),
        (
            "- email: a\n  tags: # 0\n  - x # 1\n  # of y\n  - y # 2\n",
            {("tags",): ["y", "z"]},
            "- email: a\n  tags: # 0\n  # of y\n  - y # 2\n  - z\n",
        ),
        ("- email: a\n  tags:\n    - x\n    - y\n", {("tags",): ["y", "x"]}, "- email: a\n  tags:\n    - y\n    - x\n"),
        ("- email: a\n  tags: [x]\n  name: b\n", {("tags",): None}, "- email: a\n  name: b\n"),
        ("- email: a\n", {("tags",): ["x y", "no"]}, '- email: a\n  tags: [x y, "no"]\n'),
        # Attributes one by one.
        (
            "- email: a\n  attributes: {x: y}\n",
            {("attributes", "z"): "1"},
            '- email: a\n  attributes: {x: y, z: "1"}\n',
        ),
        (
            "- email: a\n  attributes:\n    x: y # 1\n    z: w\n  name: b\n",
            {("attributes", "z"): None},
            "- email: a\n  attributes:\n    x: y # 1\n  name: b\n",
        ),
        ("- email: a\n  attributes:\n    x: y\n  name: b\n", {("attributes", "x"): None}, "- email: a\n  name: b\n"),
        (
            "- email: a\n  attributes:\n    x: y\n",
            {("attributes", "z"): "w"},
            "- email: a\n  attributes:\n    x: y\n    z: w\n",
        ),
    ],
)
def test_an_entry_is_changed_in_its_own_style(before: str, wanted: Change, after: str) -> None:
    assert after == change(before, {0: wanted})


def test_many_entries_are_changed_at_once() -> None:
    text = "# all\n- a\n\n- email: b\n# of c\n- {email: c}\n- d\n"

    assert "# all\n- email: a\n  name: Ada L.\n\n- email: b\n# of c\n- {email: c, name: Ada L.}\n- e\n" == change(
        text, {0: NEW, 2: NEW, 3: {("email",): "e"}}
    )
    assert text == change(text, {})


@pytest.mark.parametrize(
    ("text", "index"), [("a: b\n", 0), ("- - a\n", 0), ("- a: &x b\n  c: *x\n- [x]\n", 1), ("x\n", 0)]
)
def test_what_is_no_list_of_such_entries_is_left_to_a_person(text: str, index: int) -> None:
    with pytest.raises(CannotEdit):
        change(text, {index: NEW})


@pytest.mark.parametrize("text", ["- a\n- b\n", "[a, b]\n"])
def test_an_entry_that_is_not_there_cannot_be_changed(text: str) -> None:
    with pytest.raises(IndexError):
        change(text, {2: NEW})


# ---------------------------------------------------------------------- the quick proof


@pytest.mark.parametrize(
    ("old", "new", "changed", "added", "expected"),
    [
        ("- a\n- b\n", "- a\n# x\n\n- b\n", {}, (), True),
        ("- a\n- b\n", "- a\n- c\n", {}, (), False),
        ("- a\n- b\n", "- a\n- c\n", {1: "c"}, (), True),
        ("- a\n- b\n", "- a\n- c\n", {1: "d"}, (), False),
        ("- a\n- b\n", "- a\n- b\n", {1: "c"}, (), False),
        ("- a\n- b\n", "- a\n", {}, (), False),
        ("- a\n", "- a\n- b\n", {}, (), False),
        ("- a\n", "- a\n- b\n", {}, ("b",), True),
        ("- a\n", "- a\n- b\n", {}, ("b", "c"), False),
        ("- a\n", "- a\n- no\n", {}, ("no",), False),
        ("- a\n", '- a\n- "no"\n', {}, ("no",), True),
        ("- a\n", "- a\n- {x: [y, z]}\n", {}, ({"x": ["y", "z"]},), True),
        ("- a\n", "- a\n- {x: [y, w]}\n", {}, ({"x": ["y", "z"]},), False),
        ("- a\n", "- a\n- x: y\n  z: w\n", {}, ({"z": "w", "x": "y"},), False),
        ("- x: y\n  z: w\n", "- x: y\n", {}, (), False),
        ("- x: y\n  z: w\n", "- x: y\n  z: v\n", {}, (), False),
        ("- &x a\n", "- &x a\n", {}, (), None),
        ("- a\n", "- a\n- *x\n", {}, ("b",), None),
        ("[a]\n", "[a]\n", {}, (), None),
    ],
)
def test_the_quick_proof_sees_every_difference_or_asks_the_parser(
    old: str, new: str, changed: dict[int, str], added: tuple[Data, ...], *, expected: bool | None
) -> None:
    nodes = {index: parse_tree(text, "").root for index, text in changed.items()}

    assert expected is says(old, new, {index: node for index, node in nodes.items() if node is not None}, added)


# ----------------------------------------------------- files as nobody would think of them

words = st.sampled_from(
    [
        "a",
        "Grace Hopper",
        "no",
        "O'Brien",
        'say "x"',
        "x: y",
        "# 1",
        "12:30",
        "ü",
        "日本",
        "a, b",
        "[x]",
        "-",
        "{",
        "é@é",
        "~",
    ]
)
names = st.sampled_from(["city", "no", "x y", "ü", "motto"])
lists = st.lists(words, min_size=1, max_size=4, unique=True)
remarks = st.sampled_from(["", "  # remark", '   # say: "x" [', " #"])


@dataclass
class File:
    """A file whose every line belongs to an entry, or to none (None)."""

    lines: list[tuple[str, int | None]]
    data: list[Any]
    newline: str
    ends: bool

    @property
    def text(self) -> str:
        whole = self.newline.join(line for line, _ in self.lines)
        return whole + self.newline if self.ends else whole


@st.composite
def quoted(draw: st.DrawFn, text: str) -> str:
    """A value in one of the ways in which it can be written."""
    ways = [flow(text), f"'{text.replace(chr(39), chr(39) * 2)}'"]
    return draw(st.sampled_from(ways))


@st.composite
def people(draw: st.DrawFn) -> dict[str, Any]:
    number = draw(st.integers(0, 10**6))
    more = draw(
        st.fixed_dictionaries(
            {},
            optional={
                "name": words,
                "tags": lists,
                "digests": lists,
                "attributes": st.dictionaries(names, words, min_size=1),
            },
        )
    )
    pairs = list(draw(st.permutations(list(more.items()))))
    pairs.insert(draw(st.integers(0, len(pairs))), ("email", f"p{number}@example.com"))
    return dict(pairs)


@st.composite
def entries(draw: st.DrawFn, person: dict[str, Any], index: int, margin: str) -> list[tuple[str, int | None]]:
    """The lines of one entry, in some style."""
    style = draw(st.sampled_from(["block", "block", "below", "flow"]))
    if len(person) == 1 and draw(st.booleans()):
        return [(f"-{margin[1:]}{draw(quoted(person['email']))}{draw(remarks)}", index)]
    if style == "flow":
        return [(f"-{margin[1:]}{flow(person)}{draw(remarks)}", index)]
    inner: list[str] = []
    for key, value in person.items():
        if draw(st.integers(0, 4)) == 0:
            inner.append("# inside")
        kind = draw(st.sampled_from(["line", "line", "block"]))
        if isinstance(value, str):
            inner.append(f"{key}: {draw(quoted(value))}{draw(remarks)}")
        elif kind == "line":
            inner.append(f"{key}: {flow(value)}{draw(remarks)}")
        else:
            deep = draw(st.sampled_from(["  ", "    "] if isinstance(value, dict) else ["", "  "]))
            rows = [f"{flow(k)}: {draw(quoted(v))}" for k, v in value.items()] if isinstance(value, dict) else []
            rows = rows or [f"- {draw(quoted(item))}" for item in value]
            inner += [f"{key}:{draw(remarks)}", *(f"{deep}{row}{draw(remarks)}" for row in rows)]
    first_is_comment = inner[0].startswith("#")
    if style == "below" or first_is_comment:
        return [("-", index), *((margin + line, index) for line in inner)]
    return [(f"-{margin[1:]}{inner[0]}", index), *((margin + line, index) for line in inner[1:])]


@st.composite
def files(draw: st.DrawFn) -> File:
    lines: list[tuple[str, int | None]] = [
        (line, None) for line in draw(st.sampled_from([[], ["# people"], ["# a", ""]]))
    ]
    data = draw(st.lists(people(), min_size=1, max_size=4, unique_by=lambda person: person["email"]))
    for index, person in enumerate(data):
        margin = draw(st.sampled_from(["  ", "  ", "    "]))
        lines += [(line, None) for line in draw(st.sampled_from([[], [], ["# above"], ["", "# apart", ""]]))]
        lines += draw(entries(person, index, margin))
    lines += [(line, None) for line in draw(st.sampled_from([[], ["# the end"], ["", ""]]))]
    return File(lines, data, draw(st.sampled_from(["\n", "\n", "\r\n"])), draw(st.booleans()) or not lines[-1][0])


@st.composite
def edits(draw: st.DrawFn, person: dict[str, Any]) -> tuple[dict[tuple[str, ...], Data | None], dict[str, Any]]:
    """A change, and what it makes of a person."""
    change: dict[tuple[str, ...], Data | None] = {}
    for key, values in (("email", st.just("new@example.com")), ("name", words), ("tags", lists), ("digests", lists)):
        if draw(st.booleans()):
            change[(key,)] = draw(values if key == "email" else st.none() | values)
    for name in draw(st.lists(names, max_size=2, unique=True)):
        change["attributes", name] = draw(st.none() | words)
    meant: dict[str, Any] = {key: dict(value) if isinstance(value, dict) else value for key, value in person.items()}
    for path, value in change.items():
        inside = meant if len(path) == 1 else meant.setdefault("attributes", {})
        inside.pop(path[-1], None) if value is None else inside.__setitem__(path[-1], value)
    return change, {key: value for key, value in meant.items() if value}


def loaded(text: str) -> list[dict[str, Any]]:
    return [{"email": item} if isinstance(item, str) else item for item in yaml.load(text, yaml.BaseLoader)]


@settings(max_examples=80)
@given(files(), st.data())
def test_every_line_of_the_others_stays_and_the_file_says_what_was_meant(file: File, data: st.DataObject) -> None:
    assert file.data == loaded(file.text)
    chosen = data.draw(st.lists(st.integers(0, len(file.data) - 1), min_size=1, unique=True))
    changes, meant = {}, list(file.data)
    for index in chosen:
        changes[index], meant[index] = data.draw(edits(file.data[index]))

    try:
        after = change(file.text, changes)
    except CannotEdit:  # a layout no person writes, such as a list on the column of its key
        pytest.fail(f"cannot edit {file.text!r}")

    assert meant == loaded(after)
    whole = file.text.split(file.newline)
    kept = [line for (line, owner) in file.lines if owner not in chosen]
    rest = iter(after.split(file.newline))
    assert all(line in rest for line in kept), "every other line is there, in its order"
    assert len(after.split(file.newline)) - len(whole) >= -len(file.lines)
    assert file.newline == "\n" or "\n" not in after.replace("\r\n", "")
    assert file.text.endswith(file.newline) == after.endswith(file.newline)


@settings(max_examples=60)
@given(files(), st.data())
def test_the_quick_proof_takes_nothing_for_the_same_that_is_not(file: File, data: st.DataObject) -> None:
    """One character is changed, added or taken out somewhere."""
    text = file.text
    place = data.draw(st.integers(0, len(text) - 1))
    other = text[:place] + data.draw(st.sampled_from(["", "x", "#", '"', "\n", " ", ":", "- "])) + text[place + 1 :]

    assert says(text, text, {}) is not False
    if says(text, other, {}):
        assert list(shapes(text)) == list(shapes(other))


flow_items = st.lists(people(), min_size=1, max_size=3, unique_by=lambda person: person["email"])


@settings(max_examples=60)
@given(flow_items, st.sampled_from(["[{}]\n", "[ {} ]\n", "[\n  {}\n]\n", "[\n  {},  # last\n]\n"]), st.data())
def test_a_list_in_brackets_stays_one(people: list[dict[str, Any]], frame: str, data: st.DataObject) -> None:
    joint = ",\n  " if "\n  " in frame else ", "
    text = frame.replace("{}", joint.join(flow(p["email"] if len(p) == 1 else p) for p in people))
    index = data.draw(st.integers(0, len(people) - 1))
    wanted, meant = data.draw(edits(people[index]))

    after = change(text, {index: wanted})

    assert [*people[:index], meant, *people[index + 1 :]] == loaded(after)
    assert text.count("\n") == after.count("\n")


def test_a_line_that_is_added_to_the_last_one_ends_as_the_others_do() -> None:
    text = "- email: a@example.com\r\n- email: b@example.com"

    assert f"{text}\r\n  name: B" == change(text, {1: {("name",): "B"}})


def test_a_file_that_ends_without_a_line_break_goes_on_doing_so() -> None:
    text = "-\n  # inside\n  email: ada@example.com\n  # about tags\n  tags: [a]"

    assert "-\n  # inside\n  email: ada@example.com\n  # about tags" == change(text, {0: {("tags",): None}})
