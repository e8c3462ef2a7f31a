"""`newsletter check` as a person types it: it judges the bytes that would leave."""

import pytest

from tests.cli.conftest import Wire

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
