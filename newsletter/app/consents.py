"""What the keeper of the list does to people, each with its line in the record; the record itself; forgetting somebody."""

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from glob import escape as glob_escape

from newsletter.address import Address, parse_address
from newsletter.app.project import App
from newsletter.errors import ConfigError, NewsletterError, UsageError
from newsletter.model import Consent, ConsentEvent, Subscriber, SuppressionReason
from newsletter.people.entry import Details
from newsletter.people.file import FileRoster

COMMAND_LINE = "command line"
COLUMNS = ("at", "email", "event", "digest", "source", "note")
#: What a spreadsheet takes for the beginning of a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def add_person(app: App, email: str, details: Details, *, again: bool = False) -> Subscriber:
    """Add a person to the list, with a line in the record.

    Args:
        app: the project.
        email: the address.
        details: what else is known.
        again: also somebody who was erased, because they have asked to be back.

    Raises:
        AddressError: that is no address.
        UsageError: they are there already, or were erased, or a value cannot be used.
        ConfigError: the file has mistakes.
    """
    address = parse_address(email.strip())
    found = app.store.suppression(address.key)
    was_erased = found is not None and found.reason is SuppressionReason.erased
    if was_erased and not again:
        raise UsageError(
            f"{address.email} was erased: the person asked to be forgotten, or you did so for them",
            hint=f"only if they ask to be back: newsletter subscriber add {address.email} --again",
        )
    person = app.roster.add(email, details)
    if was_erased:
        app.store.unsuppress(address.key)
    _record(app, person, ConsentEvent.added)
    return person


def remove_person(app: App, email: str) -> Subscriber:
    """Take a person off the list, with a line in the record.

    Raises:
        UsageError: there is nobody with that address.
        ConfigError: the file cannot be edited safely.
    """
    person = app.roster.remove(email)
    _record(app, person, ConsentEvent.removed)
    return person


def _record(app: App, person: Subscriber, event: ConsentEvent) -> None:
    note = ", ".join(person.digests)
    app.store.record_consents(
        [Consent(key=person.key, email=person.email, event=event, at=app.clock.now(), source=COMMAND_LINE, note=note)]
    )


# --------------------------------------------------------------------------- the record


def consents(app: App, email: str | None) -> Iterator[Consent]:
    """The record of consent, of one person or of all, the oldest line first.

    Raises:
        AddressError: that is no address.
    """
    yield from app.store.consents() if email is None else app.store.consents_of(parse_address(email.strip()).key)


def consents_csv(lines: Iterable[Consent]) -> Iterator[str]:
    """The record as lines of CSV (RFC 4180), none of which a spreadsheet takes for a formula."""
    yield _csv(COLUMNS)
    for one in lines:
        values = (one.at.isoformat(), one.email, one.event.value, one.digest or "all", one.source, one.note)
        yield _csv([f"'{value}" if value.startswith(_FORMULA) else value for value in values])


def _csv(values: Iterable[str]) -> str:
    written = io.StringIO()
    csv.writer(written, lineterminator="").writerow(values)
    return written.getvalue()


# -------------------------------------------------------------------------- forgetting


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgotten:
    """What was forgotten of a person.

    `place` is where the list had them, "" where it did not; `deliveries` stay as
    figures without a name; `rows` are lines of the record, sign-ups, pauses and links.
    `still_in` are old files of the list, set aside by a move, in which they still stand.
    """

    email: str
    place: str
    deliveries: int
    rows: int
    still_in: tuple[str, ...] = ()


def about(app: App, email: str) -> str:
    """Say in a sentence what there is to forget, before it is.

    Raises:
        AddressError: that is no address.
    """
    address = parse_address(email.strip())
    lines = len(app.store.consents_of(address.key))
    messages = len(app.store.deliveries(email_key=address.key))
    return f"{address.email}: {messages} messages, {lines} lines of the record of consent, and the entry in the list"


def erase(app: App, email: str) -> Forgotten:
    """Forget a person: first in the memory, so that nothing can be mailed wherever this breaks off, then in the list.

    Raises:
        AddressError: that is no address.
        NewsletterError: the memory has forgotten them, but the list cannot be edited.
    """
    address = parse_address(email.strip())
    gone = app.store.erase(address.key)
    place = ""
    try:
        if app.config.subscribers is None or app.config.subscribers.exists():
            place = app.roster.place_of(app.roster.remove(address.email))
    except UsageError:
        pass  # not in the list
    except ConfigError as error:
        raise NewsletterError(
            f"{address.email} will not be mailed any more, but is still in the list: {error}",
            hint=f"mend that, then once more: newsletter subscriber erase {address.email}",
        ) from error
    return Forgotten(
        email=address.email,
        place=place,
        deliveries=gone.deliveries,
        rows=gone.rows,
        still_in=tuple(_set_aside_with(app, address)),
    )


def _set_aside_with(app: App, address: Address) -> Iterator[str]:
    home = app.store.people_home()
    if home is None or not home.file:
        return
    file = app.config.folder / home.file
    for path in sorted(file.parent.glob(f"{glob_escape(file.name)}.moved*")):
        try:
            found = FileRoster(path).find(address.email)
        except ConfigError:
            continue
        if found is not None:
            yield path.name
