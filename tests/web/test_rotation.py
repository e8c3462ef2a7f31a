"""New secrets behind the links: old messages keep working, and a message that is sent again stays the same."""

import asyncio

from newsletter import pipeline
from newsletter.app.send import Watcher
from newsletter.delivery.compose import Skeleton
from newsletter.delivery.links import token
from newsletter.model import Issue
from tests.cli.conftest import Wire, web, wire
from tests.delivery.samples import RENDERING, settings
from tests.delivery.sink import Sink
from tests.web.office import Office

__all__ = ["web", "wire"]  # the fixtures, for this file

ONE_CLICK = {"List-Unsubscribe": "One-Click"}


def path(office: Office, key: str, secret: str) -> str:
    return f"/u/daily/{token(office.store.secret(secret), 'daily', key)}"


def test_links_of_old_and_new_messages_work_after_a_rotation(office: Office) -> None:
    key = "ada@example.com"
    office.freeze(key)
    old = path(office, key, office.store.links_secret())
    assert "links-2" == office.store.rotate_links(revoke=False).secret
    office.freeze(key)
    new = path(office, key, office.store.links_secret())

    assert old != new
    assert [200, 200] == [office.get(one).status for one in (old, new)]


def test_revoked_links_are_nobodys_and_later_ones_work(office: Office) -> None:
    key = "grace@example.com"
    office.freeze(key)
    old = path(office, key, office.store.links_secret())
    assert office.store.rotate_links(revoke=True).forgotten > 0
    office.freeze(key)

    assert 404 == office.post(old, ONE_CLICK).status
    assert 200 == office.post(path(office, key, office.store.links_secret()), ONE_CLICK).status


def test_the_tenth_secret_comes_after_the_ninth(office: Office) -> None:
    names = [office.store.rotate_links(revoke=False).secret for _ in range(12)]

    assert sorted(names, key=lambda name: int(name.rpartition("-")[2])) == names
    assert names[-1] == office.store.links_secret()


def test_an_issue_under_way_keeps_its_bytes_and_its_links_work(office: Office) -> None:
    """Refused at first; the secret is replaced and links are revoked; then it goes out."""
    key = "late@example.com"
    issue = office.freeze(key)
    before = composed(office, issue)
    assert [] == sent(office, issue, "451 4.7.1 later")
    office.store.rotate_links(revoke=True)
    office.clock.advance(24 * 3600)
    after = sent(office, issue, None)

    assert [before] == after
    link = after[0].partition(b"List-Unsubscribe: <https://wire.example.com")[2].partition(b">")[0].decode()
    assert 200 == office.post(link, ONE_CLICK).status
    assert office.store.suppression(key, "daily") is not None


def composed(office: Office, issue: Issue) -> bytes:
    """The message as it is before anything happens."""
    (row,) = office.store.deliveries(issue.id)
    secret = office.store.secret(issue.envelope.links_secret)
    return Skeleton.build(issue, RENDERING, row.format, secret=secret).message(row)


def sent(office: Office, issue: Issue, answer: str | None) -> list[bytes]:
    """The messages that a server took which gives this answer to each."""
    seen: list[bytes] = []

    class Watching(Sink):
        def take(self, sender: str, recipient: str, raw: bytes, connection: int) -> None:
            seen.append(raw)

    async def run() -> None:
        async with Watching(lambda step: answer if step.name == "message" else None) as sink:
            await pipeline._deliver(office.app.parts(), issue, settings(sink), Watcher(), asyncio.Event())

    asyncio.run(run())
    return seen


def test_the_keeper_rotates_by_a_command_and_revokes_with_a_yes(wire: Wire) -> None:
    wire.configure()

    assert 0 == wire("db", "rotate-links").code
    refused = wire("db", "rotate-links", "--revoke")
    assert (2, True) == (refused.code, "cannot be undone" in refused.err)
    assert {"secret": "links-3", "forgotten": 0} == wire("db", "rotate-links", "--revoke", "-y", "--json").data
