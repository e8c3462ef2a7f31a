"""Who may be mailed: read from every list we know; what is not understood is never a yes."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from newsletter.errors import ConfigError
from newsletter.model import SuppressionReason
from newsletter.people.exchange.rows import Given, Row, open_list, words_cell, words_of
from newsletter.people.exchange.standing import MAY, never, strongest, unclear, waits
from newsletter.people.exchange.tools import TOOLS

R = SuppressionReason

MAILCHIMP = (
    "Email Address,First Name,Last Name,Company,Position,ZIP Code,MEMBER_RATING,OPTIN_TIME,OPTIN_IP,CONFIRM_TIME,CONFIRM_IP,"
    "LATITUDE,LONGITUDE,GMTOFF,DSTOFF,TIMEZONE,CC,REGION,LAST_CHANGED,LEID,EUID,NOTES,TAGS"
)
UNSUBSCRIBED = MAILCHIMP.replace(
    "LAST_CHANGED", "UNSUB_TIME,UNSUB_CAMPAIGN_TITLE,UNSUB_CAMPAIGN_ID,UNSUB_REASON,UNSUB_REASON_OTHER"
)
CLEANED = MAILCHIMP.replace("LAST_CHANGED", "CLEAN_TIME,CLEAN_CAMPAIGN_TITLE,CLEAN_CAMPAIGN_ID")
SUBSTACK = "email,active_subscription,expiry,email_disabled,prefer_digests,created_at"
DASHBOARD = "Email,Name,Subscription type,Activity,Subscription date,Revenue,Subscriber country,Receiving emails for,Is Bestseller"
GHOST = (
    "id,email,name,note,subscribed_to_emails,complimentary_plan,stripe_customer_id,created_at,deleted_at,labels,tiers"
)
LISTMONK = "uuid,email,name,attributes,status,created_at,updated_at"
BEEHIIV = (
    "email,First Name,Last Name,status,tier,created_at,stripe_customer_id,Free Tier,Bronze Tier,Silver Tier,Gold Tier,"
    "unsubscribed_at,Subscription Date (Substack)"
)
BUTTONDOWN = "id,email_address,type,creation_date,notes,metadata,tags,referrer_url,secondary_id,source"
KIT = "id,first_name,email_address,state,created_at"
HEADERS = {
    MAILCHIMP: "mailchimp",
    UNSUBSCRIBED: "mailchimp",
    CLEANED: "mailchimp",
    SUBSTACK: "substack",
    DASHBOARD: "substack",
    GHOST: "ghost",
    LISTMONK: "listmonk",
    "email,name,attributes": "listmonk",
    BEEHIIV: "beehiiv",
    BUTTONDOWN: "buttondown",
    KIT: "kit",
    "email,name,status,digests,language,format,timezone,tags,attributes.city": "csv",
    "E-Mail;Name;Status": "csv",
}


def rows(path: Path, header: str, *people: dict[str, str], given: Given = Given(), name: str = "list.csv") -> list[Row]:  # noqa: B008
    """What the rows of a made-up list say; a person's cells are by the column's name."""
    columns = header.split(";" if ";" in header else ",")
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, columns, restval="")
    writer.writeheader()
    writer.writerows(people)
    (path / name).write_text(buffer.getvalue(), encoding="utf-8")
    with open_list(path / name, given) as found:
        return list(found.rows())


def says(row: Row) -> str:
    return row.standing.reason or row.standing.kind


def email_column(header: str) -> str:
    return next(name for name in header.replace(";", ",").split(",") if "mail" in name.lower())


@pytest.mark.parametrize(("header", "tool"), HEADERS.items())
def test_a_list_is_recognized_by_its_header(tmp_path: Path, header: str, tool: str) -> None:
    (tmp_path / "list.csv").write_text(header + "\n")

    with open_list(tmp_path / "list.csv", Given()) as found:
        assert tool == found.tool_name


@pytest.mark.parametrize(
    ("header", "cells", "expected"),
    [
        (MAILCHIMP, {}, "may"),
        (UNSUBSCRIBED, {}, "unsubscribed"),
        (UNSUBSCRIBED, {"UNSUB_REASON": "NORMAL", "UNSUB_TIME": "2024-05-01 10:00:00"}, "unsubscribed"),
        (UNSUBSCRIBED, {"UNSUB_REASON": "SPAM"}, "complained"),
        (CLEANED, {}, "bounced"),
        (SUBSTACK, {"email_disabled": "false"}, "may"),
        (SUBSTACK, {"email_disabled": "FALSE", "active_subscription": "false"}, "may"),
        (SUBSTACK, {"email_disabled": "true", "active_subscription": "true"}, "unsubscribed"),
        (SUBSTACK, {"email_disabled": ""}, "unclear"),
        (SUBSTACK, {"email_disabled": "FAUX"}, "unclear"),
        (DASHBOARD, {"Receiving emails for": "The Wire"}, "may"),
        (DASHBOARD, {"Subscription type": "Free"}, "unclear"),
        (GHOST, {"subscribed_to_emails": "true"}, "may"),
        (GHOST, {"subscribed_to_emails": "false"}, "unsubscribed"),
        (GHOST, {"subscribed_to_emails": "true", "deleted_at": "2024-06-01T00:00:00.000Z"}, "unsubscribed"),
        (GHOST, {"subscribed_to_emails": ""}, "unclear"),
        (LISTMONK, {"status": "enabled"}, "may"),
        (LISTMONK, {"status": "disabled"}, "manual"),
        (LISTMONK, {"status": "blocklisted"}, "manual"),
        (LISTMONK, {"status": "new word"}, "unclear"),
        (LISTMONK + ",subscription_status", {"status": "enabled", "subscription_status": "confirmed"}, "may"),
        (LISTMONK + ",subscription_status", {"status": "enabled", "subscription_status": "unconfirmed"}, "waits"),
        (
            LISTMONK + ",subscription_status",
            {"status": "enabled", "subscription_status": "unsubscribed"},
            "unsubscribed",
        ),
        (
            LISTMONK + ",subscription_status",
            {"status": "enabled", "subscription_status": "confirmed,unconfirmed"},
            "may",
        ),
        (
            LISTMONK + ",subscription_status",
            {"status": "enabled", "subscription_status": "confirmed, unsubscribed"},
            "unsubscribed",
        ),
        (LISTMONK + ",subscription_status", {"status": "enabled"}, "unclear"),
        (BEEHIIV, {"status": "active"}, "may"),
        (BEEHIIV, {"status": "active", "unsubscribed_at": "2024-01-01"}, "unsubscribed"),
        (BEEHIIV, {"status": "inactive"}, "unsubscribed"),
        (BEEHIIV, {"status": "pending"}, "waits"),
        (BEEHIIV, {"status": "validating"}, "waits"),
        (BEEHIIV, {"status": "invalid"}, "bounced"),
        (BEEHIIV, {"status": ""}, "unclear"),
        (BUTTONDOWN, {"type": "regular"}, "may"),
        (BUTTONDOWN, {"type": "premium"}, "may"),
        (BUTTONDOWN, {"type": "unactivated"}, "waits"),
        (BUTTONDOWN, {"type": "unsubscribed"}, "unsubscribed"),
        (BUTTONDOWN, {"type": "complained"}, "complained"),
        (BUTTONDOWN, {"type": "undeliverable"}, "bounced"),
        (BUTTONDOWN, {"type": "removed"}, "manual"),
        (BUTTONDOWN, {"type": "churned"}, "unclear"),
        (KIT, {"state": "active"}, "may"),
        (KIT, {"state": "inactive"}, "waits"),
        (KIT, {"state": "cancelled"}, "unsubscribed"),
        (KIT, {"state": "bounced"}, "bounced"),
        (KIT, {"state": "complained"}, "complained"),
        (KIT, {"state": "CA"}, "unclear"),
        ("email,status", {"status": "Subscribed"}, "may"),
        ("email,status", {"status": " UNSUBSCRIBED "}, "unsubscribed"),
        ("email,status", {"status": "Hard bounce"}, "bounced"),
        ("email,status", {"status": "abgemeldet"}, "unclear"),
        ("email,status", {"status": ""}, "unclear"),
        ("email,state,city", {"state": "CA", "city": "Arlington"}, "may"),
        ("email,state", {"state": "CA"}, "unclear"),
        ("email,Unsubscribed At", {"Unsubscribed At": "2024-01-01"}, "unsubscribed"),
        ("email,Unsubscribed At", {"Unsubscribed At": "NULL"}, "may"),
        ("email,unsubscribed", {"unsubscribed": "0"}, "may"),
        ("email,unsubscribed", {"unsubscribed": "whatever"}, "unsubscribed"),
        ("email,subscribed", {"subscribed": "yes"}, "may"),
        ("email,subscribed", {"subscribed": "false"}, "unsubscribed"),
        ("email,subscribed", {"subscribed": ""}, "unclear"),
        ("email,opt_in", {"opt_in": "2024-02-03 10:00"}, "may"),
        ("email,confirmed", {"confirmed": "no"}, "waits"),
        ("email,bounced", {"bounced": "true"}, "bounced"),
        ("email,complained", {"complained": "1"}, "complained"),
        ("email,deleted_at", {"deleted_at": "2024"}, "unsubscribed"),
        ("email,email_disabled", {"email_disabled": "true"}, "unsubscribed"),
        ("email,status,unsubscribed_at", {"status": "active", "unsubscribed_at": "2024-01-01"}, "unsubscribed"),
        ("email,Newsletter", {"Newsletter": "Unsubscribed"}, "unclear"),
        ("email,Newsletter", {"Newsletter": "The Wire"}, "may"),
        ("email,Unsub date", {"Unsub date": "2024-01-01"}, "unclear"),
        ("email,Unsub date", {"Unsub date": ""}, "may"),
        ("email,unsubscribe_url", {"unsubscribe_url": "https://example.com/u/1"}, "may"),
        ("email,soft_bounce_count", {"soft_bounce_count": "2"}, "may"),
        ("email,import_status", {"import_status": "unconfirmed"}, "waits"),
        ("email,import_status", {"import_status": ""}, "may"),
    ],
)
def test_what_a_row_says_of_a_persons_wish(tmp_path: Path, header: str, cells: dict[str, str], expected: str) -> None:
    [row] = rows(tmp_path, header, {email_column(header): "ada@example.com", **cells})

    assert expected == says(row)
    assert "ada@example.com" == row.email


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("subscribed_email_audience_export_a1b2.csv", "may"),
        ("nonsubscribed_email_audience_export_a1b2.csv", "waits"),
        ("unsubscribed_email_audience_export_a1b2.csv", "unsubscribed"),
        ("cleaned_email_audience_export_a1b2.csv", "bounced"),
        ("unsubscribers.csv", "unsubscribed"),
        ("opted-out 2024.csv", "unsubscribed"),
        ("bounces.csv", "bounced"),
        ("complaints.csv", "complained"),
        ("suppressions.csv", "manual"),
        ("blocklist.csv", "manual"),
        ("people.csv", "may"),
        ("spamalot-fans.csv", "may"),
    ],
)
def test_the_name_of_a_file_may_be_all_that_tells(tmp_path: Path, name: str, expected: str) -> None:
    [row] = rows(tmp_path, MAILCHIMP, {"Email Address": "ada@example.com"}, name=name)

    assert expected == says(row)


def test_what_the_caller_knows_fills_gaps_and_lifts_nothing(tmp_path: Path) -> None:
    def said(given: Given, header: str, **cells: str) -> str:
        [row] = rows(tmp_path, header, {email_column(header): "ada@example.com", **cells}, given=given)
        return says(row)

    subscribed, unsubscribed = Given(standing=MAY), Given(standing=never(R.unsubscribed, "--status"))
    assert "may" == said(subscribed, "email,status", status="")
    assert "may" == said(subscribed, DASHBOARD)
    assert "unclear" == said(subscribed, "email,status", status="abgemeldet")
    assert "unsubscribed" == said(subscribed, "email,status", status="unsubscribed")
    assert "waits" == said(subscribed, KIT, state="inactive")
    assert "unsubscribed" == said(unsubscribed, "email,name", name="x")
    assert "unsubscribed" == said(unsubscribed, KIT, state="active")
    assert "complained" == said(unsubscribed, "email,status", status="spam")


def test_a_broken_row_never_allows_mail_and_still_forbids_it(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_bytes(
        b"email,status,name\na@x.test,active,A,more\nb@x.test,unsubscribed,B,more\nc@x.test,unsubscribed,caf\xe9\n"
        b"d@x.test,active,caf\xe9\n"
    )
    with open_list(tmp_path / "list.csv", Given()) as found:
        read = list(found.rows())

    assert ["unclear", "unsubscribed", "unsubscribed", "unclear"] == [says(row) for row in read]


def test_a_bad_attribute_does_not_hide_that_somebody_has_left(tmp_path: Path) -> None:
    read = rows(
        tmp_path,
        LISTMONK,
        {"email": "a@x.test", "attributes": "{", "status": "blocklisted"},
        {"email": "b@x.test", "attributes": "{", "status": "enabled"},
        {"email": "c@x.test", "attributes": "[1]", "status": "enabled"},
        {"email": "d@x.test", "attributes": "[" * 100_000, "status": "enabled"},
    )

    assert ["manual", "may", "may", "may"] == [says(row) for row in read]
    assert read[0].trouble is None
    assert read[1].trouble is not None
    assert read[1].trouble.startswith("attributes: is not JSON (expecting property name")
    assert "attributes: is not a mapping such as" in str(read[2].trouble)
    assert "nested too deep" in str(read[3].trouble)


def test_the_stronger_word_wins_in_any_order() -> None:
    order = [MAY, waits("x"), unclear("x"), *(never(reason, "x") for reason in (R.bounced, R.manual, R.unsubscribed))]
    for index, weaker in enumerate(order):
        for stronger in order[index:]:
            assert stronger == strongest(weaker, stronger) == strongest(stronger, weaker)


# ------------------------------------------------------------------ what else a row knows


@pytest.mark.parametrize(
    ("header", "cells", "expected"),
    [
        (
            MAILCHIMP,
            {"First Name": " Ada ", "Last Name": "Lovelace", "Company": "Engines", "TAGS": '"Weekly","a, b"', "CC": "gb"}
            | {"TIMEZONE": "Europe/London", "NOTES": "one\r\ntwo", "MEMBER_RATING": "4", "LEID": "1"},
            {"name": "Ada Lovelace", "timezone": "Europe/London", "tags": ["Weekly", "a, b"]}
            | {"attributes": {"company": "Engines", "country": "gb", "note": "one\ntwo"}},
        ),
        (MAILCHIMP, {"TIMEZONE": "Atlantis/Poseidonis"}, {}),
        (SUBSTACK, {"email_disabled": "false", "active_subscription": "true", "expiry": "2030"}, {"tags": ["paid"]}),
        (
            DASHBOARD,
            {"Receiving emails for": "x", "Name": "Ada", "Subscription type": "Free", "Subscriber country": "GB"},
            {"name": "Ada", "attributes": {"subscription": "Free", "country": "GB"}},
        ),
        (
            GHOST,
            {"subscribed_to_emails": "true", "labels": "weekly,vip", "tiers": "Gold", "complimentary_plan": "true"}
            | {"note": "n", "id": "65f", "name": "=1+2"},
            {"name": "=1+2", "tags": ["weekly", "vip", "Gold", "complimentary"], "attributes": {"note": "n"}},
        ),
        (
            LISTMONK,
            {"status": "enabled", "attributes": '{"city": "Łódź", "tags": ["a"], "age": 36, "x": null, "l": [1, 2]}'},
            {"tags": ["a"], "attributes": {"city": "Łódź", "age": "36", "l": "1, 2"}},
        ),
        (
            BEEHIIV,
            {"status": "active", "First Name": "Ada", "tier": "premium", "Gold Tier": "true"},
            {"name": "Ada", "tags": ["premium"], "attributes": {"gold_tier": "true"}},
        ),
        (
            BUTTONDOWN,
            {"type": "regular", "metadata": '{"name": "Jo", "shoe": 42}', "tags": "a;b"},
            {"name": "Jo", "tags": ["a", "b"], "attributes": {"shoe": "42"}},
        ),
        (KIT + ",tags,T-shirt size", {"state": "active", "first_name": "Ada", "tags": "x", "T-shirt size": "M"},
         {"name": "Ada", "tags": ["x"], "attributes": {"t_shirt_size": "M"}}),
        (
            "email,name,digests,language,format,timezone,tags,attributes.City,Shoe size",
            {"name": "Ada", "digests": "daily,weekly", "language": "de_at", "format": "TEXT", "timezone": "Europe/Berlin"}
            | {"tags": '"a;b",c', "attributes.City": "Wien", "Shoe size": "38"},
            {"name": "Ada", "digests": ["daily", "weekly"], "language": "de-AT", "format": "text"}
            | {"timezone": "Europe/Berlin", "tags": ["a;b", "c"], "attributes": {"City": "Wien", "shoe_size": "38"}},
        ),
    ],
)  # fmt: skip
def test_names_tags_and_attributes_are_taken_over(
    tmp_path: Path, header: str, cells: dict[str, str], expected: dict[str, object]
) -> None:
    [row] = rows(tmp_path, header, {email_column(header): "ada@example.com", **cells})

    assert (None, expected) == (row.trouble, dict(row.details))


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ({"language": "xx"}, "'xx' is not a language we know"),
        ({"timezone": "Berlin"}, "is not a time zone such as Europe/Berlin: did you mean Europe/Berlin?"),
    ],
)
def test_in_a_table_of_ones_own_a_wrong_value_is_said(tmp_path: Path, cells: dict[str, str], said: str) -> None:
    [row] = rows(tmp_path, "email,language,timezone", {"email": "a@x.test", **cells})

    assert said in str(row.trouble)


@pytest.mark.parametrize(
    ("header", "given", "said"),
    [
        ("name,phone", Given(), "list.csv:1: no column holds addresses (its columns: name, phone)"),
        ("email,Status,status", Given(), "list.csv:1: two columns are called 'Status', but for signs"),
        ("email,name", Given(tool="kit"), "list.csv:1: is no list of Kit: it has no column first_name"),
        (
            "email," + ",".join(f"c{n}" for n in range(101)),
            Given(),
            "list.csv:1: more than 100 columns are none of ours",
        ),
    ],
)
def test_a_list_without_what_it_needs_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, header: str, given: Given, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as caught:
        rows(tmp_path, header, given=given)
    assert said in str(caught.value)
    assert caught.value.hint


def test_an_address_may_come_with_its_name(tmp_path: Path) -> None:
    [ada, grace, bad] = rows(
        tmp_path,
        "email,first_name",
        {"email": '"Lovelace, Ada" <ada@example.com>'},
        {"email": "G. <grace@example.com>", "first_name": "Grace"},
        {"email": "<x>"},
    )

    assert ("ada@example.com", {"name": "Lovelace, Ada"}) == (ada.email, ada.details)
    assert ("grace@example.com", {"name": "Grace"}) == (grace.email, grace.details)
    assert "<x>" == bad.email


@given(st.lists(st.text(max_size=8), max_size=5))
def test_several_words_in_one_cell_come_back(words: list[str]) -> None:
    tidy = list(dict.fromkeys(filter(None, (" ".join(word.split()) for word in words if word.isprintable()))))

    assert tidy == words_of(words_cell(tidy))


# --------------------------------------------------------------- rows as chance makes them

STATUS = {
    "mailchimp": None, "substack": "email_disabled", "ghost": "subscribed_to_emails", "listmonk": "status",
    "beehiiv": "status", "buttondown": "type", "kit": "state", "csv": "Status",
}  # fmt: skip
YES = {
    "substack": {"false"}, "ghost": {"true"}, "listmonk": {"enabled"}, "beehiiv": {"active"}, "kit": {"active", "confirmed"},
    "buttondown": {"regular", "premium", "trialed", "gifted", "churning", "paused", "past_due"},
    "csv": {"active", "subscribed", "enabled", "confirmed", "opted_in", "opt_in", "member", "verified"},
}  # fmt: skip
statuses = st.sampled_from(
    sorted(
        {word for tool in TOOLS.values() for word in tool.words}
        | {"true", "false", "TRUE", "aktiv", "?", "0", "no", "yes"}
    )
) | st.text(max_size=6)


@settings(max_examples=80)
@given(
    st.sampled_from([header for header in HEADERS if "digests" not in header and header != "email,name,attributes"]),
    st.data(),
)
def test_only_a_word_that_says_yes_lets_mail_through(
    tmp_path_factory: pytest.TempPathFactory, header: str, data: st.DataObject
) -> None:
    """Random cells in every column of every list: nobody is mailable unless the status is one of the few that say so."""
    tool = HEADERS[header]
    columns = header.replace(";", ",").split(",")
    cells = {name: data.draw(st.sampled_from(["", "x", "2024-01-01", "{}"])) for name in columns}
    status = STATUS[tool]
    if status in cells:
        cells[status] = data.draw(statuses)
    cells[email_column(header)] = "ada@example.com"

    [row] = rows(tmp_path_factory.mktemp("list"), header.replace(";", ","), cells)

    if row.standing.kind == "may":
        assert tool == "mailchimp" or header == DASHBOARD or cells[str(status)].strip().casefold() in YES[tool]
        assert header not in (UNSUBSCRIBED, CLEANED)
        assert not cells.get("deleted_at")
        assert not cells.get("unsubscribed_at")
    assert row.line == 2


# ------------------------------------------------------------------------- the corpus


def expectations(corpus: Path) -> Iterator[tuple[Path, set[str], set[str]]]:
    """The lists of the corpus, with who may and who must not be mailed."""
    with (corpus / "lists" / "INDEX.tsv").open(encoding="utf-8", newline="") as stream:
        for line in csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE):
            forbidden = {
                part.partition("=")[0].strip() for part in line["must_not_be_mailed"].split(";") if part.strip()
            }
            yield corpus / "lists" / line["file"], set(line["may_be_mailed"].split()), forbidden


def test_nobody_is_judged_wrongly_in_the_lists_of_the_corpus(corpus: Path) -> None:
    judged = 0
    for path, may, must_not in expectations(corpus):
        with open_list(path, Given()) as found:
            read = list(found.rows())
        willing = {row.email for row in read if row.standing.kind == "may"}
        # Whom the merge refuses: an address that is none, and one that is there twice.
        assert (may or willing) <= willing, path.name
        assert must_not - {"not-an-address", "ADA@EXAMPLE.COM"} <= {row.email for row in read} - willing, path.name
        judged += len(read)
    assert judged > 20
