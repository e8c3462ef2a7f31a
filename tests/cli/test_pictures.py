"""`pictures: cid`, typed as a person types it: what is in the letter, what is left out, and who is told."""

import os
import re
import ssl
from base64 import b64decode
from email import message_from_bytes
from email.message import Message
from pathlib import Path

import trustme

from tests.cli.conftest import Web, Wire, call_process
from tests.conftest import ROOT
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
    return [kind, [tree(one) for one in part.get_payload()]] if part.is_multipart() else kind  # type: ignore[arg-type]


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


def test_a_preview_shows_its_pictures_and_holds_the_real_message(wire: Wire) -> None:
    wire.configure(publish(wire, one=jpeg(), two=jpeg((90, 90))), more=CID)

    done = wire("preview", "--out", "out", "--json")
    assert 0 == done.code, done.err
    page = (wire.folder / "out" / "issue.html").read_text(encoding="utf-8")
    message = message_from_bytes((wire.folder / "out" / "issue.eml").read_bytes())
    pictures = [data for kind, _, data in leaves(message) if kind.startswith("image/")]
    assert [("536", pictures[0]), ("90", pictures[1])] == [
        (width, b64decode(data))
        for data, width in re.findall(r'<img [^>]*src="data:image/jpeg;base64,([^"]+)"[^>]*width="(\d+)"', page)
    ]
    assert "cid:" not in page
    assert {"embedded": 2, "bytes": sum(map(len, pictures)), "left_out": []} == done.data["pictures"]

    wire.web.asked.clear()
    assert 0 == wire("preview", "--out", "without", "--no-fetch").code
    assert [] == wire.web.asked


def test_what_was_sent_is_exported_byte_for_byte_without_asking_anybody(wire: Wire) -> None:
    wire.configure(publish(wire, one=jpeg(), two=encoded(drawing(), "PNG")), more=CID)
    assert 0 == wire("send", "-y").code
    sent = leaves(caught(wire))[2:]
    wire.web.pages.clear()
    wire.web.asked.clear()

    for form in ("eml", "html", "text", "markdown", "json"):
        assert 0 == wire("issue", "export", "1", "--format", form, "--out", "shelf").code
    assert [] == wire.web.asked
    exported = message_from_bytes((wire.folder / "shelf" / "daily-1.eml").read_bytes())
    assert sent == leaves(exported)[2:]
    page = (wire.folder / "shelf" / "daily-1.html").read_text(encoding="utf-8")
    assert [data for _, _, data in sent] == [
        b64decode(data) for data in re.findall(r'src="data:image/\w+;base64,([^"]+)"', page)
    ]


def test_everybody_gets_the_same_pictures_but_who_wants_plain_text(wire: Wire) -> None:
    people = "- ada@example.com\n- {email: karl@example.com, language: de}\n- {email: cy@example.com, format: text}\n"
    wire.configure(publish(wire, one=jpeg()), people=people, more=CID)
    assert 0 == wire("send", "-y").code

    by_person = {one.recipients[0]: message_from_bytes(one.path.read_bytes()) for one in wire.mail.caught}
    ada, karl, cy = (by_person[f"{name}@example.com"] for name in ("ada", "karl", "cy"))
    assert leaves(ada)[2:] == leaves(karl)[2:]
    assert 1 == len(leaves(ada)[2:])
    assert "text/plain" == tree(cy)
    assert ["/feed.xml", "/one.img"] == wire.web.asked, "once for everybody"


def test_asking_changes_nothing(wire: Wire) -> None:
    wire.configure(publish(wire, one=jpeg()), more=CID)
    for words in (
        ["send", "--dry-run"],
        ["preview", "--out", "seen"],
        ["send", "--test", "ada@example.com"],
        ["check"],
    ):
        assert 0 == wire(*words).code, words
    assert not (wire.folder / ".newsletter").exists()
    assert "image/jpeg" == leaves(caught(wire))[2][0], "the test mail is the whole letter"

    dry = wire("send", "--dry-run")
    assert re.search(r"^1 picture inside the message, [\d,]+ bytes$", dry.out, re.MULTILINE)


