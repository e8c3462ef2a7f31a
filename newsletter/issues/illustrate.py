"""Pictures that travel inside the message: which entry shows which, and how many there is room for.

No reader's mail program asks anybody for them.  They are fetched by
`feeds.pictures`; what is decided here needs nothing but their bytes.
"""

from base64 import b64encode
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from newsletter.model import Draft, DraftEntry, MissingPicture, Picture, Section
from newsletter.text import one_line

#: How many bytes of pictures a letter may carry; base64 makes a third more of them.
TOTAL_LIMIT: Final = 1_500_000
#: As wide as the letter's column, in CSS pixels; a picture of twice as many is sharp on every screen.
COLUMN: Final = 536
_SHOWN_ADDRESS: Final = 300


def illustrated(draft: Draft, found: Mapping[str, Picture | str], *, total_limit: int = TOTAL_LIMIT) -> Draft:
    """Put pictures into a draft, in the order of its entries, as long as there is room.

    Args:
        draft: with entries whose `to_embed` names a picture.
        found: by that address, the picture, or why there is none.
        total_limit: how many bytes all pictures may have together.

    Returns:
        the draft with `pictures` and `missing_pictures`; an entry whose picture is left out has none.
    """
    box = _Box(found, total_limit)
    sections = tuple(box.section(section) for section in draft.sections)
    return replace(
        draft, sections=sections, pictures=tuple(box.pictures.values()), missing_pictures=tuple(box.missing.values())
    )


class _Box:
    """The letter's pictures while it is packed."""

    def __init__(self, found: Mapping[str, Picture | str], room: int) -> None:
        self.pictures: dict[str, Picture] = {}
        self.missing: dict[str, MissingPicture] = {}
        self._found = found
        self._limit = self._room = room

    def section(self, section: Section) -> Section:
        """A section with its entries' pictures."""
        return replace(section, entries=tuple(map(self._entry, section.entries)))

    def _entry(self, entry: DraftEntry) -> DraftEntry:
        url = entry.to_embed
        if url is None:
            return entry
        picture = self._found.get(url, "it was not fetched")
        if isinstance(picture, Picture) and picture.cid not in self.pictures:
            if len(picture.data) > self._room:
                picture = f"the letter would have more than {self._limit:,} bytes of pictures"
            else:
                self._room -= len(picture.data)
                self.pictures[picture.cid] = picture
        if isinstance(picture, str):
            self.missing.setdefault(url, MissingPicture(url=one_line(url, _SHOWN_ADDRESS), reason=picture))
            return replace(entry, image=None)
        return replace(entry, image=f"cid:{picture.cid}", image_width=min(COLUMN, picture.width))


def used_in(html: str, pictures: Iterable[Picture]) -> tuple[Picture, ...]:
    """The pictures that an HTML part shows: a theme may show none, and the size budget may drop some."""
    return tuple(picture for picture in pictures if f"cid:{picture.cid}" in html)


def standalone(html: str, pictures: Iterable[Picture]) -> str:
    """An HTML part as a page of its own: its pictures stand in it as `data:` addresses (RFC 2397)."""
    for picture in used_in(html, pictures):
        data = b64encode(picture.data).decode("ascii")
        html = html.replace(f"cid:{picture.cid}", f"data:{picture.media_type};base64,{data}")
    return html
