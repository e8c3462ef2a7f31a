"""Past issues on the web: what everybody may read, without anything of anybody in it."""

from dataclasses import replace

import feedparser
import pytest

from newsletter.feeds.parse import parse
from newsletter.issues.merge import make_token
from newsletter.model import Consumed, Disposition
from newsletter.web.copies import PER_PAGE
from tests.delivery.samples import MERGE_TOKEN, RENDERING
from tests.issues.test_illustrate import picture
from tests.store.samples import entry, record
from tests.web.office import Office


def token(field: str, kind: str) -> str:
    return make_token(MERGE_TOKEN, field, kind)


GERMAN = replace(RENDERING, key="de", language="de", html="<html><body><p>Guten Morgen</p></body></html>")
PERSONAL = replace(RENDERING, key="en:5ec3e7", html="<html><body><p>For Ada alone</p></body></html>")


def test_a_web_copy_has_nothing_personal_in_it(office: Office) -> None:
    html = (
        f"<html><body><p>Hello {token('subscriber.name', 'h')}, {token('subscriber.email', 'h')}</p>"
        f'<a href="{token("unsubscribe_url", "u")}">x</a><a href="{token("view_url", "u")}">y</a></body></html>'
    )
    fields = ("subscriber.name", "subscriber.email", "unsubscribe_url", "view_url")
    issue = office.freeze("ada@example.com", rendering=replace(RENDERING, html=html, fields=fields))

    answer = office.get(f"/i/daily/{issue.number}")

    assert 200 == answer.status
    assert MERGE_TOKEN not in answer.text
    assert "ada" not in answer.text
    assert office.token("ada@example.com") not in answer.text
    assert f'href="https://wire.example.com/i/daily/{issue.number}"' in answer.text
    assert 'href="https://wire.example.com/"' in answer.text


def test_a_web_copy_speaks_the_visitor_s_language_where_the_issue_does(office: Office) -> None:
    issue = office.freeze("ada@example.com", renderings=[RENDERING, GERMAN, PERSONAL])
    path = f"/i/daily/{issue.number}"

    assert "Guten Morgen" in office.get(path, Accept_Language="fr;q=0.5, de-AT, en;q=0.1").text
    for other in ("fr", "", "*", ";;q=x", "x" * 5000):
        assert "Good morning" in office.get(path, Accept_Language=other).text
    assert "Accept-Language" == office.get(path).headers["Vary"]


def test_a_web_copy_may_show_but_not_act(office: Office) -> None:
    issue = office.freeze("ada@example.com")
    policy = office.get(f"/i/daily/{issue.number}").headers["Content-Security-Policy"]

    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert "sandbox" in policy
    assert "allow-scripts" not in policy


def test_pictures_that_travelled_with_the_letter_stand_in_the_page(office: Office) -> None:
    one = picture("boat")
    html = f'<html><body><img src="cid:{one.cid}"></body></html>'
    issue = office.freeze("ada@example.com", rendering=replace(RENDERING, html=html), pictures=[one])

    assert "data:image/" in office.get(f"/i/daily/{issue.number}").text


def test_what_a_mail_had_no_room_for_stands_below_the_letter(office: Office) -> None:
    record(office.store, entry("one", title="First & foremost"), entry("two", title="Second"))
    waiting = office.store.waiting("daily", ["https://feed.example.com/rss"])
    shown, counted = sorted(waiting, key=lambda one: one.entry.title)
    html = f'<html><body><a href="{shown.entry.url}">First &amp; foremost</a> and 1 more</body></html>'
    issue = office.freeze(
        "ada@example.com",
        rendering=replace(RENDERING, html=html),
        consumed=[Consumed(entry_id=one.id, disposition=Disposition.shown) for one in (shown, counted)],
    )

    text = office.get(f"/i/daily/{issue.number}").text

    assert f'<a href="{counted.entry.url}">Second</a>' in text
    assert 1 == text.count(shown.entry.url or "?")
    assert text.endswith("</body></html>")


def test_a_cancelled_issue_is_not_shown(office: Office) -> None:
    issue = office.freeze("ada@example.com")
    assert 200 == office.get(f"/i/daily/{issue.number}").status
    office.store.cancel(issue.id)

    assert 404 == office.get(f"/i/daily/{issue.number}").status
    assert f'"/i/daily/{issue.number}"' not in office.get("/i/daily").text
    assert f"/i/daily/{issue.number}<" not in office.get("/i/daily/atom.xml").text


@pytest.mark.parametrize("path", ["/i/daily/0", "/i/daily/99999", "/i/daily/-1", "/i/daily/1.5", "/i/monthly", "/i/monthly/1", "/i/monthly/atom.xml", "/i/", "/i", "/nothing"])  # fmt: skip
def test_what_is_not_there_is_not_there(office: Office, path: str) -> None:
    answer = office.get(path)

    assert (404, "There is nothing here") == (answer.status, answer.title)


def test_the_archive_goes_back_to_the_first_issue(office: Office) -> None:
    assert "There are none yet." in office.get("/i/weekly").text
    for _ in range(PER_PAGE + 3):
        office.freeze("ada@example.com", digest="weekly")

    first = office.get("/i/weekly").text
    second = office.get("/i/weekly?before=4").text

    assert PER_PAGE == first.count('<a href="/i/weekly/')
    assert 'href="/i/weekly?before=4"' in first
    assert 3 == second.count('<a href="/i/weekly/')
    assert "before=" not in second
    assert "Number 3 &lt;of&gt; &amp; more" in second
    assert 200 == office.get("/i/weekly?before=x'%00").status


def test_the_feed_of_issues_is_read_by_readers_and_by_us(office: Office) -> None:
    issue = office.freeze("ada@example.com")
    answer = office.get("/i/daily/atom.xml")

    found = feedparser.parse(answer.body)
    assert 0 == found.bozo
    assert "atom10" == found.version
    assert f"https://wire.example.com/i/daily/{issue.number}" == found.entries[0].link
    ours = parse(
        answer.body, url="https://wire.example.com/i/daily/atom.xml", content_type=answer.headers["Content-Type"]
    )
    assert "The Morning Wire: daily" == ours.title
    assert f"Number {issue.number} <of> & more" == ours.entries[0].title
    assert issue.frozen_at == ours.entries[0].updated_at