def test_a_letter_without_any_picture_is_of_two_parts(wire: Wire) -> None:
    wire.configure(publish(wire, one=None, gone=404), more=CID)
    assert 0 == wire("send", "-y").code

    assert ["multipart/alternative", ["text/plain", "text/html"]] == tree(caught(wire))


def test_a_picture_of_a_feed_that_may_not_be_private_is_not_asked_for_here(wire: Wire) -> None:
    """The feed is a file, and nobody allowed it to lead us to this machine."""
    publish(wire, one=jpeg())
    (wire.folder / "feed.xml").write_bytes(wire.web.pages["/feed.xml"][1])
    wire.configure(more=CID)
    path = wire.folder / "newsletter.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("feeds: []\n", "feeds: [feed.xml]\n"), encoding="utf-8")

    done = wire("send", "-y")
    assert 0 == done.code, done.err
    assert f"warning: picture {wire.web.url}/one.img: 127.0.0.1 is not on the public internet; left out" in done.err
    assert [] == wire.web.asked


def test_check_gets_pictures_only_online(wire: Wire) -> None:
    wire.configure(publish(wire, one=jpeg(), gone=404), more=CID)
    assert 0 == wire("fetch").code
    wire.web.asked.clear()

    offline = wire("check")
    assert (0, []) == (offline.code, wire.web.asked), offline.out
    assert "daily: without its pictures, which `newsletter check --online` gets" in offline.out
    online = wire("check", "--online")
    assert 0 == online.code, online.out
    assert re.search(r"daily: picture http://\S+/gone\.img: 127\.0\.0\.1 has nothing .*; left out", online.out)
    assert re.search(r"the message has [\d,]+ bytes, [\d,]+ of them for 1 picture", online.out)
    assert "opening the letter calls no host" in online.out


def test_https_is_asked_with_certificates_that_are_checked(wire: Wire, tmp_path: Path) -> None:
    """A feed's https picture, from a server whose authority this process trusts; the next process does not."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    secure = Web(context)
    try:
        secure.pages["/p.jpg"] = (200, jpeg())
        item = f'<item><title>One</title><guid>1</guid><description>&lt;img src="{secure.url}/p.jpg"&gt;</description></item>'
        wire.web.pages["/feed.xml"] = (
            200,
            f'<?xml version="1.0"?><rss version="2.0"><channel>{item}</channel></rss>'.encode(),
        )
        wire.configure(f"{wire.web.url}/feed.xml", more=CID)
        command = ("preview", "--out", "out", "--json")
        trusted = call_process(*command, cwd=wire.folder, SSL_CERT_FILE=str(tmp_path / "ca.pem"))
        untrusted = call_process(*command, cwd=wire.folder)
    finally:
        secure.close()

    assert (0, 1) == (trusted.code, trusted.data["pictures"]["embedded"]), trusted.err
    assert (0, 0) == (untrusted.code, untrusted.data["pictures"]["embedded"]), untrusted.err
    assert "the certificate of 127.0.0.1 is not valid" in untrusted.err


def test_without_pillow_the_setting_is_refused_with_what_to_install(wire: Wire, tmp_path: Path) -> None:
    """In a process that has none: a folder before all others hides it."""
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "sitecustomize.py").write_text("import sys\nsys.modules['PIL'] = None\n", encoding="utf-8")
    wire.configure(publish(wire, one=jpeg()), more=CID)
    path = f"{hidden}{os.pathsep}{ROOT}"

    refused = call_process("send", "--dry-run", cwd=wire.folder, PYTHONPATH=path)
    assert 2 == refused.code
    assert (
        "error: newsletter.yaml:5: digests.daily.pictures: cid needs Pillow, which is not installed: "
        'pip install "newsletter-press[pictures]"'
    ) == refused.err.strip()
    wire.configure(publish(wire, one=jpeg()))
    assert 0 == call_process("send", "--dry-run", cwd=wire.folder, PYTHONPATH=path).code
