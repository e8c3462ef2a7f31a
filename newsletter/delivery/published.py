"""What the DNS says of the sender: SPF, DKIM and DMARC, read as receivers read them.

Pure: whoever asks hands in how names are looked up.  SPF is RFC 7208, DKIM RFC
6376, DMARC RFC 7489; what large mailbox providers ask of senders is that all
three are there and that one of the first two is aligned with From.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from newsletter.delivery.dkim import Signer, is_aligned
from newsletter.delivery.keys import PrivateKey, zone_line
from newsletter.errors import NewsletterError
from newsletter.text import one_line

#: Returns the records of a name and type (TXT, MX, A, AAAA), [] where there is none; raises NewsletterError.
LookUp = Callable[[str, str], Sequence[str]]
#: RFC 7208 §4.6.4.
_LOOKUPS: Final = 10
_COSTLY = re.compile(r"[+?~-]?(?:(include|redirect|exists)[:=](\S+)|(a|mx|ptr)(?:[:/].*)?)", re.IGNORECASE)
_TAG = re.compile(r"\s*([A-Za-z][A-Za-z0-9_]*)\s*=\s*([^;]*?)\s*(?:;|$)")
_PARENTS: Final = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """Something that the DNS says, or does not; `hint` is what to do, "" where all is well."""

    text: str
    hint: str = ""
    is_grave: bool = False


def published(from_domain: str, envelope_domain: str, signers: Sequence[Signer], look_up: LookUp) -> Iterator[Said]:
    """Read all that receivers will read of this sender.

    Args:
        from_domain: of the From address, as the DNS has it.
        envelope_domain: of the sender of the envelope: where reports go.
        signers: whose signatures our messages carry; what the mail server adds is not known here.
        look_up: asks the DNS.
    """
    try:
        spf = list(_spf(envelope_domain, look_up))
        yield from spf
        dkim = [list(_dkim(signer, look_up)) for signer in signers]
        for found in dkim:
            yield from found
        if not signers:
            yield Said(
                text="nothing here signs with DKIM: whether the mail server does, a message that has arrived tells",
                hint="send one to yourself (newsletter send --test) and look for dkim=pass, or set smtp.dkim",
            )
        passes_spf = not any(said.hint for said in spf)
        signed = [one.domain for one, found in zip(signers, dkim, strict=True) if not any(said.hint for said in found)]
        yield from _dmarc(from_domain, envelope_domain if passes_spf else None, signed, look_up)
        if not look_up(from_domain, "MX") and not look_up(from_domain, "A") and not look_up(from_domain, "AAAA"):
            yield Said(
                text=f"{from_domain} receives no mail: answers to the letter go nowhere, and some servers refuse it",
                hint=f"publish an MX record for {from_domain}, or send from a domain that has one",
            )
    except NewsletterError as error:
        yield Said(text=str(error), hint=error.hint or "try again later")


# ----------------------------------------------------------------------------- SPF


def _spf(domain: str, look_up: LookUp) -> Iterator[Said]:
    records = _spf_of(domain, look_up)
    if not records:
        yield Said(
            text=f"{domain} has no SPF record: receivers cannot tell our mail server from any other",
            hint=f'publish what your mail provider names, for example: {domain}. TXT "v=spf1 include:PROVIDER -all"',
        )
        return
    if len(records) > 1:
        yield Said(
            text=f"{domain} has {len(records)} SPF records, and receivers take none of them (RFC 7208 §4.5)",
            hint="make one of them",
            is_grave=True,
        )
        return
    try:
        number = _lookups(domain, look_up, set())
    except ValueError as error:
        yield Said(text=f"the SPF record of {domain} does not work: {error}", hint="correct it", is_grave=True)
        return
    if number > _LOOKUPS:
        yield Said(
            text=f"the SPF record of {domain} needs {number} look-ups, and receivers stop at {_LOOKUPS} (RFC 7208 §4.6.4)",
            hint="take out includes of services that do not send for you any more",
            is_grave=True,
        )
        return
    end = records[0].lower().split()[-1]
    if end in ("+all", "all"):
        yield Said(
            text=f"the SPF record of {domain} lets every machine in the world send for it ({end})",
            hint="end it with -all or ~all",
            is_grave=True,
        )
        return
    yield Said(text=f"SPF of {domain}: {one_line(records[0], 200)}")


def _spf_of(domain: str, look_up: LookUp) -> list[str]:
    return [text for text in look_up(domain, "TXT") if text.lower().split(" ", 1)[0] == "v=spf1"]


def _lookups(domain: str, look_up: LookUp, seen: set[str]) -> int:
    """How many look-ups a receiver makes, includes and all; stops a little after what is allowed."""
    seen.add(domain.lower())
    records = _spf_of(domain, look_up)
    if not records:
        raise ValueError(f"it includes {domain}, which has none")
    number = 0
    for term in records[0].split()[1:]:
        found = _COSTLY.fullmatch(term)
        if found is None:
            continue
        number += 1
        target = (found[2] or "").rstrip(".")
        is_include = found[1] is not None and found[1].lower() in ("include", "redirect")
        if is_include and "%" not in target and target.lower() not in seen and number <= 2 * _LOOKUPS:
            number += _lookups(target, look_up, seen)
    return number


# ---------------------------------------------------------------------------- DKIM


def _dkim(signer: Signer, look_up: LookUp) -> Iterator[Said]:
    name = f"{signer.selector}._domainkey.{signer.domain}"
    key = signer.key
    assert isinstance(key, PrivateKey)
    record = key.record()
    texts = [tags(text) for text in look_up(name, "TXT")]
    keys = [
        found.get("p", "").replace(" ", "") for found in texts if found.get("v", "DKIM1") == "DKIM1" and "p" in found
    ]
    if not keys:
        yield Said(
            text=f"receivers cannot check our DKIM signature: {name} is not in the DNS",
            hint=f"publish: {zone_line(name, record)}",
            is_grave=True,
        )
    elif keys == [""]:
        yield Said(text=f"the DKIM key {name} is revoked in the DNS", hint="sign with a new one", is_grave=True)
    elif len(keys) > 1:
        yield Said(text=f"{name} has {len(keys)} keys in the DNS", hint="leave one", is_grave=True)
    elif keys[0] != tags(record)["p"]:
        yield Said(
            text=f"the DNS has another key at {name} than the one that we sign with: every signature fails",
            hint=f"publish: {zone_line(name, record)}",
            is_grave=True,
        )
    else:
        testing = "y" in texts[0].get("t", "").split(":")
        yield Said(
            text=f"DKIM: the DNS has our key at {name}" + (", marked as a test (t=y)" if testing else ""),
            hint="take t=y out when the test is over" if testing else "",
        )


# --------------------------------------------------------------------------- DMARC


def _dmarc(from_domain: str, spf: str | None, signed: Sequence[str], look_up: LookUp) -> Iterator[Said]:
    """The policy, and whether something that passes is aligned with From."""
    where, policy = _policy_of(from_domain, look_up)
    aligned = []
    strict = {name for name in ("aspf", "adkim") if policy is not None and policy.get(name, "r").lower() == "s"}
    if spf is not None and _is_aligned(spf, from_domain, is_strict="aspf" in strict):
        aligned.append(f"SPF ({spf})")
    aligned += [
        f"DKIM ({domain})" for domain in signed if _is_aligned(domain, from_domain, is_strict="adkim" in strict)
    ]
    if policy is None:
        yield Said(
            text=f"{from_domain} has no DMARC record, which large mailbox providers ask of everybody who sends to many",
            hint=f'publish: _dmarc.{from_domain}. TXT "v=DMARC1; p=none; rua=mailto:YOU@{from_domain}"',
        )
    elif policy.get("p", "").lower() not in ("none", "quarantine", "reject"):
        yield Said(
            text=f"the DMARC record of {where} has no policy that receivers know (p=)",
            hint="write p=none, p=quarantine or p=reject",
            is_grave=True,
        )
    elif aligned:
        yield Said(text=f"DMARC of {where}: p={policy['p'].lower()}, aligned by {', '.join(aligned)}")
        return
    if not aligned:
        asks = policy is not None and policy.get("p", "").lower() in ("quarantine", "reject")
        yield Said(
            text=f"neither SPF nor DKIM, as far as is known here, speaks for {from_domain}, the domain in From"
            + (f": receivers will {policy['p'].lower()} the letter" if asks and policy is not None else ""),
            hint=f"sign with DKIM as {from_domain} (smtp.dkim), here or at the mail server",
            is_grave=asks and bool(signed),
        )


def _policy_of(domain: str, look_up: LookUp) -> tuple[str, dict[str, str] | None]:
    """The DMARC record that holds for a domain: its own, or that of a domain above it."""
    labels = domain.lower().rstrip(".").split(".")
    for start in range(min(len(labels) - 1, _PARENTS)):
        name = ".".join(labels[start:])
        found = [tags(text) for text in look_up(f"_dmarc.{name}", "TXT") if _is_dmarc(text)]
        if len(found) == 1:
            return name, found[0]
    return domain, None


def _is_dmarc(text: str) -> bool:
    return re.match(r"\s*v\s*=\s*DMARC1\s*(;|$)", text) is not None


def _is_aligned(domain: str, sender: str, *, is_strict: bool) -> bool:
    return domain.lower() == sender.lower() if is_strict else is_aligned(domain, sender)


def tags(record: str) -> dict[str, str]:
    """The tags of a DKIM key or a DMARC record (RFC 6376 §3.2)."""
    return {found[1]: re.sub(r"\s+", " ", found[2]) for found in _TAG.finditer(record)}
