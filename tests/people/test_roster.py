"""subscribers.yaml: everybody in it is read, or everything that is wrong with it is said."""

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from newsletter.errors import AddressError, ConfigError, UsageError
from newsletter.model import Format, Subscriber
from newsletter.people.entry import Details
from newsletter.people.file import FileRoster

PEOPLE = """\
# The people
- ada@example.com      # an address is enough

# From the fair
- email: Grace@Example.com
  name: Grace  Hopper
  digests: [weekly]
  language: de-at
  format: text
  attributes: {city: Arlington, motto: "one\\ntwo"}
- {email: konrad@bücher.example}
"""


@pytest.fixture
def roster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FileRoster:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "subscribers.yaml"
    path.write_text(PEOPLE)
    return FileRoster(path, ["daily", "weekly"])


ADA = Subscriber(email="ada@example.com", wire_email="ada@example.com", key="ada@example.com", line=2)
GRACE = Subscriber(
    email="Grace@example.com",
    wire_email="Grace@example.com",
    key="grace@example.com",
    name="Grace Hopper",
    digests=("weekly",),
    language="de-AT",
    format=Format.text,
    attributes={"city": "Arlington", "motto": "one\ntwo"},
    line=5,
)
KONRAD = Subscriber(
    email="konrad@bücher.example",
    wire_email="konrad@xn--bcher-kva.example",
    key="konrad@xn--bcher-kva.example",
    line=11,
)


def test_everybody_is_read_with_what_is_said_about_them(roster: FileRoster) -> None:
    assert [ADA, GRACE, KONRAD] == list(roster.people())
    assert [ADA, GRACE, KONRAD] == list(FileRoster(roster.path).people())
    assert 3 == roster.count()


def test_who_names_no_digest_gets_every_one(roster: FileRoster) -> None:
    assert [ADA, KONRAD] == list(roster.people("daily"))
    assert [ADA, GRACE, KONRAD] == list(roster.people("weekly"))


def test_people_are_found_in_any_spelling(roster: FileRoster) -> None:
    assert GRACE == roster.find("gRACE@EXAMPLE.com")
    assert KONRAD == roster.find("konrad@xn--bcher-kva.example")
    assert roster.find("nobody@example.com") is None


def test_every_mistake_is_said_at_once_with_its_line(roster: FileRoster) -> None:
    roster.path.write_text("""\
- ada@example.com
- email: grace@example.com
  digests: [weekly, dayly]
  language: xx
  format: htlm
  attributes: {city: Arlington, age: 36}
- Ada@Example.com
- bad@
- no
- email: x@example.com
  nmae: X
  digests: weekly
- {email: y@example.com, digests: []}
- name: nobody
- [a]
- email: *z
- &q z@example.com
- email: a@b.example
  email: c@d.example
- name: 12:30
  email: q@example.com
  attributes: x
- *me
- name: {a: b}
  email: r@example.com
- email: [s@example.com]
""")
    with pytest.raises(ConfigError) as caught:
        roster.count()

    assert (
        """\
subscribers.yaml:3: digests: there is no digest dayly: did you mean daily?
subscribers.yaml:4: language: 'xx' is not a language we know
subscribers.yaml:5: format: must be html or text: did you mean html?
subscribers.yaml:6: attributes: 36 means a number in YAML: quote it if it is text: "36"
subscribers.yaml:7: email: Ada@example.com is there already, in line 1
subscribers.yaml:8: 'bad@' is not an e-mail address: There must be something after the @-sign
subscribers.yaml:9: email: no means yes or no in YAML: quote it if it is text: "no"
subscribers.yaml:11: nmae: no such key: did you mean name?
subscribers.yaml:12: digests: must be a list, such as [weekly]
subscribers.yaml:13: digests: is empty: leave it out for all digests
subscribers.yaml:14: email: is missing
subscribers.yaml:15: must be an address, or `email: address` and more about the person
subscribers.yaml:16: `*z` is an alias, which is not supported: write the value out, or quote it if it is text
subscribers.yaml:17: `&q` is an anchor, which is not supported: leave it out, or quote it if it is text
subscribers.yaml:19: `email` stands here twice: first in line 18
subscribers.yaml:20: name: 12:30 means a number in YAML: quote it if it is text: "12:30"
subscribers.yaml:22: attributes: must be `key: value` pairs, such as {city: Arlington}
subscribers.yaml:23: `*me` is an alias, which is not supported: write the value out, or quote it if it is text
subscribers.yaml:24: name: must be text
subscribers.yaml:26: email: must be text
""".splitlines()
        == str(caught.value).splitlines()
    )


