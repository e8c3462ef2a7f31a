"""Who is let in, what every answer carries, and that nothing anybody sends is too much."""

import re
import socket
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from newsletter.web.admission import IN_VAIN, LARGEST
from newsletter.web.discretion import masked_path, request_id, without_addresses
from newsletter.web.limits import Allowance, Limiter, client_key
from newsletter.web.pages import accepted_languages
from tests.conftest import FakeClock
from tests.web.office import NAME, Office, Opened

PERSONAL = ("/", "/u/daily/x", "/p/daily/x", "/c/x")


def raw(office: Office, sent: bytes, *, wait: float = 10.0) -> bytes:
    """What comes back for these bytes."""
    with socket.create_connection(("127.0.0.1", office.port), timeout=wait) as connection:
        connection.sendall(sent)
        found = b""
        while more := connection.recv(65536):
            found += more
        return found


# ------------------------------------------------------------------------------- headers


def test_every_answer_carries_the_strict_headers(office: Office) -> None:
    issue = office.freeze("ada@example.com")
    token = office.token("ada@example.com")
    paths = [*PERSONAL, f"/u/daily/{token}", f"/p/daily/{token}", "/i/daily", f"/i/daily/{issue.number}", "/healthz",
             "/robots.txt", "/i/daily/atom.xml", "/..%2f..%2fetc%2fpasswd"]  # fmt: skip
    for path in paths:
        headers = office.get(path).headers
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert "unsafe-inline" not in headers["Content-Security-Policy"] or path == f"/i/daily/{issue.number}"
        assert ("no-referrer", "nosniff", "newsletter") == tuple(
            headers[name] for name in ("Referrer-Policy", "X-Content-Type-Options", "Server")
        )
        assert "Set-Cookie" not in headers
        assert "Location" not in headers


@pytest.mark.parametrize("path", PERSONAL)
def test_personal_pages_are_kept_by_nobody_and_found_by_nobody(office: Office, path: str) -> None:
    headers = office.get(path).headers

    assert "no-store" == headers["Cache-Control"]
    assert "noindex, nofollow" == headers["X-Robots-Tag"]


def test_the_pages_styles_are_the_only_ones_allowed(office: Office) -> None:
    answer = office.get("/")

    assert 1 == answer.text.count("<style>")
    assert "style=" not in answer.text
    assert "<script" not in answer.text
    assert re.search(r"style-src 'sha256-[A-Za-z0-9+/=]{44}'", answer.headers["Content-Security-Policy"])


# ------------------------------------------------------------------------------ who may


@pytest.mark.parametrize("host", ["evil.example", f"{NAME}.evil.example", "", "127.0.0.1", f"{NAME}:81"])
def test_other_names_get_nothing(office: Office, host: str) -> None:
    assert 421 == office.get("/", Host=host).status
    assert 200 == office.get("/healthz", Host=host).status


def test_our_own_address_and_any_case_of_our_name_are_fine(office: Office) -> None:
    for host in (NAME.upper(), f"127.0.0.1:{office.port}", f"localhost:{office.port}"):
        assert 200 == office.get("/", Host=host).status


def test_trying_links_is_stopped_for_who_does_it_and_for_nobody_else(office: Office) -> None:
    path = f"/u/daily/{office.token('ada@example.com')}"
    statuses = [office.get(f"/u/daily/{n}", X_Forwarded_For="203.0.113.7").status for n in range(IN_VAIN.burst + 1)]

    assert [*[404] * IN_VAIN.burst, 429] == statuses
    # Whoever sits behind the same address still gets out.
    assert 200 == office.post(path, {"List-Unsubscribe": "One-Click"}, X_Forwarded_For="203.0.113.7").status
    assert 404 == office.get("/u/daily/0", X_Forwarded_For="203.0.113.8").status


def test_what_a_visitor_says_of_their_address_is_believed_of_the_proxy_alone(tmp_path: Path) -> None:
    with Opened(tmp_path / "wire", base=None) as office:
        host = f"127.0.0.1:{office.port}"
        statuses = [office.get(f"/u/daily/{n}", Host=host).status for n in range(IN_VAIN.burst + 1)]

        assert 429 == statuses[-1]


