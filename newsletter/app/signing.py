"""DKIM keys: fetched from the files that the project names, and looked at for `check`."""

import os
import shlex
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from newsletter.config import Config, DkimConfig
from newsletter.delivery.dkim import Signer, is_aligned
from newsletter.errors import ConfigError, Problem
from newsletter.yamlfile import shown_path

#: Bytes; the longest key that makes sense has a tenth of it.
_LONGEST = 100_000
_OTHERS = stat.S_IRWXO | stat.S_IWGRP


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyNote:
    """Something to know about a key that can be used; a `hint` makes it a warning."""

    text: str
    hint: str | None = None


def load_signers(config: Config) -> tuple[Signer, ...]:
    """Read the project's DKIM keys, in its order; none where it has none.

    Raises:
        ConfigError: naming every key that cannot be used, with its line and the reason; nothing of a key.
    """
    signers: list[Signer] = []
    problems: list[Problem] = []
    for wanted in config.smtp.dkim if config.smtp is not None else ():
        try:
            signers.append(_signer(wanted))
        except ValueError as error:
            text = f"{shown_path(wanted.key_file)} {error}"
            problems.append(Problem(path=shown_path(config.path), line=wanted.line, key=wanted.place, text=text))
    if problems:
        raise ConfigError(
            problems, hint="openssl genrsa -out dkim.pem 2048 makes a key; newsletter check says what to publish"
        )
    return tuple(signers)


def _signer(wanted: DkimConfig) -> Signer:
    from newsletter.delivery.keys import parse_key

    return Signer(domain=wanted.domain, selector=wanted.selector, key=parse_key(_content(wanted.key_file)[0]))


def _content(path: Path) -> tuple[bytes, int]:
    """What is in a key's file, and its mode."""
    try:
        # Not blocking: a pipe of that name must not stop us.
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(handle, "rb") as stream:
            found = os.fstat(handle)
            if not stat.S_ISREG(found.st_mode):
                raise ValueError("is not a file")
            return stream.read(_LONGEST), stat.S_IMODE(found.st_mode)
    except OSError as error:
        raise ValueError(f"cannot be read: {(error.strerror or str(error)).lower()}") from error


def key_notes(config: Config) -> Iterator[KeyNote]:
    """What `check` says of the project's DKIM keys.

    Raises:
        ConfigError: as `load_signers`.
    """
    from newsletter.delivery.keys import GOOD, PrivateKey, zone_line

    wanted = config.smtp.dkim if config.smtp is not None else ()
    has_rsa = False
    for signer, settings in zip(load_signers(config), wanted, strict=True):
        key = signer.key
        assert isinstance(key, PrivateKey)
        has_rsa |= key.is_rsa
        name = f"{signer.selector}._domainkey.{signer.domain}"
        kind = f"RSA, {key.bits} bits" if key.is_rsa else "Ed25519"
        yield KeyNote(
            text=f"signs with DKIM as {signer.domain} ({kind}); the DNS must have: {zone_line(name, key.record())}"
        )
        if key.is_rsa and key.bits not in GOOD:
            few = key.bits < GOOD[0]
            yield KeyNote(
                text=f"the DKIM key {signer.selector} has {key.bits:,} bits: "
                + (
                    "large providers trust it less, or not at all"
                    if few
                    else "not every verifier can read so long a one"
                ),
                hint="use an RSA key of 2,048 bits (RFC 8301): openssl genrsa -out dkim.pem 2048",
            )
        if not is_aligned(signer.domain, config.from_address.domain):
            yield KeyNote(
                text=f"DKIM signs as {signer.domain}, and the sender is at {config.from_address.domain}: "
                "for DMARC that is somebody else's signature",
                hint=f"sign as {config.from_address.domain}, or as the domain it belongs to",
            )
        shown, mode = shown_path(settings.key_file), _content(settings.key_file)[1]
        if mode & _OTHERS:
            yield KeyNote(
                text=f"the DKIM key {shown} can be read or changed by others (mode {mode:o})",
                hint=f"chmod 600 {shlex.quote(shown)}",
            )
    if wanted and not has_rsa:
        yield KeyNote(
            text="DKIM signs with Ed25519 alone, which many receivers cannot check",
            hint="put an RSA key of 2,048 bits beside it: a list of two under smtp.dkim",
        )
