"""The public pages of a small project, served in a thread, with a mail server beside; and a client that is nobody's browser."""

import asyncio
import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from email import message_from_bytes, policy
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from newsletter.app.project import App
from newsletter.app.public import public_server
from newsletter.delivery.links import Tokens, token
from newsletter.model import Format, Issue, NewDelivery, Picture, Rendering
from newsletter.store import Store
from newsletter.web.server import PublicServer, ServerSettings
from tests.conftest import FakeClock, counting_ids
from tests.delivery.samples import ENVELOPE, RENDERING
from tests.delivery.sink import Sink

NAME = "wire.example.com"
CONFIG = """\
title: The Morning Wire
from: The Morning Wire <wire@example.com>
timezone: Europe/Berlin
base_url: {base}
{more}feeds: []
digests:
  daily: {{}}
  weekly: {{}}
smtp: {{host: 127.0.0.1, port: {port}, tls: none}}
"""


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def title(self) -> str:
        return self.text.partition("<h1>")[2].partition("</h1>")[0].replace("<bdi>", "").replace("</bdi>", "")


@dataclass
class Office:
    """A project, its store, its public pages, and the mail that left."""

    folder: Path
    app: App
    clock: FakeClock
    sink: Sink
    loop: asyncio.AbstractEventLoop
    said: list[str]
    events: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    server: PublicServer | None = None
    visitors: Any = field(default_factory=lambda: count(1))

    @property
    def store(self) -> Store:
        return self.app.store

    @property
    def port(self) -> int:
        assert self.server is not None
        return self.server.port

    # ------------------------------------------------------------------ asking

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | str | None = None,
        *,
        kind: str = "application/x-www-form-urlencoded",
        **headers: str,
    ) -> Answer:
        """One request, from a visitor of its own unless X_Forwarded_For says whose."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        given = {"Host": NAME, "X-Forwarded-For": f"198.51.100.{next(self.visitors) % 250}"}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        if body is not None:
            given["Content-Type"] = kind
        try:
            connection.request(method, path, body, given)
            answer = connection.getresponse()
            return Answer(answer.status, dict(answer.getheaders()), answer.read())
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask("GET", path, **headers)

    def post(self, path: str, fields: Iterable[tuple[str, str]] | Mapping[str, str] = (), **headers: str) -> Answer:
        pairs = list(fields.items() if isinstance(fields, Mapping) else fields)
        return self.ask("POST", path, urlencode(pairs), **headers)

    def sign_up(self, email: str, *digests: str, wait: bool = True, **fields: str) -> Answer:
        """Fill in the form as a person would."""
        stamp = self.get("/").text.partition('name="stamp" value="')[2].partition('"')[0]
        self.clock.advance(3)
        pairs = [("email", email), *fields.items(), *(("digest", name) for name in digests or ("daily", "weekly"))]
        answer = self.post("/subscribe", [*pairs, ("stamp", stamp)])
        if wait:
            self.settle()
        return answer

    def settle(self) -> None:
        """Wait until every sign-up has been answered."""
        assert self.server is not None
        asyncio.run_coroutine_threadsafe(self.server._desk.settled(), self.loop).result(30)

    def wait_until(self, holds: Callable[[], bool], seconds: float = 20.0) -> None:
        """Wait for what is going to be true."""
        deadline = time.monotonic() + seconds
        while not holds() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert holds()

    def give_up(self) -> None:
        """Answer nobody who still waits."""
        assert self.server is not None
        asyncio.run_coroutine_threadsafe(self.server._desk.stop(0.0), self.loop).result(30)

    @property
    def unanswered(self) -> int:
        """How many sign-ups nobody has written to yet."""
        assert self.server is not None
        return len(self.server._desk._jobs)

    # ------------------------------------------------------------------ the mail

    def mails(self, email: str) -> list[Any]:
        """What this person got, parsed."""
        found = [one.raw for one in self.sink.accepted if one.recipient == email]
        return [message_from_bytes(raw, policy=policy.default) for raw in found]

    def link(self, email: str, kind: str = "c") -> str:
        """The path of the link in the last mail to this person."""
        text = self.mails(email)[-1].get_content()
        found: str = next(line.partition(NAME)[2] for line in text.splitlines() if f"{NAME}/{kind}/" in line)
        return found

    # ------------------------------------------------------------------ the list

    def people(self, text: str) -> None:
        (self.folder / "subscribers.yaml").write_text(text, encoding="utf-8")

    def person(self, email: str) -> Any:
        return self.app.roster.find(email)

    def token(self, key: str, digest: str = "daily") -> str:
        """A personal link of somebody who has got a message."""
        made = token(self.store.secret(self.store.links_secret()), digest, key)
        self.store.remember_link(digest, made, key)
        return made

    def gets(self, key: str) -> list[str]:
        """Which digests the next issues of would go to this person."""
        person = self.person(key)
        if person is None:
            return []
        names = [name for name in ("daily", "weekly") if not person.digests or name in person.digests]
        return [name for name in names if self.store.suppression(key, name) is None]

    def record(self, key: str) -> list[tuple[str, str, str]]:
        return [(one.event.value, one.digest, one.source) for one in self.store.consents_of(key)]

    def freeze(
        self,
        *emails: str,
        digest: str = "daily",
        rendering: Rendering = RENDERING,
        pictures: Iterable[Picture] = (),
        **other: Any,
    ) -> Issue:
        """An issue for these people, with links that are theirs."""
        number = self.store.next_number(digest)
        return self.store.freeze(
            **{
                "digest": digest,
                "number": number,
                "slot": f"slot {number}",
                "subject": f"Number {number} <of> & more",
                "envelope": replace(ENVELOPE, base_url=f"https://{NAME}", links_secret=self.store.links_secret()),
                "renderings": [rendering],
                "consumed": [],
                "mentioned": [],
                "pictures": tuple(pictures),
                "deliveries": [
                    NewDelivery(
                        email=email,
                        wire_email=email,
                        key=email.lower(),
                        name="",
                        format=Format.html,
                        rendering=rendering.key,
                        merge={"subscriber.name": email},
                    )
                    for email in emails
                ],
                "link_of": Tokens(self.store.secret(self.store.links_secret()), digest).of,
                **other,
            }
        )


class Opened:
    """An office that is open for as long as the block lasts.

    Args:
        folder: where the project is to be.
        base: what the project calls its pages; None: the very address they are served at.
        more: further lines of newsletter.yaml.
        clock: another than the tests' own, for browsers, which look at the time themselves.
        connections: at most so many at once.
    """

    def __init__(
        self,
        folder: Path,
        *,
        base: str | None = f"https://{NAME}",
        more: str = "",
        clock: Any = None,
        connections: int = 500,
    ) -> None:
        self._folder = folder
        self._base = base
        self._more = more
        self._connections = connections
        self._clock = clock or FakeClock()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)

    def __enter__(self) -> Office:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._thread.start()
        return asyncio.run_coroutine_threadsafe(self._open(), self._loop).result(60)

    async def _open(self) -> Office:
        self._sink = await Sink().__aenter__()
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        base = self._base or f"http://127.0.0.1:{port}"
        text = CONFIG.format(base=base, more=self._more, port=self._sink.port)
        (self._folder / "newsletter.yaml").write_text(text, encoding="utf-8")
        (self._folder / "subscribers.yaml").touch()
        app = App.open(self._folder, clock=self._clock, ids=counting_ids("web"))
        said: list[str] = []
        settings = ServerSettings(
            port=port if self._base is None else 0,
            behind_proxy=self._base is not None,
            connections=self._connections,
        )
        office = Office(self._folder, app, self._clock, self._sink, self._loop, said)

        def take(text: str, /, *, event: str = "note", **facts: Any) -> None:
            said.append(text)
            office.events.append({"event": event, **facts})

        office.server = public_server(app, settings, log=take, warn=take)
        self._serving = office.server.serving()
        await self._serving.__aenter__()
        self._app = app
        return office

    def __exit__(self, *_: object) -> None:
        async def close() -> None:
            await self._serving.__aexit__(None, None, None)
            await self._sink.__aexit__(None, None, None)

        asyncio.run_coroutine_threadsafe(close(), self._loop).result(60)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._app.close()
