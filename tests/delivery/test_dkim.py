"""Signatures that hold wherever they are checked, and break when anything they cover is touched."""

import re
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from newsletter.delivery.compose import Skeleton
from newsletter.delivery.dkim import OVERSIGNED, Algorithm, BodyHash, Signer, is_aligned, relaxed
from newsletter.delivery.keys import PrivateKey
from newsletter.delivery.quoting import quote_value
from newsletter.delivery.related import picture_parts
from newsletter.delivery.signed import check_signatures
from newsletter.errors import MessageError
from newsletter.issues.check import Level, judge
from newsletter.issues.merge import SUBJECT_LIMIT, make_token
from newsletter.model import Format, Picture, Rendering
from newsletter.text import one_line
from tests.delivery.samples import ENVELOPE, ISSUE, MERGE_TOKEN, RENDERING, SECRET, delivery
from tests.delivery.signing import both, by_ed25519, by_rsa, ed25519_key, holds, records, verdicts

PICTURE = Picture(cid="0a" * 16 + "@example.com", media_type="image/png", data=bytes(range(256)), width=8, height=8)
SHOWING = replace(RENDERING, html=f'{RENDERING.html}<img src="cid:{PICTURE.cid}" alt="x">\n')
SIGNERS = pytest.mark.parametrize("signers", [(by_rsa(),), (by_ed25519(),), both()], ids=["rsa", "ed25519", "both"])


def build(
    rendering: Rendering = RENDERING,
    wanted: Format = Format.html,
    signers: Sequence[Signer] = both(),
    **envelope: Any,
) -> Skeleton:
    issue = replace(ISSUE, envelope=replace(ENVELOPE, **envelope))
    return Skeleton.build(issue, rendering, wanted, secret=SECRET, pictures=picture_parts([PICTURE]), signers=signers)


def tags(raw: bytes, index: int = 0) -> dict[str, str]:
    """One signature's tags, as they read once unfolded."""
    values = re.findall(rb"(?m)^DKIM-Signature: ((?:[^\r\n]|\r\n )*)", raw)
    found = (tag.partition("=") for tag in re.sub(r"\s", "", values[index].decode()).split(";"))
    return {name: value for name, _, value in found}


# ------------------------------------------------------------------------ they hold


@SIGNERS
@pytest.mark.parametrize("wanted", list(Format))
@pytest.mark.parametrize("rendering", [RENDERING, SHOWING], ids=["plain", "with a picture"])
@pytest.mark.parametrize(
    "envelope",
    [{}, {"base_url": None}, {"reply_to": "desk@example.com"}, {"from_name": "Grüße, Łódź"}],
    ids=["web", "mail", "answers", "name"],
)
def test_every_kind_of_message_verifies(
    signers: tuple[Signer, ...], wanted: Format, rendering: Rendering, envelope: dict[str, Any]
) -> None:
    raw = build(rendering, wanted, signers, **envelope).message(delivery())

    assert holds(raw, signers)
    assert (b"multipart/related" in raw) == (wanted is Format.html and rendering is SHOWING)


@pytest.mark.parametrize(
    ("email", "name"),
    [
        ("søren@example.com", "Søren"),
        ("用户@xn--fsqu00a.example", ""),
        ("ada@example.com", 'O\'Brien, "Zoë" ' + "x" * 90),
    ],
)
def test_addresses_and_names_of_any_script_verify(email: str, name: str) -> None:
    raw = build().message(delivery(email, name))

    assert email.encode() in raw
    assert holds(raw, both())


@pytest.mark.parametrize(
    "subject", ["عناوين الصباح: العبّارة تُبحر", "חדשות הבוקר", "朝のニュース" * 20, "a  b   c", "x" * 150]
)
def test_subjects_of_any_script_verify(subject: str) -> None:
    assert holds(build(replace(RENDERING, subject=subject)).message(delivery()), both())


