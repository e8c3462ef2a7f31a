"""Another project's subscribers.yaml as rows of a list."""

from collections.abc import Iterator
from pathlib import Path

from newsletter.people.entry import Wrong, data_of, person_of
from newsletter.people.exchange.rows import Given, Row
from newsletter.people.exchange.standing import MAY, by_file_name, strongest
from newsletter.yamlfile import Data, ListNode, MapNode, Node, Problems, Scalar, read_items


def yaml_rows(path: Path, given: Given) -> Iterator[Row]:
    """Every entry of the file, also those that cannot be used.

    Raises:
        ConfigError: after the last entry, if the file is not YAML as we read it: then none may be used.
    """
    standing = strongest(given.standing or MAY, by_file_name(path.name))
    for node in read_items(path):
        problems = Problems("")
        entry, trouble, email = _plain(node), None, ""
        details: dict[str, Data] = {}
        try:
            person = person_of(node, lambda _: None, problems)
        except Wrong as wrong:
            trouble = f"{wrong.key}: {wrong.text}" if wrong.key else wrong.text
            email = _address(entry)
        else:
            email, details = person.email, data_of(person)
            details.pop("email")
            if given.digests:
                details["digests"] = list(given.digests)
            if problems:
                trouble = "; ".join(f"{one.key}: {one.text}" if one.key else one.text for one in problems.all())
        yield Row(line=node.line, email=email, standing=standing, details=details, trouble=trouble, entry=entry)


def _address(entry: Data) -> str:
    found = entry.get("email", "") if isinstance(entry, dict) else entry
    return found if isinstance(found, str) else ""


def _plain(node: Node) -> Data:
    if isinstance(node, Scalar):
        return node.value
    if isinstance(node, ListNode):
        return [_plain(item) for item in node.items]
    return {key: _plain(value) for key, value in node.pairs.items()} if isinstance(node, MapNode) else ""
