"""May this person be mailed?  What a row of somebody else's list says about it.

Four answers, the stronger of two wins: `may` < `waits` (signed up, never
confirmed) < `unclear` (the status cannot be read) < `never`, with the reason.
Nobody is mailed but those whose row says, or leaves it to us to take, that they
may; whatever is not understood is unclear.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from newsletter.model import REASONS_BY_STRENGTH, SuppressionReason
from newsletter.text import one_line

_R = SuppressionReason


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of a person's wish: `kind` is may, waits, unclear or never; `why` in words.

    `is_open` where a cell was empty that should have told.
    """

    kind: str
    why: str = ""
    reason: SuppressionReason | None = None
    is_open: bool = False

    @property
    def strength(self) -> int:
        """What compares two of them."""
        level = ("may", "waits", "unclear", "never").index(self.kind)
        return level if self.reason is None else level + REASONS_BY_STRENGTH.index(self.reason)


MAY: Final = Standing("may")


def waits(why: str) -> Standing:
    """Signed up, but never confirmed."""
    return Standing("waits", why)


def unclear(why: str) -> Standing:
    """The row does not tell."""
    return Standing("unclear", why)


def empty(column: str) -> Standing:
    """The column that tells says nothing in this row."""
    return Standing("unclear", f"{column} is empty, {_TELLS_NOT}", is_open=True)


_TELLS_NOT: Final = "which does not tell whether the person may be mailed"


def never(reason: SuppressionReason, why: str) -> Standing:
    """Must not be mailed."""
    return Standing("never", why, reason)


def strongest(*standings: Standing) -> Standing:
    """What holds where several things are said."""
    return max(standings, key=lambda one: one.strength)


_SIGNS: Final = re.compile(r"\W+")

# ------------------------------------------------------------------- words for a status

#: What lists call it, folded; each tool's own words come before these.
WORDS: Final[Mapping[str, str]] = {
    **dict.fromkeys(
        ("active", "subscribed", "enabled", "confirmed", "opted_in", "opt_in", "member", "verified"), "may"
    ),
    **dict.fromkeys(
        ("unconfirmed", "pending", "not_confirmed", "unactivated", "awaiting_confirmation", "nonsubscribed"), "waits"
    ),
    **dict.fromkeys(("non_subscribed", "transactional", "unverified", "validating", "not_subscribed"), "waits"),
    **dict.fromkeys(
        ("unsubscribed", "unsub", "unsubscribe", "opted_out", "opt_out", "optout", "cancelled", "canceled", "deleted"),
        "unsubscribed",
    ),
    **dict.fromkeys(("removed", "left"), "unsubscribed"),
    **dict.fromkeys(
        ("bounced", "cleaned", "bounce", "hard_bounce", "hard_bounced", "undeliverable", "invalid", "malformed"),
        "bounced",
    ),
    **dict.fromkeys(("complained", "complaint", "spam", "spam_complaint", "abuse", "marked_as_spam"), "complained"),
    **dict.fromkeys(
        ("manual", "blocked", "blocklisted", "blacklisted", "suppressed", "banned", "disabled", "archived", "spammy"),
        "manual",
    ),
    "erased": "unsubscribed",  # elsewhere; nothing but `subscriber erase` erases here
}


def by_word(column: str, cell: str, words: Mapping[str, str]) -> Standing:
    """Read a status.

    Args:
        column: what the column is called, for the reason.
        cell: its value.
        words: what each folded value means: may, waits, unclear or a reason.
    """
    if not cell.strip():
        return empty(column)
    said = f"{column} is {one_line(cell, 60)}"
    meaning = words.get(fold_word(cell))
    if meaning is None or meaning == "unclear":
        return unclear(f"{said}, {_TELLS_NOT}")
    if meaning == "may":
        return MAY
    return waits(said) if meaning == "waits" else never(_R(meaning), said)


def fold_word(text: str) -> str:
    """A word or the name of a column, without case, blanks and signs: `Email Address` is email_address."""
    return _SIGNS.sub("_", text.strip().casefold()).strip("_") if text else ""


# ---------------------------------------------------------- columns that forbid by themselves

_NOTHING: Final = frozenset({"", "null", "none", "nil", "n_a", "na", "0000_00_00", "0000_00_00_00_00_00"})
_NO: Final = _NOTHING | {"false", "no", "n", "0", "f", "off", "nein", "non"}
_YES: Final = frozenset({"true", "yes", "y", "1", "t", "on", "ja", "oui", "x"})
_MOMENT: Final = re.compile(r"\s*\d{4}-\d\d?-\d\d?\b|\s*\d\d?[./]\d\d?[./]\d{2,4}\b|\s*\d{9,13}\s*\Z", re.ASCII)

