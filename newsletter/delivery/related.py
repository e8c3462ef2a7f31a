"""Pictures as parts of a message: encoded once per issue, shared by all its messages.

The HTML part and what it shows stand in a multipart/related (RFC 2387), the
HTML first; it names each picture by its Content-ID (RFC 2392).
"""

import re
from base64 import b64encode
from collections.abc import Iterable
from dataclasses import dataclass, field

from newsletter.delivery.headers import build_headers
from newsletter.errors import MessageError
from newsletter.issues.illustrate import used_in
from newsletter.model import Picture

#: Base64 in lines of 76 characters (RFC 2045 §6.8) is 57 bytes a line.
_LINE = 57
_CID = re.compile(r"[0-9a-z]{8,64}@[A-Za-z0-9.-]{1,255}", re.ASCII)
_MEDIA_TYPE = re.compile(r"image/[a-z0-9.+-]{1,40}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class PicturePart:
    """A picture, and its MIME part as bytes: header, blank line, body with its last CR LF."""

    picture: Picture
    encoded: bytes = field(repr=False)


def picture_parts(pictures: Iterable[Picture]) -> tuple[PicturePart, ...]:
    """Encode pictures; no name of a file is given, for there is none that a reader would want.

    Raises:
        MessageError: one cannot be named in a header.
    """
    return tuple(PicturePart(picture=picture, encoded=_encoded(picture)) for picture in pictures)


def shown_in(html: str, parts: Iterable[PicturePart]) -> tuple[PicturePart, ...]:
    """The pictures that an HTML part shows, in their order."""
    by_cid = {part.picture.cid: part for part in parts}
    return tuple(by_cid[picture.cid] for picture in used_in(html, [part.picture for part in by_cid.values()]))


def _encoded(picture: Picture) -> bytes:
    if not _CID.fullmatch(picture.cid) or not _MEDIA_TYPE.fullmatch(picture.media_type):
        raise MessageError(f"{picture.cid!r} of type {picture.media_type!r} cannot be a part of a message")
    head = build_headers(
        [
            ("Content-Type", picture.media_type.encode("ascii")),
            ("Content-Transfer-Encoding", b"base64"),
            ("Content-ID", f"<{picture.cid}>".encode("ascii")),
            ("Content-Disposition", b"inline"),
        ]
    )
    data = picture.data
    lines = [b64encode(data[start : start + _LINE]) for start in range(0, len(data), _LINE)]
    return head + b"\r\n" + b"".join(line + b"\r\n" for line in lines)
