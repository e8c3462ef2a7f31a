"""The freeze: an issue comes to be, all of it or nothing (ARCHITECTURE.md, "The outbox")."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from newsletter.address import parse_address
from newsletter.errors import AddressError, StoreError
from newsletter.model import (
    Canary,
    Consumed,
    DeliveryState,
    Disposition,
    DraftState,
    Envelope,
    Issue,
    IssueState,
    NewDelivery,
    Picture,
    Recipe,
    Rendering,
    StoredDraft,
)
from newsletter.store import tables as t
from newsletter.store.addressing import Listed, Numbered, address_listed
from newsletter.store.bulk import insert_new
from newsletter.store.connect import Database
from newsletter.store.drafts import answer_draft, drafted_versions, forget_drafted
from newsletter.store.keyed import Keyed
from newsletter.store.links import Links
from newsletter.store.pauses import paused_among
from newsletter.store.recipes import keep_recipe
from newsletter.store.rows import envelope_record, in_chunks, issue_of
from newsletter.store.sharing import share_out
from newsletter.store.suppressions import Suppressions, suppressed_among


def silent(step: str) -> None:
    """A `trace` that does nothing."""


class Freeze(Suppressions, Links):
    """Turning a selection into an issue with its outbox."""

    def freeze(
        self,
        *,
        digest: str,
        number: int,
        slot: str,
        subject: str,
        envelope: Envelope,
        renderings: Iterable[Rendering],
        consumed: Sequence[Consumed],
        mentioned: Sequence[int],
        deliveries: Iterable[NewDelivery],
        note: str = "",
        pictures: Sequence[Picture] = (),
        canary: Canary | None = None,
        drafted: StoredDraft | None = None,
        hours: str = "",
        link_of: Callable[[str], str] | None = None,
        listed: Listed | None = None,
        shortened: Callable[[], Mapping[int, str]] = dict,
        recipe: Callable[[], Recipe | None] = lambda: None,
        hand_out: Callable[[Connection, Sequence[tuple[int, int]]], object] = lambda _, __: None,
        trace: Callable[[str], None] = silent,
    ) -> Issue:
        """Write the issue, its renderings, its pictures, what it uses up, and one row per subscriber.

        Deliveries are read as a stream and need not fit into memory.  Of two
        with the same key the first counts.  With `listed`, PostgreSQL makes the same rows
        itself where it can, and the stream is not begun (`store.addressing`).  Suppressed people, and those who
        pause, get a row that says so and no mail.  Whatever fails, an exception of the stream
        included, leaves everything as it was.

        Args:
            digest: whose issue it is.
            number: its number, unique in the digest (`next_number`).
            slot: what this issue is the one and only issue of, in its digest.
            subject: the subject, for lists; each rendering has its own.
            envelope: all header material, fixed from now on.
            renderings: the parts; looked through again before each chunk of deliveries is
                written, so there may be more of them by then.
            consumed: every waiting entry the issue uses up, in its order.
            mentioned: ids of edited entries that the issue names as updated.
            deliveries: one for each person who is to get it.
            note: the editor's, as written.
            pictures: what travels inside the messages, in the order of the letter.
            canary: who get it before the others, and what would stop it.
            drafted: the draft that this issue is made of, entries as they were then, and that ends with it.
            hours: the rule by which deliveries wait that have a `not_before`.
            link_of: from a person's key to the token of their links, which are known from then on.
            listed: how the rows follow from the list in this database, if that is where these people stand.
            shortened: asked at the end what the size budget made of which entry, in words.
            recipe: asked at the end what the issue was made from beside its entries.
            hand_out: on PostgreSQL, tells workers of the issue's shards: given the transaction, and of each
                shard whose turn it is the issue's id and its number.
            trace: told "freeze:before-commit" and "freeze:after-commit".

        Transaction: one write.

        Raises:
            StoreError: number or slot are taken, an entry is not waiting, the draft
                has been changed since, or a delivery names a rendering that is not there.
        """
        message_id = message_ids(self.secret("message-id"), digest, number, envelope)
        erased = self._erased_secret()
        now = self._clock.now()
        shown = sum(one.disposition in (Disposition.shown, Disposition.headline) for one in consumed)
        with self._database.write() as connection:
            _refuse_taken(connection, digest, number, slot)
            inserted = connection.execute(
                sa.insert(t.issues).values(
                    digest=digest,
                    number=number,
                    slot=slot,
                    state=IssueState.open,
                    state_reason="",
                    subject=subject,
                    entries=shown,
                    envelope=envelope_record(envelope),
                    frozen_at=now,
                    released=False,
                    note=note,
                    canary=None if canary is None else asdict(canary),
                    hours=hours,
                )
            ).inserted_primary_key
            assert inserted is not None
            issue_id = inserted[0]
            known: set[str] = set()
            _write_renderings(connection, issue_id, renderings, known)
            _write_pictures(connection, issue_id, pictures)
            versions = _versions(connection, [one.entry_id for one in consumed])
            told = _versions(connection, mentioned)
            if drafted is not None:
                answer_draft(connection, drafted, state=DraftState.frozen)
                _keep_as_drafted(self._database, connection, drafted, versions, told)
            _consume(connection, issue_id, digest, consumed, versions)
            _mention(connection, issue_id, digest, told)
            issue_to_be = Numbered(
                id=issue_id,
                digest=digest,
                now=now,
                message_ids=message_id.keyed,
                domain=message_id.domain,
                erased=erased,
            )
            if listed is None or not address_listed(
                self._database,
                connection,
                issue_to_be,
                listed,
                write_renderings=lambda: _write_renderings(connection, issue_id, renderings, known),
            ):
                for chunk in in_chunks(deliveries):
                    _write_renderings(connection, issue_id, renderings, known)
                    keys = [one.key for one in chunk]
                    barred = dict.fromkeys(suppressed_among(connection, keys, erased, digest), "")
                    barred = paused_among(connection, keys, digest, now) | barred
                    rows = [
                        {
                            "issue_id": issue_id,
                            **delivery_row(one, known, barred=barred.get(one.key), now=now),
                            "message_id": message_id(one.key),
                        }
                        for one in chunk
                    ]
                    insert_new(self._database, connection, t.deliveries, rows, unique=["issue_id", "key"])
                    if link_of is not None:
                        self._remember_links(connection, digest, {link_of(key): key for key in keys})
            _note_shortened(connection, issue_id, shortened())
            if (made := recipe()) is not None:
                keep_recipe(self._database, connection, issue_id, made)
            if not self._database.is_sqlite:
                hand_out(connection, share_out(connection, issue_id))
            issue = issue_of(connection.execute(sa.select(t.issues).where(t.issues.c.id == issue_id)).one())
            trace("freeze:before-commit")
        trace("freeze:after-commit")
        return issue


def _refuse_taken(connection: Connection, digest: str, number: int, slot: str) -> None:
    taken = connection.execute(
        sa.select(t.issues.c.number, t.issues.c.slot).where(
            t.issues.c.digest == digest, (t.issues.c.number == number) | (t.issues.c.slot == slot)
        )
    ).first()
    if taken is not None:
        what = f"its slot {slot}" if taken.slot == slot else "its number"
        raise StoreError(
            f"issue {number} of {digest} cannot be frozen: issue {taken.number} has {what}",
            hint="newsletter issue list",
        )


def _consume(
    connection: Connection, issue_id: int, digest: str, consumed: Sequence[Consumed], versions: Mapping[int, int]
) -> None:
    """Mark entries as used up by the issue, in these versions; each must be waiting."""
    by_version: dict[int, list[int]] = {}
    for id_, version in versions.items():
        by_version.setdefault(version, []).append(id_)
    for version, chunk in ((version, chunk) for version, ids in by_version.items() for chunk in in_chunks(ids)):
        waiting = connection.execute(
            sa.update(t.offers)
            .where(
                t.offers.c.digest == digest,
                t.offers.c.entry_id.in_(chunk),
                t.offers.c.issue_id.is_(None),
                t.offers.c.skipped.is_(None),
            )
            .values(issue_id=issue_id, version=version)
        ).rowcount
        if waiting != len(chunk):
            raise StoreError(
                f"{len(chunk) - waiting} of the issue's entries are no longer waiting for {digest}",
                hint="another run has used them: run the same command again",
            )
    for rows in in_chunks(
        {
            "issue_id": issue_id,
            "entry_id": one.entry_id,
            "position": position,
            "disposition": one.disposition,
            "why": one.why,
            "version": versions[one.entry_id],
        }
        for position, one in enumerate(consumed)
    ):
        connection.execute(sa.insert(t.issue_entries), rows)


def _note_shortened(connection: Connection, issue_id: int, shortened: Mapping[int, str]) -> None:
    """Note what the size budget made of entries; all renderings are there by now."""
    statement = (
        sa.update(t.issue_entries)
        .where(t.issue_entries.c.issue_id == issue_id, t.issue_entries.c.entry_id == sa.bindparam("entry"))
        .values(shortened=sa.bindparam("words"))
    )
    for chunk in in_chunks(shortened.items()):
        connection.execute(statement, [{"entry": id_, "words": words} for id_, words in chunk])


def _mention(connection: Connection, issue_id: int, digest: str, versions: Mapping[int, int]) -> None:
    """Note which edits of earlier entries the issue tells of."""
    told = (
        sa.update(t.offers)
        .where(t.offers.c.digest == digest, t.offers.c.entry_id == sa.bindparam("entry"))
        .values(version=sa.bindparam("told"))
    )
    for chunk in in_chunks(versions.items()):
        connection.execute(told, [{"entry": id_, "told": version} for id_, version in chunk])
        connection.execute(
            sa.insert(t.mentions),
            [{"issue_id": issue_id, "entry_id": id_, "version": version} for id_, version in chunk],
        )


def _keep_as_drafted(database: Database, connection: Connection, drafted: StoredDraft, *found: dict[int, int]) -> None:
    """Put the versions of a draft in place of present ones that are newer, and keep the texts that it alone has."""
    then = drafted_versions(connection, drafted.id)
    older = []
    for versions in found:
        for id_ in versions.keys() & then.keys():
            row = then[id_]
            if row.version != versions[id_]:
                versions[id_] = row.version
                older.append({"entry_id": id_, "version": row.version, "entry": row.entry})
    if older:
        insert_new(database, connection, t.entry_versions, older, unique=["entry_id", "version"])
    forget_drafted(connection, drafted.id)


def _versions(connection: Connection, entry_ids: Sequence[int]) -> dict[int, int]:
    """The present version of each entry, kept from changing until the transaction ends."""
    if len(set(entry_ids)) != len(entry_ids):
        raise StoreError("an issue cannot use one entry twice")
    versions: dict[int, int] = {}
    for chunk in in_chunks(sorted(entry_ids)):
        rows = connection.execute(
            sa.select(t.entries.c.id, t.entries.c.version)
            .where(t.entries.c.id.in_(chunk))
            .order_by(t.entries.c.id)
            .with_for_update(read=True)
        )
        versions.update((row.id, row.version) for row in rows)
    if len(versions) != len(entry_ids):
        raise StoreError("an issue cannot use an entry that the store does not have")
    return versions


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageIds:
    """What makes each Message-ID of an issue: the same for the same person at every attempt, telling nothing about them.

    The form is that of RFC 5322 §3.6.4 without the angle brackets; the right
    side is the From domain, as A-labels (RFC 5890).
    """

    keyed: Keyed
    domain: str

    def __call__(self, key: str) -> str:
        """The Message-ID for the person with this key."""
        return f"{self.keyed.of(key)[:16].hex()}@{self.domain}"


def message_ids(secret: bytes, digest: str, number: int, envelope: Envelope) -> MessageIds:
    """The Message-IDs of an issue.

    Raises:
        StoreError: the sender's domain is none.
    """
    domain = envelope.from_email.rpartition("@")[2].lower()
    if not domain.isascii():
        try:
            domain = parse_address(envelope.from_email).domain
        except AddressError as error:
            raise StoreError(f"the sender's domain {domain!r} is no domain", hint="correct `from`") from error
    prefix = f"{digest}\0{number}\0".encode("utf-8", "surrogatepass")
    return MessageIds(keyed=Keyed(secret=secret, prefix=prefix), domain=domain)


def _write_renderings(
    connection: Connection, issue_id: int, renderings: Iterable[Rendering], written: set[str]
) -> None:
    for rendering in renderings:
        if rendering.key not in written:
            written.add(rendering.key)
            connection.execute(sa.insert(t.renderings).values(issue_id=issue_id, **_rendering_columns(rendering)))


def _write_pictures(connection: Connection, issue_id: int, pictures: Sequence[Picture]) -> None:
    for position, picture in enumerate(pictures):
        connection.execute(
            sa.insert(t.pictures).values(
                issue_id=issue_id,
                cid=picture.cid,
                position=position,
                media_type=picture.media_type,
                width=picture.width,
                height=picture.height,
                data=picture.data,
            )
        )


def _rendering_columns(rendering: Rendering) -> dict[str, Any]:
    return {
        "key": rendering.key,
        "language": rendering.language,
        "subject": rendering.subject,
        "fields": list(rendering.fields),
        "html": rendering.html,
        "text": rendering.text,
        "markdown": rendering.markdown,
    }


def delivery_row(
    delivery: NewDelivery, renderings: set[str], *, barred: str | None = None, now: datetime
) -> dict[str, Any]:
    """The columns of a row to be, but its issue and its Message-ID; `barred` says in words why nothing is to be sent."""
    if delivery.rendering not in renderings:
        raise StoreError(f"a delivery names the rendering {delivery.rendering!r}, which the issue does not have")
    return {
        "email": delivery.email,
        "wire_email": delivery.wire_email,
        "key": delivery.key,
        "name": delivery.name,
        "format": delivery.format,
        "rendering": delivery.rendering,
        "merge": dict(delivery.merge),
        "state": DeliveryState.queued if barred is None else DeliveryState.suppressed,
        "attempts": 0,
        "last_reply": barred or "",
        # It is patient from the moment when it may go, not from the one when it was frozen.
        "queued_at": delivery.not_before or now,
        "next_attempt_at": delivery.not_before if barred is None else None,
        "timezone": delivery.timezone,
        "settled_at": None if barred is None else now,
    }
