"""What stands in a person's gaps is what escaping and encoding each value would give, however it is come by."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from newsletter.delivery.gaps import Gaps
from newsletter.delivery.headers import address_header, header_line, message_id_header, message_id_line, to_line
from newsletter.delivery.links import links_with, token
from newsletter.delivery.quoting import quote_value
from newsletter.errors import MessageError
from newsletter.issues.merge import Piece
from tests.delivery.samples import ENVELOPE, MERGE_TOKEN, SECRET

FIELDS = ("subscriber.name", "unsubscribe_url", "preferences_url", "view_url")
bases = st.one_of(
    st.none(),
    # Of every length, so that lines break before, in and after the token.
    st.integers(0, 120).map(lambda length: f"https://wire.example.com/{'x' * length}"),
    st.sampled_from(
        ["https://wire.example.com/?a=1&b='", "https://wire.example.com/From me", "https://x.example/5eed"]
    ),
)


@given(base=bases, digest=st.text(min_size=1, max_size=60), key=st.text(max_size=20), name=st.text(max_size=40))
def test_the_gaps_hold_each_value_escaped_and_encoded(base: str | None, digest: str, key: str, name: str) -> None:
    envelope = replace(ENVELOPE, base_url=base)
    slots = [Piece("", field, kind) for field in FIELDS for kind in "thqujm"]
    mine = token(SECRET, digest, key)
    gaps = Gaps(slots, links_with(envelope, digest, 12, MERGE_TOKEN), MERGE_TOKEN)
    links = links_with(envelope, digest, 12, mine)
    values = {
        "subscriber.name": name,
        "unsubscribe_url": links.unsubscribe_url,
        "preferences_url": links.preferences_url,
        "view_url": links.view_url,
    }

    assert [quote_value(slot.written(values)) for slot in slots] == gaps.filled({"subscriber.name": name}, mine)
    assert values == gaps.values({"subscriber.name": name}, mine)


emails = st.one_of(
    st.emails(),
    st.sampled_from(
        ["a..b@example.com", "a=?b@example.com", "jürgen@example.com", "a@b@example.com", "a b@example.com"]
    ),
    st.text(max_size=60),
)
names = st.one_of(
    st.text(max_size=90),
    st.from_regex(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ .-]{0,90}", fullmatch=True),
    st.sampled_from(["Ada Lovelace", "=?utf-8?q?Ada?=", "Ada  Lovelace", "Ada <ada@example.com>\r\nBcc: x", "Zoë"]),
)


@given(name=names, email=emails)
def test_a_recipient_is_written_the_same_the_quick_way(name: str, email: str) -> None:
    try:
        expected = header_line("To", address_header(name, email, column=len("To: ")))
    except MessageError:
        expected = None
    try:
        found = to_line(name, email)
    except MessageError:
        found = None

    assert expected == found


@given(st.from_regex(r"[A-Za-z0-9._+-]{1,300}@[A-Za-z0-9.-]{1,800}", fullmatch=True))
def test_a_message_id_is_written_the_same_the_quick_way(message_id: str) -> None:
    try:
        expected = header_line("Message-ID", message_id_header(message_id))
    except MessageError:
        expected = None
    try:
        found = message_id_line(message_id)
    except MessageError:
        found = None

    assert expected == found
