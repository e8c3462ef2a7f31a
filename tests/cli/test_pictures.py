"""`pictures: cid`, typed as a person types it: what is in the letter, what is left out, and who is told."""

import json
from email import message_from_bytes
from email.message import Message
from pathlib import Path

import pytest

from tests.cli.conftest import Wire, call_process
from tests.painted import drawing, encoded, jpeg, opened

CID = "digests:\n  daily: {pictures: cid}\n"


def publish(wire: Wire, **pictures: bytes | int | None) -> str:
    """A feed whose entries each have a picture: its bytes, or the status it is answered with; None for no picture."""
    items = []
    for name, picture in pictures.items():
        image = ""
        if picture is not None:
            wire.web.pages[f"/{name}.img"] = (200, picture) if isinstance(picture, bytes) else (picture, b"no")
            image = f'<enclosure url="{wire.web.url}/{name}.img" type="image/jpeg" length="1"/>'
        items.append(
            f"<item><title>Story {name}</title><link>https://news.example.com/{name}</link><guid>{name}</guid>"
            f'{image}<description>About {name}. &lt;img src="https://pixel.example/{name}.png"&gt;</description></item>'
        )
    body = f'<?xml version="1.0"?><rss version="2.0"><channel><title>News</title>{"".join(items)}</channel></rss>'
    wire.web.pages["/feed.xml"] = (200, body.encode())
    return f"{wire.web.url}/feed.xml"


def tree(part: Message) -> object:
    """The types of a message's parts, as lists in lists."""
    kind = part.get_content_type()
    return [kind, [tree(one) for one in part.get_payload()]] if part.is_multipart() else kind  # type: ignore[arg-type, union-attr]


def leaves(message: Message) -> list[tuple[str, str | None, bytes]]:
    return [
        (part.get_content_type(), part["Content-ID"], part.get_payload(decode=True))  # type: ignore[misc]
        for part in message.walk()
        if not part.is_multipart()
    ]


def caught(wire: Wire, number: int = -1) -> Message:
    return message_from_bytes(wire.mail.caught[number].path.read_bytes())


def test_a_picture_travels_inside_the_message_and_nobody_is_asked_for_one(wire: Wire) -> None:
    wire.configure(publish(wire, one=jpeg(), two=None, three=encoded(drawing(), "PNG")), more=CID)

    sent = wire("send", "-y")
    assert (0, "") == (sent.code, sent.err if "warning" in sent.err else "")
    message = caught(wire)
    assert [
        "multipart/alternative",
        ["text/plain", ["multipart/related", ["text/html", "image/jpeg", "image/png"]]],
    ] == tree(message)
    _, (_, _, html), *pictures = leaves(message)
    assert b"https://pixel.example" not in html
    assert b"http://127.0.0.1" not in html
    for _, cid, data in pictures:
        assert cid is not None
        assert cid.endswith("@example.com>")
        assert f'src="cid:{cid[1:-1]}"'.encode() in html
        assert opened(data).width <= 1072


def test_what_cannot_be_had_is_left_out_and_named(wire: Wire) -> None:
    wire.configure(publish(wire, good=jpeg(), gone=404, page=b"<html>not a picture</html>"), more=CID)
    gone = f"picture {wire.web.url}/gone.img: 127.0.0.1 has nothing at this address (404); left out"
    page = f"picture {wire.web.url}/page.img: it is no picture in JPEG, PNG, GIF, WebP or AVIF; left out"

    for words in (
        ["preview", "--out", "out"],
        ["send", "--dry-run"],
        ["send", "--test", "ada@example.com"],
        ["send", "-y"],
    ):
        done = wire(*words)
        assert 0 == done.code, done.err
        assert [f"warning: {gone}", f"warning: {page}"] == [
            line for line in done.err.splitlines() if line.startswith("warning")
        ], words
    html = leaves(caught(wire))[1][2].decode()
    assert 1 == html.count("<img")
