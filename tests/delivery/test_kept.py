"""Connections that are kept from one shard to the next."""

import asyncio

import pytest

from newsletter.delivery import kept
from newsletter.delivery.attempt import AlwaysOpen
from newsletter.delivery.kept import KeptTransport
from newsletter.delivery.ports import Carrier
from newsletter.delivery.smtp import SmtpSettings, SmtpTransport
from tests.delivery.sink import Sink


def transport(sink: Sink, per_connection: int | None = None) -> KeptTransport:
    settings = SmtpSettings(host="127.0.0.1", port=sink.port, tls="none")
    return KeptTransport(SmtpTransport(settings), per_connection)


async def mail(carrier: Carrier) -> None:
    message = [b"Subject: hello\r\n\r\nhello\r\n"]
    await carrier.transaction(sender="a@example.com", recipient="b@example.com", gate=AlwaysOpen(), message=message)


def test_a_connection_is_used_again() -> None:
    async def go() -> None:
        async with Sink() as sink:
            kept_ones = transport(sink)
            for _ in range(3):
                carrier = await kept_ones.open()
                await mail(carrier)
                await carrier.close()
                assert not carrier.is_usable
            await kept_ones.close()

            assert (1, 3) == (sink.connections, len(sink.accepted))
        assert 0 == sink.open_now

    asyncio.run(go())


def test_a_connection_that_has_carried_enough_is_not() -> None:
    async def go() -> None:
        async with Sink() as sink:
            kept_ones = transport(sink, per_connection=2)
            for _ in range(4):
                carrier = await kept_ones.open()
                await mail(carrier)
                await carrier.close()
            await kept_ones.close()

            assert (2, 4) == (sink.connections, len(sink.accepted))

    asyncio.run(go())


def test_two_at_once_are_two() -> None:
    async def go() -> None:
        async with Sink() as sink:
            kept_ones = transport(sink)
            first, second = await kept_ones.open(), await kept_ones.open()
            await first.close()
            await first.close()
            third = await kept_ones.open()
            await asyncio.gather(mail(second), mail(third))
            await asyncio.gather(second.close(), third.close())
            await kept_ones.close()

            assert (2, 2) == (sink.connections, len(sink.accepted))

    asyncio.run(go())


def test_a_connection_that_nobody_wants_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "_IDLE", 0.05)

    async def go() -> None:
        async with Sink() as sink:
            kept_ones = transport(sink)
            await (await kept_ones.open()).close()
            async with asyncio.timeout(10):
                while sink.open_now:  # noqa: ASYNC110 - the server is ours and has no event for it
                    await asyncio.sleep(0.02)
            await kept_ones.close()

            assert 1 == sink.connections

    asyncio.run(go())
