"""How large the letter is, and what the size budget did, said wherever the next issue is looked at."""

from tests.cli.conftest import Wire

_WORDS = "A story told in some words. " * 12


def _large(wire: Wire) -> None:
    url = wire.web.feed("/rss", *(f"Story {number} of many" for number in range(500)))
    wire.web.pages["/rss"] = (
        200,
        wire.web.pages["/rss"][1].replace(b"<description>About", f"<description>{_WORDS}".encode()),
    )
    wire.configure(url, more="first_run: all\n")


def test_dry_run_preview_and_check_say_what_was_shortened(wire: Wire) -> None:
    _large(wire)
    assert 0 == wire("fetch").code

    dry_run = wire("send", "--dry-run")
    preview = wire("preview", "--out", "seen", "--no-fetch", "--json")
    check = wire("check")

    said = next(line for line in dry_run.out.splitlines() if line.startswith("HTML part: "))
    size = preview.data["size"]
    assert f"HTML part: {size['bytes_after']:,} of 90,000 bytes" in said
    assert f"{size['counted']} in the text part only" in said
    assert 500 == size["full"] + size["short"] + size["headlines"] + size["counted"]
    assert len((wire.folder / "seen" / "issue.html").read_bytes()) <= size["bytes_after"] < 90_000
    assert "HTML part: " in check.out + check.err


def test_the_built_message_carries_every_entry_in_its_text(wire: Wire) -> None:
    _large(wire)

    wire("preview", "--out", "seen")

    text = (wire.folder / "seen" / "issue.txt").read_text(encoding="utf-8")
    assert all(f"\nhttps://news.example.com/Story-{number}-of-many\n" in text for number in range(500))
    assert "in the plain text of this message" in (wire.folder / "seen" / "issue.html").read_text(encoding="utf-8")