def test_nobody_is_given_out_after_the_first_mistake_and_the_end_says_so(roster: FileRoster) -> None:
    roster.path.write_text("- a@example.com\n- bad@\n- c@example.com\n")
    people = roster.people("daily")

    assert "a@example.com" == next(people).email
    with pytest.raises(ConfigError, match=r"^subscribers\.yaml:2: 'bad@'"):
        next(people)


@pytest.mark.parametrize("text", ["", "# nobody yet\n", "---\n", "[]\n"])
def test_a_list_may_be_empty(roster: FileRoster, text: str) -> None:
    roster.path.write_text(text)

    assert [] == list(roster.people())


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"ada@example.com\n", "subscribers.yaml:1: is not a list: every entry begins with `- `"),
        (b"email: ada@example.com\n", "subscribers.yaml:1: is not a list: every entry begins with `- `"),
        (
            b"- a@example.com\n- caf\xe9@example.com\n",
            "subscribers.yaml:2: byte 0xE9 is not UTF-8: save the file as UTF-8",
        ),
        (b"- a@example.com\n-b@example.com\n", "subscribers.yaml:2: is neither `key: value` nor `- item`"),
        (
            b"- a@example.com\n  - b@example.com\n",
            "subscribers.yaml:1: 'a@example.com - b@example.com' is not an e-mail",
        ),
        (b"- a@example.com\n-\tb@example.com\n", "subscribers.yaml:2: a tab cannot indent: use blanks"),
        (b"- email: a@example.com\n\tname: x\n", "subscribers.yaml:2: a tab cannot indent: use blanks"),
        (
            b'- email: a@example.com\n  name: "x\\0y"\n',
            "subscribers.yaml:2: the control character U+0000 is not allowed",
        ),
        (b"- email: a@example.com\n  name: " + b"x" * 9999, "subscribers.yaml:2: name: is longer than 200 characters"),
    ],
)
def test_a_file_that_is_no_list_of_people_is_refused(roster: FileRoster, data: bytes, said: str) -> None:
    roster.path.write_bytes(data)

    with pytest.raises(ConfigError) as caught:
        roster.count()
    assert said in str(caught.value).splitlines()[0]


def test_a_missing_file_says_how_to_begin_one(roster: FileRoster) -> None:
    roster.path.unlink()
    with pytest.raises(ConfigError, match="no such file") as caught:
        roster.count()
    assert "newsletter subscriber add EMAIL begins it" == caught.value.hint

    roster.add("ada@example.com")
    assert 1 == roster.count()


def test_a_person_is_added_below_the_others(roster: FileRoster) -> None:
    added = roster.add(
        "Mary@example.com",
        Details(
            name="Mary: Somerville",
            digests=["weekly"],
            language="fr",
            format=Format.text,
            attributes={"city": "no", "no": "#1"},
        ),
    )
    roster.add(" rosa@example.com ")

    assert (
        PEOPLE
        + """\
- email: Mary@example.com
  name: "Mary: Somerville"
  digests: [weekly]
  language: fr
  format: text
  attributes: {city: "no", "no": "#1"}
- rosa@example.com
"""
        == roster.path.read_text()
    )
    assert roster.find("mary@example.com") == added
    assert {"city": "no", "no": "#1"} == added.attributes


