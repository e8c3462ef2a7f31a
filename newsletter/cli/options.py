"""Arguments and options that several commands share."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from newsletter.cli.completing import digest_names, feed_names
from newsletter.errors import UsageError

if TYPE_CHECKING:
    from newsletter.cli.session import Session

DigestArgument = Annotated[
    str | None,
    typer.Argument(
        help="Which digest; may be left out where there is one.", show_default=False, autocompletion=digest_names
    ),
]

FeedArgument = Annotated[str, typer.Argument(help="Its address or title.", autocompletion=feed_names)]

NoteFlag = Annotated[
    str | None,
    typer.Option(
        "--note", metavar="TEXT", help="The editor's note, as Markdown; @FILE reads a file.", show_default=False
    ),
]


ListenFlag = Annotated[
    str | None,
    typer.Option(
        "--listen",
        metavar="[HOST:]PORT",
        help="Answer monitors there: /healthz and /metrics. Without a host: this machine only.",
        show_default=False,
    ),
]
_LAST_PORT = 65_535


def place_of(text: str) -> tuple[str, int]:
    """Host and port that `--listen` names, of `9464`, `0.0.0.0:9464` or `[::1]:9464`."""
    host, _, port = text.strip().rpartition(":")
    if not port.isdecimal() or int(port) > _LAST_PORT:
        raise UsageError(f"--listen {text!r} is no port", hint="write --listen 9464, or --listen 127.0.0.1:9464")
    return host.removeprefix("[").removesuffix("]") or "127.0.0.1", int(port)


def pairs_of(option: str, given: list[str] | None) -> dict[str, str]:
    """`KEY=VALUE`, any number of times, as a mapping.

    Raises:
        UsageError: one of them has no key.
    """
    pairs = {}
    for pair in given or []:
        key, equals, value = pair.partition("=")
        if not equals or not key.strip():
            raise UsageError(f"{option} {pair!r} is not KEY=VALUE")
        pairs[key.strip()] = value.strip()
    return pairs


def moment_of(option: str, written: str, session: "Session", digest: str | None) -> datetime:
    """A time as people write it; without an offset it is the digest's own.

    Raises:
        UsageError: it is none.
    """
    from zoneinfo import ZoneInfo

    config = session.app.config
    zone = (config.digest(digest) if digest else config.digests[0]).timezone
    try:
        moment = datetime.fromisoformat(written)
    except ValueError as error:
        raise UsageError(f"{option}: {written} is no time", hint="write it like 2026-11-20T07:00") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(zone))
