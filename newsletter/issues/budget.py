"""The size budget: an HTML part that mail programs show whole, however much is new.

Gmail cuts off the HTML part at about 102 KB, footer and all.  What does not fit
is shortened step by step, the last entries first:

    as the theme shows it ─▶ short excerpt ─▶ headline ─▶ counted ("and 12 more")

An entry's rank is its place in its own section, so that every source keeps its
first stories.  The first few of all are shortened last, and an entry that takes
the room of many goes first.  Nothing is lost: the text and Markdown parts carry
everything, always.

How far to go is planned by measuring.  Templates are run at a few stages, and
the styles that inlining will add are worked out beforehand from a small page
that has one element of each kind; only the result is inlined for good.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from newsletter.errors import TemplateError
from newsletter.issues.merge import field_of, token_pattern
from newsletter.issues.pagesize import PageSize
from newsletter.issues.shortening import Form, Ladder
from newsletter.issues.views import Masthead

#: How many bytes an HTML part may have, decoded, with every merge field at its longest.
HTML_LIMIT: Final = 90_000
#: Planning ends when this many bytes or fewer are left unused.
_SLACK: Final = 800
_MOST_TRIALS: Final = 12
_MOST_INLININGS: Final = 3
#: The size of a page that cannot be written.
_UNUSABLE: Final = 1_000_000_000
#: A page of this part of the limit is likely to fit, so it is inlined at once.
_HOPEFUL: Final = 0.6
# Lengths that `people` and `delivery.links` keep to, in characters; and what one may take, escaped: "&quot;".
_LONGEST_ADDRESS: Final = 254
_LONGEST_NAME: Final = 200
_LONGEST_ATTRIBUTE: Final = 2000
_LONGEST_MAILTO: Final = 3 * _LONGEST_ADDRESS + 60
_TOKEN_LENGTH: Final = 22
_WORST_CHARACTER: Final = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeReport:
    """What the budget did to one rendering.

    `bytes_before` is what the HTML part would have had (worked out, not exact),
    `bytes_after` what it has, both with merge fields at their longest; `full`,
    `short`, `headlines` and `counted` say how many entries stand in which form;
    `updated_counted` how many of the updated ones are not listed.  `forms` has the
    form of each entry, in the draft's order.
    """

    bytes_before: int
    bytes_after: int
    full: int
    short: int
    headlines: int
    counted: int
    updated_counted: int = 0
    limit: int = HTML_LIMIT
    forms: tuple[Form, ...] = field(default=(), repr=False)

    @property
    def fits(self) -> bool:
        """Whether the HTML part keeps to its limit; False only where a template is too large by itself."""
        return self.bytes_after < self.limit

    @property
    def is_reduced(self) -> bool:
        """Whether anything had to be shortened or left to the other parts."""
        return self.fits and self.bytes_before > self.bytes_after

    @property
    def words(self) -> str:
        """The report in one line."""
        said = f"HTML part: {self.bytes_after:,} of {self.limit:,} bytes"
        if not self.fits:
            return f"{said}: too large, and its template cannot be made to fit"
        if not self.is_reduced:
            return said
        forms = (
            (self.full, "whole"),
            (self.short, "as short excerpts"),
            (self.headlines, "as headlines"),
            (self.counted, "in the text part only"),
            (self.updated_counted, "updated in the text part only"),
        )
        parts = ", ".join(f"{number} {form}" for number, form in forms if number)
        return f"{said}, {self.bytes_before:,} if nothing were shortened; of the entries {parts}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """An HTML part that keeps to its limit: as its template wrote it, as inlined, and what that took."""

    written: str
    html: str
    report: SizeReport


def fit(
    context: Mapping[str, object],
    *,
    write: Callable[[Mapping[str, object]], str],
    inline: Callable[[str], str],
    allowance: Callable[[str], int],
    limit: int = HTML_LIMIT,
) -> Fitted:
    """Write and inline an HTML part of fewer than `limit` bytes.

    Args:
        context: of the template, with every entry in full.
        write: runs the template.
        inline: puts its styles where they apply; slow.
        allowance: how many bytes a text may grow by when its merge fields are filled in.
        limit: in bytes of UTF-8.
    """
    return _Fitter(Ladder(context), write, inline, allowance, limit).fitted()


def growth(text: str, token: str, masthead: Masthead, number: int) -> int:
    """How many bytes a part of a rendering grows by, at most, when its merge fields are filled in.

    Args:
        text: the part, as written or as inlined.
        token: the issue's `Envelope.merge_token`.
        masthead: the issue's; the personal addresses are made from it.
        number: the issue's.
    """
    site = masthead.base_url or masthead.archive_url or ""
    pages = 9 + len(site + masthead.digest_name) * 3 + max(_TOKEN_LENGTH, len(str(number)))
    longest = {
        "unsubscribe_url": pages if masthead.base_url else _LONGEST_MAILTO,
        "preferences_url": pages if masthead.base_url else 0,
        "view_url": pages if site else 0,
        "subscriber.email": _LONGEST_ADDRESS * _WORST_CHARACTER,
        "subscriber.name": _LONGEST_NAME * _WORST_CHARACTER,
    }
    other = _LONGEST_ATTRIBUTE * _WORST_CHARACTER
    return sum(longest.get(field_of(found), other) - len(found[0]) for found in token_pattern(token).finditer(text))


class _Fitter:
    """One call of `fit`."""

    def __init__(
        self,
        ladder: Ladder,
        write: Callable[[Mapping[str, object]], str],
        inline: Callable[[str], str],
        allowance: Callable[[str], int],
        limit: int,
    ) -> None:
        self._ladder = ladder
        self._write = write
        self._inline = inline
        self._allowance = allowance
        self._limit = limit
        self._written: dict[int, str] = {}
        self._sizes: dict[int, int] = {}

    def fitted(self) -> Fitted:
        first = self._ladder.first_level
        page = self._page(first)
        over = 0
        if first == 0 and len(page.encode()) + self._allowance(page) < self._limit * _HOPEFUL:
            html, over = self._inlined(first)
            if over < self._limit:
                return self._result(first, html, over, over)
        samples = (self._page_or_none(level) for level in (first, self._ladder.all_headlines, self._ladder.leads_only))
        self._page_size = PageSize((page for page in samples if page is not None), self._inline)
        before = max(over, self._size(first) + self._ladder.saved(first))
        target = self._limit - 1 - max(over - self._size(first), 0)
        for _ in range(_MOST_INLININGS):
            level = self._plan(first, target)
            if level is None:
                break
            html, size = self._inlined(level)
            if size < self._limit:
                return self._result(level, html, size if level == 0 else max(before, self._limit), size)
            # Styles by position, or tags that close themselves, are not foreseen: aim lower by what they took.
            target -= 2 * max(size - target, _SLACK)
        html, size = self._inlined(first)
        return self._result(first, html, max(before, size), size)

    def _inlined(self, level: int) -> tuple[str, int]:
        """The finished page of a stage, and its size with every merge field at its longest."""
        html = self._inline(self._page(level))
        return html, len(html.encode()) + self._allowance(html)

    def _plan(self, first: int, target: int) -> int | None:
        """The lowest stage found whose page has at most `target` bytes, or None."""
        low, high = first, max(first, self._ladder.leads_only)
        if self._size(low) <= target:
            return low
        if self._size(high) > target:
            low, high = high, self._ladder.top
        if self._size(high) > target:
            return None
        for trial in range(_MOST_TRIALS):
            if high - low <= 1 or self._size(high) > target - _SLACK:
                break
            share = (self._size(low) - target) / max(self._size(low) - self._size(high), 1)
            guess = self._ladder.between(low, high, share) if trial % 4 < 3 else (low + high) // 2  # noqa: PLR2004
            if self._size(guess) <= target:
                high = guess
            else:
                low = guess
        return high

    def _page_or_none(self, level: int) -> str | None:
        """The page of a stage; None where the template cannot do with so little, as with `sections[0]` of none."""
        try:
            return self._page(level)
        except TemplateError:
            if level == self._ladder.first_level:
                raise
            return None

    def _page(self, level: int) -> str:
        if level not in self._written:
            self._written[level] = self._write(self._ladder.context(level))
        return self._written[level]

    def _size(self, level: int) -> int:
        if level not in self._sizes:
            page = self._page_or_none(level)
            self._sizes[level] = _UNUSABLE if page is None else self._page_size.inlined(page) + self._allowance(page)
        return self._sizes[level]

    def _result(self, level: int, html: str, before: int, after: int) -> Fitted:
        counts = self._ladder.counts(level)
        report = SizeReport(
            bytes_before=before,
            bytes_after=after,
            full=counts[Form.full],
            short=counts[Form.short],
            headlines=counts[Form.headline],
            counted=counts[Form.counted],
            updated_counted=self._ladder.updated_counted(level),
            limit=self._limit,
            forms=self._ladder.forms(level),
        )
        return Fitted(written=self._page(level), html=html, report=report)
