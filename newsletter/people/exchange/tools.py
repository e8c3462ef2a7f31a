"""The tools whose lists we know: how to tell one by its header, and what its columns mean.

Everything that is particular to a tool stands in its entry of TOOLS; what all
lists have in common is read in `rows`.  Headers are facts, found in the tools'
sources and in fixtures of other importers (docs/subscribers.md says which were
not verified).  Names of columns are folded: `Email Address` is email_address.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from newsletter.model import SuppressionReason
from newsletter.people.exchange.standing import MAY, WORDS, Standing, by_word, empty, fold_word, never, strongest

Cells = Mapping[str, str]

_R = SuppressionReason


def _says_nothing(_cells: Cells, _columns: frozenset[str]) -> Standing:
    return MAY


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """One kind of list.

    `needs` are columns of which every set must be met by one at least.
    `standing` reads what only this tool says.  `status` is the column with a
    status in words, and `words` what they mean here.  `own` are columns that
    `standing` has read, or that look like a status and are none.  `tags` and
    `flags` become tags: their words, and their own name where they say yes.
    `ignored` are dropped; other columns become attributes, under the names in
    `renamed`.  `is_exact` refuses a language or a time zone that is none, where
    others, which guess them, are passed over.
    """

    title: str
    needs: tuple[frozenset[str], ...]
    standing: Callable[[Cells, frozenset[str]], Standing] = _says_nothing
    status: str | None = None
    words: Mapping[str, str] = field(default_factory=dict[str, str])
    own: frozenset[str] = frozenset()
    tags: tuple[str, ...] = ("tags", "labels")
    flags: Mapping[str, str] = field(default_factory=dict[str, str])
    json: tuple[str, ...] = ()
    ignored: frozenset[str] = frozenset()
    renamed: Mapping[str, str] = field(default_factory=dict[str, str])
    is_exact: bool = False
    notice: str | None = None


def _any(*columns: str) -> frozenset[str]:
    return frozenset(columns)


EMAIL_COLUMNS = (
    *("email", "email_address", "e_mail", "e_mail_address", "emailaddress", "subscriber_email", "mail"),
    *("e_mail_adresse", "email_adresse", "emailadresse", "adresse_e_mail", "correo_electronico"),
)
_EMAIL = _any(*EMAIL_COLUMNS)


def _mailchimp(cells: Cells, columns: frozenset[str]) -> Standing:
    """Mailchimp writes a file per status; the header tells which."""
    if "unsub_time" in columns:
        is_spam = any(word in fold_word(cells.get("unsub_reason", "")) for word in ("spam", "abuse", "complain"))
        when = cells.get("unsub_time", "").strip() or "a list of the unsubscribed"
        return never(_R.complained if is_spam else _R.unsubscribed, f"UNSUB_TIME: {when}")
    if "clean_time" in columns:
        return never(_R.bounced, f"CLEAN_TIME: {cells.get('clean_time', '').strip() or 'a list of the cleaned'}")
    return MAY


def _substack(cells: Cells, columns: frozenset[str]) -> Standing:
    if "email_disabled" in columns:
        return by_word("email_disabled", cells["email_disabled"], {"false": "may", "true": "unsubscribed"})
    # The dashboard's table has no word for it; this column names what the person gets.
    if not cells.get("receiving_emails_for", "").strip():
        return empty("Receiving emails for")
    return MAY


def _ghost(cells: Cells, _: frozenset[str]) -> Standing:
    wish = by_word("subscribed_to_emails", cells["subscribed_to_emails"], {"true": "may", "false": "unsubscribed"})
    deleted = cells.get("deleted_at", "").strip()
    return strongest(wish, never(_R.unsubscribed, f"deleted_at is {deleted}")) if deleted else wish


_LISTS = {"confirmed": "may", "unconfirmed": "waits", "unsubscribed": "unsubscribed"}


def _listmonk(cells: Cells, columns: frozenset[str]) -> Standing:
    if "subscription_status" not in columns:
        return MAY
    # One word per list, where there are several: being confirmed on one is enough, having left one is too much.
    words = [word for word in map(str.strip, cells["subscription_status"].replace(";", ",").split(",")) if word]
    said = [by_word("subscription_status", word, _LISTS) for word in words or [""]]
    is_confirmed = any(one.kind == "may" for one in said)
    return strongest(*(one for one in said if one.kind != "waits" or not is_confirmed))


_DASHBOARD = frozenset(
    {
        *("subscription_date", "revenue", "comments_all_time", "comments_last_7_days", "comments_last_30_days"),
        *("shares_all_time", "shares_last_7_days", "shares_last_30_days", "email_receives_last_6_months"),
        *("email_drops_last_6_months", "emails_opened_last_6_months", "email_opens_last_6_months"),
        *("email_opens_last_7_days", "email_opens_last_30_days", "email_last_opened_at", "link_clicks"),
        *("last_clicked_at", "unique_emails_seen_last_6_months", "unique_emails_seen_last_7_days"),
        *("unique_emails_seen_last_30_days", "post_views_last_6_months", "post_views_last_7_days"),
        *("post_views_last_30_days", "unique_posts_seen_all_time", "unique_posts_seen_last_7_days"),
        *("unique_posts_seen_last_30_days", "subscriptions_gifted", "expires_at", "subscription_source_free"),
        *("subscription_source_paid", "days_active_last_30_days", "first_payment_at", "paid_upgrade_date"),
        *("cancel_date", "receiving_emails_for", "is_bestseller", "activity"),
    }
)

#: In the order in which they are tried: what needs more comes first.
TOOLS: Mapping[str, Tool] = {
    "mailchimp": Tool(
        title="Mailchimp",
        needs=(_any("email_address", "email"), _any("member_rating"), _any("leid", "euid")),
        standing=_mailchimp,
        own=_any("unsub_time", "clean_time", "unsub_reason", "unsub_reason_other", "confirm_time"),
        ignored=_any(
            *("member_rating", "optin_time", "optin_ip", "confirm_time", "confirm_ip", "latitude", "longitude"),
            *("gmtoff", "dstoff", "last_changed", "leid", "euid", "unsub_time", "unsub_campaign_title"),
            *("unsub_campaign_id", "unsub_reason", "unsub_reason_other", "clean_time", "clean_campaign_title"),
            "clean_campaign_id",
        ),
        renamed={"cc": "country", "notes": "note"},
    ),
    "ghost": Tool(
        title="Ghost",
        needs=(_any("email"), _any("subscribed_to_emails")),
        standing=_ghost,
        own=_any("subscribed_to_emails", "deleted_at"),
        tags=("labels", "tiers", "tags"),
        flags={"complimentary_plan": "complimentary"},
        ignored=_any("id", "stripe_customer_id", "created_at", "deleted_at", "subscribed_to_emails"),
    ),
    "substack": Tool(
        title="Substack",
        needs=(_any("email"), _any("active_subscription", "receiving_emails_for"), _any("email_disabled", "activity")),
        standing=_substack,
        own=_any("email_disabled", "active_subscription"),
        flags={"active_subscription": "paid"},
        ignored=_any("active_subscription", "expiry", "email_disabled", "prefer_digests", "created_at") | _DASHBOARD,
        renamed={"subscriber_country": "country", "subscription_type": "subscription"},
    ),
    "beehiiv": Tool(
        title="beehiiv",
        needs=(_any("email"), _any("status"), _any("tier"), _any("created_at", "unsubscribed_at")),
        status="status",
        words={
            "active": "may",
            "inactive": "unsubscribed",
            "invalid": "bounced",
            **dict.fromkeys(("pending", "validating", "needs_attention"), "waits"),
        },
        tags=("tags", "tier"),
        ignored=_any("id", "created_at", "stripe_customer_id", "unsubscribed_at", "subscription_date_substack"),
    ),
    "listmonk": Tool(
        title="listmonk",
        needs=(_any("email"), _any("name"), _any("attributes")),
        standing=_listmonk,
        status="status",
        words={"enabled": "may", "disabled": "manual", "blocklisted": "manual", "blacklisted": "manual"},
        own=_any("subscription_status"),
        tags=("tags", "lists"),
        json=("attributes",),
        ignored=_any("uuid", "id", "created_at", "updated_at", "subscription_status"),
        notice="this list does not say who has unsubscribed from which list of listmonk: export those who have as "
        "well, and import them with --status unsubscribed",
    ),
    "buttondown": Tool(
        title="Buttondown",
        needs=(_any("email_address", "email"), _any("type"), _any("creation_date", "metadata", "secondary_id")),
        status="type",
        words={
            **dict.fromkeys(("regular", "premium", "trialed", "gifted", "churning", "paused", "past_due"), "may"),
            "unactivated": "waits",
            "unsubscribed": "unsubscribed",
            "complained": "complained",
            **dict.fromkeys(("undeliverable", "malformed"), "bounced"),
            **dict.fromkeys(("spammy", "removed", "blocked"), "manual"),
        },
        json=("metadata",),
        ignored=_any("id", "creation_date", "referrer_url", "secondary_id", "source", "ip_address"),
        renamed={"notes": "note"},
        notice="Buttondown keeps who has unsubscribed in a list of its own: import that one too",
    ),
    "kit": Tool(
        title="Kit",
        needs=(_any("email_address", "email"), _any("first_name"), _any("state"), _any("created_at")),
        status="state",
        words={
            "active": "may",
            "confirmed": "may",
            "inactive": "waits",
            "unconfirmed": "waits",
            "cancelled": "unsubscribed",
            "bounced": "bounced",
            "complained": "complained",
            "blocked": "manual",
        },
        ignored=_any("id", "created_at"),
    ),
    "csv": Tool(title="a plain table", needs=(_EMAIL,), words=WORDS, json=("attributes",), is_exact=True),
}


def recognized(columns: frozenset[str]) -> str | None:
    """The name of the tool whose list has these columns; None where no column holds addresses."""
    if {"digests", "timezone", "status"} <= columns:  # our own table
        return "csv"
    return next((name for name, tool in TOOLS.items() if lacks(tool, columns) is None), None)


def lacks(tool: Tool, columns: frozenset[str]) -> str | None:
    """A column that a list of this tool has and this one lacks, if there is one."""
    return next((" or ".join(sorted(needed)) for needed in tool.needs if not needed & columns), None)