def test_a_path_before_the_pages_is_part_of_every_link(tmp_path: Path) -> None:
    with Opened(tmp_path / "wire", base=f"https://{NAME}/wire") as office:
        assert 'action="/wire/subscribe"' in office.get("/wire/").text
        assert 200 == office.get("/wire").status
        assert 404 == office.get("/").status
        path = f"/wire/p/daily/{office.token('ada@example.com')}"
        assert 'href="/wire/"' in office.get(path).text
        assert 200 == office.get("/wire/healthz").status == office.get("/healthz").status


def test_programs_are_told_where_not_to_look(office: Office) -> None:
    assert "Disallow: /u/\n" in office.get("/robots.txt").text


# ------------------------------------------------------------------- too much, too slow


@pytest.mark.parametrize("path", ["/subscribe", "/u/daily/{token}", "/p/daily/{token}"])
def test_a_form_that_is_too_large_is_refused(office: Office, path: str) -> None:
    path = path.format(token=office.token("large@example.com"))

    assert 413 == office.ask("POST", path, b"x=" + b"y" * LARGEST).status
    assert [] == office.record("large@example.com")


def test_whoever_is_silent_is_cut_off(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("newsletter.web.listening._HEADERS_IN", 0.2)
    monkeypatch.setattr("newsletter.web.admission.PATIENCE", 0.2)
    began = time.monotonic()

    assert b"" == raw(office, b"GET / HTTP/1.1\r\nHost: ")
    half = (
        b"POST /subscribe HTTP/1.1\r\nHost: %b\r\nContent-Type: application/x-www-form-urlencoded\r\n" % NAME.encode()
    )
    assert b" 408 " in raw(office, half + b"Content-Length: 100\r\n\r\nemail=").partition(b"\r\n")[0]
    assert time.monotonic() - began < 5


def test_there_are_only_so_many_at_once(tmp_path: Path) -> None:
    with Opened(tmp_path / "wire", connections=3) as office:
        silent = [socket.create_connection(("127.0.0.1", office.port)) for _ in range(3)]
        deadline = time.monotonic() + 5
        refused = False
        while not refused and time.monotonic() < deadline:
            try:
                refused = raw(office, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n") == b""
            except ConnectionError:
                refused = True
        for one in silent:
            one.close()

        assert refused
        time.sleep(0.1)
        assert 200 == office.get("/healthz").status


@pytest.mark.parametrize(
    "sent",
    [
        b"\r\n\r\n",
        b"GET\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\n: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"GET http://[::1 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n",
    ],
)
def test_what_is_not_http_learns_nothing_about_us(office: Office, monkeypatch: pytest.MonkeyPatch, sent: bytes) -> None:
    monkeypatch.setattr("newsletter.web.listening._HEADERS_IN", 0.2)
    answer = raw(office, sent)

    assert not re.search(rb"(?i)python|aiohttp|traceback", answer)
    assert answer == b"" or b"Server: newsletter" in answer
    assert 200 == office.get("/healthz").status


TEXT = st.text(max_size=60)
FIELDS = st.sampled_from(
    ["email", "name", "digest", "language", "format", "stamp", "undo", "from", "pause", "List-Unsubscribe"]
)


@settings(max_examples=60)
@given(
    path=st.sampled_from(["/subscribe", "/u/daily/TOKEN", "/p/daily/TOKEN", "/u/daily/", "/c/", "/i/", "/"]),
    rest=st.binary(max_size=40),
    body=st.binary(max_size=300) | st.lists(st.tuples(FIELDS, TEXT), max_size=12),
    kind=st.sampled_from(
        ["application/x-www-form-urlencoded", "application/x-www-form-urlencoded; charset=nonsense",
         "multipart/form-data; boundary=x", "multipart/form-data", "text/plain", "\xff", ""]
    ),
    method=st.sampled_from(["GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"]),
)  # fmt: skip
def test_whatever_somebody_sends_the_fault_is_not_ours(
    office: Office, *, path: str, rest: bytes, body: object, kind: str, method: str
) -> None:
    from urllib.parse import quote, urlencode

    path = path.replace("TOKEN", office.token("fuzz@example.com")) + quote(rest)
    data = body if isinstance(body, bytes) else urlencode(body, errors="replace").encode()  # type: ignore[arg-type]

    assert office.ask(method, path, data, kind=kind).status < 500
    assert not any("fault of the program" in line for line in office.said)


# -------------------------------------------------------------------------------- logs


def test_no_log_has_a_token_or_an_address_in_it(office: Office) -> None:
    token = office.token("ada@example.com")
    for path in (f"/u/daily/{token}", f"/p/daily/{token}", f"/c/{token}", f"/x/{token}", f"/u/daily/{token}/more", f"/?t={token}"):  # fmt: skip
        office.get(path)
        office.post(path, {"email": "grace@example.com"})

    assert office.said
    assert not [line for line in office.said if token in line or "@" in line]


def test_a_request_has_a_name_in_the_log_that_the_visitor_can_tell_us(office: Office) -> None:
    answer = office.get(f"/p/daily/{office.token('ada@example.com')}")

    [event] = [event for event in office.events if event.get("request") == answer.headers["X-Request-ID"]]
    assert ("request", 200, "GET", "/p/daily/…") == tuple(event[key] for key in ("event", "status", "method", "path"))
    assert answer.headers["X-Request-ID"] != office.get("/").headers["X-Request-ID"]


@pytest.mark.parametrize("said", ["", "short", "a b c d e f g h", "x" * 65, "ada@example.com"])
def test_a_proxy_names_requests_by_what_is_a_name(said: str) -> None:
    assert "a-new-one" == request_id(said, lambda: "a-new-one")
    assert "7f3c-0042" == request_id("7f3c-0042", lambda: "a-new-one")


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/u/daily/0123", "/u/daily/…"),
        ("/wire/p/daily/0123", "/wire/p/daily/…"),
        ("/c/0123", "/c/…"),
        ("/i/daily/12", "/i/daily/12"),
        ("/u/daily/a/b/c", "/u/daily/…"),
        ("/ada%40example.com-and-more", "/…"),
        ("/\x1b[2J", "/…"),
        ("/u", "/u"),
    ],
)
def test_a_path_is_shown_without_what_might_be_secret(path: str, shown: str) -> None:
    assert shown == masked_path(path)


