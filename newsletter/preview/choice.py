"""What the page asks for: one letter out of all that could be shown."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from newsletter.errors import UsageError
from newsletter.model import Format

_LONGEST = 500


def _aware(moment: datetime | None) -> datetime | None:
    if moment is not None and moment.tzinfo is None:
        raise ValueError("needs an offset, such as 2026-11-20T07:00:00Z")
    return moment and moment.astimezone(UTC)


class Choice(BaseModel):
    """One choice of the editor's; what is left out is as usual.

    `issue` is the number of a frozen one, None the next.  `reader` ("as" in JSON)
    is a subscriber's address, None the usual reader.  `as_of` shows the next issue as it would
    have been then, or will be.  `hidden` are ids of entries to leave out,
    `order` words for sections as in the config's `sections`; both hold in the
    preview only.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    digest: Annotated[str, Field(max_length=_LONGEST)] | None = None
    issue: Annotated[int, Field(ge=1, le=2**31)] | None = None
    reader: Annotated[str | None, Field(max_length=_LONGEST, alias="as")] = None
    language: Annotated[str, Field(max_length=_LONGEST)] | None = None
    format: Format | None = None
    as_of: Annotated[datetime | None, AfterValidator(_aware)] = None
    hidden: Annotated[frozenset[int], Field(max_length=10_000)] = frozenset()
    order: Annotated[tuple[Annotated[str, Field(max_length=4 * _LONGEST)], ...], Field(max_length=10_000)] = ()


class Answer(StrEnum):
    """What an editor may do about a draft on the page."""

    approve = "approve"
    cancel = "cancel"
    keep = "keep"


def read_choice(document: object) -> Choice:
    """Read a choice from JSON.

    Raises:
        UsageError: it is none.
    """
    try:
        return Choice.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "the choice"
        raise UsageError(f"{place}: {first['msg']}") from error
