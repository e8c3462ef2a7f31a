"""Whatever a server says is read within bounds, and means one thing."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.delivery.replies import GARBAGE, Phase, Reply, ReplyReader, Verdict, judge

# -------------------------------------------------------------------------- reading


def read(*chunks: bytes) -> list[Reply]:
    reader = ReplyReader()
    return [reply for chunk in chunks for reply in reader.feed(chunk)]


@pytest.mark.parametrize(
    ("data", "replies"),
    [
        (b"250 ok\r\n", [(250, "ok")]),
        (b"250\r\n", [(250, "")]),
        (b"250 ok\n", [(250, "ok")]),
        (b"250-one\r\n250-two\r\n250 three\r\n", [(250, "one two three")]),
        (b"250 a\r\n354 b\r\n", [(250, "a"), (354, "b")]),
        (b"550 5.1.1 \xff\xfe\r\n", [(550, "5.1.1 \ufffd\ufffd")]),
        (b"250 a\x1b[31mred\x07\r\n", [(250, "a [31mred")]),
        (b"250 unfinished", []),
        (b"", []),
    ],
)
def test_replies_are_read_as_they_come(data: bytes, replies: list[tuple[int, str]]) -> None:
    assert replies == [(reply.code, reply.text) for reply in read(data)]


@pytest.mark.parametrize(
    "data",
    [
        b"hello\r\n",
        b"\r\n",
        b"25 ok\r\n",
        b"2500 ok\r\n",
        b"250ok\r\n",
        b"150 ok\r\n",
        b"650 ok\r\n",
        b"250-a\r\n251 b\r\n",
        b"\x00" * 10 + b"\n",
    ],
)
def test_what_is_no_reply_is_garbage(data: bytes) -> None:
    assert [GARBAGE] == [reply.code for reply in read(data)]


def test_after_garbage_nothing_is_read_any_more() -> None:
    assert [GARBAGE] == [reply.code for reply in read(b"what?\r\n250 ok\r\n", b"250 ok\r\n")]


def test_a_line_without_end_is_given_up_after_two_kilobytes() -> None:
    reader = ReplyReader()
    fed = 0
    while not reader.is_broken:
        reader.feed(b"2" * 100)
        fed += 100

    assert fed <= 2100


@pytest.mark.parametrize("line", [b"250-more\r\n", b"250 unasked\r\n"])
def test_lines_without_end_are_given_up_after_64_kilobytes(line: bytes) -> None:
    reader = ReplyReader()
    fed = 0
    while not reader.is_broken:
        reader.feed(line)
        fed += len(line)

    assert fed <= 65_600


def test_a_long_session_is_no_endless_reply() -> None:
    reader = ReplyReader()
    for _ in range(20_000):
        assert 1 == len(reader.feed(b"250 ok\r\n"))
        reader.forget()


def test_a_reply_that_begins_behind_others_is_bounded_like_any() -> None:
    reader = ReplyReader()
    first = reader.feed(b"250 a\r\n250 b\r\n" + b"250-more\r\n" * 3_000)
    reader.forget()

    assert [250, 250] == [reply.code for reply in first]
    assert [] == reader.feed(b"250-more\r\n" * 3_000)
    assert [GARBAGE] == [reply.code for reply in reader.feed(b"250-more\r\n" * 1_000)]


def test_what_is_kept_of_a_reply_is_short() -> None:
    (reply,) = read(b"".join(b"550-" + b"x" * 1000 + b"\r\n" for _ in range(20)) + b"550 end\r\n")

    assert 400 >= len(reply.text)


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=5))
def test_the_cuts_between_packets_make_no_difference(data: bytes, cuts: list[int]) -> None:
    edges = sorted({0, len(data), *(min(cut, len(data)) for cut in cuts)})

    assert read(data) == read(*(data[a:b] for a, b in itertools.pairwise(edges)))


@pytest.mark.parametrize(
    ("text", "code", "enhanced"),
    [
        ("5.1.1 no", 550, "5.1.1"),
        ("4.7.1 later", 451, "4.7.1"),
        ("5.1.1 no", 450, None),
        ("5.1.1.1 no", 550, None),
        ("no 5.1.1", 550, None),
        ("5.7.515 Access denied", 550, "5.7.515"),
    ],
)
def test_an_enhanced_code_counts_where_it_belongs(text: str, code: int, enhanced: str | None) -> None:
    assert enhanced == Reply(code=code, text=text).enhanced


# -------------------------------------------------------------------------- judging

TABLE = [
    # phase       reply                                       verdict
    (Phase.mail, (421, "4.3.2 closing"), Verdict.back_off),
    (Phase.mail, (451, "4.3.0 not now"), Verdict.back_off),
    (Phase.mail, (550, "5.1.0 no"), Verdict.refused),
    (Phase.mail, (530, "5.7.0 log in first"), Verdict.refused),
    (Phase.rcpt, (421, "4.7.0 closing"), Verdict.back_off),
    (Phase.rcpt, (450, "4.2.0 greylisted"), Verdict.deferred),
    (Phase.rcpt, (452, "4.5.3 too many recipients"), Verdict.deferred),
    (Phase.rcpt, (550, "5.1.1 no such user"), Verdict.failed),
    (Phase.rcpt, (550, ""), Verdict.failed),
    (Phase.rcpt, (551, "5.1.6 moved"), Verdict.failed),
    (Phase.rcpt, (554, "5.2.1 disabled"), Verdict.failed),
    (Phase.rcpt, (550, "5.7.1 wants no lists"), Verdict.failed),
    (Phase.rcpt, (554, "5.7.1 <x@example.com>: Relay access denied"), Verdict.refused),
    (Phase.rcpt, (550, "5.7.1 Unable to relay"), Verdict.refused),
    (Phase.rcpt, (550, "relaying denied"), Verdict.refused),
    (Phase.rcpt, (550, "relay not permitted"), Verdict.refused),
    (Phase.rcpt, (550, "5.1.1 <relay denied@example.com> unknown"), Verdict.failed),
    (Phase.rcpt, (550, "<relay@example.com>: no such user"), Verdict.failed),
    (Phase.rcpt, (550, "5.1.8 Sender address rejected: Domain not found"), Verdict.refused),
    (Phase.rcpt, (553, "5.7.1 <a@b.example>: Sender address rejected: not owned by user"), Verdict.refused),
    (Phase.rcpt, (554, "5.7.1 <host>: Client host rejected: Access denied"), Verdict.refused),
    (Phase.rcpt, (530, "5.7.0 Authentication required"), Verdict.refused),
    (Phase.rcpt, (535, "5.7.8 bad credentials"), Verdict.refused),
    (Phase.data, (421, "closing"), Verdict.back_off),
    (Phase.data, (451, "4.3.0 not now"), Verdict.deferred),
    (Phase.data, (554, "5.5.1 no valid recipients"), Verdict.failed),
    (Phase.data, (554, "5.7.1 policy"), Verdict.rejected),
    (Phase.data, (250, "what?"), Verdict.back_off),
    (Phase.dot, (250, "2.0.0 taken"), Verdict.sent),
    (Phase.dot, (252, "taken, I think"), Verdict.sent),
    (Phase.dot, (421, "closing"), Verdict.back_off),
    (Phase.dot, (451, "4.3.0 not now"), Verdict.deferred),
    (Phase.dot, (552, "5.2.2 mailbox full"), Verdict.failed),
    (Phase.dot, (554, "5.6.0 bad content"), Verdict.failed),
    (Phase.dot, (550, "5.7.1 spam"), Verdict.rejected),
    (Phase.dot, (550, "5.7.515 Access denied, sending domain does not meet the required level"), Verdict.rejected),
    (Phase.dot, (535, "5.7.8 log in"), Verdict.refused),
    (Phase.dot, (354, "go ahead"), Verdict.unknown),
    (Phase.dot, (GARBAGE, "what?"), Verdict.unknown),
    (Phase.mail, (GARBAGE, "what?"), Verdict.back_off),
    (Phase.rcpt, (354, "what?"), Verdict.back_off),
]


@pytest.mark.parametrize(("phase", "said", "verdict"), TABLE)
def test_a_reply_means_one_thing(phase: Phase, said: tuple[int, str], verdict: Verdict) -> None:
    assert verdict == judge(phase, Reply(code=said[0], text=said[1]))


@pytest.mark.parametrize("phase", list(Phase))
def test_a_lost_connection_leaves_a_doubt_only_after_the_dot(phase: Phase) -> None:
    assert (Verdict.unknown if phase is Phase.dot else Verdict.back_off) == judge(phase, None)


@given(st.sampled_from(Phase), st.integers(-1, 999), st.text(max_size=40))
def test_every_reply_has_a_meaning_and_none_before_the_dot_says_sent(phase: Phase, code: int, text: str) -> None:
    verdict = judge(phase, Reply(code=code, text=text))

    assert (verdict is Verdict.sent) == (phase is Phase.dot and code // 100 == 2)
    assert (verdict is Verdict.unknown) <= (phase is Phase.dot)
    assert (verdict is Verdict.failed) <= (code // 100 == 5)
