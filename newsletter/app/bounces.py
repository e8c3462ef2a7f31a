"""What comes back: the project's mailbox read, and what is known of it as rows."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import unquote, urlsplit

from newsletter.app.bymail import mail_commands
from newsletter.app.project import App
from newsletter.config import PasswordSource
from newsletter.errors import UsageError
from newsletter.model import Bounce, BounceKind, BounceReport, BounceRules
from newsletter.people.bounces.failures import judge_failures
from newsletter.people.bounces.imap import ImapFolder, ImapSettings
from newsletter.people.bounces.judging import Judge
from newsletter.people.bounces.mailbox import Mailbox
from newsletter.people.bounces.maildir import Maildir
from newsletter.people.bounces.scan import Scan, Scanned, Seen, scan_all
from newsletter.store.bounces import PROOFS

_NO_MAILBOX = "name one under `bounces` in newsletter.yaml (maildir or imap), or with --maildir DIR"


def scan(
    app: App,
    *,
    maildir: Path | None = None,
    imap: str | None = None,
    dry_run: bool = False,
    again: bool = False,
    on_seen: Callable[[Seen], None] = lambda _: None,
) -> Scanned:
    """Read what has come to a mailbox, remember it, and act on it.

    Args:
        app: the project.
        maildir: a folder, instead of what the project names.
        imap: imaps://USER@HOST/FOLDER, instead of what the project names.
        dry_run: change nothing.
        again: also what was read before.
        on_seen: told of each message when its record is on disk.

    Raises:
        UsageError: there is no mailbox to read.
        BusyError: another scan is at work on this project.
        StoreError: the store cannot be written; what was told of is recorded.
    """
    config = app.config.bounces
    with mailbox(app, maildir, imap, read_only=dry_run) as box, app.sending("bounces"):
        return_path = app.return_path()
        judge = Judge(
            app.store,
            config.rules,
            returned_to=return_path.deliveries_in if return_path is not None else lambda _: (),
        )
        if not dry_run:
            judge_failures(app.store, config.rules, clock=app.clock)
            app.store.forget_raw(app.clock.now() - timedelta(days=config.keep_days))
        return scan_all(
            Scan(
                mailbox=box,
                store=app.store,
                judge=judge,
                rules=config.rules,
                clock=app.clock,
                command=mail_commands(app),
                dry_run=dry_run,
                again=again,
            ),
            on_seen,
        )


@contextmanager
def mailbox(app: App, maildir: Path | None, imap: str | None, *, read_only: bool) -> Iterator[Mailbox]:
    """The mailbox that the command line or the project names, for as long as the block lasts.

    Raises:
        UsageError: neither names one, or the command line names two.
    """
    config = app.config.bounces
    if maildir is not None and imap is not None:
        raise UsageError("--maildir and --imap name two mailboxes", hint="read one after the other")
    if imap is not None or (maildir is None and config.imap is not None):
        with ImapFolder(_settings(app) if imap is None else _given(app, imap), read_only=read_only) as folder:
            yield folder
        return
    path = maildir or config.maildir
    if path is None:
        raise UsageError("the project names no mailbox for reports", hint=_NO_MAILBOX)
    yield Maildir(path.absolute(), delete=config.delete)


def _settings(app: App) -> ImapSettings:
    imap = app.config.bounces.imap
    assert imap is not None
    return ImapSettings(
        host=imap.host,
        port=imap.port,
        tls=imap.tls,
        username=imap.username,
        password=lambda: imap.password_source.read().reveal(),
        folder=imap.folder,
        timeout=imap.timeout,
        delete=app.config.bounces.delete,
    )


def _given(app: App, url: str) -> ImapSettings:
    """The mailbox in an address such as imaps://wire%40example.com@imap.example.com/INBOX."""
    wrong = UsageError(
        "--imap must be an address such as imaps://USER@imap.example.com/INBOX",
        hint="a @ in the user's name is written %40; the password is in NEWSLETTER_IMAP_PASSWORD, never in the address",
    )
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise wrong from error
    if parts.scheme != "imaps" or not parts.hostname or not parts.username or parts.password is not None:
        raise wrong
    source = PasswordSource(protocol="IMAP", folder=app.config.folder)
    return ImapSettings(
        host=parts.hostname,
        port=port or 993,
        tls="implicit",
        username=unquote(parts.username),
        password=lambda: source.read().reveal(),
        folder=unquote(parts.path.strip("/")) or "INBOX",
        delete=app.config.bounces.delete,
    )


# ------------------------------------------------------------------------------ rows


@dataclass(frozen=True, slots=True, kw_only=True)
class BounceRow:
    """One thing that came back; `proof` is a sentence, "" where there is none."""

    report: int | None
    at: datetime
    email: str
    kind: str
    status: str
    words: str
    proof: str
    counts: bool


def bounce_row(bounce: Bounce) -> BounceRow:
    """A bounce to show; it counts if it is proven and nobody has forgiven it."""
    return BounceRow(
        report=bounce.report_id,
        at=bounce.happened_at,
        email=bounce.email,
        kind=bounce.kind.value,
        status=bounce.status,
        words=bounce.words,
        proof="" if bounce.proof is None else PROOFS[bounce.proof],
        counts=bounce.proof is not None and not bounce.forgiven,
    )


def bounce_rows(app: App, key: str) -> tuple[BounceRow, ...]:
    """Everything that came back for a person, the oldest first."""
    return tuple(map(bounce_row, app.store.bounces_of(key)))


def story(app: App, key: str) -> str:
    """What came back for a person and still counts, in a sentence; "" where nothing does."""
    rules, now = app.config.bounces.rules, app.clock.now()
    bounces = app.store.bounces_of(key)
    unproven = sum(1 for one in bounces if one.proof is None and not one.forgiven)
    recent = [
        one
        for one in bounces
        if one.proof is not None and not one.forgiven and one.happened_at > now - timedelta(days=rules.days)
    ]
    sentences = []
    for kind, needed in ((BounceKind.hard, rules.hard), (BounceKind.soft, rules.soft)):
        count = len({one.delivery_id or one.id for one in recent if one.kind is kind})
        if count:
            sentences.append(f"{_number(count, kind.value + ' bounce')} within {rules.days} days{_limit(needed)}.")
    policy = sum(1 for one in recent if one.kind is BounceKind.policy)
    if policy:
        sentences.append(f"{_number(policy, 'refusal')} for policy or content, which blame nobody.")
    if unproven:
        sentences.append(f"{_number(unproven, 'report')} without proof that we wrote there: they count for nothing.")
    return " ".join(sentences)


def _number(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _limit(needed: int) -> str:
    return f"; {needed} stop{'s' if needed == 1 else ''} mail" if needed else "; no number of them stops mail"


def find_report(app: App, report_id: int) -> BounceReport:
    """One report with its bytes.

    Raises:
        UsageError: there is no such report.
    """
    found = app.store.report(report_id)
    if found is None:
        raise UsageError(f"there is no report {report_id}", hint="newsletter bounce list shows them")
    return found


def what_to_do(report: BounceReport, rules: BounceRules) -> str:
    """What whoever keeps the list may do about a report; "" where nothing is left to do."""
    counted = (BounceKind.hard, BounceKind.soft, BounceKind.complaint)
    unproven = [one for one in report.bounces if one.proof is None and not one.forgiven and one.kind in counted]
    if not unproven:
        return ""
    return (
        "nothing in it shows that it is about a message of ours, so it stopped no mail; if you believe it: "
        f"newsletter suppression add {unproven[0].email} --reason bounced"
        + ("" if rules.trust_unproven else "; `bounces: {unproven: count}` believes all such reports")
    )