#: What breaks canonical forms: blank ends, blank lines, merge fields anywhere, values that vanish.
texts = st.lists(
    st.one_of(
        st.sampled_from(["\n", "\n\n", " ", "\t\n", " \n", ".", "From ", "=", "é", "東京", "x" * 200, "\r\n", "\r"]),
        st.text(max_size=30),
        st.sampled_from(["subscriber.name", "unsubscribe_url"]).map(lambda field: make_token(MERGE_TOKEN, field)),
    ),
    max_size=20,
).map("".join)
values = st.one_of(st.text(max_size=60), st.sampled_from(["", " ", "Ada", "=", "x" * 300, "a\r\nb", "\r\n"]))


@settings(max_examples=120)
@given(
    subject=st.one_of(texts, st.text(max_size=300)),
    bodies=st.tuples(texts, texts),
    name=values,
    value=values,
    wanted=st.sampled_from(Format),
)
def test_whatever_is_in_an_issue_its_signatures_hold(
    subject: str, bodies: tuple[str, str], name: str, value: str, wanted: Format
) -> None:
    rendering = replace(RENDERING, subject=one_line(subject, SUBJECT_LIMIT), text=bodies[0], html=bodies[1])
    row = delivery(name=name, merge={"subscriber.name": value})

    # Building proof-reads a first message by rules of its own; dkimpy reads the second.
    raw = build(rendering, wanted, (by_ed25519(),)).message(row)

    assert holds(raw, (by_ed25519(),))
    check_signatures(raw, (by_ed25519(),))


@pytest.mark.parametrize("end", ["", "\n", "\n\n\n", "{name}", "{name}\n", "{name}\n\n", "\n{name}\n{name}\n"])
@pytest.mark.parametrize("value", ["", "Ada"])
def test_a_plain_text_may_end_in_anything(end: str, value: str) -> None:
    """A value leaves through a soft line break, so what comes last can be an empty line: not part of the simple form."""
    text = "Good morning" + end.replace("{name}", make_token(MERGE_TOKEN, "subscriber.name"))

    raw = build(replace(RENDERING, text=text), Format.text).message(delivery(merge={"subscriber.name": value}))

    assert holds(raw, both())


pieces = st.sampled_from([b"", b"a=\r\n", b"b\r\n", b"\r\n", b"\r\n\r\n", b"c", b"\r\n\r\nd\r\n\r\n", b"x" * 3000])


@given(literals=st.lists(st.tuples(pieces, st.sampled_from([None, 0, 1])), max_size=8), slots=st.tuples(pieces, pieces))
def test_the_prepared_hash_is_that_of_the_whole_body(
    literals: list[tuple[bytes, int | None]], slots: tuple[bytes, bytes]
) -> None:
    body = b"".join(literal + (b"" if slot is None else slots[slot]) for literal, slot in literals)
    simple = re.sub(rb"(?:\r\n)*\Z", b"", body) + b"\r\n"

    prepared = BodyHash(literals)

    assert b64encode(sha256(simple).digest()) == prepared.of(slots)
    assert b64encode(sha256(simple).digest()) == prepared.of(slots), "once more"


def test_what_others_put_on_top_on_the_way_harms_nothing() -> None:
    raw = b"Received: from a.example by b.example; Mon, 02 Mar 2026 07:00:01 +0000\r\n" + build().message(delivery())

    assert holds(raw, both())


def test_refolded_headers_still_hold() -> None:
    """The relaxed form forgives what relays do to white space and to the case of names."""
    raw = build().message(delivery())
    changed = raw.replace(b"\r\nTo: Ada Lovelace ", b"\r\nTO:  Ada\r\n\tLovelace  ").replace(
        b"\r\nMIME-Version:", b"\r\nMime-version:"
    )

    assert changed != raw
    assert holds(changed, both())


# ------------------------------------------------------------------ and they break


def signed_places(raw: bytes) -> list[int]:
    """Where the bytes are that a signature covers, line ends and white space of headers aside."""
    head, _, _ = raw.partition(b"\r\n\r\n")
    names = "|".join(OVERSIGNED).encode()
    places = []
    for field in re.finditer(rb"(?m)^(?:%s): (?:[^\r\n]|\r\n )*" % names, head):
        places += [at for at in range(*field.span()) if raw[at : at + 1].strip()]
    return places + [at for at in range(len(head) + 4, len(raw)) if raw[at] not in b"\r\n"]


