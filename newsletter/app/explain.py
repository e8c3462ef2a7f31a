"""`explain EMAIL`: what happened to a person, where they stand, and what comes next, from the file and the memory."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from newsletter.address import Address, parse_address
from newsletter.app.bounces import BounceRow, bounce_rows, story
from newsletter.app.project import App
from newsletter.app.status import DeliveryRow, rows_of
from newsletter.errors import ConfigError
from newsletter.model import (
    EVERY_DIGEST,
    UNSETTLED,
    Consent,
    Delivery,
    DeliveryState,
    DraftState,
    Format,
    Issue,
    Pause,
    Subscriber,
    Suppression,
)

_Held = TypeVar("_Held", Suppression, Pause)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a person stands in the subscribers file, and what they asked for; `digests` are those they get."""

    file: str
    line: int | None
    name: str
    digests: tuple[str, ...]
    language: str
    format: Format


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """One person: their place, what keeps mail from them, every message, what came back, and what comes next.

    Messages stand with the newest first, bounces with the oldest.

    `suppressions` and `pauses` hold for one digest each or for all; `consents`
    is the record of what the person, or somebody for them, has said.

    `mistakes` is what is wrong with the subscribers file: while it is, no issue
    is frozen, and a person behind the first mistake is not found.
    """

    email: str
    place: Place | None
    mistakes: str | None
    suppressions: tuple[Suppression, ...]
    pauses: tuple[Pause, ...]
    consents: tuple[Consent, ...]
    at_reserved_domain: bool
    deliveries: tuple[DeliveryRow, ...]
    bounces: tuple[BounceRow, ...]
    bounce_story: str
    next_send: str


def explain(app: App, what: str) -> Explained:
    """Explain a person; changes nothing.

    Raises:
        AddressError: that is no address.
    """
    address = parse_address(what.strip())
    person, mistakes = find_person(app, address)
    suppressions = tuple(app.store.suppressions_of(address.key))
    pauses = tuple(app.store.pauses_of(address.key))
    history = app.store.deliveries(email_key=address.key, newest_first=True)
    sentences = [
        *_of_unsettled(app, history, suppressions),
        _of_the_next(app, _Standing(address.email, person, mistakes, suppressions, pauses)),
    ]
    return Explained(
        email=person.email if person else address.email,
        place=None if person is None else _place(app, person),
        mistakes=mistakes,
        suppressions=suppressions,
        pauses=pauses,
        consents=tuple(app.store.consents_of(address.key)),
        at_reserved_domain=address.is_reserved,
        deliveries=tuple(rows_of(app, history)),
        bounces=bounce_rows(app, address.key),
        bounce_story=story(app, address.key),
        next_send=" ".join(sentences),
    )


def find_person(app: App, address: Address) -> tuple[Subscriber | None, str | None]:
    """The person on the list, as far as it can be read, and what is wrong with it."""
    found = None
    try:
        if app.config.subscribers is None:
            return app.roster.find(address.email), None
        for person in app.roster.people():
            if person.key == address.key:
                found = person
    except ConfigError as error:
        return found, str(error).splitlines()[0]
    return found, None


def _place(app: App, person: Subscriber) -> Place:
    return Place(
        file=app.roster.shown,
        line=person.line,
        name=person.name,
        digests=_digests(app, person),
        language=person.language or app.config.language,
        format=person.format,
    )


def _digests(app: App, person: Subscriber) -> tuple[str, ...]:
    return tuple(name for name in app.config.digest_names if not person.digests or name in person.digests)


# ------------------------------------------------------------------- what comes next


