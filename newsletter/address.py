"""E-mail addresses: checked once, at the border, and written the same way everywhere.

The check is email-validator's (RFC 5321, 5322, 6531, IDNA); nothing is looked
up in the network.  The usual kind of address is recognised by one expression
that says the same, so that a list of a hundred thousand is read in a second.
"""

import re
from dataclasses import dataclass

from newsletter.errors import AddressError
from newsletter.text import one_line

#: Domains nobody can own (RFC 2606, RFC 6761): mailed only through a loopback server.
RESERVED_DOMAINS = ("example.com", "example.org", "example.net")
RESERVED_TLDS = ("example", "test", "invalid", "localhost")

_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_TOP = r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61})?)?[A-Za-z]"
#: A dot-atom at a host name in ASCII (RFC 5321 §4.1.2): nothing that could have a second reading.
_USUAL = re.compile(rf"({_ATOM}(?:\.{_ATOM})*)@((?:{_LABEL}\.)+({_TOP}))", re.ASCII)
_LONGEST = 254  # RFC 5321 §4.5.3.1.3, less the brackets (RFC 3696, erratum 1690)
_LONGEST_TRIED = 1000  # longer ones only cost time
_LONGEST_ROLE = len("postmaster")
#: Tops that email-validator refuses: without a mailbox anywhere (arpa, onion, local), or reserved.
_REFUSED_TOPS = frozenset({"arpa", "local", "onion"})
#: Reserved tops it refuses as well, although tests and samples need them.
_WANTED_TOP = re.compile(r"\.(invalid|localhost)\Z", re.ASCII | re.IGNORECASE)
_BRACKETED = re.compile(r"(?P<name>[^<>]*)<(?P<address>[^<>]*)>\s*")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """One checked address.

    `email` is as a person writes it; `wire` as it goes on the wire: the domain
    as A-labels, the local part as it is (a non-ASCII one needs SMTPUTF8); `key`
    is what two spellings of one mailbox share.
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

    @property
    def needs_smtputf8(self) -> bool:
        """Whether the server must speak SMTPUTF8 to take it (RFC 6531)."""
        return not self.wire.isascii()


def is_reserved(domain: str) -> bool:
    """Whether a domain is set aside for documentation and tests (RFC 2606, RFC 6761)."""
    domain = domain.lower().rstrip(".")
    base = domain.split(".")
    return base[-1] in RESERVED_TLDS or ".".join(base[-2:]) in RESERVED_DOMAINS


def parse_address(text: str) -> Address:
    """Check one address.

    The local part is compared without case: RFC 5321 §2.4 lets a host tell
    "Ada@" from "ada@", none worth mailing does, and they are one person.

    Raises:
        AddressError: with the reason, in words; never for a reserved domain with a dot.
    """
    usual = _USUAL.fullmatch(text)
    if usual and len(text) <= _LONGEST:
        local, domain, top = usual.groups()
        domain = domain.lower()
        # A double hyphen may be Punycode, which must be decoded to be judged; a
        # role name (RFC 2142: "Postmaster") is written small whatever was typed.
        maybe_role = len(local) <= _LONGEST_ROLE and not local.islower()
        if not maybe_role and "--" not in domain and top.lower() not in _REFUSED_TOPS:
            address = f"{local}@{domain}"
            return Address(email=address, wire=address, key=address.lower())
    return _parse_any(text)


def _parse_any(text: str) -> Address:
    from email_validator import EmailNotValidError, validate_email

    shown = repr(one_line(text, 80))
    if len(text) > _LONGEST_TRIED:
        raise AddressError(f"{shown} is not an e-mail address: it is far too long")
    if any(c in text for c in "\r\n\0,<>"):
        raise AddressError(f"{shown} is not an e-mail address: write just one, without name or brackets")
    asked = text.strip()
    wanted = _WANTED_TOP.search(asked)
    if wanted:  # judged under a top of the same length that is not reserved
        asked = f"{asked[: wanted.start(1)]}{'x' * len(wanted[1])}"
    try:
        found = validate_email(asked, check_deliverability=False, test_environment=True)
    except EmailNotValidError as error:
        raise AddressError(f"{shown} is not an e-mail address: {one_line(str(error), 200).rstrip('.')}") from error
    email, ascii_domain = found.normalized, found.ascii_domain.lower()
    if wanted:
        top = wanted[1].lower()
        email, ascii_domain = email[: -len(top)] + top, ascii_domain[: -len(top)] + top
    # Not casefold(): it would make "straße@" and "strasse@", two mailboxes, one.
    return Address(
        email=email, wire=f"{found.local_part}@{ascii_domain}", key=f"{found.local_part.lower()}@{ascii_domain}"
    )


def parse_mailbox(text: str) -> tuple[str, Address]:
    """Split and check "Name <address>", or an address alone; the name may be quoted and may be empty.

    Raises:
        AddressError: with the reason, in words.
    """
    if _CONTROL.search(text):
        raise AddressError(f"{one_line(text, 80)!r} has a line break or a control character in it")
    bracketed = _BRACKETED.fullmatch(text)
    if bracketed is None:
        if "<" in text or ">" in text:
            raise AddressError(f"{one_line(text, 80)!r} is not of the form: Name <address>")
        return "", parse_address(text.strip())
    name = one_line(bracketed["name"])
    if len(name) > 1 and name[0] == name[-1] == '"':
        name = re.sub(r"\\(.)", r"\1", name[1:-1])
    return name, parse_address(bracketed["address"].strip())


def mask(email: str) -> str:
    """An address for logs: `a…@e…`, enough to recognise, too little to harvest."""
    local, _, domain = email.rpartition("@")
    return f"{local[:1]}…@{domain[:1]}…"