def test_any_byte_that_is_changed_breaks_the_signature() -> None:
    raw = build(signers=(by_ed25519(),)).message(delivery())
    published = records((by_ed25519(),))
    places = signed_places(raw)

    survived = [
        raw[max(0, at - 20) : at + 1]
        for at in places
        if verdicts(raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :], published) != [False]
    ]

    assert [] == survived
    assert 1_200 < len(places)


@pytest.mark.parametrize("name", OVERSIGNED)
@pytest.mark.parametrize("first", [True, False])
def test_no_second_field_can_be_added(name: str, first: bool) -> None:
    """RFC 6376 §8.15: over-signed, also where the message has none of that name."""
    head, _, body = build().message(delivery()).partition(b"\r\n\r\n")
    added = f"{name}: <https://evil.example/>".encode()

    raw = (added + b"\r\n" + head if first else head + b"\r\n" + added) + b"\r\n\r\n" + body

    assert [False, False] == verdicts(raw, records(both()))


@pytest.mark.parametrize("more", [b"\r\n", b"More.\r\n"])
def test_text_below_the_letter_breaks_it_and_blank_lines_do_not(more: bytes) -> None:
    raw = build().message(delivery()) + more

    assert [more == b"\r\n"] * 2 == verdicts(raw, records(both()))


def test_somebody_elses_key_does_not_verify() -> None:
    raw = build(signers=(by_ed25519(),)).message(delivery())
    other = PrivateKey(Ed25519PrivateKey.generate())
    published = {"ed25519._domainkey.example.com.": other.record()}

    assert [False] == verdicts(raw, published)


# --------------------------------------------------------------------- what it says


def test_the_tags_are_those_that_bulk_senders_need() -> None:
    raw = build().message(delivery())
    rsa, ed25519 = tags(raw, 0), tags(raw, 1)

    assert ["v", "a", "c", "d", "s", "t", "h", "bh", "b"] == list(rsa) == list(ed25519)
    assert ("1", "rsa-sha256", "relaxed/simple", "example.com", "rsa") == tuple(rsa[tag] for tag in "vacds")
    assert ("ed25519-sha256", "ed25519") == (ed25519["a"], ed25519["s"])
    signed = rsa["h"].split(":")
    # RFC 8058 §4: both fields of one-click unsubscribe.
    assert (2, 2) == (signed.count("list-unsubscribe"), signed.count("list-unsubscribe-post"))
    present = {name.lower() for name in OVERSIGNED} - {"reply-to", "content-transfer-encoding"}
    assert {name: 1 + (name in present) for name in map(str.lower, OVERSIGNED)} == {n: signed.count(n) for n in signed}


def test_the_timestamp_is_the_issues_date_so_a_retry_is_the_same_message() -> None:
    raw = build().message(delivery())

    assert str(int(ENVELOPE.date.timestamp())) == tags(raw)["t"]
    assert raw == build().message(delivery(attempts=3, last_code=450))
    assert raw != build(date=ENVELOPE.date + timedelta(seconds=1)).message(delivery())


@pytest.mark.parametrize("domain", ["example.com", "a-rather-long-label-for-a-domain." * 6 + "example"])
@pytest.mark.parametrize("selector", ["s", "2026.of-a-very-long-name-that-somebody-chose"])
def test_its_lines_are_short_unless_a_name_is_not(domain: str, selector: str) -> None:
    signer = Signer(domain=domain, selector=selector, key=ed25519_key())

    raw = build(signers=(signer,)).message(delivery())

    head = raw.partition(b"\r\nFrom:")[0]
    assert [] == [line for line in head.split(b"\r\n") if len(line) > 76 and not line.startswith(b" d=")]
    assert holds(raw, (signer,))


def test_without_signers_nothing_changes() -> None:
    unsigned = build(signers=()).message(delivery())
    signed = build().message(delivery())

    assert b"DKIM" not in unsigned
    assert signed.endswith(unsigned)
    assert signed.removesuffix(unsigned).startswith(b"DKIM-Signature: ")


