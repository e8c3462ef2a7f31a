"""What stands in the gaps of a skeleton: one person's values, as the bytes of the body they are part of.

A value is escaped for its place (`issues.merge`) and encoded (`quoting`).  The
addresses made for one person differ in nothing but the person's token, which no
place and no encoding alters; so they are written once, with another token in
its place, and the token is exchanged.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from newsletter.delivery.links import TOKEN_LENGTH, Links
from newsletter.delivery.quoting import quote_value
from newsletter.issues.merge import Piece

#: Kinds of places (`Piece.kind`) that write a token as it is; Markdown escapes what it may hold.
_AS_IT_IS: Final = frozenset("thquj")


class Gaps:
    """The gaps of one skeleton, and what any person's values are in them.

    Args:
        slots: a merge field and how it is written there, each once; `Piece`s without a literal.
        links: the personal addresses, with `stand_in` for the token.
        stand_in: random, so that it is nowhere else in them.
    """

    def __init__(self, slots: Iterable[Piece], links: Links, stand_in: str) -> None:
        self._stand_in = stand_in
        self._addresses = {
            "unsubscribe_url": links.unsubscribe_url,
            "preferences_url": links.preferences_url,
            "view_url": links.view_url,
        }
        self._slots = tuple(slots)
        # As long as a token: where lines are broken depends on the length, and on what is known of every token.
        self._probe = stand_in[:TOKEN_LENGTH].encode("ascii")
        self._known = [self._with_probe(slot) for slot in self._slots]

    def values(self, merge: Mapping[str, str], token: str) -> dict[str, str]:
        """The values of all merge fields of one person.

        Args:
            merge: what the delivery keeps of the person.
            token: the person's.
        """
        return {
            **merge,
            **{field: address.replace(self._stand_in, token) for field, address in self._addresses.items()},
        }

    def filled(self, merge: Mapping[str, str], token: str) -> list[bytes]:
        """What stands in each gap, in the order of the slots; see `values`.

        Raises:
            MessageError: the person has no value for a field.
        """
        probe, exchanged = self._probe, token.encode("ascii")
        return [
            quote_value(slot.written(merge if known is None else self.values(merge, token)))
            if not known
            else known.replace(probe, exchanged)
            for slot, known in zip(self._slots, self._known, strict=True)
        ]

    def _with_probe(self, slot: Piece) -> bytes | None:
        """A personal address as it stands in its gap, with the probe for the token.

        b"" where the token cannot be exchanged in it; None for a field that is no address.
        """
        address = self._addresses.get(slot.field or "")
        if address is None:
            return None
        if slot.kind not in _AS_IT_IS or len(self._probe) != TOKEN_LENGTH:
            return b""
        tokens = address.count(self._stand_in)
        address = address.replace(self._stand_in, self._probe.decode("ascii"))
        known = quote_value(slot.written({slot.field or "": address}))
        # A line break in the middle of the token, or the token somewhere else as well: not to be exchanged.
        return known if known.count(self._probe) == tokens else b""
