"""The preview in a real browser, served by the program as a person starts it."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Dialog, FrameLocator, Page, Request, Route, expect

from tests.cli.conftest import Wire, a_wire, call_process
from tests.conftest import ROOT
from tests.preview.test_desk import state
from tests.proof.browser import PICTURE, chromium
from tests.proof.browser import browser as a_browser
from tests.proof.test_axe import axe, violations

__all__ = ["axe"]  # the fixture, for this file

pytestmark = pytest.mark.xdist_group("preview")
_LONG = "A paragraph of some length that makes the letter long enough to scroll. " * 8


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if chromium() is None:
        pytest.skip("no chromium on PATH: apt-get install chromium")
    with a_browser() as running:
        yield running


@dataclass
class Live:
    """A page that a running preview serves; `asked` is every request that is not the preview's own."""

    page: Page
    wire: Wire
    address: str
    asked: list[Request] = field(default_factory=list)

    @property
    def letter(self) -> FrameLocator:
        return self.page.frame_locator("#device iframe:not(.coming)")

    def save(self, name: str, text: str) -> None:
        path = self.wire.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")


@pytest.fixture
def live(browser: Browser, wire: Wire) -> Iterator[Live]:
    """A preview of its own, for a test that writes to the project."""
    prepare(wire)
    with Started(wire) as address, a_page(browser, wire, address) as opened:
        yield opened


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Wire, str]]:
    """A preview that runs on: starting one takes longer than most tests."""
    with a_wire(tmp_path_factory.mktemp("served")) as wire:
        prepare(wire)
        with Started(wire) as address:
            yield wire, address


@pytest.fixture
def seen(browser: Browser, served: tuple[Wire, str]) -> Iterator[Live]:
    """A page of that preview, for a test that changes nothing but what this page shows."""
    before = state(served[0].folder)
    with a_page(browser, *served) as opened:
        yield opened
    assert before == state(served[0].folder)


def prepare(wire: Wire) -> None:
    titles = [f"Story {number}" for number in range(12)]
    url = wire.web.feed("/rss", *titles)
    status, body = wire.web.pages["/rss"]
    picture = '&lt;img src="https://pictures.example/boat.png" alt="A boat"&gt;'
    wire.web.pages["/rss"] = (status, body.replace(b"<description>", f"<description>{picture}{_LONG}".encode()))
    people = "- {email: ada@example.com, name: Ada}\n- {email: dana@example.com, name: דנה, language: he}\n- {email: cy@example.com, format: text}\n"
    wire.configure(url, more="first_run: all\n", people=people)
    (wire.folder / "templates").mkdir()


@contextmanager
def a_page(browser: Browser, wire: Wire, address: str) -> Iterator[Live]:
    context = browser.new_context(viewport={"width": 1300, "height": 900})
    page = context.new_page()
    found = Live(page, wire, address)

    def elsewhere(route: Route) -> None:
        found.asked.append(route.request)
        route.fulfill(body=PICTURE, content_type="image/png")

    own = address.partition("/#")[0]
    context.route(re.compile(f"^(?!{re.escape(own)})"), elsewhere)
    page.goto(address)
    page.wait_for_selector('#state[data-state="live"]')
    page.wait_for_selector("#stage[data-revision]")
    yield found
    context.close()


class Started:
    """`newsletter preview` as its own process, for as long as the block lasts; gives the address it prints."""

    def __init__(self, wire: Wire, *words: str) -> None:
        self._wire = wire
        self._words = words

    def __enter__(self) -> str:
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "newsletter", "preview", "--no-open", "--json", *self._words],
            cwd=self._wire.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        assert self.process.stdout is not None
        document = "".join(self.process.stdout.readline() for _ in range(3))
        return str(json.loads(document)["url"])

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        said = self.process.communicate(timeout=20)[1]
        assert 0 == self.process.returncode, said


def choose(live: Live, text: str, email: str) -> None:
    """Show the letter as a person found by typing."""
    live.page.locator("#as").fill(text)
    live.page.locator(f'#people [data-email="{email}"]').click()


def test_the_letter_is_shown_and_the_address_bar_keeps_no_secret(seen: Live) -> None:
    expect(seen.letter.locator("h1")).to_have_text("The Morning Wire")
    expect(seen.page.locator("#subject")).to_contain_text("Story 0")
    expect(seen.page.locator("#preheader")).to_contain_text("Story 1")

    assert seen.address.partition("#")[0] == seen.page.url
    seen.page.reload()
    seen.page.wait_for_selector('#state[data-state="live"]')
    expect(seen.letter.locator("h1")).to_have_text("The Morning Wire")


