"""Who may talk to the preview, and what it says."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import pytest

from newsletter.app.desk import EditorsDesk
from newsletter.errors import NewsletterError
from newsletter.preview.server import TOKEN_HEADER, Preview, page_files
from tests.cli.conftest import Wire

T = TypeVar("T")
_PATIENCE = aiohttp.ClientTimeout(total=60)
TOKEN = "0123456789abcdef0123456789abcdef"


@dataclass
class Served:
    """A preview on loopback, and a client for it."""

    base: str
    session: aiohttp.ClientSession

    async def ask(
        self, path: str, document: object = None, *, body: bytes | None = None, **headers: str
    ) -> tuple[int, Any, Mapping[str, str]]:
        given = {TOKEN_HEADER: TOKEN, **{name.replace("_", "-"): value for name, value in headers.items()}}
        data = body if body is not None or document is None else json.dumps(document).encode()
        method = "GET" if data is None else "POST"
        async with self.session.request(method, self.base + path, data=data, headers=given) as answer:
            content = await answer.read()
            is_json = answer.content_type == "application/json"
            return answer.status, json.loads(content) if is_json else content.decode(), answer.headers


@asynccontextmanager
async def served(wire: Wire) -> AsyncIterator[Served]:
    desk = EditorsDesk(wire.folder)
    try:
        async with (
            Preview(desk, TOKEN).serving() as address,
            aiohttp.ClientSession(trust_env=False, timeout=_PATIENCE) as session,
        ):
            base, _, token = address.partition("/#")
            assert TOKEN == token
            yield Served(base, session)
    finally:
        desk.close()


def run(wire: Wire, questions: Callable[[Served], Coroutine[Any, Any, T]]) -> T:
    async def asked() -> T:
        async with served(wire) as there:
            return await questions(there)

    return asyncio.run(asked())


@pytest.fixture
def project(wire: Wire) -> Wire:
    wire.configure(wire.web.feed("/rss", "First", "Second"))
    return wire


def test_only_who_knows_the_token_is_answered(project: Wire) -> None:
    async def ask(there: Served) -> list[tuple[int, bool]]:
        found = []
        for path in ("/api/project", "/api/people?q=a", "/api/status", "/api/events"):
            for token in ("", "x", TOKEN[:-1], TOKEN.upper(), "é"):
                status, answer, _ = await there.ask(path, X_Newsletter_Token=token)
                found.append((status, "newsletter preview" in answer["problem"]["message"]))
        for path in ("/api/letter", "/api/findings", "/api/test", "/api/config", "/api/fetch"):
            status, answer, _ = await there.ask(path, {"email": "me@example.com"}, X_Newsletter_Token="no")
            found.append((status, "newsletter preview" in answer["problem"]["message"]))
        return found

    assert {(403, True)} == set(run(project, ask))
    assert [] == project.mail.caught


def test_other_names_and_other_sites_get_nothing(project: Wire) -> None:
    """DNS rebinding: a name that leads to 127.0.0.1 is not ours."""

    async def ask(there: Served) -> list[int]:
        port = there.base.rpartition(":")[2]
        hosts = ("evil.example", f"evil.example:{port}", "127.0.0.1", f"127.0.0.1.evil.example:{port}", "")
        refused = [
            (await there.ask(path, Host=host))[0] for host in hosts for path in ("/", "/api/project", "/page.js")
        ]
        origins = ("https://evil.example", "null", f"http://localhost.evil.example:{port}", "file://")
        refused += [(await there.ask("/api/letter", {}, Origin=origin))[0] for origin in origins]
        admitted = [(await there.ask("/api/project", Host=f"localhost:{port}"))[0]]
        admitted.append((await there.ask("/api/letter", {}, Origin=there.base))[0])
        assert [200, 200] == admitted
        return refused

    assert {403} == set(run(project, ask))


def test_every_answer_carries_the_strict_headers(project: Wire) -> None:
    async def ask(there: Served) -> list[Mapping[str, str]]:
        paths = ("/", "/page.js", "/api/project", "/no-such-page", "/..%2f..%2fetc%2fpasswd")
        return [(await there.ask(path))[2] for path in paths] + [(await there.ask("/", Host="evil.example"))[2]]

    for headers in run(project, ask):
        assert "default-src 'none'; script-src 'self';" in headers["Content-Security-Policy"]
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert ("no-referrer", "nosniff", "no-store", "same-origin") == tuple(
            headers[name]
            for name in ("Referrer-Policy", "X-Content-Type-Options", "Cache-Control", "Cross-Origin-Resource-Policy")
        )


def test_nothing_but_the_page_is_served(project: Wire) -> None:
    async def ask(there: Served) -> dict[str, int]:
        paths = [
            *(f"/{name}" for name in page_files()),
            "/server.py",
            "/__init__.py",
            "/../newsletter.yaml",
            "/%2e%2e/server.py",
        ]
        return {path: (await there.ask(path))[0] for path in paths}

    answers = run(project, ask)

    assert set(page_files()) == {path[1:] for path, status in answers.items() if status == 200}


def test_the_shell_holds_nothing_of_the_project(project: Wire) -> None:
    shell = run(project, lambda there: there.ask("/"))[1]

    assert TOKEN not in shell
    assert "Morning Wire" not in shell


def test_a_letter_its_findings_and_settings(project: Wire) -> None:
    async def ask(there: Served) -> list[Any]:
        choice = {"digest": "daily"}
        letter = (await there.ask("/api/letter", choice))[1]
        hidden = {"hidden": [letter["entries"][0]["id"]]}
        return [
            letter,
            (await there.ask("/api/findings", choice))[1],
            (await there.ask("/api/config", choice | hidden))[1],
            (await there.ask("/api/people?q=ada&digest=daily"))[1],
            (await there.ask("/api/fetch", {}))[1],
            (await there.ask("/api/test", {**choice, "email": " me@example.com "}))[1],
        ]

    letter, findings, settings, people, fetched, tested = run(project, ask)

    assert (None, 2, "ada@example.com") == (letter["problem"], letter["issue"]["entries"], letter["reader"]["email"])
    assert {"text/plain", "text/html"} == {part["type"] for part in letter["parts"]}
    assert all({"level", "text", "hint", "line"} <= set(finding) for finding in findings["findings"])
    assert "(?m)^First$" in settings["yaml"]
    assert (1, "active") == (people["total"], people["people"][0]["status"])
    assert {"words": "1 feeds polled, 2 new entries"} == fetched
    assert "as a test: 250" in tested["words"]
    assert ["me@example.com"] == project.inbox()


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        ("/api/letter", b"{", 400, "that is no JSON"),
        ("/api/letter", b"[]", 400, "that is no choice"),
        ("/api/letter", b"[" * 100_000, 400, "that is no JSON"),
        ("/api/letter", b'{"issue": "one"}', 400, "issue: "),
        ("/api/letter", b" " * 300_000, 413, ""),
        ("/api/test", b"{}", 400, "to which address?"),
        ("/api/test", b'{"email": "nonsense"}', 400, "nonsense"),
        ("/api/test", b'{"email": 3}', 400, "to which address?"),
        ("/api/project", b"{}", 405, ""),
    ],
)
def test_bad_questions_get_plain_answers(project: Wire, path: str, body: bytes, status: int, words: str) -> None:
    found, answer, _ = run(project, lambda there: there.ask(path, body=body))

    assert (status, True) == (found, words in answer["problem"]["message"])


def test_saving_is_heard_of_at_once_and_the_letter_follows(project: Wire) -> None:
    """A new template, its folder, the config and the people: each save is one event, and what follows is new."""
    templates = project.folder / "templates"
    config = (project.folder / "newsletter.yaml").read_text(encoding="utf-8")

    def mend(path: Path, text: str) -> Callable[[], object]:
        return lambda: path.write_text(text, encoding="utf-8")

    changes: list[tuple[str, Callable[[], object], str]] = [
        ("templates", templates.mkdir, ""),
        (
            "issue.txt.j2",
            mend(templates / "issue.txt.j2", "ONE {{ subscriber.email }} {{ unsubscribe_url }}"),
            "ONE ada@",
        ),
        (
            "issue.txt.j2",
            mend(templates / "issue.txt.j2", "TWO {{ subscriber.email }} {{ unsubscribe_url }}"),
            "TWO ada@",
        ),
        ("subscribers.yaml", mend(project.folder / "subscribers.yaml", "- grace@example.com\n"), "TWO grace@"),
        ("issue.txt.j2", (templates / "issue.txt.j2").unlink, "# The Morning Wire"),
        (
            "newsletter.yaml",
            mend(project.folder / "newsletter.yaml", config.replace("Morning", "Evening")),
            "# The Evening",
        ),
        (
            "newsletter.yaml",
            mend(project.folder / "newsletter.yaml", config + "digests: {daily: {note: note.md}}\n"),
            "# The Morning Wire",
        ),
        ("note.md", mend(project.folder / "note.md", "Hello *there*"), "Hello there"),
    ]

    async def heard(stream: aiohttp.StreamReader, name: str) -> int:
        """Wait until a saved file is told of; returns the revision it makes."""
        while True:
            line = (await asyncio.wait_for(stream.readline(), 20)).decode()
            assert line, "the stream has ended"
            if line.startswith("data: ") and name in json.loads(line[6:])["paths"]:
                return int(json.loads(line[6:])["revision"])

    async def listen(there: Served) -> list[bool]:
        found = []
        await there.ask("/api/letter", {})
        async with there.session.get(there.base + "/api/events", headers={TOKEN_HEADER: TOKEN}) as stream:
            assert b": listening\n" == await stream.content.readline()
            for name, save, words in changes:
                (project.folder / "unrelated.txt").write_text("nobody hears of this")
                await asyncio.to_thread(save)
                revision = await heard(stream.content, name)
                letter = (await there.ask("/api/letter", {}))[1]
                assert letter["revision"] >= revision
                found.append(words in letter["text"])
        return found

    assert [True] * len(changes) == run(project, listen)


def test_a_taken_port_is_said(project: Wire) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        done = project("preview", "--port", str(port), "--no-open")

    assert 1 == done.code
    assert f"error: the preview cannot be served at 127.0.0.1:{port}: address already in use\n" in done.err.lower()
    assert "hint: end the program that listens there, or leave --port out" in done.err


def test_it_listens_on_loopback_only(project: Wire) -> None:
    async def look() -> set[str]:
        desk = EditorsDesk(project.folder)
        try:
            preview = Preview(desk, TOKEN)
            async with preview.serving() as address:
                assert address.startswith(f"http://127.0.0.1:{preview.port}/#")
                with socket.socket() as other:
                    other.settimeout(2)
                    return {
                        "open" if other.connect_ex((host, preview.port)) == 0 else "closed" for host in (_address(),)
                    }
        finally:
            desk.close()

    if _address().startswith("127."):
        pytest.skip("this machine has no address but loopback")
    assert {"closed"} == asyncio.run(look())


def _address() -> str:
    try:
        return socket.gethostbyname(socket.gethostname())
    except OSError:
        return "127.0.0.1"


def test_who_shows_a_letter_to_nobody_is_told(project: Wire) -> None:
    for words, said in (
        (("--issue", "9"), "there is no issue 9 of daily"),
        (("--as", "x@example.com"), "x@example.com is not in subscribers.yaml"),
        (("--as-of", "noon"), "--as-of: noon is no time"),
    ):
        done = project("preview", "--no-open", *words)

        assert (2, True) == (done.code, said in done.err)


def test_a_desk_of_a_broken_project_is_refused(wire: Wire) -> None:
    (wire.folder / "newsletter.yaml").write_text("title: x\n", encoding="utf-8")

    with pytest.raises(NewsletterError, match="from: is missing"):
        EditorsDesk(wire.folder)
