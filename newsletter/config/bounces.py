"""The block `bounces`: one setting judged beside another, and the finished thing."""

from collections.abc import Callable
from pathlib import Path

from newsletter.address import parse_address
from newsletter.config.project import BouncesConfig, ImapConfig, is_loopback
from newsletter.config.schema import BouncesBlock
from newsletter.config.secret import PasswordSource
from newsletter.model import BounceRules

_PORTS = {"implicit": 993, "starttls": 143, "none": 143}
#: RFC 5321 §4.5.3.1.1, less what a token takes ("+", up to 16 digits, "-", 16 letters).
_LONGEST_LOCAL = 64 - 34


def check_bounces(block: BouncesBlock, wrong: Callable[[tuple[str, ...], str], None]) -> None:
    """Judge one setting of the block beside another.

    Args:
        block: right by itself.
        wrong: notes a mistake at a place.
    """
    if block.verp and block.address is None:
        wrong(("bounces", "verp"), "needs an `address`, which each message gets a form of its own of")
    local = (block.address or "").rpartition("@")[0]
    if block.verp and len(local) > _LONGEST_LOCAL:
        wrong(("bounces", "address"), f"has more than {_LONGEST_LOCAL} characters before the @: verp adds 34 to them")
    if block.verp and "+" in local:
        wrong(("bounces", "address"), "has a + in it already: with verp that is what follows the plain address")
    if block.maildir is not None and block.imap is not None:
        wrong(("bounces", "imap"), "there is maildir as well: keep one of them")
    imap = block.imap
    if imap is None:
        return
    if imap.tls == "none" and not is_loopback(imap.host):
        wrong(("bounces", "imap", "tls"), "sends the password in clear: use implicit or starttls")
    sources = [key for key in ("password_env", "password_file", "password_command") if getattr(imap, key) is not None]
    for key in sources[1:]:
        wrong(("bounces", "imap", key), f"there is {sources[0]} as well: keep one of them")


def bounces_config(block: BouncesBlock | None, folder: Path, path: Callable[[Path, str], Path]) -> BouncesConfig:
    """The finished settings.

    Args:
        block: as written, or None.
        folder: the project's.
        path: makes a written path one of the project's.
    """
    if block is None:
        return BouncesConfig()
    imap = block.imap
    return BouncesConfig(
        address=None if block.address is None else parse_address(block.address),
        verp=block.verp,
        maildir=None if block.maildir is None else path(folder, block.maildir),
        imap=None
        if imap is None
        else ImapConfig(
            host=imap.host,
            port=imap.port or _PORTS[imap.tls],
            tls=imap.tls,
            username=imap.username,
            folder=imap.folder,
            timeout=imap.timeout,
            password_source=PasswordSource(
                protocol="IMAP",
                variable=imap.password_env,
                file=None if imap.password_file is None else path(folder, imap.password_file),
                command=None if imap.password_command is None else tuple(imap.password_command),
                folder=folder,
            ),
        ),
        delete=block.delete,
        commands=block.commands,
        keep_days=block.keep_days,
        rules=BounceRules(hard=block.hard, soft=block.soft, days=block.days, trust_unproven=block.unproven == "count"),
    )