def test_the_letters_own_rules_find_nothing_to_blame() -> None:
    rules = {fault.rule for fault in judge(build().message(delivery())) if fault.level is Level.error}

    assert rules == {fault.rule for fault in judge(build(signers=()).message(delivery())) if fault.level is Level.error}


# ------------------------------------------------------- proof-read before it leaves


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (b"Good morning", b"Good evening", "it is not of this body"),
        (b"To: Ada", b"To: Bob", "it is not of these headers"),
        (b"a=rsa-sha256", b"a=rsa-sha1", "its tag a is 'rsa-sha1'"),
        (b"s=rsa;", b"s=rsa2;", "its tag s is 'rsa2'"),
        (b"t=1772434800;", b"t=1772434800; l=12;", "its tags are not those"),
        (b"\r\nFrom: ", b"\r\nSubject: x\r\nFrom: ", "subject is not signed once more than it occurs"),
        (b"h=from:", b"h=", "from is not signed once more than it occurs"),
        (b"; t=1772434800;", b";" + b" " * 80 + b"t=1772434800;", "a line of it is too long"),
    ],
)
def test_a_signature_that_would_not_hold_never_leaves(old: bytes, new: bytes, reason: str) -> None:
    raw = build().message(delivery())
    if old == b"; t=1772434800;":
        old = b"s=rsa;\r\n t=1772434800;"
        new = b"s=rsa;\r\n" + b" " * 80 + b"t=1772434800;"
    assert old in raw

    with pytest.raises(MessageError, match=re.escape(reason)):
        check_signatures(raw.replace(old, new), both())


@pytest.mark.parametrize("signers", [(), (by_rsa(),), (by_ed25519(), by_rsa())])
def test_a_missing_or_another_signature_is_found(signers: tuple[Signer, ...]) -> None:
    raw = build().message(delivery())

    with pytest.raises(MessageError, match="DKIM signature"):
        check_signatures(raw, signers)


class Forgetful:
    """A key that signs something else than it is given."""

    algorithm: Algorithm = "ed25519-sha256"

    def sign(self, data: bytes) -> bytes:
        return ed25519_key().sign(data + b"\r\n")

    def verify(self, data: bytes, signature: bytes) -> bool:
        return ed25519_key().verify(data, signature)


def test_a_skeleton_whose_signatures_do_not_hold_is_not_built() -> None:
    signer = Signer(domain="example.com", selector="x", key=Forgetful())

    with pytest.raises(MessageError, match=r"the DKIM signature of x at example\.com would not hold"):
        build(signers=(signer,))


# ------------------------------------------------------------------------ small parts


@pytest.mark.parametrize(
    ("line", "form"),
    [
        (b"Subject: a  b\t c \r\n", b"subject:a b c\r\n"),
        (b"SUBJECT :a\r\n", b"subject:a\r\n"),
        (b"To: a,\r\n b\r\n", b"to:a, b\r\n"),
        (b"To:\r\n a\r\n", b"to:a\r\n"),
    ],
)
def test_the_relaxed_form_of_a_field(line: bytes, form: bytes) -> None:
    assert form == relaxed(line)


@pytest.mark.parametrize(
    ("signing", "sender", "aligned"),
    [
        ("example.com", "example.com", True),
        ("example.com", "news.example.com", True),
        ("mail.example.com", "news.example.com", True),
        ("EXAMPLE.com.", "example.COM", True),
        ("example.com", "example.org", False),
        ("esp.example", "wire.example", False),
        ("one.co.uk", "other.co.uk", False),
        ("mail.one.co.uk", "one.co.uk", True),
        ("com.de", "example.com.de", False),
    ],
)
def test_alignment_is_of_the_organisation(signing: str, sender: str, aligned: bool) -> None:
    assert aligned == is_aligned(signing, sender)


def test_a_value_leaves_through_a_soft_line_break() -> None:
    """What `BodyHash` counts on where a text ends in a value."""
    assert quote_value("Ada") == b"Ada=\r\n"
    assert quote_value("") == b""
