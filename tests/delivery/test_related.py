"""Pictures inside the message: where they stand, byte for byte what was frozen, the same at every attempt."""

import re
from collections.abc import Callable
from dataclasses import replace
from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest

from newsletter.delivery.compose import Skeleton
from newsletter.delivery.proof import Expected, check_message
from newsletter.delivery.related import picture_parts
from newsletter.errors import MessageError
from newsletter.issues.check import Level, judge
from newsletter.model import Format, OnUnknown, Picture, Rendering
from tests.delivery.conftest import Office
from tests.delivery.samples import ENVELOPE, ISSUE, RENDERING, SECRET, delivery, people
from tests.delivery.test_proof import EXPECTED

ONE = Picture(
    cid="0a" * 16 + "@example.com", media_type="image/jpeg", data=bytes(range(256)) * 40, width=536, height=90
)
TWO = Picture(cid="0b" * 16 + "@example.com", media_type="image/png", data=b"\0", width=8, height=8)
UNUSED = Picture(cid="0c" * 16 + "@example.com", media_type="image/png", data=b"unused", width=8, height=8)
ALL = (ONE, TWO, UNUSED)


def showing(*pictures: Picture) -> Rendering:
    images = "".join(f'<img src="cid:{one.cid}" alt="x">' for one in pictures)
    return replace(RENDERING, html=RENDERING.html.replace("</body>", f"{images}</body>"))


SHOWING = showing(ONE, TWO)


def skeleton(rendering: Rendering = SHOWING, wanted: Format = Format.html, **envelope: str) -> Skeleton:
    issue = replace(ISSUE, envelope=replace(ENVELOPE, **envelope))  # type: ignore[arg-type]
    return Skeleton.build(issue, rendering, wanted, secret=SECRET, pictures=picture_parts(ALL))


def parsed(raw: bytes) -> EmailMessage:
    return message_from_bytes(raw, policy=policy.default)


def test_the_html_and_its_pictures_are_one_alternative() -> None:
    """RFC 2387: the root comes first, and the type is the root's."""
    message = parsed(skeleton().message(delivery()))
    plain, related = message.iter_parts()
    html, one, two = related.iter_parts()

    assert ["multipart/alternative", "text/plain", "multipart/related", "text/html", "image/jpeg", "image/png"] == [
        part.get_content_type() for part in message.walk()
    ]
    assert "text/html" == related.get_param("type")
    assert SHOWING.html.count("cid:") == html.get_content().count("cid:")
    for part, picture in ((one, ONE), (two, TWO)):
        assert picture.data == part.get_content()
        assert ["Content-Type", "Content-Transfer-Encoding", "Content-ID", "Content-Disposition"] == part.keys()
        assert (f"<{picture.cid}>", "inline", None) == (
            part["Content-ID"],
            part.get_content_disposition(),
            part.get_filename(),
        )
    assert [] == [part.defects for part in message.walk() if part.defects]
    body = message.get_body(("related", "html"))
    assert body is not None, "what a client takes for the body"
    assert "multipart/related" == body.get_content_type()
    assert "Good morning, Ada Lovelace!" in plain.get_content()


def test_every_byte_can_be_carried_everywhere() -> None:
    raw = skeleton().message(delivery())
    lines = raw.split(b"\r\n")

    assert raw.isascii()
    assert raw.count(b"\n") == raw.count(b"\r\n") == raw.count(b"\r")
    assert [] == [line for line in lines if line.startswith(b".")]
    assert 76 == max(map(len, raw.partition(b"\r\n\r\n")[2].split(b"\r\n")))
    assert [] == [
        finding for finding in judge(raw) if finding.rule in ("mime", "long-line", "related", "picture-unused")
    ]


@pytest.mark.parametrize("boundary", ["b0a7" * 8, "a" * 60, "12345678"])
def test_no_boundary_begins_like_the_other(boundary: str) -> None:
    raw = skeleton(boundary=boundary).message(delivery())
    outer, inner = re.findall(rb'boundary="([^"]+)"', raw)

    assert not outer.startswith(inner)
    assert not inner.startswith(outer)
    assert max(len(outer), len(inner)) <= 70
    assert 6 == sum(1 for _ in parsed(raw).walk())


def test_a_long_domain_makes_a_long_line_and_nothing_else() -> None:
    domain = ".".join(["department"] * 15) + ".example"
    far = replace(TWO, cid=f"{'0d' * 16}@{domain}")
    made = Skeleton.build(ISSUE, showing(far), Format.html, secret=SECRET, pictures=picture_parts([far]))
    raw = made.message(delivery())

    assert far.data == list(parsed(raw).walk())[-1].get_content()
    assert [] == [finding for finding in judge(raw) if finding.rule == "long-line"]


def test_without_a_picture_the_message_is_what_it_always_was() -> None:
    plain = Skeleton.build(ISSUE, RENDERING, Format.html, secret=SECRET).message(delivery())

    assert plain == skeleton(RENDERING).message(delivery())
    assert b"related" not in plain


def test_a_reader_of_plain_text_gets_no_pictures() -> None:
    text = skeleton(wanted=Format.text).message(delivery())

    assert Skeleton.build(ISSUE, SHOWING, Format.text, secret=SECRET).message(delivery()) == text