#: Anything in one of these but a no means what it says.
_AGAINST: Final[Mapping[str, SuppressionReason]] = {
    **dict.fromkeys(
        (
            *(
                "unsubscribed",
                "is_unsubscribed",
                "unsubscribed_at",
                "unsubscribed_on",
                "unsubscribe_date",
                "unsub_time",
            ),
            *(
                "unsubscribe_time",
                "date_unsubscribed",
                "opted_out",
                "opt_out",
                "optout",
                "opted_out_at",
                "opt_out_time",
            ),
            *("opt_out_date", "do_not_email", "do_not_mail", "email_opt_out", "email_disabled", "cancelled_at"),
            *("deleted", "is_deleted", "deleted_at", "removed_at", "global_unsubscribe", "unsub_reason"),
        ),
        _R.unsubscribed,
    ),
    **dict.fromkeys(
        ("bounced", "is_bounced", "bounced_at", "hard_bounced", "hard_bounce", "cleaned", "cleaned_at", "clean_time"),
        _R.bounced,
    ),
    **dict.fromkeys(("complained", "complained_at", "spam_complaint", "marked_spam", "spam"), _R.complained),
    **dict.fromkeys(
        (
            *("blocked", "is_blocked", "blocked_at", "blocklisted", "blacklisted", "banned", "suppressed"),
            *("suppressed_at", "disabled", "is_disabled"),
        ),
        _R.manual,
    ),
}
#: A no in one of these forbids; what is neither yes, no nor a date is unclear.
_FOR: Final[Mapping[str, str]] = {
    **dict.fromkeys(
        (
            "subscribed",
            "is_subscribed",
            "subscribed_to_emails",
            "opted_in",
            "opt_in",
            "optin",
            "email_opt_in",
            "enabled",
        ),
        "unsubscribed",
    ),
    **dict.fromkeys(("active", "is_active", "consent", "accepts_marketing", "email_consent"), "unsubscribed"),
    **dict.fromkeys(
        ("confirmed", "is_confirmed", "confirmed_at", "verified", "is_verified", "email_verified", "double_opt_in"),
        "waits",
    ),
}
#: Columns that hold a status in words, whatever the tool.
STATUS_COLUMNS: Final = (
    *("status", "state", "subscription_status", "subscriber_status", "email_status"),
    *(
        "marketing_status",
        "email_marketing_status",
        "list_status",
        "member_status",
        "contact_status",
        "email_permission_status",
    ),
)


def by_columns(cells: Mapping[str, str], names: Mapping[str, str]) -> Iterator[Standing]:
    """What the columns say that mean the same in every list.

    Args:
        cells: those columns that tell, by their folded names.
        names: what the columns are called, by their folded names.
    """
    for column, cell in cells.items():
        folded = fold_word(cell)
        if column in _AGAINST and folded not in _NO:
            yield never(_AGAINST[column], f"{names[column]} is {one_line(cell, 60)}")
        elif column in _FOR and folded not in _YES and not _MOMENT.match(cell):
            said = f"{names[column]} is {one_line(cell, 60)}"
            if folded in _NOTHING:
                yield empty(names[column])
            elif folded in _NO:
                yield waits(said) if _FOR[column] == "waits" else never(_R(_FOR[column]), said)
            else:
                yield unclear(f"{said}, {_TELLS_NOT}")


_SUSPECT_COLUMN: Final = re.compile(r"unsub|opt_?out|bounce|complain|black_?list|block_?list|suppress")
_HARMLESS_COLUMN: Final = re.compile(r"(?:\b|_)(?:url|link|token|campaign|title|id|count|rate|reason|soft)(?:\b|_)")
_ALARMING: Final = frozenset(word for word, meaning in WORDS.items() if meaning not in ("may", "waits")) - {
    *("deleted", "removed", "left", "invalid", "manual", "blocked", "disabled", "archived", "cancelled", "canceled"),
}


def by_suspicion(column: str, name: str, cell: str) -> Standing | None:
    """What a column that no tool has makes us ask: nobody is mailed whom it may be about.

    Args:
        column: its folded name.
        name: what it is called.
        cell: its value.
    """
    folded = fold_word(cell) if len(cell) <= _LONGEST_WORD else "text"
    is_suspect = _SUSPECT_COLUMN.search(column) and not _HARMLESS_COLUMN.search(column)
    if folded in _ALARMING or (is_suspect and folded not in _NO):
        return unclear(f"{name} is {one_line(cell, 60)}, {_TELLS_NOT}")
    return None


_LONGEST_WORD: Final = 40


def tells(column: str) -> bool:
    """Whether a column, by its folded name, tells of a person's wish in every list."""
    return column in _AGAINST or column in _FOR


# ------------------------------------------------------------------------ names of files

_FILES: Final = (
    (re.compile(r"non[ _-]?subscribed|transactional|unconfirmed|pending|unactivated", re.IGNORECASE), waits, None),
    (re.compile(r"unsubscribe|opt(?:ed)?[ _-]?out", re.IGNORECASE), never, _R.unsubscribed),
    (re.compile(r"(?:\b|_)(?:cleaned|bounce[sd]?)(?:\b|_)", re.IGNORECASE), never, _R.bounced),
    (re.compile(r"(?:\b|_)(?:complain(?:ed|ts?)|spam)(?:\b|_)", re.IGNORECASE), never, _R.complained),
    (
        re.compile(
            r"(?:\b|_)(?:suppress(?:ed|ions?)?|block(?:ed|list(?:ed)?)|blacklist(?:ed)?)(?:\b|_)", re.IGNORECASE
        ),
        never,
        _R.manual,
    ),
)


def by_file_name(name: str) -> Standing:
    """What the name of a file tells: tools that write a file per status tell it nowhere else."""
    for pattern, kind, reason in _FILES:
        if pattern.search(name):
            why = f"the file is called {one_line(name, 60)}"
            return waits(why) if kind is waits else never(reason or _R.manual, why)
    return MAY
