"""The mail server, the signatures, the mailbox for reports."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from newsletter.app.bounces import mailbox as open_mailbox
from newsletter.app.check.finding import Finding
from newsletter.app.project import App
from newsletter.app.signing import key_notes
from newsletter.delivery.smtp import SmtpTransport
from newsletter.errors import NewsletterError
from newsletter.issues.check import Level

#: A certificate that ends sooner has usually not been renewed in time.
_SOON: Final = timedelta(days=14)


def mail(app: App) -> Iterator[Finding]:
    """The settings for sending, without a connection."""
    if app.config.smtp is None:
        yield Finding(
            level=Level.warning,
            what="mail",
            text="no server, so nothing can be sent",
            hint="add `smtp: {host: mail.example.com}` to newsletter.yaml, with your server's name",
        )
    else:
        try:
            app.smtp()
        except NewsletterError as error:
            yield Finding(level=Level.error, what="mail", text=str(error), hint=error.hint)
        else:
            yield Finding(level=Level.ok, what="mail", text=f"through {app.config.smtp.host}:{app.config.smtp.port}")
        yield from _signing(app)
    base_url = app.config.base_url
    if base_url and not base_url.startswith("https://"):
        yield Finding(
            level=Level.warning,
            what="pages",
            text=f"{base_url} is not https: there is no one-click unsubscribe, and only this machine can follow the links",
            hint="put the pages behind a server that speaks TLS: docs/serve.md",
        )


def mailbox(app: App, *, online: bool) -> Iterator[Finding]:
    """Look into the mailbox for reports, where the project has one; one on a server only online."""
    bounces = app.config.bounces
    if bounces.maildir is None and bounces.imap is None:
        if bounces.address is not None:
            yield Finding(
                level=Level.warning,
                what="bounces",
                text=f"reports go to {bounces.address.email}, and nothing here reads them",
                hint="name the mailbox, as maildir or imap under bounces",
            )
        return
    if bounces.maildir is None and not online:
        return
    try:
        with open_mailbox(app, None, None, read_only=True) as box:
            count = len(box.names())
    except NewsletterError as error:
        yield Finding(level=Level.error, what="bounces", text=str(error), hint=error.hint)
        return
    yield Finding(level=Level.ok, what="bounces", text=f"{count:,} messages in {box.name}")


def _signing(app: App) -> Iterator[Finding]:
    try:
        notes = list(key_notes(app.config))
    except NewsletterError as error:
        yield Finding(level=Level.error, what="mail", text=str(error), hint=error.hint)
        return
    for note in notes:
        yield Finding(level=Level.warning if note.hint else Level.ok, what="mail", text=note.text, hint=note.hint)


async def login(app: App) -> list[Finding]:
    """Connect to the mail server, with TLS and a login as a send does; nothing is mailed."""
    if app.config.smtp is None:
        return []
    try:
        connection = await SmtpTransport(app.smtp()).open()
        await connection.close()
    except NewsletterError as error:
        return [Finding(level=Level.error, what="mail", text=str(error), hint=error.hint)]
    found = [Finding(level=Level.ok, what="mail", text="connected, secured and logged in")]
    if connection.certified_until is not None:
        found.append(certificate(f"{app.config.smtp.host}", connection.certified_until, app.clock.now(), what="mail"))
    return found


def certificate(host: str, until: datetime, now: datetime, *, what: str) -> Finding:
    """How long a certificate that is trusted today will be."""
    if until - now > _SOON:
        return Finding(level=Level.ok, what=what, text=f"the certificate of {host} is good until {until:%Y-%m-%d}")
    return Finding(
        level=Level.warning,
        what=what,
        text=f"the certificate of {host} ends on {until:%Y-%m-%d}, in {max((until - now).days, 0)} days",
        hint="see that it is renewed: from then on nothing is sent over it",
    )
