"""A project, opened: its config turned into the concrete parts that the stages work with."""

import os
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Self
from zoneinfo import ZoneInfo

from newsletter import __version__, jobs
from newsletter.address import is_reserved
from newsletter.app.notes import note_given, note_of
from newsletter.app.signing import load_signers
from newsletter.clock import Clock, Ids, SystemClock
from newsletter.config import Config, DigestConfig, load_project
from newsletter.config.system import machine
from newsletter.delivery.dkim import Signer
from newsletter.delivery.limits import Rate
from newsletter.delivery.returnpath import SECRET_NAME, ReturnPath
from newsletter.delivery.smtp import SmtpSettings
from newsletter.errors import ConfigError, NewsletterError
from newsletter.feeds.asking import FetchLimits, Secret
from newsletter.feeds.workers import workers
from newsletter.hours import Hours
from newsletter.issues.digest import DigestRules
from newsletter.issues.render import Masthead, Templates, default_templates
from newsletter.keeper import Identity
from newsletter.model import Barred, Feed, Subscriber
from newsletter.people.file import FileRoster
from newsletter.people.roster import Roster, not_there
from newsletter.people.stored import StoredRoster
from newsletter.stages import AtHome, Parts, Publication
from newsletter.store import Store

_is_reserved = lru_cache(maxsize=4096)(is_reserved)


