"""E-mail addresses: checked once, at the border, and written the same way everywhere.

The check is email-validator's (RFC 5321, 5322, 6531, IDNA); nothing is looked
up in the network.
"""

from dataclasses import dataclass

from newsletter.errors import AddressError

#: Domains nobody can own (RFC 2606, RFC 6761): mailed only through a loopback server.
RESERVED_DOMAINS = ("example.com", "example.org", "example.net")
RESERVED_TLDS = ("example", "test", "invalid", "localhost")


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """One checked address.

    `email` is as a person writes it, `wire` as it goes on the wire (the domain
    as A-labels; equal to `email` with a non-ASCII local part, which needs
    SMTPUTF8), `key` what two spellings of one mailbox share.
    """

    email: str
    wire: str
    key: str

    @property
    def domain(self) -> str:
        """The domain as A-labels, in lower case."""
        return self.key.rpartition("@")[2]

    @property
    def is_reserved(self) -> bool:
        """Whether no such mailbox can exist outside documentation and tests."""
        return is_reserved(self.domain)


def is_reserved(domain: str) -> bool:
    """Whether a domain is set aside for documentation and tests (RFC 2606, RFC 6761)."""
    domain = domain.lower().rstrip(".")
    base = domain.split(".")
    return base[-1] in RESERVED_TLDS or ".".join(base[-2:]) in RESERVED_DOMAINS


def parse_address(text: str) -> Address:
    """Check one address.

    Raises:
        AddressError: with the reason, in words; never for a reserved domain.
    """
    from email_validator import EmailNotValidError, validate_email

    if any(c in text for c in "\r\n\0,<>"):
        raise AddressError(f"{text!r} is not an e-mail address: write just one, without name or brackets")
    try:
        found = validate_email(
            text.strip(),
            check_deliverability=False,
            test_environment=True,
        )
    except EmailNotValidError as error:
        raise AddressError(f"{text!r} is not an e-mail address: {str(error).rstrip('.')}") from error
    wire = found.ascii_email or f"{found.local_part}@{found.ascii_domain}"
    # The local part is compared without case: RFC 5321 §2.4 lets a host tell
    # them apart, none worth mailing does, and "Ada@" beside "ada@" is one person.
    return Address(
        email=found.normalized,
        wire=wire,
        key=f"{found.local_part.casefold()}@{found.ascii_domain.lower()}",
    )


def mask(email: str) -> str:
    """An address for logs: `a…@e…`, enough to recognise, too little to harvest."""
    local, _, domain = email.rpartition("@")
    return f"{local[:1]}…@{domain[:1]}…"