def _of_unsettled(app: App, history: Sequence[Delivery], suppressions: Sequence[Suppression]) -> Iterator[str]:
    """A sentence for every message that still wants something to happen, the oldest first."""
    wanted = [one for one in reversed(history) if one.state in (*UNSETTLED, DeliveryState.held)]
    issues = {issue.id: issue for issue in app.store.issues()} if wanted else {}
    for delivery in wanted:
        issue = issues[delivery.issue_id]
        name = f"issue {issue.number} of {issue.digest}"
        if delivery.state is DeliveryState.held:
            yield (
                f"Nobody knows whether {name} arrived: it stays held until newsletter delivery retry {delivery.id} "
                "sends the same message again."
            )
        elif issue.waits_for_a_person:
            why = f" ({issue.state_reason})" if issue.state_reason else ""
            yield f"{name.capitalize()} is paused{why} and waits for newsletter issue resume {issue.number}."
        elif (suppression := _holding(suppressions, issue.digest)) is not None:
            yield f"{name.capitalize()} will not be sent: the address is suppressed ({suppression.reason})."
        else:
            yield _of_waiting(delivery, issue, name, app.clock.now())


def _of_waiting(delivery: Delivery, issue: Issue, name: str, now: datetime) -> str:
    after = delivery.next_attempt_at
    if after is not None and after > now:
        local = after.astimezone().strftime("%Y-%m-%d %H:%M")
        if delivery.state is DeliveryState.deferred:
            return f"The server asked us to try {name} later: a send after {local} does."
        clock = f", by the clock of {delivery.timezone}" if delivery.timezone else ""
        return f"{name.capitalize()} waits for its hours: it goes out from {local} on{clock}."
    if issue.state_reason:
        return f"The next send tries {name} again, which stopped because: {issue.state_reason}."
    return f"The next send mails {name} first."


def _holding(found: Sequence[_Held], digest: str) -> _Held | None:
    """The one of these that holds for a digest."""
    return next((one for one in found if one.digest in (EVERY_DIGEST, digest)), None)


@dataclass(frozen=True, slots=True)
class _Standing:
    """What decides about a person's next issue."""

    email: str
    person: Subscriber | None
    mistakes: str | None
    suppressions: Sequence[Suppression]
    pauses: Sequence[Pause]


def _of_the_next(app: App, standing: _Standing) -> str:
    """The sentence about issues that do not exist yet."""
    person, file = standing.person, app.roster.shown
    email = person.email if person else standing.email
    if standing.mistakes is not None:
        return f"No new issue goes to anybody before {file} is in order: {standing.mistakes}."
    if person is None:
        return f"{email} is not in {file}, so no new issue goes there."
    if (suppression := _holding(standing.suppressions, EVERY_DIGEST)) is not None:
        return f"New issues skip {email}, whatever {file} says: {_since(suppression)}."
    if app.is_unmailable(person):
        return f"New issues skip {email}: a reserved domain is mailed only through a server on this machine."
    if app.config.smtp is None:
        return "Nothing is mailed to anybody: newsletter.yaml names no mail server (smtp)."
    return " ".join(_of_digests(app, person, standing))


def _of_digests(app: App, person: Subscriber, standing: _Standing) -> list[str]:
    going, sentences = list[str](), list[str]()
    for name in _digests(app, person):
        if (suppression := _holding(standing.suppressions, name)) is not None:
            sentences.append(f"New issues of {name} skip {person.email}: {_since(suppression)}.")
        elif (pause := _holding(standing.pauses, name)) is not None:
            until = f"{pause.until.astimezone():%Y-%m-%d}"
            sentences.append(f"Issues of {name} skip {person.email} until {until}, as the person asked.")
        else:
            going.append(name)
    if going:
        form = "as plain text" if person.format is Format.text else "with HTML"
        language = person.language or app.config.language
        sentences.insert(0, f"The next issue of {' and '.join(going)} goes to {person.email}, {form}, in {language}.")
        waiting = [kept for name in going if (kept := app.store.open_draft(name)) and kept.state is DraftState.waiting]
        sentences += [f"Issue {one.number} of {one.digest} is a draft that waits for its approval." for one in waiting]
    return sentences


def _since(suppression: Suppression) -> str:
    return f"suppressed since {suppression.since.astimezone():%Y-%m-%d} ({suppression.reason})"
