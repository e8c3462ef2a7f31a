"""Whom the program tells what needs them, and whose approval it waits for: settings judged and made ready for use."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from newsletter.address import parse_address
from newsletter.config.feed import path_in
from newsletter.config.problems import Place
from newsletter.config.project import NotifyConfig
from newsletter.config.schema import ApproveBlock, DigestBlock, NotifyBlock, ProjectBlock
from newsletter.config.secret import PasswordSource
from newsletter.model import ApprovalRule, WithoutAnswer

_SOURCES = ("apprise_env", "apprise_file", "apprise_command")


def check_approve(wrong: Callable[[Place, str], None], name: str, body: DigestBlock) -> None:
    """Note a draft that would never be made."""
    if body.approve is not None and body.schedule is None:
        wrong(("digests", name, "approve"), "needs a schedule: a send by hand asks the one who types it")


def approval_rule(block: ApproveBlock | None) -> ApprovalRule | None:
    """The rule for who builds drafts."""
    if block is None:
        return None
    return ApprovalRule(ahead=timedelta(seconds=block.ahead), without_answer=WithoutAnswer(block.without_answer))


def check_notify(wrong: Callable[[Place, str], None], block: NotifyBlock) -> None:
    """Note several places for the same addresses."""
    sources = [key for key in _SOURCES if getattr(block, key) is not None]
    for key in sources[1:]:
        wrong(("notify", key), f"there is {sources[0]} as well: keep one of them")


def notify_config(whole: ProjectBlock, folder: Path) -> NotifyConfig:
    """The settings ready for use."""
    block = whole.notify
    has_apprise = any(getattr(block, key) is not None for key in _SOURCES)
    return NotifyConfig(
        owners=tuple(parse_address(one) for one in dict.fromkeys(whole.owner)),
        apprise=PasswordSource(
            protocol="Apprise",
            block="notify",
            stem="apprise",
            variable=block.apprise_env,
            file=None if block.apprise_file is None else path_in(folder, block.apprise_file),
            command=None if block.apprise_command is None else tuple(block.apprise_command),
            folder=folder,
        )
        if has_apprise
        else None,
        failures=block.failures,
        overdue=timedelta(seconds=block.overdue),
        per_day=block.per_day,
    )
