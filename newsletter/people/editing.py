"""A change to what is known of a person, and what it means for their entry in the file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from newsletter.address import parse_address
from newsletter.errors import UsageError
from newsletter.model import Format, Subscriber
from newsletter.people.entry import KEYS, data_of
from newsletter.text import one_line
from newsletter.yamlfile import Change, Data, did_you_mean


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """What is to be another way; None leaves a value as it is.

    `digests` and `tags` are whole lists, `attributes` are added to those there
    are.  `unset` names keys to take out: `name`, or `attributes.city` for one
    attribute.
    """

    email: str | None = None
    name: str | None = None
    digests: Sequence[str] | None = None
    language: str | None = None
    format: Format | None = None
    timezone: str | None = None
    tags: Sequence[str] | None = None
    add_tags: Sequence[str] = ()
    remove_tags: Sequence[str] = ()
    attributes: Mapping[str, str] = field(default_factory=dict[str, str])
    unset: Sequence[str] = ()

    def applied(self, person: Subscriber) -> Subscriber:
        """The person as they are meant to be; values are not judged yet.

        Raises:
            AddressError: the new address is none.
            UsageError: a key to take out is not one, or is the address.
        """
        unset = self._unset(person)
        tags = list(person.tags if self.tags is None else self.tags)
        tags = [tag for tag in dict.fromkeys([*tags, *self.add_tags]) if tag not in self.remove_tags]
        attributes = {key: value for key, value in person.attributes.items() if f"attributes.{key}" not in unset}
        changed = replace(
            person,
            name="" if "name" in unset else person.name if self.name is None else self.name,
            digests=() if "digests" in unset else person.digests if self.digests is None else tuple(self.digests),
            language=None if "language" in unset else self.language or person.language,
            format=Format.html if "format" in unset else self.format or person.format,
            timezone=None if "timezone" in unset else self.timezone or person.timezone,
            tags=() if "tags" in unset else tuple(tags),
            attributes={} if "attributes" in unset else {**attributes, **self.attributes},
        )
        if self.email is None:
            return changed
        address = parse_address(self.email.strip())
        return replace(changed, email=address.email, wire_email=address.wire, key=address.key)

    def _unset(self, person: Subscriber) -> frozenset[str]:
        known = [key for key in KEYS if key != "email"]
        for key in self.unset:
            if key == "email":
                raise UsageError("a person without an address is none", hint="newsletter subscriber remove EMAIL")
            if key in known:
                continue
            inner = key.removeprefix("attributes.")
            if inner == key:
                raise UsageError(
                    f"there is no key {one_line(key, 60)!r}{did_you_mean(key, known)}",
                    hint=f"a key is one of {', '.join(known)}, or attributes.KEY",
                )
            if inner not in person.attributes:
                raise UsageError(
                    f"{person.email} has no attribute {one_line(inner, 60)!r}{did_you_mean(inner, person.attributes)}"
                )
        return frozenset(self.unset)


def difference(before: Subscriber, after: Subscriber) -> Change:
    """What must change in a person's entry to turn one into the other."""
    old, new = data_of(before), data_of(after)
    change: dict[tuple[str, ...], Data | None] = {}
    for key in KEYS:
        if key == "attributes" or old.get(key) == new.get(key):
            continue
        change[(key,)] = new.get(key)
    for name in {**before.attributes, **after.attributes}:
        value = after.attributes.get(name)
        if before.attributes.get(name) != value:
            change["attributes", name] = value
    return change
