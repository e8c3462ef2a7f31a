"""What the DNS says of the sender, asked of this machine's own resolver."""

from collections.abc import Iterator, Sequence
from typing import Final

from newsletter.address import is_reserved
from newsletter.app.check.finding import Finding
from newsletter.app.project import App
from newsletter.delivery.published import LookUp, published
from newsletter.errors import ConfigError, NewsletterError
from newsletter.issues.check import Level

#: Seconds for one answer, retries and all.
_PATIENCE: Final = 10.0


def sender(app: App, look_up: LookUp | None) -> Iterator[Finding]:
    """SPF, DKIM and DMARC of the sender's domain.

    Args:
        app: the project.
        look_up: asks the DNS; None: this machine's resolver, which is not asked of reserved domains.
    """
    domain = app.config.from_address.domain
    if look_up is None and is_reserved(domain):
        yield Finding(level=Level.ok, what="dns", text=f"not asked: {domain} is a reserved domain, in no DNS")
        return
    try:
        signers = app.signers()
    except ConfigError:
        return  # said of the mail
    bounces = app.config.bounces.address
    envelope = (bounces or app.config.from_address).domain
    for said in published(domain, envelope, signers, look_up or system_look_up):
        level = Level.ok if not said.hint else Level.error if said.is_grave else Level.warning
        yield Finding(level=level, what="dns", text=said.text, hint=said.hint or None)


def system_look_up(name: str, kind: str) -> Sequence[str]:
    """Ask this machine's resolver.

    Raises:
        NewsletterError: it does not answer.
    """
    import dns.exception
    import dns.resolver

    try:
        return records(dns.resolver.get_default_resolver(), name, kind)
    except dns.exception.DNSException as error:
        raise NewsletterError(
            f"the DNS does not answer for {name}: {type(error).__name__}",
            hint="look at this machine's resolver (/etc/resolv.conf), then check again",
        ) from error


def records(resolver: object, name: str, kind: str) -> list[str]:
    """The records of a name, texts joined from their strings (RFC 7208 §3.3); none where there is no such name."""
    import dns.resolver

    assert isinstance(resolver, dns.resolver.Resolver)
    try:
        answer = resolver.resolve(name, kind, lifetime=_PATIENCE, search=False)
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return []
    if kind == "TXT":
        return [b"".join(record.strings).decode("utf-8", "replace") for record in answer]
    return [record.to_text() for record in answer]