def test_pictures_are_encoded_once_and_shared_by_everybody() -> None:
    parts = picture_parts(ALL)
    german = replace(SHOWING, key="de", language="de")
    made = [Skeleton.build(ISSUE, one, Format.html, secret=SECRET, pictures=parts) for one in (SHOWING, german)]
    pieces = [one.pieces(delivery(f"{n}@example.com")) for one in made for n in range(2)]

    for part in parts[:2]:
        assert 1 == len({id(piece) for many in pieces for piece in many if piece == part.encoded})
        assert 4 == sum(piece is part.encoded for many in pieces for piece in many)


def test_a_name_that_could_break_a_header_is_refused() -> None:
    for changes in (
        {"cid": "a b@example.com"},
        {"cid": "a" * 32 + "@x>\r\nBcc: eve"},
        {"media_type": "image/x\r\nBcc: a"},
    ):
        with pytest.raises(MessageError, match="cannot be a part"):
            picture_parts([replace(ONE, **changes)])  # type: ignore[arg-type]


# ------------------------------------------------------------------------- proof reading


RAW = skeleton().message(delivery())
SOUND: Expected = replace(EXPECTED, html=skeleton().html(delivery()), pictures=(ONE, TWO))


def test_a_sound_message_passes() -> None:
    check_message(RAW, SOUND)


def changed(old: str, new: str) -> Callable[[bytes], bytes]:
    assert old.encode() in RAW
    return lambda raw: raw.replace(old.encode(), new.encode(), 1)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (changed("multipart/related", "multipart/mixed"), "last alternative"),
        (changed('type="text/html"', 'type="text/plain"'), "type of what is related"),
        (changed("Content-ID: <0a", "Content-ID: <0f"), "pictures would read"),
        (changed("Content-Type: image/jpeg", "Content-Type: image/png"), "type of 0a"),
        (changed("Content-Type: image/png", "Content-Type: image/png; name=x"), "type of 0b"),
        (changed("Content-Transfer-Encoding: base64", "Content-Transfer-Encoding: 7bit"), "encoding of 0a"),
        (changed("Content-Disposition: inline", "Content-Disposition: attachment"), "disposition of 0a"),
        (changed("Content-Disposition: inline", "X-More: 1\r\nContent-Disposition: inline"), "fields of 0a"),
        (
            changed("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4", "AAEC"),
            "does not read",
        ),
        (changed("AAECAwQFBgcICQoLDA0ODxAREhMU", "AAECAwQFBgcICQoLDA0ODxAREhMV"), "picture 0a.* does not read"),
        (changed("AAECAwQF", "AAECAwQFAAECAwQF"), "too long"),
        (lambda raw: raw.replace(b"--=_=" + ENVELOPE.boundary.encode() + b"--", b"", 1), "defects"),
        (lambda raw: raw.replace(b"cid:0a", b"cid:0f"), "text/html part does not read"),
    ],
)
def test_a_fault_is_named(change: Callable[[bytes], bytes], told: str) -> None:
    with pytest.raises(MessageError, match=told):
        check_message(change(RAW), SOUND)


def test_a_picture_that_is_not_brought_along_stops_the_message() -> None:
    missing = replace(ONE, cid="0e" * 16 + "@example.com")
    with pytest.raises(MessageError, match="missing pictures"):
        skeleton(showing(ONE, missing))
    with pytest.raises(MessageError, match="unused pictures"):
        check_message(RAW, replace(SOUND, pictures=(ONE, TWO, UNUSED)))


def test_an_entry_may_write_about_pictures() -> None:
    told = RENDERING.html.replace("</body>", '<p>&lt;img src="cid:logo"&gt; and cid:logo</p></body>')

    assert b"multipart/related" not in skeleton(replace(RENDERING, html=told)).message(delivery())


def test_a_template_that_names_a_picture_nobody_has_is_sent_and_judged() -> None:
    """It must not stop an issue that is frozen; `newsletter check` says so before."""
    own = replace(RENDERING, html=RENDERING.html.replace("</body>", '<img src="cid:logo" alt="x"></body>'))
    raw = skeleton(own).message(delivery())

    assert ["picture-missing"] == [finding.rule for finding in judge(raw) if finding.rule == "picture-missing"]


# ------------------------------------------------------------------------------ delivery


def test_a_retry_is_the_same_message_without_fetching_again(office: Office) -> None:
    """The first answer gets lost; a second run takes everything from the store."""
    issue = office.freeze(people(3), rendering=SHOWING, pictures=ALL)
    first = office.send(issue, lambda step: "take drop" if step.name == "message" and step.attempt == 1 else None)
    office.store.recover(issue.id, OnUnknown.resend)
    second = office.send(issue)
    copies: dict[str, set[bytes]] = {}
    for taken in (*first.sink.accepted, *second.sink.accepted):
        copies.setdefault(taken.recipient, set()).add(taken.raw)

    assert {1} == {len(same) for same in copies.values()}
    assert len(first.sink.accepted) + len(second.sink.accepted) > 3
    message = parsed(next(iter(copies["reader1@example.com"])))
    assert [ONE.data, TWO.data] == [
        part.get_content() for part in message.walk() if part.get_content_maintype() == "image"
    ]


def test_the_letter_passes_the_check_of_built_messages() -> None:
    findings = judge(RAW)

    assert [] == [
        f.what for f in findings if f.level is Level.error and f.rule in ("related", "picture-missing", "mime")
    ]
    [size] = [f.what for f in findings if f.rule == "message-size"]
    assert re.fullmatch(rf"the message has {len(RAW):,} bytes, [\d,]+ of them for 2 pictures", size)
    assert "opening the letter calls no host" in [f.what for f in findings]
