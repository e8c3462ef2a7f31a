"""Changing what a person gets, in the file: their entry anew, with all that it said besides."""

from collections.abc import Sequence

from newsletter.address import parse_address
from newsletter.errors import UsageError
from newsletter.model import Format, Subscriber
from newsletter.people.roster import Roster
from newsletter.text import one_line
from newsletter.yamlfile import Data, ListNode, MapNode, Node, Scalar, editing, parse_items


def change_settings(
    roster: Roster,
    email: str,
    *,
    digests: Sequence[str] | None = None,
    language: str | None = None,
    format_: Format | None = None,
) -> Subscriber:
    """Change a person's entry; None leaves a value as it is.

    The entry is written anew at the end of the list, keys that are not spoken of here
    included.

    Raises:
        AddressError: that is no address.
        UsageError: there is no such person, or a value cannot be used.
        ConfigError: the file has mistakes, or cannot be edited safely; nothing has changed.
        BusyError: another run is editing it.
    """
    key = parse_address(email.strip()).key
    with editing(roster.path) as draft:
        everybody = list(roster.read(parse_items(draft.text, draft.shown), draft.shown))
        index = next((place for place, person in enumerate(everybody) if person.key == key), None)
        if index is None:
            raise UsageError(f"{one_line(email, 100)} is not in {draft.shown}")
        node = next(node for place, node in enumerate(parse_items(draft.text, draft.shown)) if place == index)
        item = _plain(node)
        entry: dict[str, Data] = dict(item) if isinstance(item, dict) else {"email": item}
        if digests is not None:
            entry["digests"] = list(digests)
        if language is not None:
            entry["language"] = language
        if format_ is not None:
            entry["format"] = format_.value
        draft.remove(index)
        draft.append({name: value for name, value in entry.items() if value})
        # Whatever is wrong with the new text, a bad value among it, is found here and nothing is written.
        changed = [
            person for person in roster.read(parse_items(draft.text, draft.shown), draft.shown) if person.key == key
        ]
    return changed[0]


def _plain(node: Node) -> Data:
    """What a node says, to be written again."""
    if isinstance(node, MapNode):
        return {name: _plain(value) for name, value in node.pairs.items()}
    if isinstance(node, ListNode):
        return [_plain(item) for item in node.items]
    assert isinstance(node, Scalar)
    return node.value
