"""A person read straight from their lines is the person that the long way makes, or none."""

from hypothesis import example, given, settings
from hypothesis import strategies as st

from newsletter.errors import ConfigError
from newsletter.model import Subscriber
from newsletter.people.file import FileRoster
from newsletter.people.usual import UsualPeople
from newsletter.yamlfile import parse_items


def check_digest(name: str) -> str | None:
    return None if name in ("daily", "weekly", "a_b") else f"there is no digest {name}"


def outcome(text: str, *, quick: bool) -> tuple[list[Subscriber], list[str]]:
    """Everybody, and every mistake."""
    from pathlib import Path

    roster = FileRoster(Path("people.yaml"), ["daily", "weekly", "a_b"])
    usual = UsualPeople(roster.check_digest)
    nodes = parse_items(text, "f", quick=usual) if quick else parse_items(text, "f")
    people: list[Subscriber] = []
    try:
        people.extend(roster.read(nodes, "f"))
    except ConfigError as error:
        return people, [str(problem) for problem in error.problems]
    return people, []


def made(text: str) -> list[Subscriber | None]:
    """What is made of each entry the quick way."""
    usual = UsualPeople(check_digest)
    entries: list[list[str]] = []
    for line in text.splitlines(keepends=True):
        if line.startswith("- "):
            entries.append([])
        entries[-1].append(line)
    return [usual(lines, number) for number, lines in enumerate(entries, 1)]


EMAILS = [
    "ada@example.com",
    "Ada@Example.COM",
    "ada.lovelace+x@sub.example.co",
    "1234@example.com",
    "Postmaster@example.com",
    "postmaster@example.com",
    "a..b@example.com",
    "a.@example.com",
    ".a@example.com",
    "-a@example.com",
    "a@example",
    "a@b_c.example",
    "a@xn--bcher-kva.example",
    "a@ex--ample.com",
    "a@x.local",
    "a@x.arpa",
    "a@x.invalid",
    "a@x.LOCALHOST",
    "a@-x.com",
    "a@x-.com",
    "a@" + "x" * 64 + ".com",
    "x" * 70 + "@example.com",
    "konrad@bücher.example",
    "é@example.com",
    "'a@example.com'",
    '"a@example.com"',
    "a@example.com # friend",
    "nobody",
    "12",
    "",
]
LINES = [
    *(f"email: {email}" for email in EMAILS[:12]),
    "name: Ada Lovelace",
    "name: O'Neil (Jr.)",
    "name: Ada  Lovelace",
    "name: no",
    "name: 12",
    "name: 'Zuse, Konrad'",
    'name: "Zuse, Konrad"',
    'name: " x"',
    "name: ''",
    'name: "a  b"',
    'name: "a\\tb"',
    "name: 'it''s'",
    "name: Émilie du Châtelet",
    "name: ٣",
    "name: a\u00adb",
    "name: Ada:",
    "name: Ada #1",
    "name: Ada &x",
    "name: |",
    "name: " + "x" * 195,
    "name: " + "x" * 201,
    "name:",
    "name:Ada",
    "digests: [daily, weekly]",
    "digests: [daily,daily]",
    "digests: [nightly]",
    "digests: []",
    "digests: daily",
    "digests: [a_b]",
    "digests: [daily,",
    "language: de",
    "language: de-at",
    "language: no",
    "language: xx",
    "language: de # her own",
    "language: |",
    "format: text",
    "format: TEXT",
    "timezone: Europe/Berlin",
    "timezone: Mars/Base",
    "tags: [a, b, a]",
    "tags: [no]",
    "tags: [1]",
    "attributes: {city: Arlington, plan: paid}",
    "attributes: {city: Arlington, city: Paris}",
    "attributes: {city: Arlington,plan: paid}",
    "attributes: {city: Mark II, team: a/b}",
    "attributes: {no: x}",
    "attributes: {city: no}",
    "attributes: {city: 12, id: c1}",
    "attributes: {city: a  b}",
    "attributes: {city: 'x'}",
    "attributes: {}",
    "attributes: {a: b: c}",
    "attributes: { city: x }",
    "attributes: {city: x} # there",
    "attributes: " + "{" + ", ".join(f"k{n}: v" for n in range(101)) + "}",
    "attributes: {k: " + "v" * 2001 + "}",
    "nmae: x",
    "email : a@example.com",
]
lines = st.sampled_from(LINES)
idle = st.sampled_from(
    ["", "  # remark", "# remark", "  ", "    more", "\t", "  x", "...", "---", "# é\u2028- a", "#\x07"]
)
entries = st.one_of(
    st.sampled_from([f"- {email}" for email in EMAILS]).map(lambda line: [line]),
    st.tuples(st.sampled_from(EMAILS), st.lists(lines, max_size=4), st.lists(idle, max_size=1)).map(
        lambda found: [f"- email: {found[0]}", *(f"  {line}" for line in found[1]), *found[2]]
    ),
    st.lists(lines, min_size=1, max_size=4).map(lambda found: [f"- {found[0]}", *(f"  {line}" for line in found[1:])]),
)


@settings(max_examples=120)
@given(st.lists(entries, max_size=4), st.sampled_from(["\n", "\n", "\n", "\r\n", "\r"]), st.booleans())
@example([["- email: a@example.com", "  language: |", "    # not a remark"]], "\n", True)
@example([["- email: a@example.com", "  name: Ada", "  name: Bob"]], "\n", True)
@example([["- email: a@example.com", "  name: Ada", "  Lovelace"]], "\n", True)
@example([["- email: a@example.com"], ["- email: A@example.com"], ["- a@example.com"]], "\n", True)
@example([["- name: Ada"], ["- email: b@example.com"]], "\n", True)
def test_every_list_is_read_as_the_long_way_reads_it(found: list[list[str]], line_break: str, ends: bool) -> None:
    text = line_break.join(line for entry in found for line in entry) + (line_break if ends else "")

    assert outcome(text, quick=False) == outcome(text, quick=True)


def test_the_usual_person_is_made_without_any_node() -> None:
    text = """\
- ada@example.com
- email: grace.hopper@mail.example
  name: Grace Hopper
  # remark
  digests: [daily, weekly]
  language: de-at
  format: text
  timezone: Europe/Berlin
  tags: [vip, navy]
  attributes: {city: Arlington, team: Mark II}

- email: Konrad@Example.com
  name: "Zuse, Konrad"
"""
    people = made(text)

    assert None not in people
    assert [replaced(person) for person in outcome(text, quick=False)[0]] == [replaced(person) for person in people]


def replaced(person: Subscriber | None) -> Subscriber:
    from dataclasses import replace

    assert person is not None
    return replace(person, line=None)


def test_what_many_share_is_judged_anew_where_something_else_stands_beside_it() -> None:
    """A line that is remembered says the same in every entry."""
    text = (
        "- email: a@example.com\n  digests: [daily]\n- email: b@example.com\n  digests: [daily]\n  digests: [daily]\n"
    )

    assert ["f:5: `digests` stands here twice: first in line 4"] == outcome(text, quick=True)[1]
