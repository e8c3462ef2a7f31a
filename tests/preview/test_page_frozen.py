"""The preview's page as it is written to disk: driven by keyboard and mouse, looked at, and attacked."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.preview.frozen import FRAME, HOSTILE, HTML, LAST, MARKUP, TABS, Shown, frozen, shown, write
from tests.proof.browser import SCHEMES, Scheme, chromium
from tests.proof.browser import browser as a_browser
from tests.proof.test_axe import axe

__all__ = ["axe"]  # the fixture, for this file

# One worker starts the browser, once.
pytestmark = pytest.mark.xdist_group("preview")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if chromium() is None:
        pytest.skip("no chromium on PATH: apt-get install chromium")
    with a_browser() as running:
        yield running


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("frozen") / "page", frozen())


@pytest.fixture
def view(browser: Browser, index: Path) -> Iterator[Shown]:
    with shown(browser, index) as view:
        yield view


def selected(page: Page) -> str:
    """The tab that is selected, after a look that it alone is shown and reached by Tab."""
    [tab] = page.locator('[role="tab"][aria-selected="true"]').all()
    name = str(tab.get_attribute("id")).removeprefix("tab-")
    assert [f"panel-{name}"] == [
        p.get_attribute("id") for p in page.locator('[role="tabpanel"]').all() if p.is_visible()
    ]
    assert 1 == page.locator('[role="tab"]:not([tabindex="-1"])').count()
    return name


def test_the_tabs_are_reached_by_arrows_and_by_number(view: Shown) -> None:
    page = view.page
    seen = []
    page.locator("#tab-letter").focus()
    for key in ("ArrowRight", "ArrowLeft", "ArrowLeft", "ArrowRight", "End", "Home", *"12345678"):
        page.keyboard.press(key)
        seen.append(selected(page))
        assert f"tab-{seen[-1]}" == page.evaluate("document.activeElement.id")

    assert ["text", "letter", "dashboard", "letter", "dashboard", "letter", *TABS] == seen


def test_every_tab_shows_its_part(view: Shown) -> None:
    words = {
        "text": "The ferry sails again",
        "markdown": "# The Morning Wire",
        "html": "<h1>The Morning Wire</h1>",
        "source": "Fähre",
        "checks": "It matters.",
        "entries": "left out by a rule",
        "dashboard": "answers 503",
    }
    for tab, text in words.items():
        view.page.click(f"#tab-{tab}")
        # A panel is drawn when its tab is first chosen.
        expect(view.page.locator(f"#panel-{tab}")).to_contain_text(text, use_inner_text=True)


def test_the_dashboard_says_who_is_at_work_and_how_long_it_takes(view: Shown) -> None:
    view.page.click("#tab-dashboard")
    card = view.page.locator("#machines")

    expect(card).to_contain_text("daily 2 · 104/s, 12 min left", use_inner_text=True)
    expect(card).to_contain_text("76,000 messages to come, 1,000 wait for their hours · 46 of 200 shards done")
    expect(card.locator("tbody tr").nth(1)).to_contain_text("late.example 7820.1.0older version, clock 12 s behind")
    expect(card).to_contain_text("mx.example:25")
    assert 24_000 == card.locator("progress").evaluate("bar => bar.value")


def test_no_shortcut_fires_while_somebody_types(view: Shown) -> None:
    view.page.click("#tab-entries")
    view.page.click("#entry-search")
    view.page.keyboard.type("2 ferry/p?")

    assert "entries" == selected(view.page)
    assert "2 ferry/p?" == view.page.input_value("#entry-search")
    assert not view.page.locator("dialog[open]").count()


def test_the_letter_is_as_wide_as_the_device(view: Shown) -> None:
    widths = {}
    for key in "ptd":
        view.page.keyboard.press(key)
        view.page.wait_for_timeout(100)
        spacing = view.inside("getComputedStyle(doc.querySelector('h1')).letterSpacing")
        widths[key] = (view.page.evaluate(f"{FRAME}.contentWindow.innerWidth"), spacing)

    assert {"p": (320, "1px"), "t": (600, "3px"), "d": (1024, "3px")} == widths


def test_a_device_wider_than_the_window_keeps_its_width(browser: Browser, index: Path) -> None:
    with shown(browser, index, width=360) as view:
        view.page.keyboard.press("d")
        view.page.wait_for_timeout(100)

        assert 1024 == view.page.evaluate(f"{FRAME}.contentWindow.innerWidth")
        assert view.page.evaluate("document.querySelector('#device').getBoundingClientRect().width") < 360


def test_the_frame_is_as_tall_as_the_letter(view: Shown) -> None:
    view.page.wait_for_timeout(300)
    needed = view.inside("doc.documentElement.scrollHeight")

    assert needed > 2400
    assert needed == view.page.evaluate(f"{FRAME}.clientHeight")


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_letter_is_light_or_dark_whatever_the_system_is(browser: Browser, index: Path, scheme: Scheme) -> None:
    ground = "getComputedStyle(doc.body).backgroundColor"
    with shown(browser, index, scheme=scheme) as view:
        seen = [view.inside(ground)]
        for _ in range(2):
            view.loads("l")
            seen.append(view.inside(ground))

    assert ["rgb(255, 255, 255)", "rgb(16, 16, 16)", "rgb(255, 255, 255)"] == seen


def test_images_are_shown_or_not(view: Shown) -> None:
    sizes = "['embedded', 'remote'].map(id => doc.getElementById(id).naturalWidth > 0)"
    view.page.wait_for_timeout(300)
    with_images = view.inside(sizes)
    view.asked.clear()
    view.loads("i")

    assert [True, True] == with_images
    assert [False, False] == view.inside(sizes)
    assert [] == view.asked


def test_styles_are_stripped_as_some_clients_do(view: Shown) -> None:
    view.loads("s")

    assert 0 == view.inside("doc.querySelectorAll('style').length")
    assert "normal" == view.inside("getComputedStyle(doc.querySelector('h1')).letterSpacing")
    assert "rgb(34, 34, 34)" == view.inside("getComputedStyle(doc.body).color")


def test_another_look_does_not_move_the_page(view: Shown) -> None:
    view.page.wait_for_timeout(300)
    view.page.evaluate("() => { document.getElementById('panels').scrollTop = 900 }")
    view.loads("l")
    view.page.wait_for_timeout(300)

    assert 900 == view.page.evaluate("document.getElementById('panels').scrollTop")


def test_a_finding_leads_to_its_line(view: Shown) -> None:
    view.page.click("#tab-checks")
    view.page.click('[data-rule="fault"] [data-show]')

    assert "html" == selected(view.page)
    assert [f"line-{LAST}"] == [row.get_attribute("id") for row in view.page.locator(".row.marked").all()]
    assert '<p id="last">The end</p>' == view.page.inner_text(f"#line-{LAST}")
    assert view.page.locator(f"#line-{LAST}").evaluate("e => e.getBoundingClientRect().bottom < innerHeight")


def test_a_finding_leads_to_its_place_in_the_letter(view: Shown) -> None:
    view.page.click("#tab-checks")
    view.page.click('[data-rule="fault"] [data-find]')
    view.page.wait_for_selector("#outline")
    view.page.wait_for_timeout(1500)
    box = view.page.locator("#outline").bounding_box()
    frame = view.page.locator("#device iframe").bounding_box()
    [top, height] = view.inside("(b => [b.top, b.height])(doc.getElementById('last').getBoundingClientRect())")

    assert "letter" == selected(view.page)
    assert box
    assert frame
    assert frame["y"] + top == pytest.approx(box["y"] + 4, abs=2)
    assert height == pytest.approx(box["height"] - 8, abs=2)
    assert 0 < box["y"] < 900


def test_a_finding_in_the_head_leads_to_its_line_instead(view: Shown) -> None:
    view.page.click("#tab-checks")
    view.page.click('[data-rule="smell"] [data-find]')
    view.page.wait_for_selector("#line-9.marked")

    assert "html" == selected(view.page)
    assert "cannot be seen" in view.page.inner_text("#said")


def test_entries_are_searched_and_filtered(view: Shown) -> None:
    view.page.click("#tab-entries")
    view.page.click('#fates [data-fate="excluded"]')
    excluded = [entry.get_attribute("data-entry") for entry in view.page.locator(".entry").all()]
    view.page.click('#fates [data-fate=""]')
    view.page.fill("#entry-search", "FERRY")

    assert ["2"] == excluded
    assert ["1"] == [entry.get_attribute("data-entry") for entry in view.page.locator(".entry").all()]


def test_what_needs_the_program_cannot_be_used_from_disk(view: Shown) -> None:
    for control in ("digest", "issue", "as", "language", "format"):
        assert view.page.locator(f"#{control}").is_disabled(), control
    for control in ("poll", "send-test", "as-config", "reset"):
        assert not view.page.locator(f"#{control}").is_visible(), control
    view.page.click("#tab-entries")

    assert 0 == view.page.locator("[data-hide], [data-move]").count()


def test_the_message_can_be_saved(view: Shown) -> None:
    with view.page.expect_download() as download:
        view.page.click("#download")

    assert "daily-3.eml" == download.value.suggested_filename
    content = download.value.path().read_bytes()
    assert content.startswith(b"Subject: x\r\nContent-Type: text/html\r\n\r\n<!DOCTYPE")


def test_a_closed_clipboard_leaves_a_text_to_copy(view: Shown) -> None:
    view.page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error('no')) }")
    view.page.click("#copy-html")
    view.page.wait_for_selector("#copy[open]")

    assert HTML == view.page.input_value("#copy-text")


def test_a_reload_keeps_the_tab_and_the_look(view: Shown) -> None:
    view.page.keyboard.press("p")
    view.loads("l")
    view.page.keyboard.press("6")
    view.page.reload()
    view.page.wait_for_selector("#state[data-state=frozen]")
    pressed = view.page.locator('#looks [aria-pressed="true"]').evaluate_all(
        "all => all.map(e => e.textContent.trim())"
    )

    assert "checks" == selected(view.page)
    assert ["Phone 320", "Dark", "Images", "Styles"] == pressed


# ---- for everybody

OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.mark.parametrize("width", [320, 360, 761, 1400])
def test_nothing_stands_out_of_the_window(browser: Browser, index: Path, width: int) -> None:
    wide = {}
    with shown(browser, index, width=width) as view:
        for tab in TABS:
            view.page.click(f"#tab-{tab}")
            wide[tab] = view.page.evaluate(OVERFLOW)
            wide[tab] += view.page.evaluate("(p => p.scrollWidth - p.clientWidth)(document.getElementById('panels'))")

    assert dict.fromkeys(TABS, 0) == wide


def test_what_stands_out_would_be_noticed(browser: Browser, index: Path) -> None:
    with shown(browser, index, width=360) as view:
        view.page.evaluate("() => { document.getElementById('title').style.paddingRight = '500px' }")

        assert view.page.evaluate(OVERFLOW) > 0


def violations(page: Page, axe: str) -> list[str]:
    """What axe finds; unlike a letter, this page has landmarks of its own, so all its rules hold."""
    tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
    options = {"runOnly": {"type": "tag", "values": tags}, "resultTypes": ["violations"], "iframes": False}
    page.evaluate(axe)
    result = page.evaluate("options => axe.run(document, options)", options)
    return [f"{v['id']}: {node['html'][:160]}" for v in result["violations"] for node in v["nodes"]]


@pytest.mark.parametrize(
    ("width", "scheme"),
    [
        (360, "dark"),
        pytest.param(1400, "light", marks=pytest.mark.soak),
        pytest.param(360, "light", marks=pytest.mark.soak),
        pytest.param(1400, "dark", marks=pytest.mark.soak),
    ],
)
def test_axe_finds_nothing(browser: Browser, index: Path, axe: str, width: int, scheme: Scheme) -> None:
    found = {}
    with shown(browser, index, width=width, scheme=scheme) as view:
        for tab in TABS:
            view.page.click(f"#tab-{tab}")
            view.page.wait_for_timeout(50)
            found[tab] = violations(view.page, axe)
        view.page.keyboard.press("?")
        found["help"] = violations(view.page, axe)

    assert {} == {where: faults for where, faults in found.items() if faults}


def test_axe_notices_faults(view: Shown, axe: str) -> None:
    view.page.evaluate("() => document.getElementById('top').append(document.createElement('select'))")

    assert ["select-name"] == sorted({found.partition(":")[0] for found in violations(view.page, axe)})


# ---- against everybody


def test_the_page_asks_nobody_but_the_letter_s_pictures(view: Shown) -> None:
    for tab in TABS:
        view.page.click(f"#tab-{tab}")
    view.page.wait_for_timeout(300)

    assert {"https://pictures.example/1.png"} == set(view.asked)


def test_a_hostile_letter_runs_nothing_and_calls_nobody(browser: Browser, tmp_path: Path) -> None:
    index = write(tmp_path / "page", frozen(HOSTILE))
    with shown(browser, index) as view:
        page = view.page
        page.wait_for_timeout(500)
        frame = page.frame_locator("#device iframe")
        for what in ("#send", "#script", "#top"):
            frame.locator(what).click(no_wait_after=True, timeout=5000)
            page.wait_for_timeout(200)
        opened = [other.url for other in page.context.pages if other != page]

        assert index.as_uri() == page.url
        assert page.evaluate("window.ran") is None
        # A reader may follow a link; it opens beside the page, never in its place.
        assert [url for url in view.asked if not url.endswith(("/top", "/background.png", "/x"))] == []
        assert 1 >= len(opened)


def test_the_hostile_letter_would_do_harm_elsewhere(browser: Browser, tmp_path: Path) -> None:
    """Else the test above proved nothing."""
    (tmp_path / "letter.html").write_text(HOSTILE, encoding="utf-8")
    page = browser.new_page()
    asked: list[str] = []

    def refuse(route: Route) -> None:
        asked.append(route.request.url)
        route.abort()

    page.route("https://**/*", refuse)
    try:
        page.goto((tmp_path / "letter.html").as_uri(), wait_until="commit")
        for _ in range(100):
            if "https://evil.example/refresh" in asked:
                break
            page.wait_for_timeout(50)

        assert {f"https://evil.example/{what}" for what in ("script", "frame", "refresh", "font.woff")} <= set(asked)
    finally:
        page.close()


def test_what_feeds_and_servers_say_is_never_markup(browser: Browser, tmp_path: Path) -> None:
    with shown(browser, write(tmp_path / "page", frozen(words=MARKUP))) as view:
        for tab in TABS:
            view.page.click(f"#tab-{tab}")
            view.page.wait_for_timeout(50)

        assert view.page.evaluate("window.ran") is None
        assert 0 == view.page.locator("[onerror]").count()
        assert MARKUP in view.page.inner_text("#subject")
        assert 0 == view.page.locator('a[href^="javascript:" i]').count()