# ------------------------------------------------------------------------------ limits


def test_a_limit_lets_a_few_through_at_once_and_then_one_at_a_time(clock: FakeClock) -> None:
    limiter = Limiter(Allowance(burst=3, every=10.0), clock)

    assert [True, True, True, False] == [limiter.allows("a") for _ in range(4)]
    assert limiter.allows("b")
    clock.advance(10.0)
    assert [True, False] == [limiter.allows("a") for _ in range(2)]
    clock.advance(1000.0)
    assert [True, True, True, False] == [limiter.allows("a") for _ in range(4)]


def test_a_limit_forgets_rather_than_grows(clock: FakeClock) -> None:
    limiter = Limiter(Allowance(burst=1, every=10.0), clock, most=100)
    for number in range(10_000):
        limiter.allows(str(number))

    assert 100 == len(limiter)


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", client_key("2001:db8:1:2::1")),
        ("[2001:db8:1:2::9]", client_key("2001:db8:1:2::1")),
        ("nonsense", ""),
        ("", ""),
    ],
)
def test_a_household_counts_as_one(address: str, key: str) -> None:
    assert key == client_key(address)


@given(st.text(max_size=600))
def test_whatever_a_browser_says_of_its_languages_is_read(header: str) -> None:
    assert len(accepted_languages(header)) <= 10


def test_the_language_that_is_liked_best_comes_first() -> None:
    assert ["de-AT", "ar", "en"] == accepted_languages("en;q=0.3, ar;q=0.8, de-AT, fr;q=0, xx;q=nan-x")


@pytest.mark.parametrize(
    "text",
    ["550 5.1.1 <ada@example.com>: unknown", "subscribers.yaml:2: ada@example.com is there already", "ada@example.com"],
)
def test_what_goes_wrong_is_said_without_anybodys_address(text: str) -> None:
    assert "ada" not in without_addresses(text)
    assert "a***@example.com" in without_addresses(text)