def test_a_person_is_not_added_twice_nor_with_what_cannot_be(roster: FileRoster) -> None:
    with pytest.raises(UsageError, match=r"Grace@example\.com is there already: subscribers\.yaml:5"):
        roster.add("GRACE@example.com")
    with pytest.raises(AddressError):
        roster.add("grace")
    with pytest.raises(UsageError, match=r"digests: there is no digest weakly: did you mean weekly\?"):
        roster.add("mary@example.com", Details(digests=["weakly"]))
    with pytest.raises(UsageError, match="language: 'xx' is not a language we know"):
        roster.add("mary@example.com", Details(language="xx"))
    with pytest.raises(UsageError, match="name: is longer than 200 characters"):
        roster.add("mary@example.com", Details(name="x" * 201))
    with pytest.raises(UsageError, match="the control character"):
        roster.add("mary@example.com", Details(name="x\x1b[31m"))
    roster.path.write_text(PEOPLE + "- bad@\n")
    with pytest.raises(ConfigError, match=r"subscribers\.yaml:12: 'bad@'"):
        roster.add("mary@example.com")

    assert PEOPLE + "- bad@\n" == roster.path.read_text()


def test_a_name_is_one_line_whatever_is_typed(roster: FileRoster) -> None:
    added = roster.add("mary@example.com", Details(name="x\r\nBcc: y", attributes={"note": "a\r\nb"}))

    assert ("x Bcc: y", {"note": "a\nb"}) == (added.name, added.attributes)


def test_a_person_is_removed_with_the_comment_above(roster: FileRoster) -> None:
    assert GRACE == roster.remove("grace@EXAMPLE.com")

    assert "# The people\n- ada@example.com      # an address is enough\n\n- {email: konrad@bücher.example}\n" == (
        roster.path.read_text()
    )


def test_who_is_wrong_or_there_twice_can_be_removed_all_the_same(roster: FileRoster) -> None:
    roster.path.write_text(
        "- ada@example.com\n- bad@\n- email: ADA@example.com\n  nmae: x\n- grace@example.com\n- *x\n"
    )

    roster.remove("Ada@example.com")
    assert "bad@" == roster.remove("bad@").email

    assert "- grace@example.com\n- *x\n" == roster.path.read_text()


def test_who_is_not_there_cannot_be_removed(roster: FileRoster) -> None:
    with pytest.raises(UsageError, match=r"nobody@example\.com is not in subscribers\.yaml"):
        roster.remove("nobody@example.com")
    roster.path.write_text(PEOPLE + "- [a\n")
    with pytest.raises(ConfigError, match="closing ]"):
        roster.remove("nobody@example.com")
    with pytest.raises(ConfigError, match="closing ]"):
        roster.remove("ada@example.com")

    assert PEOPLE + "- [a\n" == roster.path.read_text()


def test_the_last_one_leaves_an_empty_list(roster: FileRoster) -> None:
    for email in ("ada@example.com", "grace@example.com", "konrad@bücher.example"):
        roster.remove(email)

    assert [] == list(roster.people())
    assert roster.path.read_text().startswith("# The people\n")


MEASURE = """
import resource, sys
from pathlib import Path
from newsletter.people.entry import Details
from newsletter.people.file import FileRoster
print(FileRoster(Path(sys.argv[1])).count(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def peak_kilobytes(path: Path) -> int:
    done = subprocess.run([sys.executable, "-c", MEASURE, str(path)], capture_output=True, text=True, check=True)
    count, peak = done.stdout.split()
    assert count.isdigit()
    return int(peak)


def test_a_large_list_costs_little_more_memory_than_a_small_one(tmp_path: Path) -> None:
    """Only the addresses are kept, to find who is there twice: well under a kilobyte a person."""
    path = tmp_path / "people.yaml"
    sizes = {}
    for number in (100, 20_000):
        entries = (
            f"- email: person{i}@example.com\n  name: Person {i}\n  attributes: {{a: b}}\n" for i in range(number)
        )
        path.write_text("".join(entries))
        sizes[number] = peak_kilobytes(path)

    assert sizes[20_000] - sizes[100] < 12_000 * (1 if resource.getpagesize() <= 4096 else 4)
