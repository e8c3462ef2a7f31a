"""The people of a project: chosen with their status, and changed."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice

from newsletter.address import Address, parse_address
from newsletter.app.project import App
from newsletter.errors import UsageError
from newsletter.model import Consent, ConsentEvent, Subscriber, SuppressionReason
from newsletter.people.choosing import Selection, status_of
from newsletter.people.editing import Edit, difference
from newsletter.text import one_line
from newsletter.yamlfile import Data, flow

_AT_ONCE = 1000

#: What a person has asked for, and what an address change may not undo.
_ASKED = frozenset(SuppressionReason) - {SuppressionReason.bounced}


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One person of the list, and whether they are mailed: `status` is active, or why not."""

    status: str
    subscriber: Subscriber


def chosen(app: App, selection: Selection) -> Iterator[Listed]:
    """Read the people that are meant, in the order of the file, each with their status.

    Raises:
        UsageError: there is no such digest.
        ConfigError: after the last person, with every mistake in the file.
    """
    if selection.digest is not None:
        app.config.digest(selection.digest)
    people, store, language = app.roster.people(), app.memory, app.config.language
    while part := list(islice(people, _AT_ONCE)):
        reasons = store.reasons(person.key for person in part)
        for person in part:
            reason = reasons.get(person.key)
            if selection.takes(person, reason, language):
                yield Listed(status=status_of(reason), subscriber=person)


def edit_subscriber(app: App, email: str, edit: Edit) -> tuple[Subscriber, Subscriber]:
    """Change what the file says about a person; returns them before and after.

    A new address must be nobody else's and not suppressed, and takes nobody out
    of what they asked for: who has unsubscribed is not mailed under another
    address either.  Only a bounce stays behind with the old address.

    Raises:
        AddressError: one of the addresses is none.
        UsageError: that is not allowed, or a value cannot be used.
        ConfigError: the file has mistakes, or cannot be edited safely.
        BusyError: another run is editing it.
    """
    old = parse_address(email.strip())
    new = old if edit.email is None else parse_address(edit.email.strip())
    if old.key != new.key:
        reasons = app.memory.reasons([old.key, new.key])
        if reasons.get(old.key) in _ASKED:
            raise UsageError(
                f"{old.email} is suppressed ({reasons[old.key]}): under another address mail would go there again",
                hint=f"if the person asked to be back: newsletter suppression remove {old.email}",
            )
        if new.key in reasons:
            raise UsageError(
                f"{new.email} is suppressed ({reasons[new.key]}) and would not be mailed",
                hint=f"if the person asked to be back: newsletter suppression remove {new.email}",
            )
    before, after = app.roster.edit(email, edit, before_writing=lambda: _carry_over(app, old, new))
    _record(app, before, after)
    return before, after


def _record(app: App, before: Subscriber, after: Subscriber) -> None:
    """A line in the record of consent: what was changed; two where the address was, for each is a person's key."""
    change = difference(before, after)
    if not change:
        return
    now, said = app.clock.now(), "; ".join(map(_in_words, change.items()))
    line = Consent(
        key=after.key, email=after.email, event=ConsentEvent.changed, at=now, source="subscriber edit", note=said
    )
    lines = [line]
    if before.key != after.key:
        lines = [
            replace(line, key=before.key, email=before.email),
            replace(line, note=f"email was {before.email}; {said}"),
        ]
    app.store.record_consents(lines)


def _in_words(one: tuple[tuple[str, ...], Data | None]) -> str:
    path, value = one
    name = ".".join(path)
    if value is None:
        return f"{name} taken out"
    text = value if isinstance(value, str) else flow(value).strip("[]")
    return f"{name} {one_line(text, 200)}"


def _carry_over(app: App, old: Address, new: Address) -> None:
    """Let what a person has said of single digests hold for their new address, before the file names it."""
    if old.key == new.key:
        return
    for one in app.memory.suppressions_of(old.key):
        if one.reason in _ASKED:
            app.store.suppress(new.key, new.email, one.reason, one.note, digest=one.digest)
    for pause in app.memory.pauses_of(old.key):
        source = f"address changed from {old.email}"
        app.store.pause_until(new.key, new.email, pause.until, digest=pause.digest, source=source)
