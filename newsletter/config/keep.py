"""The block `keep`: for how long what is over stays in the database."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Annotated, Any, Final

from pydantic import PlainValidator

from newsletter.config.block import Block
from newsletter.model import TOMBSTONE, Keep

_SPAN = re.compile(r"([1-9][0-9]{0,4}) ?(d|y)", re.ASCII)
_YEAR: Final = 365.25
_LONGEST: Final = 36_525
#: A slot may be sent for a month late, and bounces count for a year: what they are judged by must still be there.
_SLOTS: Final = timedelta(days=62)
_YEAR_OF_BOUNCES: Final = timedelta(days=366)
_MONTH: Final = timedelta(days=31)


def span(at_least: timedelta, why: str) -> Callable[[Any], timedelta | None]:
    """A validator for a time such as 90d or 2y, or None for `always`."""

    def how_long(value: Any) -> timedelta | None:
        if value == "always":
            return None
        found = _SPAN.fullmatch(value.strip()) if isinstance(value, str) else None
        if found is None:
            raise ValueError("must be a time such as 90d or 2y, or always")
        days = int(found[1]) * (_YEAR if found[2] == "y" else 1)
        if days > _LONGEST:
            raise ValueError("must be at most 100y; always keeps it for good")
        kept = timedelta(days=-(-days // 1))
        if kept < at_least:
            raise ValueError(f"must be at least {at_least.days}d: {why}")
        return kept

    return how_long


class KeepBlock(Block):
    """For how long what is over stays: rows of deliveries, entries, pictures, what came of slots, reports."""

    deliveries: Annotated[
        timedelta | None, PlainValidator(span(_YEAR_OF_BOUNCES, "bounces are judged by what went out within a year"))
    ] = timedelta(days=400)
    entries: Annotated[
        timedelta | None,
        PlainValidator(span(TOMBSTONE, "feeds bring back what is younger, and it would be sent again")),
    ] = TOMBSTONE
    pictures: Annotated[
        timedelta | None, PlainValidator(span(_MONTH, "a message may still be sent again until then"))
    ] = timedelta(days=90)
    ticks: Annotated[timedelta | None, PlainValidator(span(_SLOTS, "a slot may be sent for a month late"))] = timedelta(
        days=400
    )
    reports: Annotated[timedelta | None, PlainValidator(span(_YEAR_OF_BOUNCES, "bounces count for up to a year"))] = (
        timedelta(days=800)
    )


def keep_of(block: KeepBlock, *, has_pages: bool) -> Keep:
    """The finished settings; pictures stay as long as issues can be read on the web."""
    return Keep(
        deliveries=block.deliveries,
        entries=block.entries,
        pictures=None if has_pages else block.pictures,
        ticks=block.ticks,
        reports=block.reports,
    )