def test_strangers_get_a_locked_door(browser: Browser, seen: Live) -> None:
    other = browser.new_context().new_page()
    other.goto(seen.address.partition("#")[0])

    expect(other.locator("#gate")).to_contain_text("newsletter preview")
    expect(other.locator("#title")).not_to_contain_text("Morning Wire")
    other.context.close()


def test_hosts_of_pictures_learn_nothing(seen: Live) -> None:
    seen.letter.locator("img").first.wait_for()

    assert {"https://pictures.example/boat.png"} == {request.url for request in seen.asked}
    token = seen.address.partition("#")[2]
    for request in seen.asked:
        headers = request.all_headers()
        assert "referer" not in headers
        assert token not in json.dumps(headers) + request.url
    seen.asked.clear()
    seen.page.locator('[data-images="off"]').click()
    expect(seen.letter.locator("h1")).to_be_visible()
    assert [] == seen.asked


def test_saving_updates_in_place_and_the_reader_stays_where_they_are(live: Live) -> None:
    panels = live.page.locator("#panels")
    live.letter.locator("h3").nth(6).wait_for()
    panels.evaluate("e => e.scrollTo(0, 900)")
    before = panels.evaluate("e => e.scrollTop")
    marks = live.page.evaluate("window.mark = Symbol.for('same page'), performance.timeOrigin")

    live.save(
        "templates/issue.html.j2",
        '{% extends "default/issue.html.j2" %}{% block masthead %}<h1>Changed</h1>{% endblock %}',
    )
    expect(live.letter.locator("h1")).to_have_text("Changed")

    assert before == panels.evaluate("e => e.scrollTop")
    assert 900 == before
    assert marks == live.page.evaluate("performance.timeOrigin")
    live.save("subscribers.yaml", "- {email: grace@example.com, name: Grace}\n")
    expect(live.letter.locator("td.foot")).to_contain_text("grace@example.com")
    live.save("note.md", "Good *morning*")
    config = (live.wire.folder / "newsletter.yaml").read_text(encoding="utf-8")
    live.save("newsletter.yaml", config + "digests: {daily: {note: note.md}}\n")
    expect(live.letter.locator("div.note")).to_have_text("Good morning")
    live.save("note.md", "Good *evening*")
    expect(live.letter.locator("div.note")).to_have_text("Good evening")


def test_a_mistake_shows_its_place_and_the_next_save_mends_it(live: Live) -> None:
    live.save(
        "templates/issue.html.j2",
        '{% extends "default/issue.html.j2" %}\n{% block masthead %}\n{{ wrong.name }}\n{% endblock %}\n',
    )

    problem = live.page.locator("#problem")
    expect(problem).to_contain_text("templates/issue.html.j2:3")
    expect(problem.locator(".excerpt .at")).to_contain_text("{{ wrong.name }}")
    expect(live.letter.locator("h1")).to_have_text("The Morning Wire")
    live.save(
        "templates/issue.html.j2",
        '{% extends "default/issue.html.j2" %}\n{% block masthead %}<h1>Right</h1>{% endblock %}\n',
    )
    expect(live.letter.locator("h1")).to_have_text("Right")
    expect(problem).to_be_hidden()


def test_as_another_subscriber_in_another_language_and_format(seen: Live) -> None:
    choose(seen, "dan", "dana@example.com")
    expect(seen.letter.locator("html")).to_have_attribute("dir", "rtl")
    expect(seen.letter.locator("td.foot")).to_contain_text("dana@example.com")

    seen.page.locator("#language").select_option("de")
    expect(seen.letter.locator("html")).to_have_attribute("lang", "de")
    choose(seen, "cy@", "cy@example.com")
    expect(seen.page.locator("#text-letter")).to_contain_text("cy@example.com")


def test_hidden_entries_leave_the_letter_and_can_be_kept_as_settings(seen: Live) -> None:
    seen.page.locator("#tab-entries").click()
    seen.page.locator('.entry:has-text("Story 3") [data-hide]').click()
    expect(seen.page.locator('.entry:has-text("Story 3")')).to_have_attribute("data-fate", "hidden")

    seen.page.locator("#as-config").click()
    expect(seen.page.locator("#copy-text")).to_have_value(re.compile(r"\(\?m\)\^Story 3\$"))
    seen.page.keyboard.press("Escape")
    seen.page.locator("#tab-letter").click()
    expect(seen.letter.locator("h3", has_text=re.compile("^Story 3$"))).to_have_count(0)


def test_a_test_message_is_mailed_and_nothing_is_recorded(seen: Live) -> None:
    before = state(seen.wire.folder)
    seen.page.locator("#send-test").click()
    seen.page.locator("#test-email").fill("me@example.com")
    seen.page.locator("#test-send").click()

    expect(seen.page.locator("#test-reply")).to_contain_text("as a test: 250")
    assert ["me@example.com"] == seen.wire.inbox()
    seen.page.locator("#test-email").fill("a@b")
    seen.page.locator("#test-send").click()
    expect(seen.page.locator("#test-reply.bad")).to_contain_text("a@b")
    assert before == state(seen.wire.folder)


