"""A reader's whole way in a real browser, without JavaScript, in two languages; and every page before axe."""

from collections.abc import Iterator
from itertools import product

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.proof.browser import SCHEMES, Scheme, chromium
from tests.proof.browser import browser as a_browser
from tests.proof.test_axe import axe, violations
from tests.web.office import Office, Opened

__all__ = ["axe"]  # the fixture, for this file

pytestmark = pytest.mark.xdist_group("web")
WIDTHS = (360, 1280)
Windows = tuple[tuple[int, Scheme], ...]
WORDS = {
    "en": ("Subscribe", "Confirm", "Save", "Unsubscribe from The Morning Wire: weekly only", "Undo", "ltr"),
    "ar": ("اشتراك", "تأكيد", "حفظ", "إلغاء الاشتراك في The Morning Wire: weekly فقط", "تراجع", "rtl"),
}


@pytest.fixture(scope="module")
def open_office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """Pages under the very address they are served at, so that links in mails can be followed."""
    if chromium() is None:
        pytest.skip("no chromium on PATH: apt-get install chromium")
    with Opened(
        tmp_path_factory.mktemp("office"), base=None, more="postal_address: 1 Example Street, Berlin\n"
    ) as found:
        yield found


@pytest.fixture(scope="module")
def browser(open_office: Office) -> Iterator[Browser]:
    assert open_office
    with a_browser() as running:
        yield running


@pytest.fixture
def context(browser: Browser, request: pytest.FixtureRequest) -> Iterator[BrowserContext]:
    """Nobody's JavaScript runs, and nobody's cookies are kept."""
    found = browser.new_context(java_script_enabled=False, locale=getattr(request, "param", "en"))
    yield found
    assert [] == found.cookies()
    found.close()


def at(office: Office, path: str) -> str:
    return f"http://127.0.0.1:{office.port}{path}"


def link(office: Office, email: str, kind: str) -> str:
    text = office.mails(email)[-1].get_content()
    found: str = next(line for line in text.splitlines() if f"/{kind}/" in line and line.startswith("http"))
    return found


@pytest.mark.parametrize(("context", "tag"), [("en", "en"), ("ar", "ar")], indirect=["context"])
def test_a_reader_comes_changes_their_mind_leaves_and_returns(
    open_office: Office, context: BrowserContext, tag: str
) -> None:
    office, email = open_office, f"reader-{tag}@example.com"
    subscribe, confirm, save, only_weekly, undo, direction = WORDS[tag]
    page = context.new_page()
    page.goto(at(office, "/"))
    assert (tag, direction) == (page.locator("html").get_attribute("lang"), page.locator("html").get_attribute("dir"))
    page.locator("#email").fill(email)
    page.locator("#name").fill("דנה" if tag == "ar" else "Grace")
    page.locator("input[value=daily]").uncheck()
    office.clock.advance(5)
    page.get_by_role("button", name=subscribe, exact=True).click()
    expect(page.locator("#email")).to_have_count(0)
    office.settle()
    assert office.person(email) is None

    page.goto(link(office, email, "c"))
    page.get_by_role("button", name=confirm).click()
    page.wait_for_load_state()
    person = office.person(email)
    assert (("weekly",), None if tag == "en" else "ar") == (person.digests, person.language)

    page.goto(at(office, f"/p/weekly/{office.token(email, 'weekly')}"))
    page.get_by_label("The Morning Wire: daily").check()
    page.locator("#pause").select_option("2")
    page.get_by_role("button", name=save).click()
    expect(page.get_by_role("status")).to_be_visible()
    assert ["daily", "weekly"] == office.gets(email)
    assert 1 == len(office.store.pauses_of(email))

    page.goto(at(office, f"/u/weekly/{office.token(email, 'weekly')}"))
    page.get_by_role("button", name=only_weekly).click()
    expect(page.get_by_role("button", name=undo)).to_be_visible()
    assert ["daily"] == office.gets(email)
    page.get_by_role("button", name=undo).click()
    page.wait_for_load_state()
    assert ["daily", "weekly"] == office.gets(email)
    assert tag == page.locator("html").get_attribute("lang")


