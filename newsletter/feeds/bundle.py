"""Several documents as one: what a folder of feeds is fetched as, and read from.

Only a feed that is a folder on this machine is ever one; bytes from the web are
never taken for it (`is_bundle`).
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from newsletter.errors import ParseError
from newsletter.feeds.plain import MAX_ENTRIES
from newsletter.model import Document

#: What the documents of a folder begin with, put together.
_MAGIC: Final = b"newsletter folder\n"
#: How many files of a folder are read.
MAX_FILES: Final = 200


def pack(files: Sequence[tuple[str, bytes]]) -> bytes:
    """Put files together: their names and bodies, in their order."""
    head = json.dumps([(name, len(body)) for name, body in files]).encode()
    return b"".join((_MAGIC, len(head).to_bytes(4, "big"), head, *(body for _, body in files)))


def is_bundle(body: bytes, url: str) -> bool:
    """Whether these are the documents of a folder: no address of the web can say so."""
    return body.startswith(_MAGIC) and not url.lower().startswith(("http:", "https:"))


def read_bundle(body: bytes, read: Callable[[bytes, str], Document], url: str) -> Document:
    """Read the documents of a folder as one: their entries one after the other, in the order of the names.

    A file that is no feed is passed over, unless there is no other.

    Args:
        body: what `pack` made.
        read: reads one document; gets its bytes, and the path of its file.
        url: the folder.

    Raises:
        ParseError: none of the files is a feed.
    """
    at = len(_MAGIC) + 4
    length = int.from_bytes(body[len(_MAGIC) : at], "big")
    names, at = json.loads(body[at : at + length]), at + length
    found: list[Document] = []
    trouble: ParseError | None = None
    for name, size in names:
        try:
            found.append(read(body[at : at + size], f"{url.rstrip('/')}/{name}"))
        except ParseError as error:
            trouble = trouble or ParseError(f"{name}: {error.message}", hint=error.hint)
        at += size
    if not found:
        raise trouble or ParseError("there is no file in this folder", hint="put a feed into it, or name another")
    entries = [entry for document in found for entry in document.entries][:MAX_ENTRIES]
    return Document(
        title=found[0].title if len(found) == 1 else Path(url.removeprefix("file://")).name or None,
        home_url=found[0].home_url if len(found) == 1 else None,
        language=found[0].language if len({document.language for document in found}) == 1 else None,
        entries=tuple(replace(entry, position=position) for position, entry in enumerate(entries)),
    )
