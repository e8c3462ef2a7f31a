"""The editor's note: said once, above the entries, in every part; never with a link that leads nowhere."""

import re
from email import message_from_bytes
from email.message import Message

from tests.cli.conftest import Wire

_NOTE = "## Good *morning*\n\nThe ferry is [back](https://ferry.example/?utm_source=x).\n\n<script>alert(1)</script>\n"


def _parts(raw: bytes) -> tuple[str, str]:
    """Text and HTML of a caught message."""
    message: Message = message_from_bytes(raw)
    text, html = (
        part.get_payload(decode=True).decode().replace("\r\n", "\n")  # type: ignore[union-attr]
        for part in message.walk()
        if not part.is_multipart()
    )
    return text, html


def _project(wire: Wire, *titles: str, note: str | None = "note.md") -> None:
    setting = f"digests:\n  daily: {{note: {note}}}\n" if note else ""
    wire.configure(wire.web.feed("/rss", *(titles or ("First", "Second"))), more=setting)


def test_a_note_stands_above_the_entries_in_every_part(wire: Wire) -> None:
    _project(wire)
    (wire.folder / "note.md").write_text(_NOTE, encoding="utf-8")

    sent = wire("send", "-y")

    assert (0, "") == (sent.code, re.sub(r"^(?!error|warning|hint).*\n", "", sent.err, flags=re.MULTILINE))
    text, html = _parts(wire.mail.caught[0].path.read_bytes())
    assert text.index("Good morning") < text.index("https://ferry.example/") < text.index("First")
    assert html.index(">Good <em") < html.index('href="https://ferry.example/"') < html.index(">First<")
    assert re.search(r"<h2[^>]*>Good <em", html)
    assert "<script" not in html
    assert "utm_source" not in html + text
    exported = wire("issue", "export", "1").out
    assert exported.index("## Good *morning*") < exported.index("First")
    assert _NOTE.strip() == wire("issue", "show", "1", "--json").data["note"]


def test_the_same_note_is_not_sent_twice_unless_it_is_said_again(wire: Wire) -> None:
    _project(wire)
    (wire.folder / "note.md").write_text("Good morning", encoding="utf-8")
    wire("send", "-y")
    wire.web.feed("/rss", "Third", "First", "Second")

    sent = wire("send", "-y")

    assert "warning: the note is the one of issue 1, so it is left out" in sent.err
    wire.web.feed("/rss", "Fourth", "Third", "First", "Second")
    again = wire("send", "-y", "--note", "@note.md")
    assert "warning" not in again.err
    said = ["Good morning" in _parts(caught.path.read_bytes())[0] for caught in wire.mail.caught]
    assert [True, False, True] == said


def test_a_note_of_a_cancelled_issue_goes_out_with_the_next(wire: Wire) -> None:
    _project(wire)
    (wire.folder / "note.md").write_text("Good morning", encoding="utf-8")
    wire.configure(
        wire.web.url + "/rss", more="digests:\n  daily: {note: note.md}\n", smtp="{host: 127.0.0.1, port: 1, tls: none}"
    )
    wire("send", "-y")
    wire("issue", "cancel", "1")
    _project(wire)

    sent = wire("send", "-y")

    assert "warning: the note" not in sent.err
    assert "Good morning" in _parts(wire.mail.caught[0].path.read_bytes())[0]


def test_no_file_no_note(wire: Wire) -> None:
    _project(wire)

    assert 0 == wire("send", "-y").code
    assert "" == wire("issue", "show", "1", "--json").data["note"]


def test_a_note_for_one_send_only(wire: Wire) -> None:
    _project(wire, note=None)

    shown = wire("send", "--dry-run", "--note", "Hello *you*")
    wire("send", "-y", "--note", "Hello *you*")

    assert "  note: Hello *you*" in shown.out.splitlines()
    assert "Hello you" in _parts(wire.mail.caught[0].path.read_bytes())[0]
    assert "<em>you</em>" in _parts(wire.mail.caught[0].path.read_bytes())[1]


def test_mistakes_in_a_note_are_named_and_nothing_is_sent(wire: Wire) -> None:
    _project(wire)
    for content, expected in (
        (b"one\n\ntwo [x](page.html) and\n![y](pic.png)\n", "note.md:3: the link to page.html needs a whole address"),
        (b"caf\xe9", "note.md: is not UTF-8 text"),
        (b"word " * 5000, "note.md: is longer than 20,000 characters"),
        ("é".encode() * 50_000, "note.md: is longer than 20,000 characters"),
    ):
        (wire.folder / "note.md").write_bytes(content)

        sent = wire("send", "-y")

        assert 2 == sent.code
        assert f"error: {expected}" in sent.err
    (wire.folder / "note.md").write_bytes(b"one\n\n![y](pic.png)\n\n[z](//z.example/)")
    both = wire("preview", "--out", "seen").err
    assert "note.md:3: the picture to pic.png" in both
    assert "note.md:5: the link to //z.example/" in both
    missing = wire("send", "-y", "--note", "@none.md")
    assert (2, True) == (missing.code, "there is no file none.md" in missing.err)
    assert [] == wire.mail.caught
