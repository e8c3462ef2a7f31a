"""`newsletter check` as a person types it: it judges the bytes that would leave."""

import pytest

from tests.cli.conftest import Done, Wire

MASTHEAD = '{% extends "default/issue.html.j2" %}{% block masthead %}<h1>Wire</h1>MORE{% endblock %}'


def override(wire: Wire, more: str) -> None:
    """Give the project a template of its own, with something more below the masthead."""
    folder = wire.folder / "templates"
    folder.mkdir(exist_ok=True)
    (folder / "issue.html.j2").write_text(MASTHEAD.replace("MORE", more), encoding="utf-8")


@pytest.mark.parametrize("digest", ["", "base_url: https://wire.example.com\n"])
def test_the_sample_letter_has_no_faults(wire: Wire, digest: str) -> None:
    wire.configure(wire.web.feed("/feed.xml", "One"), more=digest)

    done = wire("check", "--json")

    assert done.code == 0, done.out
    letter = [finding for finding in done.data if finding["what"] == "daily"]
    assert "from the bundled samples" in letter[0]["text"]
    assert [] == [finding for finding in letter if finding["level"] != "ok"]


def test_a_waiting_issue_has_no_faults(wire: Wire) -> None:
    wire.configure(wire.web.feed("/feed.xml", "The ferry sails again", "The clock is wound"))
    assert wire("fetch").code == 0

    done = wire("check", "--json")

    letter = [finding for finding in done.data if finding["what"] == "daily"]
    assert "from 2 waiting entries" in letter[0]["text"]
    assert ["ok"] * len(letter) == [finding["level"] for finding in letter]


def test_errors_of_the_letter_exit_with_3_and_say_what_where_why_and_how(wire: Wire) -> None:
    wire.configure(wire.web.feed("/feed.xml", "One"))
    override(wire, '<img src="https://pictures.example/logo.png">')

    done = wire("check")

    assert done.code == 3, done.out
    lines = done.out.splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith("error"))
    assert lines[start].startswith("error    daily: a picture without alt (HTML line ")
    assert lines[start].endswith(", in “Wire”)")
    assert lines[start + 1].startswith("         why: most clients block pictures")
    assert lines[start + 2].startswith('         hint: write alt="…"')


def test_machines_get_the_same_in_fields(wire: Wire) -> None:
    wire.configure(wire.web.feed("/feed.xml", "One"))
    override(wire, '<img src="https://pictures.example/logo.png">')

    done = wire("check", "--json")

    assert done.code == 3
    [found] = [finding for finding in done.data if finding["level"] == "error"]
    assert ("daily", "alt", "a picture without alt") == (found["what"], found["rule"], found["text"])
    assert {"level", "what", "text", "hint", "rule", "where", "why"} == set(found)
    assert found["where"]
    assert found["why"]
    assert found["hint"]


def test_the_html_is_judged_though_the_first_reader_takes_plain_text(wire: Wire) -> None:
    wire.configure(wire.web.feed("/feed.xml", "One"), people="- email: ada@example.com\n  format: text\n")
    override(wire, "<script>1</script>")

    assert wire("check").code == 3


def test_warnings_alone_are_no_failure(wire: Wire) -> None:
    wire.configure(wire.web.feed("/feed.xml", "One"))
    override(wire, '<p><a href="https://bit.ly/x">more</a></p>')

    done = wire("check", "--json")

    assert done.code == 0
    assert "shortener" in [finding["rule"] for finding in done.data if finding["level"] == "warning"]


def test_a_template_that_fails_is_an_error_of_its_own(wire: Wire) -> None:
    wire.configure(wire.web.feed("/feed.xml", "One"))
    override(wire, "{{ nothing }}")

    done = wire("check")

    assert done.code == 1
    assert "templates/issue.html.j2:1" in done.out


def test_other_errors_outrank_those_of_the_letter(wire: Wire) -> None:
    wire.configure(
        wire.web.feed("/feed.xml", "One"), people="- ada@example.com\n- not an address\n", more="title_: x\n"
    )

    assert wire("check").code == 2


def test_a_language_without_words_is_a_warning_that_says_what_happens(wire: Wire) -> None:
    wire.configure(wire.web.feed("/feed.xml", "One"), more="language: nl-BE\n")

    done = wire("check")

    assert 0 == done.code, done.out
    words = "there are no words in it, so the letter's own words and dates are in English"
    assert f"warning  config: language nl-BE: {words}\n" in done.out
    assert "copy newsletter/issues/catalogs/en.po to nl.po" in done.out
    assert "no words" not in switched(wire, "language: de-AT\n", "- ada@example.com\n").out


def test_the_languages_that_people_ask_for_in_vain_are_counted_in_one_line(wire: Wire) -> None:
    tags = ["nl"] * 3 + ["sv"] * 2 + ["de", "pt-BR", "da"]
    people = "".join(f"- {{email: p{n}@example.com, language: {tag}}}\n" for n, tag in enumerate(tags))

    both = switched(wire, "language: de\n", people + "- ada@example.com\n")
    one = switched(wire, "", "- {email: ada@example.com, language: nl}\n")

    words = "there are no words in them, so they get the letter in de"
    assert f"warning  people: 3 people asked for nl, 2 for sv, 1 for da: {words}\n" in both.out
    assert "warning  people: 1 person asked for nl: there are no words in it, so they get the letter in en\n" in one.out


def switched(wire: Wire, more: str, people: str) -> Done:
    """What check says of a project with these settings and people."""
    wire.configure(wire.web.feed("/feed.xml", "One"), more=more, people=people)
    return wire("check")


def test_pages_without_https_and_pages_that_nobody_serves_are_noticed(wire: Wire) -> None:
    wire.configure(wire.web.feed("/rss", "First"), more=f"base_url: {wire.web.url}/wire\n")

    done = wire("check", "--online")
    assert "is not https" in done.out
    assert "something else than newsletter serve answers there (404)" in done.out
    wire.web.pages["/wire/healthz"] = (200, b"ok\n")

    assert f"served at {wire.web.url}/wire" in wire("check", "--online").out
    assert "answers there" not in wire("check").out
