"""Whom a reader's client calls when the letter is opened: every host that a picture comes from."""

from collections import Counter
from collections.abc import Iterator
from urllib.parse import urlsplit

from newsletter.issues.check.finding import Finding, error, note, warning
from newsletter.issues.check.reading import Element, Letter, declarations

_TINY = 2
_NAMED = 5


def check_hosts(letter: Letter) -> Iterator[Finding]:
    """Judge where pictures come from, and count the hosts."""
    contents = {str(part["Content-ID"] or "").strip("<> ") for part in letter.parts}
    hosts: Counter[str] = Counter()
    for image in letter.tags("img"):
        source = (image.get("src") or "").strip()
        scheme, _, rest = source.partition(":")
        where = letter.place(image)
        if scheme.lower() in {"http", "https"}:
            host = _host(source)
            hosts[host] += 1
            if scheme.lower() == "http":
                yield warning(
                    "picture-http",
                    f"a picture from {host} without encryption",
                    where=where,
                    why="others on the way see who reads what, and Gmail shows a warning",
                    fix="use https:// if the host has it",
                )
        elif scheme.lower() == "cid":
            if rest not in contents:
                yield error(
                    "picture-missing",
                    f"a picture {source} that the letter does not bring along",
                    where=where,
                    why="readers see an empty frame",
                    fix="attach it, or link to it",
                )
        else:
            yield error(
                "picture-source",
                f"a picture from {source[:40] or 'nowhere'}",
                where=where,
                why="Gmail and Outlook show no data: pictures, and nothing is relative in a mailbox",
                fix="give its full https:// address",
            )
        if _is_pixel(image):
            yield warning(
                "pixel",
                f"a picture nobody can see, from {_host(source) or 'nowhere'}",
                where=where,
                why="it only tells its host who opened the letter, and filters know that",
                fix="leave it out",
            )
    if hosts:
        named = ", ".join(f"{host} ({count})" for host, count in hosts.most_common(_NAMED))
        more = len(hosts) - _NAMED
        yield note(
            "hosts",
            f"pictures come from {len(hosts)} {'host' if len(hosts) == 1 else 'hosts'}: {named}"
            + (f" and {more} more" if more > 0 else ""),
            why="they learn when and where each reader opens the letter, unless a client stands between",
        )
    else:
        yield note("hosts", "opening the letter calls no host", why="nobody learns who reads it")


def _host(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").lower()
    except ValueError:
        return ""


def _is_pixel(image: Element) -> bool:
    style = declarations(image.get("style"))
    sizes = [image.get("width"), image.get("height"), style.get("width"), style.get("height")]
    numbers = [size.removesuffix("px") for size in sizes if size]
    return style.get("display") == "none" or any(n.isdigit() and int(n) <= _TINY for n in numbers)
