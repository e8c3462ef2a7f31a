"""Feeds may come as br and zstd too, where we can undo it, and within the same bounds as gzip."""

import asyncio
import gzip
import sys
import tracemalloc
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from newsletter.errors import FetchError
from newsletter.feeds import inflate
from newsletter.feeds.inflate import Body, known_codings
from newsletter.model import Feed, FetchOutcome
from tests.feeds.site import RSS, answer_to, failed, fetch, fetched, serving

MB = 1_000_000
brotli: Any = import_module("brotli")
zstd: Any = import_module(inflate._ZSTD)


def packed(coding: str, data: bytes) -> bytes:
    return bytes(brotli.compress(data) if coding == "br" else zstd.compress(data))


def undone(coding: str, wire: bytes) -> bytes:
    body = Body([coding], MB)
    body.feed(wire)
    return body.finish()


@cache
def bomb(coding: str) -> bytes:
    """A hundred megabytes of nothing."""
    data = bytes(100 * MB)
    return bytes(brotli.compress(data, quality=2) if coding == "br" else zstd.compress(data, 1))


@pytest.mark.parametrize("coding", ["br", "zstd"])
@given(data=st.binary(max_size=3000), cuts=st.lists(st.integers(0, 3000), max_size=5))
def test_whatever_was_packed_comes_out_however_it_is_cut(coding: str, data: bytes, cuts: list[int]) -> None:
    body, wire = Body([coding], MB), packed(coding, data)
    for begin, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(wire)], strict=True):
        body.feed(wire[begin : max(begin, end)])

    assert data == body.finish()


@pytest.mark.parametrize("coding", ["br", "zstd"])
def test_a_feed_in_another_coding_is_read(coding: str) -> None:
    async def handler(request: web.BaseRequest) -> web.Response:
        assert coding in request.headers["Accept-Encoding"]
        return web.Response(body=packed(coding, RSS), headers={"Content-Encoding": coding})

    assert RSS == fetched(answer_to(handler)).body


@pytest.mark.parametrize("coding", ["br", "zstd"])
def test_a_bomb_costs_the_limit_and_no_more(coding: str) -> None:
    wire = bomb(coding)
    tracemalloc.start()
    try:
        with pytest.raises(FetchError, match="larger than 10 MB"):
            Body([coding], 10 * MB).feed(wire)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert len(wire) < MB / 10
    assert most < 25 * MB


@pytest.mark.parametrize("coding", ["br", "zstd"])
@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda wire: wire[:-6], "has no end"),
        (lambda wire: b"<rss>" + wire, "cannot be unpacked"),
        (lambda wire: wire[:10] + bytes(30) + wire[40:], "cannot be unpacked|has no end"),
    ],
)
def test_damage_is_named(coding: str, spoil: Any, words: str) -> None:
    with pytest.raises(FetchError, match=words):
        undone(coding, spoil(packed(coding, bytes(range(256)) * 40)))


def test_a_window_larger_than_a_server_may_want_is_refused() -> None:
    """RFC 9659: 8 MB at most."""
    parameter = zstd.CompressionParameter.window_log
    body = Body(["zstd"], 10 * MB)
    packer = zstd.ZstdCompressor(options={parameter: 27})

    with pytest.raises(FetchError, match="cannot be unpacked"):
        body.feed(packer.compress(b"<rss/>" * 1000) + packer.flush())


def test_frames_may_follow_each_other_but_not_without_end() -> None:
    two = Body(["zstd"], MB)
    two.feed(packed("zstd", RSS[:50]) + packed("zstd", RSS[50:]))

    assert RSS == two.finish()
    with pytest.raises(FetchError, match="cannot be unpacked"):
        Body(["zstd"], MB).feed(packed("zstd", b"") * 200)


@pytest.mark.parametrize("codings", ["br, gzip", "zstd, zstd", "gzip, br"])
def test_layers_are_refused_in_any_coding(codings: str) -> None:
    async def handler(request: web.BaseRequest) -> web.Response:
        return web.Response(body=gzip.compress(RSS), headers={"Content-Encoding": codings})

    assert "compressed 2 times over" in failed(answer_to(handler)).reason


@pytest.fixture
def without_libraries(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(sys.modules, "brotli", None)
    monkeypatch.setitem(sys.modules, inflate._ZSTD, None)
    known_codings.cache_clear()
    yield
    known_codings.cache_clear()


@pytest.mark.usefixtures("without_libraries")
def test_what_cannot_be_undone_here_is_not_asked_for() -> None:
    asked: list[str] = []

    async def handler(request: web.BaseRequest) -> web.Response:
        asked.append(request.headers["Accept-Encoding"])
        coding = {"/br": "br", "/zstd": "zstd"}[request.path]
        return web.Response(body=packed(coding, RSS), headers={"Content-Encoding": coding})

    async def scenario() -> list[FetchOutcome]:
        async with serving(handler) as base:
            return await fetch([Feed(url=f"{base}/{name}", allow_private=True) for name in ("br", "zstd")])

    outcomes = asyncio.run(scenario())

    assert ["gzip, deflate"] * 2 == asked
    assert ["which nobody asked for" in failed(one).reason for one in outcomes] == [True, True]