def test_a_form_with_a_mistake_says_so_where_it_is_and_keeps_the_rest(
    open_office: Office, context: BrowserContext
) -> None:
    page = context.new_page()
    page.goto(at(open_office, "/subscribe"))
    page.locator("#email").fill("nobody@localhost")
    page.locator("#name").fill("Grace")
    page.locator("#language").select_option("de")
    open_office.clock.advance(5)
    page.get_by_role("button", name="Subscribe", exact=True).click()

    expect(page.get_by_role("alert")).to_have_text("Please check what is marked below.")
    email = page.locator("#email")
    assert ("true", "email-error") == (email.get_attribute("aria-invalid"), email.get_attribute("aria-describedby"))
    assert "Grace" == page.locator("#name").input_value()
    assert "de" == page.locator("#language").input_value()


def test_who_goes_from_field_to_field_does_not_come_upon_the_trap(open_office: Office, context: BrowserContext) -> None:
    page = context.new_page()
    page.goto(at(open_office, "/"))
    page.locator("#name").focus()
    page.keyboard.press("Tab")

    assert 0 == page.locator("#website:focus").count()
    assert 1 == page.locator("input[name=digest]:focus").count()
    assert 0 == page.get_by_role("textbox", name="Leave this field empty").count()


def shown(office: Office) -> dict[str, str]:
    """Every kind of page there is, by its address."""
    email = "axe@example.com"
    office.people(f"- {{email: {email}, name: Grace}}\n")
    office.freeze(email)
    made = office.store.sign_up("new@example.com", "new@example.com", digests=["weekly"], source="x")
    token = office.token(email)
    office.store.pause_until(email, email, office.clock.now().replace(year=2030), source="x")
    return {
        "subscribe": "/",
        "confirm": f"/c/{made.token}",
        "leave": f"/u/daily/{token}",
        "preferences": f"/p/daily/{token}",
        "archive": "/i/daily",
        "link": "/u/daily/0",
    }


#: Some of all windows; the others are looked through by `make soak`.
FEW: tuple[tuple[str, Windows], ...] = (("en", ((360, "light"),)), ("ar", ((1280, "dark"),)))
ALL = tuple((language, tuple(product(WIDTHS, SCHEMES))) for language in ("en", "ar"))


@pytest.mark.parametrize(("language", "windows"), [*FEW, *(pytest.param(*one, marks=pytest.mark.soak) for one in ALL)])
def test_axe_finds_nothing_on_any_page(
    browser: Browser,
    open_office: Office,
    axe: str,
    language: str,
    windows: Windows,
) -> None:
    """In two widths, light and dark, from left and from right; with the results of forms."""
    paths = shown(open_office)
    # axe itself is a script, which the pages' policy does not allow.
    context = browser.new_context(locale=language, bypass_csp=True)
    page = context.new_page()
    found: dict[str, list[str]] = {}

    def look(name: str) -> None:
        for width, scheme in windows:
            page.set_viewport_size({"width": width, "height": 900})
            page.emulate_media(color_scheme=scheme)
            found[f"{name} {width} {scheme}"] = [
                *violations(page, axe),
                *(["scrolls sideways"] if wider_than(page, width) else []),
            ]

    is_brief = (language, len(windows)) == ("ar", 1)
    for name, path in list(paths.items())[: 4 if is_brief else None]:
        page.goto(at(open_office, path))
        look(name)
    for name, path, button in (
        ()
        if is_brief
        else (
            ("left", paths["leave"], "button[value=this]"),
            ("back", "", "button[name=undo]"),
            ("saved", paths["preferences"], "form button"),
            ("confirmed", paths["confirm"], "form button"),
            ("wrong", paths["subscribe"], "form button"),
        )
    ):
        if path:
            page.goto(at(open_office, path))
        if name == "wrong":
            page.locator("#email").fill("nobody@localhost")
            for box in page.locator("input[type=checkbox]").all():
                box.uncheck()
        page.locator(button).click()
        page.wait_for_load_state()
        look(name)
    context.close()

    assert {} == {window: faults for window, faults in found.items() if faults}


def wider_than(page: Page, width: int) -> bool:
    return int(page.evaluate("document.documentElement.scrollWidth")) > width