class App:
    """One project and the parts it is made of; the only place that picks concrete classes.

    Args:
        config: what the project says.
        clock: what time it is.
        ids: where random values come from.
        store: the memory to use instead of the project's own, for a look at what might be.
    """

    def __init__(
        self, config: Config, *, clock: Clock | None = None, ids: Ids | None = None, store: Store | None = None
    ) -> None:
        self.config = config
        self.clock: Clock = clock or SystemClock()
        self.ids = ids or Ids()
        self._store = store
        self._empty: Store | None = None
        self._signers: tuple[Signer, ...] | None = None

    @classmethod
    def open(cls, path: Path | None = None, *, clock: Clock | None = None, ids: Ids | None = None) -> Self:
        """Open the project in `path` (a folder or its newsletter.yaml), or the one around the current folder.

        Raises:
            ConfigError: with every mistake in newsletter.yaml.
        """
        return cls(load_project(path), clock=clock, ids=ids)

    # ------------------------------------------------------------------- the store

    @property
    def store(self) -> Store:
        """The project's memory; made at first use.

        Raises:
            StoreError: it cannot be used as it is.
        """
        if self._store is None:
            self._store = Store.open(self.config.store, clock=self.clock, ids=self.ids)
        return self._store

    def migrate(self) -> tuple[str, Path | None]:
        """Bring an older database to this version's schema; returns its number, and where the older one was backed up.

        Raises:
            SchemaError: a newer version of the program wrote it.
        """
        backups: list[Path] = []
        if self._store is None:
            self._store = Store.open(
                self.config.store, clock=self.clock, ids=self.ids, migrate=True, on_backup=backups.append
            )
        return self._store.info().schema, backups[0] if backups else None

    def sending(self, name: str = "send") -> AbstractContextManager[None]:
        """The project's lock for what mails people; its memory must be its own, at home and of today.

        Raises (when entered):
            BusyError: another process is at work.
            StoreError: the memory was copied, moved or put back from a backup.
        """
        return self.store.sending(machine(), follow=self.config.follow_copies, name=name)

    def identity(self) -> Identity:
        """What this process is called as one of several that send."""
        return Identity(who=self.ids.token(), host=socket.gethostname(), pid=os.getpid(), version=__version__)

    def barred(self) -> Barred | None:
        """Why nothing may be sent with the memory there is; None where all is well."""
        return self.memory.barred(machine(), follow=self.config.follow_copies)

    @property
    def memory(self) -> Store:
        """The project's memory for a look: where there is none yet, none is made."""
        if self._store is not None or Store.exists(self.config.store):
            return self.store
        if self._empty is None:
            self._empty = Store.in_memory(clock=self.clock, ids=self.ids)
        return self._empty

    def scratch(self) -> Store:
        """Make a copy of the memory that may be changed without changing anything."""
        if self._store is None and not Store.exists(self.config.store):
            return Store.in_memory(clock=self.clock, ids=self.ids)
        return self.store.scratch()

    def close(self) -> None:
        """Let go of the store."""
        for store in (self._store, self._empty):
            if store is not None:
                store.close()
        self._store = self._empty = None

    # -------------------------------------------------------------------- the parts

    def parts(self, store: Store | None = None, people: Callable[[str], Iterable[Subscriber]] | None = None) -> Parts:
        """Everything the stages need; on another store, or for other people, for a rehearsal."""
        return Parts(
            store=store or self.store,
            digests_of=self.config.digests_of,
            people=people or self.people,
            limits=self.limits,
            first_run=self.config.first_run,
            on_unknown=self.config.on_unknown,
            clock=self.clock,
            ids=self.ids,
            reader=workers(),
            bounce_rules=self.config.bounces.rules,
            count=self.recipients if people is None else None,
            listed=AtHome(without_reserved=self._leaves_out_reserved) if self._is_at_home(store, people) else None,
            # A rehearsal waits for nobody's hours.
            hours=self.hours if store is None and people is None else {},
            secrets=self.secrets,
            failing_after=self.config.failing_after,
            hand_out=jobs.hand_out,
        )

    def _is_at_home(self, store: Store | None, people: object) -> bool:
        """Whether the people of a run are those in the table of the store that it works with."""
        return store is None and people is None and self.config.subscribers is None

    @property
    def hours(self) -> dict[str, Hours | None]:
        """By digest, in which hours it may be mailed; None: always."""
        return {digest.name: digest.hours for digest in self.config.digests}

    @property
    def secrets(self) -> dict[str, Secret]:
        """By feed address, what fetches the headers that hold its password."""
        return {url: secret.headers for url, secret in self.config.feed_secrets.items()}

    @property
    def limits(self) -> FetchLimits:
        """How the feeds are asked."""
        contact = self.config.base_url or f"mailto:{self.config.from_address.email}"
        agent = self.config.user_agent or f"newsletter/{__version__} (+{contact})"
        return FetchLimits(user_agent=agent.encode("ascii", "ignore").decode())

    def publication(self, name: str | None, *, note: str | None = None) -> Publication:
        """Give a digest as the stages need it.

        Args:
            name: the digest's, or None for the only one.
            note: the editor's, as given on the command line; None takes the file that the project names.

        Raises:
            UsageError: there is no such digest, or several to choose from.
            ConfigError: the note cannot be read or has mistakes.
        """
        digest = self.config.digest(name)
        written = note_of(digest.note) if note is None else note_given(note)
        return self._publication(digest, written, repeat_note=note is not None)

    def _publication(self, digest: DigestConfig, note: str, *, repeat_note: bool) -> Publication:
        config = self.config
        title = config.title if len(config.digests) == 1 else f"{config.title}: {digest.name}"
        return Publication(
            rules=DigestRules(
                name=digest.name,
                title=title,
                language=config.language,
                max_entries=digest.max_entries,
                per_feed=digest.per_feed,
                min_entries=digest.min_entries,
                sort=digest.sort,
                group_by=digest.group_by,
                pictures=digest.pictures,
            ),
            feeds=digest.feeds,
            masthead=Masthead(
                title=config.title,
                language=config.language,
                timezone=digest.timezone,
                base_url=config.base_url,
                archive_url=config.archive.url,
                postal_address=config.postal_address,
                from_email=config.from_address.email,
                digest_name=digest.name,
                digest_title=title,
                subject=digest.subject,
                generator=f"newsletter {__version__}",
            ),
            templates=self.templates(digest),
            from_name=config.from_name or config.title,
            from_email=config.from_address.wire,
            reply_to=config.reply_to.wire if config.reply_to else None,
            list_id=digest.list_id,
            unsubscribe_email=config.mail_address.wire,
            mention_edits=config.mention_edits,
            note=note,
            repeat_note=repeat_note,
            canary=digest.canary,
        )

    def templates(self, digest: DigestConfig) -> Templates:
        """The project's templates before the built-in ones."""
        return Templates((self.config.templates, default_templates()), theme=digest.theme)

    def signers(self) -> tuple[Signer, ...]:
        """Whose DKIM signatures messages carry; the keys are read at first use.

        Raises:
            ConfigError: a key cannot be used.
        """
        if self._signers is None:
            self._signers = load_signers(self.config)
        return self._signers

    def signers_to_show(self) -> tuple[tuple[Signer, ...], str]:
        """The signers for a look at a letter; where a key cannot be used none, and a sentence that says so.

        An editor may see tomorrow's letter without having the key.
        """
        try:
            return self.signers(), ""
        except ConfigError as error:
            return (), f"shown without its DKIM signature: {'; '.join(str(error).splitlines())}"

    def smtp(self) -> SmtpSettings:
        """How to reach the mail server, password and all.

        Raises:
            ConfigError: the project names no server, or a DKIM key cannot be used.
            NewsletterError: the password is not where the project says.
        """
        smtp = self.config.require_smtp()
        return SmtpSettings(
            host=smtp.host,
            port=smtp.port,
            tls=smtp.tls,
            insecure=smtp.insecure,
            username=smtp.username,
            password=smtp.password(),
            connections=smtp.connections,
            rates=tuple(map(Rate.parse, smtp.rates)),
            per_domain={domain: tuple(map(Rate.parse, rates)) for domain, rates in smtp.per_domain.items()},
            per_connection=smtp.per_connection,
            window=smtp.window,
            timeout=smtp.timeout,
            signers=self.signers(),
        )

    def smtp_for_issues(self) -> SmtpSettings:
        """The same for the messages of issues: reports on them go where the project wants them.

        Raises:
            ConfigError: the project names no server, or a DKIM key cannot be used.
            NewsletterError: the password is not where the project says.
        """
        return replace(self.smtp(), return_path=self.return_path())

    def return_path(self) -> ReturnPath | None:
        """Where reports on each message go; None: to the sender."""
        bounces = self.config.bounces
        if bounces.address is None:
            return None
        return ReturnPath(bounces.address.wire, self.store.secret(SECRET_NAME) if bounces.verp else None)

    def slot(self, now: datetime, digest: DigestConfig) -> str:
        """Name a send that somebody asked for by hand; schedules name theirs by date."""
        return f"by hand {now.astimezone(ZoneInfo(digest.timezone)).isoformat(timespec='microseconds')}"

    # ------------------------------------------------------------------- the people

    @property
    def roster(self) -> Roster:
        """The list of people, wherever the project keeps it."""
        config = self.config
        if config.subscribers is None:
            left = config.folder / "subscribers.yaml"
            return StoredRoster(
                lambda: self.store, config.digest_names, look=lambda: self.memory, left=left, config=config.path
            )
        return self.file_roster(config.subscribers)

    def file_roster(self, path: Path) -> FileRoster:
        """A list of people in a file; what a large one says is kept in the memory, where there is one."""
        folder = self.config.folder
        named = path.relative_to(folder).as_posix() if path.is_relative_to(folder) else str(path)
        return FileRoster(path, self.config.digest_names, store=self._keeper, named=named)

    def _keeper(self) -> Store | None:
        return self.store if self._store is not None or Store.exists(self.config.store) else None

    def people(self, digest: str) -> Iterator[Subscriber]:
        """Yield who gets a digest, as the list says; the store's suppressions come later.

        People at reserved domains (RFC 2606) are left out unless the mail
        server is on this machine: nobody there can have asked for mail.

        Raises:
            ConfigError: with every mistake in the file, before the first person.
        """
        for subscriber in self.roster.people(digest):
            if not self.is_unmailable(subscriber):
                yield subscriber

    def recipients(self, digest: str) -> int:
        """Count who gets a digest, as `people` yields them.

        Raises:
            ConfigError: as `people`.
        """
        if not self._leaves_out_reserved:
            return self.roster.count(digest)
        return sum(1 for key in self.roster.keys(digest) if not _is_reserved(key.rpartition("@")[2]))

    def is_unmailable(self, subscriber: Subscriber) -> bool:
        """Whether a person is left out for standing at a reserved domain."""
        return self._leaves_out_reserved and _is_reserved(subscriber.key.rpartition("@")[2])

    @property
    def _leaves_out_reserved(self) -> bool:
        smtp = self.config.smtp
        return smtp is not None and not smtp.is_loopback

    def subscriber(self, email: str) -> Subscriber:
        """Find a person on the list.

        Raises:
            UsageError: there is no such person.
            AddressError: that is no address.
        """
        found = self.roster.find(email)
        if found is None:
            raise not_there(email, self.roster.shown)
        return found

    # -------------------------------------------------------------------- the feeds

    def choose_feeds(self, wanted: Sequence[str]) -> tuple[Feed, ...]:
        """The feeds with these addresses or titles, or all of them.

        Raises:
            UsageError: one of them is not in the project.
        """
        if not self.config.feeds:
            raise NewsletterError("the project has no feeds", hint="newsletter feed add https://…")
        return tuple(self.config.feed(which) for which in wanted) or self.config.feeds
