"""Whether digests go out as they should: for a monitor that asks from outside, and for the owner's notices."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from newsletter.app.project import App
from newsletter.config import DigestConfig
from newsletter.errors import UsageError
from newsletter.model import IssueState, TickOutcome
from newsletter.schedule import Schedule

#: A slot that came less long ago than this may still be at work.
_PATIENCE: Final = timedelta(hours=1)
_LOOKED_AT: Final = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How long ago a digest went out, or had nothing to send; `last_at` is None where it never has.

    `due_at` is the first slot since then; `words` say the rest.
    """

    digest: str
    is_late: bool
    last_at: datetime | None
    due_at: datetime | None
    words: str


def standings(app: App, oldest: timedelta) -> list[Standing]:
    """How every digest with a schedule stands; reads the memory and nothing else.

    A digest is late when its last success is older than `oldest`, and a slot of it came since
    then, an hour ago or more (or `oldest` ago, where that is less): what goes out on weekdays is
    not late on a Sunday.

    Raises:
        UsageError: no digest has a schedule.
    """
    found = [_standing(app, digest, oldest) for digest in app.config.digests if digest.schedule is not None]
    if not found:
        raise UsageError("no digest has a schedule", hint='give it one in newsletter.yaml: schedule: "daily 07:30"')
    return found


def _standing(app: App, digest: DigestConfig, oldest: timedelta) -> Standing:
    assert digest.schedule is not None
    store, now = app.memory, app.clock.now()
    since = store.schedule_known_since(digest.name, digest.schedule, digest.timezone)
    if since is None:
        return Standing(
            digest=digest.name,
            is_late=True,
            last_at=None,
            due_at=None,
            words="nobody has looked at its schedule yet: newsletter schedule install, or newsletter run",
        )
    last = last_success(app, digest.name)
    begin = max(since, last) if last is not None else since
    due_at = next(Schedule.parse(digest.schedule, ZoneInfo(digest.timezone)).after(begin)).at
    is_late = now - begin > oldest and now - due_at >= min(_PATIENCE, oldest)
    return Standing(digest=digest.name, is_late=is_late, last_at=last, due_at=due_at, words=_words(app, digest, last))


def last_success(app: App, digest: str) -> datetime | None:
    """When a digest last went out, or was looked at in its time and had nothing to send.

    An issue that is paused or cancelled is none.
    """
    store = app.memory
    issues = [issue for issue in store.issues(digest, _LOOKED_AT) if issue.state is IssueState.open]
    nothing = [tick.at for tick in store.ticks(digest, _LOOKED_AT) if tick.outcome is TickOutcome.nothing]
    return max([*nothing, *(issue.frozen_at for issue in issues)], default=None)


def _words(app: App, digest: DigestConfig, last: datetime | None) -> str:
    zone = ZoneInfo(digest.timezone)
    words = (
        "has never gone out"
        if last is None
        else f"last went out, or had nothing to send, {last.astimezone(zone):%Y-%m-%d %H:%M}"
    )
    tick = next(iter(app.memory.ticks(digest.name, 1)), None)
    if tick is None or tick.outcome in (TickOutcome.sent, TickOutcome.nothing):
        return words
    return f"{words}; the last slot, {tick.slot}: {tick.outcome.value}, {tick.why}"