def test_checks_jump_to_their_place(live: Live) -> None:
    live.save(
        "templates/issue.html.j2",
        '{% extends "default/issue.html.j2" %}{% block masthead %}<h1>X</h1><p id="pale" style="color: #dddddd">pale</p>{% endblock %}',
    )
    expect(live.letter.locator("#pale")).to_be_visible()
    live.page.locator("#tab-checks").click()
    finding = live.page.locator('.finding:has-text("pale")').first
    finding.locator("[data-find]").click()

    expect(live.page.locator("#outline")).to_be_visible()
    live.page.locator("#tab-checks").click()
    finding.locator("[data-show]").click()
    expect(live.page.locator("#panel-html .row.marked")).to_contain_text('id="pale"')


def test_polling_again_brings_what_is_new(live: Live) -> None:
    live.wire.web.feed("/rss", "Fresh", "Story 0")
    live.page.locator("#poll").click()

    expect(live.letter.locator("h3", has_text="Fresh")).to_be_visible()
    assert not (live.wire.folder / ".newsletter").exists()


def test_the_dashboard_draws_what_status_says(live: Live) -> None:
    assert 0 == call_process("send", "-y", cwd=live.wire.folder).code
    live.page.locator("#tab-dashboard").click()

    expect(live.page.locator("#last-issues")).to_contain_text("daily")
    assert 1 <= live.page.locator("#last-issues svg rect").count()
    expect(live.page.locator("#feeds [data-feed]")).to_have_count(1)
    expect(live.page.locator('#schedules [data-digest="daily"]')).to_contain_text("daily")


@pytest.mark.parametrize("width", [360, pytest.param(1300, marks=pytest.mark.soak)])
def test_axe_finds_nothing_and_nothing_overflows(seen: Live, axe: str, width: int) -> None:
    seen.page.set_viewport_size({"width": width, "height": 900})
    found = {}
    for tab in ("letter", "html", "checks", "entries", "dashboard"):
        seen.page.locator(f"#tab-{tab}").click()
        seen.page.locator(f"#panel-{tab}").wait_for()
        found[tab] = violations(seen.page, axe)
        assert seen.page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"), tab

    assert {} == {tab: faults for tab, faults in found.items() if faults}


def _past(wire: Wire) -> None:
    # As its own process: while the browser runs, so does an event loop in this one.
    assert 0 == call_process("send", "-y", cwd=wire.folder).code


@pytest.mark.parametrize(
    ("words", "prepare", "shown"),
    [
        (("--issue", "1"), _past, "No. 1"),
        # A preview of its own for each, and the same way into it.
        pytest.param(("--as", "dana@example.com"), None, "dana@example.com", marks=pytest.mark.soak),
        pytest.param(("--note", "Just *today*"), None, "Just today", marks=pytest.mark.soak),
    ],
)
def test_what_the_command_line_asks_for_is_shown_first(
    browser: Browser, wire: Wire, words: tuple[str, ...], prepare: Callable[[Wire], None] | None, shown: str
) -> None:
    wire.configure(wire.web.feed("/rss", "First"), people="- ada@example.com\n- dana@example.com\n")
    if prepare:
        prepare(wire)
    with Started(wire, *words) as address:
        page = browser.new_context().new_page()
        page.goto(address)
        page.wait_for_selector("#stage[data-revision]")
        expect(page.frame_locator("#device iframe:not(.coming)").locator("body")).to_contain_text(shown)
        page.context.close()


def test_written_to_disk_it_shows_the_same_letter(browser: Browser, wire: Wire, tmp_path: Path) -> None:
    wire.configure(wire.web.feed("/rss", "First &lt;/script&gt;&lt;script&gt;alert(1)"))
    done = call_process("preview", "--out", "seen", "--json", cwd=wire.folder)
    page = browser.new_context().new_page()
    dialogs: list[str] = []

    def heard(dialog: Dialog) -> None:
        dialogs.append(dialog.message)
        dialog.dismiss()

    page.on("dialog", heard)
    page.goto((wire.folder / "seen" / "index.html").as_uri())
    page.wait_for_selector('#state[data-state="frozen"]')

    frame = page.frame_locator("#device iframe:not(.coming)")
    expect(frame.locator("h3")).to_have_text("First </script><script>alert(1)")
    assert [] == dialogs
    assert {"index.html", "issue.html", "issue.txt", "issue.md", "issue.eml"} <= {
        Path(path).name for path in done.data["files"]
    }
    page.context.close()
