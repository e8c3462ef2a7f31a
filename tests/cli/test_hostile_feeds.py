"""Whatever stands where a feed was: it is named with what to do, and the digest goes out with the rest."""

import contextlib
import gzip

import pytest

from tests.cli.conftest import Wire

Page = tuple[int, bytes] | tuple[int, bytes, dict[str, str]]


def document(*items: str, encoding: str = "utf-8", declared: str = "utf-8") -> bytes:
    text = f'<?xml version="1.0" encoding="{declared}"?><rss version="2.0"><channel><title>T</title>'
    return (text + "<link>https://x.example/</link>" + "".join(items) + "</channel></rss>").encode(encoding)


def item(title: str, date: str = "") -> str:
    link = f"https://x.example/{abs(hash(title))}"
    return f"<item><title>{title}</title><link>{link}</link><guid>{link}</guid><pubDate>{date}</pubDate></item>"


LOGIN = b"<!doctype html><html><head><title>Please log in</title></head><body><form><input type=password></form></body></html>"
#: What stands there, what `status` says of it, and of what to do.
BAD: dict[str, tuple[Page, str, str]] = {
    "/page": (
        (200, b"<!doctype html><html><head><title>News</title></head><body>Hello</body></html>"),
        "web page",
        "feed",
    ),
    "/login": ((200, LOGIN), "web page", "feed"),
    "/moved-to-login": ((301, b"", {"Location": "/login"}), "web page", "feed"),
    "/unauthorized": ((401, LOGIN), "wants a login", "password_env"),
    "/forbidden": ((403, b""), "forbids it", "password_env"),
    "/missing": ((404, b""), "nothing at this address", "newsletter feed remove"),
    "/gone": ((410, b""), "gone for good", "newsletter feed resume"),
    "/often": ((429, b"", {"Retry-After": "3600"}), "asked too often", "left alone for 1 hour"),
    "/broken": ((500, b""), "internal server error", "next fetch"),
    "/short": ((200, document(item("Cut")), {"Content-Length": "100000"}), "broke off", "next fetch"),
    "/bomb": (
        (200, gzip.compress(gzip.compress(bytes(1_000_000))), {"Content-Encoding": "gzip, gzip"}),
        "compressed 2 times",
        "",
    ),
    "/coding": ((200, b"x", {"Content-Encoding": "lzma"}), "nobody asked for", ""),
    "/circle": ((302, b"", {"Location": "/circle"}), "in a circle", "browser"),
    "/file": ((302, b"", {"Location": "file:///etc/passwd"}), "other than http", ""),
    "/empty": ((200, b""), "empty", ""),
    "/json": ((200, b'{"error": "no"}'), "feed", ""),
    "/noise": ((200, bytes(range(256)) * 40), "feed", ""),
    "/endless": (
        (200, document(item("Endless")) + b"<!-- " + b"x" * 60_000, {"Content-Length": ""}),
        "larger than 10 MB",
        "shorter",
    ),
}
#: What is odd, and read all the same: the entry it brings.
ODD: dict[str, tuple[Page, str]] = {
    "/latin": ((200, document(item("Caf\u00e9 Latin"), encoding="latin-1", declared="utf-8")), "Caf"),
    "/future": ((200, document(item("From the future", "Mon, 01 Jan 2999 00:00:00 GMT"))), "From the future"),
    "/past": ((200, document(item("Before all feeds", "Mon, 01 Jan 1902 00:00:00 GMT"))), "Before all feeds"),
    "/nonsense": ((200, document(item("On no day", "yesterday, I think"))), "On no day"),
    "/unfinished": ((200, document(item("Half a feed"))[:-16]), "Half a feed"),
    "/many": ((200, document(*(item(f"Number {n}") for n in range(120)))), "Number 0"),
}


def test_each_is_named_with_what_to_do_and_the_digest_goes_out_with_the_rest(wire: Wire) -> None:
    pages = {path: page for path, (page, *_) in BAD.items()} | {path: page for path, (page, _) in ODD.items()}
    wire.web.pages.update({path: page[:2] for path, page in pages.items()})
    wire.web.fields.update({path: page[2] for path, page in pages.items() if len(page) > 2})
    wire.web.endless.add("/endless")
    # A host that wants a rest gets it for all of its feeds: this one has a name of its own.
    elsewhere = {"/often": wire.web.url.replace("127.0.0.1", "localhost") + "/often"}
    urls = [elsewhere.get(path, wire.web.url + path) for path in pages]
    wire.configure(*urls, wire.web.feed("/good", "A good story"))
    done = wire("send", "-y")

    assert (done.code, wire.inbox()) == (0, ["ada@example.com"]), done.err
    assert "Traceback" not in done.err
    letter = wire.mail.caught[-1].path.read_text(encoding="utf-8")
    for title in ("A good story", *(title for _, title in ODD.values())):
        assert title in letter, title
    picture = wire("status", "--json").data
    feeds = {"/" + feed["url"].rpartition("/")[2]: feed for feed in picture["feeds"]}
    shown = wire("status", COLUMNS="400").out
    for path, (_, words, hint) in BAD.items():
        feed = feeds[path]
        assert feed["status"] == ("paused" if path == "/gone" else "failing"), path
        told = " ".join(f"{one['words']} {one['hint'] or ''}" for one in feed["troubles"]).lower()
        assert words.lower() in told, (path, told)
        assert hint.lower() in told, (path, told)
        assert path in shown
    assert {feeds[path]["status"] for path in (*ODD, "/good")} == {"ok"}
    # The next day tells none of it again.
    again = wire("send", "-y")
    assert again.code == 0
    assert [line for line in again.err.splitlines() if line.startswith("warning: ")] == []


@pytest.mark.soak
def test_a_feed_of_fifty_thousand_entries_is_read_and_bounded(wire: Wire) -> None:
    wire.web.pages["/many"] = (
        200,
        document(*(f"<item><title>N {n}</title><guid>{n}</guid></item>" for n in range(50_000))),
    )
    wire.configure(wire.web.url + "/many", wire.web.feed("/good", "A good story"))
    done = wire("send", "-y")

    assert (done.code, wire.inbox()) == (0, ["ada@example.com"]), done.err
    letter = wire.mail.caught[-1].path.read_text(encoding="utf-8")
    assert "A good story" in letter
    assert {feed["status"] for feed in wire("feed", "list", "--json").data} <= {"ok", "failing"}


@pytest.mark.soak
def test_a_server_that_drips_costs_one_deadline(wire: Wire) -> None:
    """Twenty seconds, whatever it sends, and the others are read meanwhile."""
    import socket
    import threading

    with socket.create_server(("127.0.0.1", 0)) as server:

        def drip() -> None:
            connection, _ = server.accept()
            with connection, contextlib.suppress(OSError):
                connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
                while True:
                    connection.sendall(b"x")
                    threading.Event().wait(0.2)

        threading.Thread(target=drip, daemon=True).start()
        wire.configure(f"http://127.0.0.1:{server.getsockname()[1]}/feed", wire.web.feed("/good", "A good story"))
        done = wire("send", "-y")

    assert (done.code, wire.inbox()) == (0, ["ada@example.com"]), done.err
    [slow, good] = wire("feed", "list", "--json").data
    assert (slow["status"], good["status"]) == ("failing", "ok")
    assert "no complete answer within 20 s" in slow["last_error"]
