"""Subjects and names that attack headers, written and read back; needs nothing but a Python and this checkout.

    python tests/delivery/fuzz_headers.py 20000 SEED

prints one line of JSON: how many pairs were tried, and every difference found.
It runs alike under every Python the program supports, whose e-mail libraries
differ: what one of them would have read wrongly counts.
"""

import json
import random
import sys
from collections.abc import Callable, Iterator
from email import policy
from email.header import decode_header, make_header
from email.parser import BytesParser
from email.utils import getaddresses
from hashlib import sha256
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from newsletter.delivery.headers import (
    NAME_LIMIT,
    address_header,
    build_headers,
    clean,
    encode_header_text,
    url_list_header,
)

MAILTO = "mailto:wire@example.com?subject=unsubscribe%20x"
FIELDS = ["From", "To", "Subject", "List-Unsubscribe", "MIME-Version"]
#: What has broken headers before, somewhere.
NASTY = [
    "=?utf-8?q?hi=0D=0ABcc=3A_evil=40x.example?=",
    "=?utf-8?b?aGkNCkJjYzogZXZpbEB4LmV4YW1wbGU=?=",
    "=?utf-8?q?a=0A=0A<html>?=",
    "=?iso-8859-1?q?caf=E9?=",
    "=?utf-8*en?q?l=C3=A4ng?=",
    "=?utf-8?q?no end",
    "=?utf-8?q??=",
    "=?utf-8?b?=C3=28?=",
    "=?utf-8?b?a?=",
    "=?x-unknown?q?a?=",
    "=?utf-7?q?+AA0ACg-Bcc:?=",
    "?=",
    "=?",
    "\r\nBcc: evil@x.example",
    "\nBcc: evil@x.example\n\n",
    "\rX-Evil: 1",
    "\r\n\r\nbody",
    "\0",
    "\x0b\x0c\x1c\x1d\x1e\x85",
    "\u2028Bcc: x",
    "\u2029",
    "\ud800",
    "\udfff\udc80",
    "\ufeff",
    "\u202eevil",
    "\u2066x\u2069",
    "\u200b",
    "e\u0301",
    "\U0001f469\u200d\U0001f680",
    "日本語のニュースレター",
    "Ελληνικά",
    "العربية",
    "a, b",
    '"quoted"',
    "\\",
    '\\"',
    "<evil@x.example>",
    "evil@x.example",
    "(comment)",
    "a: b; c",
    "group: a@b.example;",
    ".",
    "..",
    " ",
    "\t",
    "   ",
    "=20",
    "_",
    "x" * 80,
    "w" * 75,
    "ü" * 40,
    "東" * 30,
    "Re:",
    "-",
    "",
]
WORDS = [
    "the",
    "morning",
    "wire",
    "Grüße",
    "from",
    "Łódź,",
    "東京",
    "café",
    "—",
    "“quoted”",
    "O'Brien",
    "A.B.",
    "50%",
    "&",
    "co",
]


def texts(chance: random.Random) -> Iterator[str]:
    """Texts without end: words, attacks, and characters from everywhere, mixed."""
    while True:
        parts = []
        for _ in range(chance.choice((1, 1, 1, 2, 2, 3, 9))):
            kind = chance.random()
            if kind < 0.45:
                parts.append(chance.choice(NASTY))
            elif kind < 0.85:
                parts.append(chance.choice(WORDS))
            else:
                top = chance.choice((0x20, 0x7F, 0xFF, 0x2FFF, 0xFFFF, 0x10FFFF))
                parts.append("".join(chr(chance.randint(0, top)) for _ in range(chance.randint(1, 12))))
        yield chance.choice(("", " ", " ", ", ", "\r\n ")).join(parts)


def check(subject: str, name: str, url: str, *, modern: bool = True) -> list[str]:
    """What a reader would get wrong in headers with this subject, name and address; nothing, one hopes.

    `modern`: ask the standard library's newer parser too, which is slow.
    """
    raw = (
        build_headers(
            [
                ("From", address_header(name, "wire@example.com", column=6)),
                ("To", address_header(subject, "ada+b@xn--bcher-kva.example", column=4)),
                ("Subject", encode_header_text(subject, column=9)),
                ("List-Unsubscribe", url_list_header([url, MAILTO])),
                ("MIME-Version", b"1.0"),
            ]
        )
        + b"\r\nbody\r\n"
    )
    wrong = []

    def same(what: str, expected: object, actual: Callable[[], object]) -> None:
        try:
            found = actual()
        except Exception as error:  # noqa: BLE001 - a parser that gives up is a finding
            found = repr(error)
        if expected != found:
            wrong.append(f"{what}: {found!r}, not {expected!r}, for {(subject, name)!r}")

    old = BytesParser(policy=policy.compat32).parsebytes(raw)
    long = [line for line in raw.split(b"\r\n") if len(line) > 76 and not line.startswith((b" <", b"List-Unsub"))]
    same("lines", [], lambda: long)
    same("bare CR or LF", (0, 0), lambda: _bare(raw))
    same("ASCII", True, raw.isascii)
    same("fields", FIELDS, old.keys)
    same("body", "body\r\n", old.get_payload)
    same("subject", clean(subject), lambda: _read(old["Subject"]))
    same("unsubscribe", f"<{url}>, <{MAILTO}>", lambda: " ".join(old["List-Unsubscribe"].split()))
    value = str(old["From"])
    found = getaddresses([value])
    same("address", ["wire@example.com"], lambda: [email for _, email in found])
    same("name", clean(name, NAME_LIMIT), lambda: _read(found[0][0]))
    same("quotes", -1, lambda: value.find('"'))
    if modern:
        new = BytesParser(policy=policy.default).parsebytes(raw)
        same("fields (new)", FIELDS, new.keys)
        same("subject (new)", clean(subject), lambda: str(new["Subject"]))
        same("From (new)", ["wire@example.com"], lambda: [found.addr_spec for found in new["From"].addresses])
        same("To (new)", ["ada+b@xn--bcher-kva.example"], lambda: [found.addr_spec for found in new["To"].addresses])
    return wrong


def _bare(raw: bytes) -> tuple[int, int]:
    lines = raw.count(b"\r\n")
    return raw.count(b"\r") - lines, raw.count(b"\n") - lines


def _read(value: str) -> str:
    return str(make_header(decode_header(value.replace("\r\n", ""))))


def fuzz(count: int, seed: int) -> dict[str, object]:
    """Try `count` pairs; the findings, and a hash of all bytes, which must not depend on the Python."""
    chance = random.Random(seed)
    stream = texts(chance)
    wrong: list[str] = []
    digest = sha256()
    for number in range(count):
        subject, name = next(stream), next(stream)
        url = "https://wire.example.com/u/" + "x" * chance.randint(0, 900)
        digest.update(encode_header_text(subject, column=9) + address_header(name, "wire@example.com", column=6))
        wrong += check(subject, name, url, modern=number % 50 == 0)
    return {
        "tried": count,
        "seed": seed,
        "python": sys.version.split()[0],
        "sha256": digest.hexdigest(),
        "wrong": wrong[:20],
    }


if __name__ == "__main__":
    print(json.dumps(fuzz(int(sys.argv[1]), int(sys.argv[2]))))
