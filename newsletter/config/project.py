"""What a project's newsletter.yaml says, checked, complete and ready for use."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Literal

from newsletter.address import Address
from newsletter.config.secret import FeedSecret, PasswordSource, Secret
from newsletter.errors import ConfigError, Problem, UsageError
from newsletter.hours import Hours
from newsletter.model import ApprovalRule, BounceRules, CanaryRule, Feed, Keep, OnUnknown
from newsletter.schedule import Lateness
from newsletter.urls import canonical_url
from newsletter.yamlfile import did_you_mean, shown_path

Tls = Literal["starttls", "implicit", "none"]
Sort = Literal["newest", "oldest"]
GroupBy = Literal["feed", "tag", "none"]
Pictures = Literal["link", "none", "cid"]
WhoseClock = Literal["digest", "subscriber"]


def is_loopback(host: str) -> bool:
    """Whether a host name or address can only be this machine (RFC 6761 §6.3)."""
    host = host.lower().rstrip(".").removeprefix("[").removesuffix("]")
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def shown_url(url: str) -> str:
    """An address for a message: without the name and password that may be in it."""
    return re.sub(r"(?<=//)[^/?#]*@", "…@", url)


@dataclass(frozen=True, slots=True, kw_only=True)
class DkimConfig:
    """One DKIM key; `line` and `place` are where the project names its file, for messages about it."""

    domain: str
    selector: str
    key_file: Path
    line: int | None
    place: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SmtpConfig:
    """The mail server, and how to use it.

    `rates` are as written ("50/s"), `per_domain` those for a recipients' domain, or
    for each that is not named ("*"); `timeout` is in seconds; `per_connection` is
    after how many messages a connection is renewed, None for never; `window` how
    many are in flight over each where the server offers CHUNKING.
    """

    host: str
    port: int
    tls: Tls
    insecure: bool
    username: str | None
    connections: int
    rates: tuple[str, ...]
    per_domain: Mapping[str, tuple[str, ...]]
    per_connection: int | None
    window: int
    timeout: float
    dkim: tuple[DkimConfig, ...] = ()
    password_source: PasswordSource = field(repr=False)

    @property
    def is_loopback(self) -> bool:
        """Whether the server can only be on this machine: reserved domains are mailed through no other."""
        return is_loopback(self.host)

    def password(self) -> Secret | None:
        """Get the password now; None where there is no user name.

        Raises:
            NewsletterError: it is not where the project says.
        """
        return None if self.username is None else self.password_source.read()


@dataclass(frozen=True, slots=True, kw_only=True)
class ImapConfig:
    """A folder on an IMAP server; `timeout` is in seconds."""

    host: str
    port: int
    tls: Tls
    username: str
    folder: str
    timeout: float
    password_source: PasswordSource = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class BouncesConfig:
    """Where reports come to, and when they stop mail; for a project that says nothing, the usual rules.

    `address` is the sender of the envelope, where there is one; with `verp` each
    message has one of its own.  `commands` says whether people may write there
    to unsubscribe and subscribe.
    """

    address: Address | None = None
    verp: bool = False
    maildir: Path | None = None
    imap: ImapConfig | None = None
    delete: bool = False
    commands: bool = True
    keep_days: int = 180
    rules: BounceRules = field(default_factory=BounceRules)


@dataclass(frozen=True, slots=True, kw_only=True)
class DigestConfig:
    """One digest: its feeds in the order of its sections, and its rules.

    `schedule` is as written; `max_entries` and `per_feed` are None for no limit;
    `list_id` is the whole List-Id (RFC 2919), the same for good.  `note` is the
    file of the editor's note, which need not be there; `subject` is a template.
    `hours` are when it may be mailed; None: at any time.
    """

    name: str
    feeds: tuple[Feed, ...]
    list_id: str
    timezone: str
    schedule: str | None = None
    lateness: Lateness = field(default_factory=Lateness)
    hours: Hours | None = None
    theme: str = "default"
    max_entries: int | None = None
    per_feed: int | None = None
    min_entries: int = 1
    sort: Sort = "newest"
    group_by: GroupBy = "feed"
    pictures: Pictures = "link"
    note: Path | None = None
    canary: CanaryRule | None = None
    approve: ApprovalRule | None = None
    subject: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscribeConfig:
    """How people sign up on the public pages: with a mail to confirm it, and whether there is a form at all."""

    confirm: bool = True
    form: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class NotifyConfig:
    """Who hears of what needs them, and when: `owners` by mail, services of Apprise by the addresses at `apprise`.

    `failures` is the share of an issue's messages that may fail unsaid, `overdue` after how
    long without an issue a digest is late, `per_day` how many mails of this kind there may be.
    """

    owners: tuple[Address, ...] = ()
    apprise: PasswordSource | None = field(default=None, repr=False)
    failures: float = 0.05
    overdue: timedelta = timedelta(hours=26)
    per_day: int = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveConfig:
    """Past issues as files: the folder they are written to, and the address at which that folder is served."""

    out: Path
    url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """A whole project.  Paths are absolute; `store` is a path or a postgresql:// address.

    `subscribers` is the file with the people; None: they are in the store.

    `first_run` is how many entries a feed's first fetch offers, None for all;
    `failing_after` after how many failures in a row it is in trouble;
    `follow_copies` lets a store that was copied send from where it is;
    `feed_secrets` are, by address, what feeds are asked with.
    What may carry a password is left out of the repr.
    """

    path: Path
    folder: Path
    title: str
    from_name: str
    from_address: Address
    reply_to: Address | None
    language: str
    timezone: str
    base_url: str | None
    postal_address: str | None
    user_agent: str | None
    first_run: int | None
    mention_edits: bool
    on_unknown: OnUnknown
    store: str = field(repr=False)
    subscribers: Path | None
    templates: Path
    feeds: tuple[Feed, ...] = field(repr=False)
    digests: tuple[DigestConfig, ...] = field(repr=False)
    smtp: SmtpConfig | None
    archive: ArchiveConfig
    subscribe: SubscribeConfig = SubscribeConfig()
    bounces: BouncesConfig = field(default_factory=BouncesConfig)
    feed_secrets: Mapping[str, FeedSecret] = field(default_factory=dict[str, FeedSecret], repr=False)
    failing_after: int = 3
    follow_copies: bool = False
    keep: Keep = field(default_factory=Keep)
    notify: NotifyConfig = field(default_factory=NotifyConfig)

    @property
    def mail_address(self) -> Address:
        """Where people write to: to unsubscribe, for help, with an answer.

        The mailbox for reports, where the project has one that is read for such
        mail, else the address for answers, else the sender.
        """
        bounces = self.bounces
        if (
            bounces.address is not None
            and bounces.commands
            and (bounces.maildir is not None or bounces.imap is not None)
        ):
            return bounces.address
        return self.reply_to or self.from_address

    @property
    def digest_names(self) -> tuple[str, ...]:
        """The digests' names, in the project's order."""
        return tuple(digest.name for digest in self.digests)

    @property
    def digests_of(self) -> dict[str, tuple[str, ...]]:
        """Per feed address, the names of the digests that have the feed."""
        read = {digest.name: {feed.url for feed in digest.feeds} for digest in self.digests}
        return {feed.url: tuple(name for name, urls in read.items() if feed.url in urls) for feed in self.feeds}

    def digest(self, name: str | None = None) -> DigestConfig:
        """The digest of that name, or the only one.

        Raises:
            UsageError: there is none, or more than one to choose from.
        """
        if name is None and len(self.digests) == 1:
            return self.digests[0]
        names = ", ".join(self.digest_names)
        if name is None:
            raise UsageError("there is more than one digest", hint=f"name one of {names}")
        for digest in self.digests:
            if digest.name == name:
                return digest
        raise UsageError(
            f"there is no digest {name}{did_you_mean(name, self.digest_names)}", hint=f"there are: {names}"
        )

    def feed(self, which: str) -> Feed:
        """The feed with that address, path or title.

        Raises:
            UsageError: there is none, or several have the title.
        """
        return self.feeds[self.feed_index(which)]

    def feed_index(self, which: str) -> int:
        """Where in `feeds` the feed with that address, path or title stands.

        Raises:
            UsageError: there is none, or several have the title.
        """
        here, there = str(Path(which).absolute()), str(self.folder / which)
        wanted = canonical_url(which)
        for index, feed in enumerate(self.feeds):
            if feed.url in (which, here, there) or canonical_url(feed.url) == wanted:
                return index
        titled = [i for i, feed in enumerate(self.feeds) if feed.title and feed.title.casefold() == which.casefold()]
        if len(titled) > 1:
            raise UsageError(f"{len(titled)} feeds are called {which}", hint="give the address instead")
        if titled:
            return titled[0]
        known = [name for feed in self.feeds for name in (feed.url, feed.title) if name]
        raise UsageError(
            f"there is no feed {which}{did_you_mean(which, known)}", hint="newsletter feed list shows them"
        )

    def require_smtp(self) -> SmtpConfig:
        """The mail server.

        Raises:
            ConfigError: the project has none, and something is to be mailed.
        """
        if self.smtp is None:
            problem = Problem(
                path=shown_path(self.path), line=None, key="smtp", text="is missing: nothing can be mailed"
            )
            raise ConfigError([problem], hint="add `smtp: {host: mail.example.com}`, with your server's name")
        return self.smtp
