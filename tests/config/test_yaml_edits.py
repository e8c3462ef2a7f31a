"""Editing YAML: one item in or out, every other character as it was."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from newsletter.yamlfile import Data, block_item, flow
from newsletter.yamlfile.edit import append, remove
from newsletter.yamlfile.locate import CannotEdit

GRACE: Data = {
    "email": "grace@example.com",
    "name": "Grace Hopper",
    "digests": ["weekly"],
    "attributes": {"city": "no"},
}
BLOCK = '- email: grace@example.com\n  name: Grace Hopper\n  digests: [weekly]\n  attributes: {city: "no"}\n'
FLOW = '{email: grace@example.com, name: Grace Hopper, digests: [weekly], attributes: {city: "no"}}'


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", BLOCK),
        ("# people\n", "# people\n\n" + BLOCK),
        ("# people\n\n", "# people\n\n" + BLOCK),
        ("---\n", "---\n" + BLOCK),
        ("~\n", BLOCK),
        ("[]\n", BLOCK),
        ("- a\n", "- a\n" + BLOCK),
        ("- a", "- a\n" + BLOCK.removesuffix("\n")),
        ("- a # friend\n  # of b\n\n# the end\n", "- a # friend\n  # of b\n" + BLOCK + "\n# the end\n"),
        ("- a\r\n- b\r\n", "- a\r\n- b\r\n" + BLOCK.replace("\n", "\r\n")),
        ("- |\n  text\n\n# the end\n", "- |\n  text\n" + BLOCK + "\n# the end\n"),
        ("- |+\n  text\n\n\n", "- |+\n  text\n\n\n" + BLOCK),
        ("- a\n...\n", "- a\n" + BLOCK + "...\n"),
        ("[a]\n", f"[a, {FLOW}]\n"),
        ("[a, b,]\n", f"[a, b, {FLOW}]\n"),
        ("[\n  a, # one\n  b # two\n]\n", f"[\n  a, # one\n  b, # two\n  {FLOW}\n]\n"),
        ("[\n  a,\n  b,\n]\n", f"[\n  a,\n  b,\n  {FLOW},\n]\n"),
    ],
)
def test_a_person_is_added_at_the_end_in_the_style_of_the_file(before: str, after: str) -> None:
    assert after == append(before, GRACE)
    assert GRACE == yaml.safe_load(after)[-1]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("title: x\n", "title: x\nfeeds:\n  - NEW\n"),
        ("title: x\n  # deeper\n# last\n", "title: x\n  # deeper\nfeeds:\n  - NEW\n# last\n"),
        ("feeds:\ntitle: x\n", "feeds:\n  - NEW\ntitle: x\n"),
        ("feeds: # none yet\n  # - old\ntitle: x\n", "feeds: # none yet\n  - NEW\n  # - old\ntitle: x\n"),
        ("feeds: []   # none yet\ntitle: x\n", "feeds:   # none yet\n  - NEW\ntitle: x\n"),
        ("feeds: ~\n", "feeds:\n  - NEW\n"),
        ("feeds:\n- a\ntitle: x", "feeds:\n- a\n- NEW\ntitle: x"),
        ("feeds:\n    - a\n\ntitle: x\n", "feeds:\n    - a\n    - NEW\n\ntitle: x\n"),
        ("feeds: [a]\n", "feeds: [a, NEW]\n"),
        ("{title: x}\n", "{title: x, feeds: [NEW]}\n"),
        ("{title: x, feeds: []}\n", "{title: x, feeds: [NEW]}\n"),
        ("{feeds: }\n", "{feeds: [NEW]}\n"),
        (
            "\ntitle: x\nfeeds:\n  - url: a\n    tags: [b]\n\n\n",
            "\ntitle: x\nfeeds:\n  - url: a\n    tags: [b]\n  - NEW\n\n\n",
        ),
    ],
)
def test_a_feed_is_added_under_its_key_wherever_that_is(before: str, after: str) -> None:
    assert after == append(before, "NEW", ("feeds",))


@pytest.mark.parametrize(
    ("before", "index", "after"),
    [
        ("# people\n- a\n- b\n", 0, "# people\n- b\n"),
        ("# people\n\n# friend\n- a\n# other\n- b\n", 0, "# people\n\n# other\n- b\n"),
        ("# people\n\n# friend\n- a\n# other\n- b\n", 1, "# people\n\n# friend\n- a\n"),
        ("- a\n\n# for all below\n\n- b\n", 1, "- a\n\n# for all below\n\n"),
        ("- a\n  # of a\n# of b\n- b", 0, "# of b\n- b"),
        ("# people\n- a\n", 0, "# people\n"),
        ("- a", 0, ""),
        ("-\n  # inside\n  email: a\n- b\n", 0, "- b\n"),
        ("- |\n  a\n\n- b\n", 0, "\n- b\n"),
        ('- "x\n# no comment\n  z"\n- b\n', 1, '- "x\n# no comment\n  z"\n'),
        ("- a\r\n# of b\r\n- b\r\n", 1, "- a\r\n"),
        ("[a, b]\n", 0, "[b]\n"),
        ("[a, b]\n", 1, "[a]\n"),
        ("[a]\n", 0, "[]\n"),
        ("[\n  # of a\n  a, # one\n  b # two\n]\n", 0, "[\n  b # two\n]\n"),
        ("[\n  a, # one\n  b # two\n]\n", 1, "[\n  a, # one\n]\n"),
    ],
)
def test_a_person_is_removed_with_what_is_said_about_them(before: str, index: int, after: str) -> None:
    assert after == remove(before, index)


def test_a_key_whose_last_item_goes_stays_for_the_next_one() -> None:
    without = remove("title: x\nfeeds: # ours\n  # the only one\n  - a\nlast: y\n", 0, ("feeds",))

    assert "title: x\nfeeds: # ours\nlast: y\n" == without
    assert "title: x\nfeeds: # ours\n  - b\nlast: y\n" == append(without, "b", ("feeds",))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda: append("a: b\n", "x"), "it is not a list"),
        (lambda: append("feeds: x\n", "y", ("feeds",)), "feeds is not a list"),
        (lambda: append("- a\n", "y", ("feeds",)), "it is not a mapping"),
        (lambda: append("a: 1\n", "y", ("b", "c")), "it has no b"),
        (lambda: append("{a: 1 # why\n}\n", "y", ("feeds",)), "its layout is unusual"),
    ],
)
def test_what_cannot_be_edited_safely_is_left_to_a_person(change: Callable[[], str], said: str) -> None:
    with pytest.raises(CannotEdit, match=said):
        change()


# ------------------------------------------------ files as nobody would think of them

words = st.text("abcxyzäß_0", min_size=1, max_size=8)
notes = words.map(lambda word: f"# {word}")
emails = st.integers(0, 10_000).map(lambda number: f"person{number}@example.com")
values = words | st.sampled_from(["Grace: Hopper", "no", "# not a comment", "O'Brien", 'say "x"', "a, b", "12:30", "é"])
people = st.fixed_dictionaries(
    {"email": emails},
    optional={
        "name": values,
        "digests": st.lists(words, max_size=2),
        "attributes": st.dictionaries(words, values, max_size=2),
    },
)


@dataclass
class Doc:
    """A file whose every line has an owner: the index of an item, or None."""

    lines: list[tuple[str, int | None]]
    data: list[Any]
    at: tuple[str, ...]
    newline: str
    ends: bool
    last: int

    def text(self, without: int | None = None) -> str:
        """The file, or what should be left of it without one item."""
        whole = [line + self.newline for line, _ in self.lines]
        if not self.ends:
            whole[-1] = whole[-1].removesuffix(self.newline)
        owners = [owner for _, owner in self.lines]
        return "".join(line for line, owner in zip(whole, owners, strict=True) if without is None or owner != without)


@st.composite
def docs(draw: st.DrawFn) -> Doc:
    keyed = draw(st.booleans())
    column = draw(st.sampled_from([0, 2, 4])) if keyed else 0
    margin = " " * column
    header = draw(st.lists(notes, max_size=2))
    lines: list[tuple[str, int | None]] = [(line, None) for line in header]
    gap_needed = not header and not keyed  # a comment in the first line would be the file's
    if keyed:
        lines += [("title: x", None), ("feeds:", None)]
    data: list[Any] = []
    for index in range(draw(st.integers(1, 4))):
        above = draw(st.lists(notes, max_size=2))
        if (index == 0 and not keyed and above and (header or gap_needed)) or draw(st.booleans()):
            lines.append(("", None))
        lines += [(margin + line, index) for line in above]
        data.append(_item(draw, lines, column, index))
    lines += [(line, None) for line in draw(st.lists(notes | st.just(""), max_size=2))]
    if keyed and draw(st.booleans()):
        lines.append(("other: 1", None))
    return Doc(
        lines=lines,
        data=data,
        at=("feeds",) if keyed else (),
        newline=draw(st.sampled_from(["\n", "\r\n"])),
        # Without a break at its end, a block of text would end in another way once something follows.
        ends=draw(st.booleans()) or not lines[-1][0] or lines[-1][0].endswith("second"),
        last=len(data) - 1,
    )


def _item(draw: st.DrawFn, lines: list[tuple[str, int | None]], column: int, index: int) -> Any:
    margin = " " * column
    style = draw(st.sampled_from(["scalar", "block", "flow", "literal", "folded", "below"]))
    deep = [(f"{margin}  {note}", index) for note in draw(st.lists(notes, max_size=1))]
    trailing = draw(st.sampled_from(["", "  # remark"]))
    person: Any = draw(people)
    match style:
        case "scalar":
            person = person["email"]
            lines.append((f"{margin}- {person}{trailing}", index))
        case "flow":
            lines.append((f"{margin}- {flow(person)}{trailing}", index))
        case "literal":
            person = "first line\nsecond\n"
            lines += [(f"{margin}- |{trailing}", index), (f"{margin}  first line", index), (f"{margin}  second", index)]
            return person
        case "folded":
            person = "one two"
            lines += [(f'{margin}- "one', index), (f'{margin}   two"', index)]
        case "below":
            lines.append((f"{margin}-{trailing}", index))
            lines += [(f"{margin}  {key}: {flow(value)}", index) for key, value in person.items()]
        case _:
            block = block_item(person, column)
            lines.append((block[0] + trailing, index))
            for line in block[1:]:
                if draw(st.integers(0, 3)) == 0:
                    lines.append((f"{margin}  # inside", index))
                lines.append((line, index))
    lines += deep
    return person


def load(text: str, at: tuple[str, ...]) -> list[Any]:
    found = yaml.safe_load(text)
    for key in at:
        found = found[key]
    return found or []


@settings(max_examples=60)
@given(docs(), st.data())
def test_after_a_removal_the_others_are_as_they_were_to_the_last_byte(doc: Doc, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, doc.last))

    after = remove(doc.text(), index, doc.at)

    assert doc.text(without=index) == after
    assert doc.data[:index] + doc.data[index + 1 :] == load(after, doc.at)


@settings(max_examples=60)
@given(docs(), people | emails)
def test_after_an_addition_every_line_is_still_there_and_the_new_ones_stand_together(doc: Doc, person: Any) -> None:
    before = doc.text()
    after = append(before, person, doc.at)

    assert [*doc.data, person] == load(after, doc.at)
    old, new = before.splitlines(), after.splitlines()
    added = len(new) - len(old)
    assert any(old == new[:place] + new[place + added :] for place in range(len(old) + 1))
    assert before.endswith(doc.newline) == after.endswith(doc.newline)
    # A single line without an end says nothing of how lines end.
    newline = doc.newline if doc.newline in before else "\n"
    assert {newline} >= {"\r\n" if line.endswith("\r\n") else "\n" for line in after.splitlines(keepends=True)[:-1]}


@settings(max_examples=60)
@given(docs(), st.lists(emails, min_size=1, max_size=3))
def test_who_is_added_and_removed_again_leaves_no_trace(doc: Doc, new: list[str]) -> None:
    before = text = doc.text()
    for email in new:
        text = append(text, email, doc.at)
    for _ in new:
        text = remove(text, doc.last + 1, doc.at)

    assert before.rstrip("\r\n") == text.rstrip("\r\n")


brackets = st.lists(
    st.tuples(words, st.sampled_from([",", " ,", ", ", ",\n  ", ", # note\n  ", "  # note\n  ,"])),
    min_size=1,
    max_size=4,
)


@settings(max_examples=60)
@given(brackets, st.sampled_from(["[", "[ ", "[\n  "]), st.sampled_from(["]", " ]", "\n]"]), st.data())
def test_a_list_in_brackets_stays_one(
    items: list[tuple[str, str]], opening: str, closing: str, data: st.DataObject
) -> None:
    body = "".join(word + comma for word, comma in items[:-1]) + items[-1][0]
    text = f"feeds: {opening}{body}{closing}\nother: 1\n"
    expected = [word for word, _ in items]
    try:
        found = yaml.safe_load(text)["feeds"]
    except ValueError:
        return  # PyYAML takes 0x_ for a number, and then cannot read it
    if found != expected:
        return  # a word such as 0 is a number
    index = data.draw(st.integers(0, len(expected) - 1))

    assert [*expected, "new one"] == yaml.safe_load(append(text, "new one", ("feeds",)))["feeds"]
    shorter = remove(text, index, ("feeds",))
    assert expected[:index] + expected[index + 1 :] == yaml.safe_load(shorter)["feeds"]
    assert shorter.endswith("\nother: 1\n")
    assert text.count("# note") - shorter.count("# note") <= 1
