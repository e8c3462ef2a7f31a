"""From what pydantic and YAML say is wrong to what a person should change, with the line."""

from collections.abc import Sequence
from typing import Any

from newsletter.config.block import Block
from newsletter.config.schema import (
    ArchiveBlock,
    BouncesBlock,
    CanaryBlock,
    DigestBlock,
    DkimBlock,
    FeedBlock,
    ImapBlock,
    ProjectBlock,
    SmtpBlock,
    SubscribeBlock,
)
from newsletter.text import one_line
from newsletter.yamlfile import (
    Broken,
    ListNode,
    MapNode,
    Node,
    Problems,
    Scalar,
    Unclear,
    did_you_mean,
    meaning,
    nearest,
    not_text,
)

#: A place in the file: keys and indexes from the top.
Place = Sequence[str | int]

_MISPLACED: dict[str, type[Block]] = {
    "feeds": FeedBlock,
    "digests": DigestBlock,
    "smtp": SmtpBlock,
    "bounces": BouncesBlock,
    "subscribe": SubscribeBlock,
    "archive": ArchiveBlock,
}
_BLOCKS: dict[str, type[Block]] = {"": ProjectBlock, **_MISPLACED}
_NO_PASSWORD = (
    "does not belong in this file: put it into an environment variable and name that with password_env, "  # noqa: S105
    "or use password_file or password_command"
)
_MISSING: dict[tuple[str, ...], str] = {
    ("title",): "is missing: what the newsletter is called",
    ("from",): "is missing: who sends it, as Name <address>",
}
_KINDS = {
    "string": "must be text",
    "int": "must be a whole number",
    "float": "must be a number",
    "bool": "must be true or false",
    "list": "must be a list, such as [a, b]",
    "dict": "must be settings, one `key: value` a line",
    "model": "must be settings, one `key: value` a line",
}


def plain(node: Node) -> Any:
    """A node as the plain values pydantic checks; what is not clear stays `Unclear`."""
    if isinstance(node, ListNode):
        return [plain(item) for item in node.items]
    if isinstance(node, MapNode):
        return {key: plain(value) for key, value in node.pairs.items()}
    if isinstance(node, Broken):
        return Unclear("")
    found = node.value if node.quoted else meaning(node.value)
    return Unclear(node.value) if found is None else found


def key_path(place: Place) -> str:
    """A place as people write it: `feeds[1].max_entries`."""
    text = ""
    for part in place:
        text += f"[{part}]" if isinstance(part, int) else f".{one_line(part, 60)}" if text else one_line(part, 60)
    return text


def find(root: Node, place: Place) -> tuple[Node, int | None]:
    """The node at a place, or the last one on the way to it, and the line to look at."""
    node, line = root, None
    for part in place:
        if isinstance(node, MapNode) and part in node.pairs:
            line, node = node.key_line(str(part)), node.pairs[str(part)]
        elif isinstance(node, ListNode) and isinstance(part, int) and part < len(node.items):
            node = node.items[part]
            line = node.line
        else:
            break
    # A value on a later line than its key (a list, a block of text) is itself the place to look at.
    return node, node.line if isinstance(node, Scalar) and node.value else line


def as_written(root: Node, place: Place) -> tuple[str | int, ...]:
    """A place without the indexes of lists that the file writes as one mapping alone."""
    node: Node | None = root
    found: list[str | int] = []
    for part in place:
        if isinstance(node, MapNode) and isinstance(part, int):
            continue
        found.append(part)
        inner: Node | None = None
        if isinstance(node, MapNode):
            inner = node.pairs.get(str(part))
        elif isinstance(node, ListNode) and isinstance(part, int) and part < len(node.items):
            inner = node.items[part]
        node = inner
    return tuple(found)


def add_errors(problems: Problems, root: Node, errors: Sequence[Any]) -> None:
    """Add what pydantic found, each error at its line; what is broken already gets no second problem."""
    for error in errors:
        name_is_wrong = error["loc"][-1] == "[key]"
        place = as_written(root, error["loc"][:-1] if name_is_wrong else error["loc"])
        node, line = find(root, place)
        if isinstance(node, Broken):
            continue
        # In the short form of a feed the address has no key of its own.
        short = len(place) == 3 and place[0] == "feeds" and isinstance(node, Scalar) and _is_short(root, place)  # noqa: PLR2004
        words = str(error["ctx"]["error"]) if name_is_wrong else _words(error, place, node)
        problems.add(line, words, key_path(place[:2] if short else place))


def _is_short(root: Node, place: Place) -> bool:
    return isinstance(find(root, place[:2])[0], Scalar)


def _words(error: Any, place: Place, node: Node) -> str:
    kind = error["type"]
    if kind == "missing":
        return _MISSING.get(tuple(str(part) for part in place), "is missing")
    if kind == "extra_forbidden":
        return _unknown(place)
    if isinstance(node, Scalar) and not node.quoted and meaning(node.value) is None:
        return "is empty: give it a value, or take the line out"
    return _wrong_value(kind, error, node)


def _wrong_value(kind: str, error: Any, node: Node) -> str:
    context = error.get("ctx", {})
    if kind == "value_error":
        return str(context["error"])
    if kind == "literal_error":
        return _one_of(context, node)
    if kind.startswith(("greater_than", "less_than")):
        bound = next(iter(context.values()))
        return f"must be {'at least' if kind.startswith('greater') else 'at most'} {bound:,}"
    unquoted = not_text(node.value) if kind == "string_type" and isinstance(node, Scalar) else None
    if unquoted or kind == "too_short":
        return unquoted or "is empty"
    words = _KINDS.get(kind.partition("_")[0], str(error["msg"]).lower())
    return words + (f", not {one_line(node.value, 60)}" if isinstance(node, Scalar) else "")


def _one_of(context: dict[str, Any], node: Node) -> str:
    allowed = [word.strip().strip("'") for word in context["expected"].replace(" or ", ", ").split(",")]
    words = "must be " + " or ".join(filter(None, [", ".join(allowed[:-1]), allowed[-1]]))
    return words + (did_you_mean(node.value, allowed) if isinstance(node, Scalar) else "")


def _block(place: Place) -> type[Block]:
    """The model that the last key of a place should belong to."""
    if tuple(place[:2]) == ("smtp", "dkim") and len(place) > 2:  # noqa: PLR2004
        return DkimBlock
    if "canary" in place[2:-1]:
        return CanaryBlock
    if tuple(place[:2]) == ("bounces", "imap") and len(place) > 2:  # noqa: PLR2004
        return ImapBlock
    return _MISPLACED.get(str(place[0]), ProjectBlock) if len(place) > 1 else ProjectBlock


def _names(block: type[Block]) -> list[str]:
    return [found.alias or name for name, found in block.model_fields.items()]


def _unknown(place: Place) -> str:
    block, key = _block(place), str(place[-1])
    if block in (SmtpBlock, ImapBlock) and key.lower() in ("password", "pass"):
        return _NO_PASSWORD
    known = _names(block)
    guess = nearest(key, known)
    if guess is None or guess.casefold() != key.casefold():
        for name, other in _BLOCKS.items():
            if other is not block and key in _names(other):
                return f"no such setting here: it belongs {f'under {name}' if name else 'at the top level'}"
    return "no such setting" + (did_you_mean(key, known) if guess else f": there are {', '.join(known)}")
