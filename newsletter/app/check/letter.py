"""The letter: the message of the next issue, down to its bytes."""

import asyncio
import re
from collections.abc import Iterator
from dataclasses import replace
from email.parser import BytesParser
from email.policy import SMTP
from urllib.parse import urlsplit

from newsletter.app.check.finding import Finding
from newsletter.app.letters import Copy, Letter, invented_reader, letter, sample_letter
from newsletter.app.project import App
from newsletter.config import DigestConfig
from newsletter.delivery.published import tags
from newsletter.errors import NewsletterError
from newsletter.issues.check import Level, judge
from newsletter.issues.filters import SLOW_HINT, slow_words
from newsletter.model import Format


def digest_of(app: App, digest: DigestConfig, *, online: bool) -> Iterator[Finding]:
    """Build the message of the next issue, from what waits or from samples, and judge its bytes."""
    name = digest.name
    try:
        reader = next(app.people(name), invented_reader())
        # Who takes plain text only would not show what the others get.
        reader = replace(reader, format=Format.html)
        found = asyncio.run(letter(app, name, reader, fetch_first=False, with_pictures=online))
        slow_rules = found.draft.slow_rules
        source = f"{found.draft.total} waiting entries"
        if not found.message:
            found = asyncio.run(sample_letter(app, name, reader))
            source = "the bundled samples"
    except NewsletterError as error:
        yield Finding(level=Level.error, what=name, text=str(error), hint=error.hint)
        return
    yield Finding(level=Level.ok, what=name, text=f"a message of {len(found.message):,} bytes from {source}")
    if digest.pictures == "cid" and not online:
        yield Finding(level=Level.ok, what=name, text="without its pictures, which `newsletter check --online` gets")
    for slow in slow_rules:
        yield Finding(level=Level.warning, what="feed", text=slow_words(slow), hint=SLOW_HINT)
    yield from findings_of(found, name)
    if online:
        yield from _one_click(app, found.message, name)


def _one_click(app: App, message: bytes, digest: str) -> Iterator[Finding]:
    """Whether the message can be left with one click (RFC 8058), and a signature vouches for that."""
    if app.config.base_url is None:
        return
    headers = BytesParser(policy=SMTP).parsebytes(message, headersonly=True)
    links = [link for link in re.findall(r"<([^>]*)>", str(headers["List-Unsubscribe"])) if link.startswith("https://")]
    if not links or str(headers["List-Unsubscribe-Post"]).strip() != "List-Unsubscribe=One-Click":
        yield Finding(
            level=Level.warning,
            what=digest,
            text="the message has no one-click unsubscribe (RFC 8058)",
            hint="base_url must begin with https://",
        )
        return
    signatures = [tags(str(value)) for value in headers.get_all("DKIM-Signature", ())]
    covered = [
        one.get("d", "")
        for one in signatures
        if {"list-unsubscribe", "list-unsubscribe-post"}
        <= {name.strip().lower() for name in one.get("h", "").split(":")}
    ]
    words = f"one click leaves it, at {urlsplit(links[0]).netloc}"
    if signatures and not covered:
        yield Finding(
            level=Level.error,
            what=digest,
            text="the DKIM signature does not cover List-Unsubscribe and List-Unsubscribe-Post (RFC 8058 §4)",
            hint="sign with smtp.dkim, which covers both",
        )
    elif covered:
        yield Finding(level=Level.ok, what=digest, text=f"{words}, which the signature of {covered[0]} covers")
    else:
        yield Finding(level=Level.ok, what=digest, text=f"{words}; the mail server's signature must cover both headers")


def findings_of(found: Copy, digest: str) -> Iterator[Finding]:
    """Judge a built message: its bytes, and what is known of how it came to be."""
    if isinstance(found, Letter):
        for missing in found.draft.missing_pictures:
            yield Finding(level=Level.warning, what=digest, text=str(missing))
    if isinstance(found, Letter) and found.size is not None:
        yield Finding(level=Level.ok if found.size.fits else Level.warning, what=digest, text=found.size.words)
    for fault in judge(found.message):
        yield Finding(
            level=fault.level,
            what=digest,
            text=fault.what,
            hint=fault.fix or None,
            rule=fault.rule,
            where=fault.where,
            why=fault.why,
            line=fault.line,
        )
    if isinstance(found, Letter) and found.is_personal:
        yield Finding(
            level=Level.warning,
            what=digest,
            text="a template decides on the subscriber, so it is rendered once for every different answer",
            hint="fine for a few kinds of readers; slow where all differ",
        )
