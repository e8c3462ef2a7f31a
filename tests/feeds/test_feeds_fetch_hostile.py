"""A server that wants to harm us gets one feed's deadline, one feed's size, and one line in the report."""

import asyncio
import gzip
import ssl
import tracemalloc
import zlib
from collections.abc import Iterator
from functools import cache

import pytest
import trustme
from aiohttp import web

from newsletter.errors import FetchError
from newsletter.feeds.asking import FetchLimits
from newsletter.feeds.inflate import Body
from newsletter.model import Failed, Feed, Fetched, FetchOutcome
from tests.feeds.site import RSS, RawHandler, answer_to, failed, fetch, fetched, listening, serving

MB = 1_000_000


@cache
def bomb(coding: str = "gzip") -> bytes:
    """A hundred megabytes of nothing, compressed to about a thousandth."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31 if coding == "gzip" else 15)
    return b"".join([*(packer.compress(bytes(MB)) for _ in range(100)), packer.flush()])


@cache
def nested_bomb() -> bytes:
    """The same once more: a few hundred bytes."""
    return gzip.compress(bomb())


def answer_of(handler: RawHandler, *, limits: FetchLimits | None = None, scheme: str = "http") -> FetchOutcome:
    """What comes of a feed on a server that speaks as it likes."""

    async def scenario() -> FetchOutcome:
        async with listening(handler) as port:
            feed = Feed(url=f"{scheme}://127.0.0.1:{port}/feed", allow_private=True)
            return (await fetch([feed], limits=limits))[0]

    return asyncio.run(scenario())


def saying(*pieces: bytes) -> RawHandler:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for piece in pieces:
            writer.write(piece)
            await writer.drain()

    return handler


# --------------------------------------------------------------------------- time


@pytest.mark.parametrize("phase", ["status line", "headers", "body", "compressed body", "chunks"])
def test_a_server_that_trickles_is_cut_off_by_the_deadline(phase: str) -> None:
    """Each byte comes well within any pause a reader would allow; the whole would take two seconds."""
    packed = gzip.compress(RSS)
    texts = {
        "status line": (b"", b"HTTP/1.1 200 OK" + b" " * 40),
        "headers": (b"HTTP/1.1 200 OK\r\n", b"X-Slow: yes\r\n" * 4),
        "body": (b"HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n", b"<rss/>" + b" " * 34),
        "compressed body": (
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed),
            packed,
        ),
        "chunks": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n" * 8 + b"0\r\n\r\n"),
    }
    start, rest = texts[phase]

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(start)
        for byte in rest[:40]:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0.05)
        writer.write(rest[40:] + b"\r\n\r\n")

    assert "no complete answer within 0.3 s" == failed(answer_of(handler, limits=FetchLimits(deadline=0.3))).reason


def test_redirects_share_one_deadline() -> None:
    async def handler(request: web.BaseRequest) -> web.Response:
        await asyncio.sleep(0.15)
        step = int(request.path.strip("/") or 0)
        return web.Response(status=302, headers={"Location": f"/{step + 1}"}) if step < 5 else web.Response(body=RSS)

    limits = FetchLimits(deadline=0.4)

    assert "no complete answer within 0.4 s" == failed(answer_to(handler, "/0", limits=limits)).reason


def test_a_silent_server_delays_nobody_else() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async def handler(request: web.BaseRequest) -> web.Response:
        return web.Response(body=RSS)

    async def scenario() -> list[FetchOutcome]:
        async with serving(handler) as base, listening(silent) as port:
            feeds = [Feed(url=f"http://127.0.0.1:{port}/", allow_private=True), Feed(url=base, allow_private=True)]
            return await fetch(feeds, limits=FetchLimits(deadline=1))

    slow, quick = asyncio.run(scenario())

    assert "no complete answer within 1 s" == failed(slow).reason
    assert RSS == fetched(quick).body


# --------------------------------------------------------------------------- size


@pytest.fixture
def peak() -> Iterator[None]:
    """Fails a test that needs 30 MB more than at its start."""
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    yield
    most = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    assert most < 30 * MB


@pytest.mark.usefixtures("peak")
@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_a_bomb_is_stopped_at_ten_megabytes(coding: str) -> None:
    async def handler(request: web.BaseRequest) -> web.Response:
        return web.Response(body=bomb(coding), headers={"Content-Encoding": coding})

    assert len(bomb(coding)) < MB
    assert "the answer is larger than 10 MB" == failed(answer_to(handler)).reason


@pytest.mark.usefixtures("peak")
@pytest.mark.parametrize("coding", ["gzip, gzip", "gzip,deflate", "gzip, identity, x-gzip", "gzip, br"])
def test_stacked_encodings_are_refused(coding: str) -> None:
    async def handler(request: web.BaseRequest) -> web.Response:
        return web.Response(body=nested_bomb(), headers={"Content-Encoding": coding})

    assert failed(answer_to(handler)).reason.startswith("the answer is compressed 2 times over")


@pytest.mark.usefixtures("peak")
def test_encodings_in_two_fields_are_stacked_too() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n"

    outcome = answer_of(saying(head % len(nested_bomb()), nested_bomb()))

    assert failed(outcome).reason.startswith("the answer is compressed 2 times over")


@pytest.mark.usefixtures("peak")
def test_a_second_layer_that_is_not_declared_stays_packed() -> None:
    async def handler(request: web.BaseRequest) -> web.Response:
        return web.Response(body=nested_bomb(), headers={"Content-Encoding": "gzip"})

    assert bomb() == fetched(answer_to(handler)).body


@pytest.mark.parametrize("coding", ["compress", "dcb", "rot13", "\u00e9"])
def test_an_encoding_we_did_not_ask_for_is_refused(coding: str) -> None:
    async def handler(request: web.BaseRequest) -> web.Response:
        return web.Response(body=RSS, headers={"Content-Encoding": coding})

    assert "which nobody asked for" in failed(answer_to(handler)).reason


@pytest.mark.parametrize(
    "field",
    [
        b"Content-Encoding: \xff\x9b31m, \xe2\x80\xae",
        b"Content-Type: \xff\xfe",
        b"ETag: \xff",
        b"Location: http://\xff/\xfe",
    ],
)
@pytest.mark.parametrize("status", [b"200 OK", b"302 Found", b"\xff99 \xff"])
def test_what_a_server_writes_reaches_reports_and_the_store_as_clean_text(status: bytes, field: bytes) -> None:
    outcome = answer_of(saying(b"HTTP/1.1 " + status + b"\r\n" + field + b"\r\nContent-Length: 0\r\n\r\n"))

    texts = [outcome.reason, outcome.hint or ""] if isinstance(outcome, Failed) else []
    if isinstance(outcome, Fetched):
        texts = [outcome.content_type or "", outcome.final_url, outcome.validators.etag or ""]
    for text in texts:
        text.encode()
        assert text == " ".join(text.split())
        assert not set(text) & set("\x9b\x1b\u202e")


@pytest.mark.usefixtures("peak")
@pytest.mark.parametrize("framing", ["length", "chunked", "until close"])
def test_a_body_without_end_is_stopped_at_ten_megabytes(framing: str) -> None:
    sent = 0

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        field = {"length": b"Content-Length: 1000000000\r\n", "chunked": b"Transfer-Encoding: chunked\r\n"}
        writer.write(b"HTTP/1.1 200 OK\r\n" + field.get(framing, b"") + b"\r\n")
        piece = b"<!-- " + b"x" * 65_531
        for _ in range(1000):
            writer.write(b"%x\r\n%b\r\n" % (len(piece), piece) if framing == "chunked" else piece)
            await writer.drain()
            sent += len(piece)

    assert "the answer is larger than 10 MB" == failed(answer_of(handler)).reason
    assert sent < 20 * MB


def test_a_body_of_exactly_the_limit_is_read() -> None:
    async def handler(request: web.BaseRequest) -> web.Response:
        return web.Response(body=b"x" * (1000 if request.path == "/feed" else 1001))

    limits = FetchLimits(max_bytes=1000)

    assert 1000 == len(fetched(answer_to(handler, "/feed", limits=limits)).body)
    assert "the answer is larger than 0.001 MB" == failed(answer_to(handler, "/more", limits=limits)).reason


def test_headers_without_end_are_stopped() -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
        for _ in range(100):
            writer.write(b"x" * 65_536)
            await writer.drain()

    assert "127.0.0.1 answers with something that is not HTTP" == failed(answer_of(handler)).reason


# ------------------------------------------------------------------- broken talk


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"", "127.0.0.1 closed the connection without an answer"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "127.0.0.1 answers with something that is not HTTP"),
        (b"220 mail.example.com ESMTP\r\n", "127.0.0.1 answers with something that is not HTTP"),
        (b"HTTP/1.1 banana\r\n\r\n", "127.0.0.1 answers with something that is not HTTP"),
        (b"HTTP/1.1 200 OK\r\nNo colon\r\n\r\n", "127.0.0.1 answers with something that is not HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n<rss>", "the answer of 127.0.0.1 broke off in the middle"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n<rss>\r\n",
            "the answer of 127.0.0.1 broke off in the middle",
        ),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n<rss>\r\n",
            "127.0.0.1 answers with something that is not HTTP",
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + gzip.compress(RSS)[:-20],
            "the answer broke off: its compressed body has no end",
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n\x1f",
            "the answer broke off: its compressed body has no end",
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n<rss/>",
            "the answer says it is compressed with gzip, but cannot be unpacked",
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + gzip.compress(RSS)[:40] + b"\0" * 60,
            "the answer says it is compressed with gzip, but cannot be unpacked",
        ),
    ],
)
def test_an_answer_that_is_none_is_a_failure_in_words(answer: bytes, reason: str) -> None:
    assert reason == failed(answer_of(saying(answer))).reason


def test_a_closed_port_is_named() -> None:
    async def scenario() -> FetchOutcome:
        async with listening(saying()) as port:
            pass
        return (await fetch([Feed(url=f"http://127.0.0.1:{port}/", allow_private=True)]))[0]

    assert "127.0.0.1 refuses connections" == failed(asyncio.run(scenario())).reason


def test_a_certificate_nobody_vouches_for_is_refused() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    requests: list[bytes] = []

    async def scenario() -> FetchOutcome:
        async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            requests.append(await reader.read(1000))
            writer.close()

        server = await asyncio.start_server(handler, "127.0.0.1", 0, ssl=context)
        async with server:
            port = server.sockets[0].getsockname()[1]
            return (await fetch([Feed(url=f"https://ada:pw@127.0.0.1:{port}/", allow_private=True)]))[0]

    outcome = failed(asyncio.run(scenario()))

    assert outcome.reason.startswith("the certificate of 127.0.0.1 is not valid: ")
    assert [] == [request for request in requests if request]


def test_plain_http_on_a_tls_address_is_named() -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    assert failed(answer_of(handler, scheme="https")).reason.startswith("no secure connection with 127.0.0.1: ")


def test_a_name_that_does_not_exist_is_named() -> None:
    [outcome] = asyncio.run(fetch([Feed(url="http://nobody.invalid/feed")]))

    assert "the name nobody.invalid cannot be found" == failed(outcome).reason


def test_a_thousand_empty_members_are_not_worked_through() -> None:
    body = Body(["gzip"], limit=10 * MB)

    with pytest.raises(FetchError, match="cannot be unpacked"):
        body.feed(gzip.compress(b"") * 1000)


def test_bytes_may_come_one_at_a_time() -> None:
    for coding, packed in (("gzip", gzip.compress(RSS) * 2), ("deflate", zlib.compress(RSS)), ("identity", RSS)):
        body = Body([coding], limit=MB)
        for byte in packed:
            body.feed(bytes([byte]))

        assert RSS * (2 if coding == "gzip" else 1) == body.finish()


def test_failures_are_values_whatever_happens() -> None:
    """One of each, among good ones: all good ones arrive."""

    async def handler(request: web.BaseRequest) -> web.Response:
        return web.Response(body=RSS)

    async def scenario() -> list[FetchOutcome]:
        async with serving(handler) as base, listening(saying(b"nonsense\r\n\r\n")) as port:
            bad = [f"http://127.0.0.1:{port}/", "http://[", "file://x/y", "\0", "http://nobody.invalid/", "news:x"]
            feeds = [Feed(url=url, allow_private=True) for one in bad for url in (one, f"{base}/{len(one)}")]
            return await fetch(feeds)

    outcomes = asyncio.run(scenario())

    assert [True, False] * 6 == [isinstance(outcome, Failed) for outcome in outcomes]
