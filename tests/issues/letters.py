"""A letter without a fault, and ways to put one in."""

import quopri
from collections.abc import Mapping

SUBJECT = "The Morning Wire: a ferry, and 2 more"
LEAVE = "mailto:wire@example.com?subject=unsubscribe%20token"
HEADERS: Mapping[str, str] = {
    "From": "The Morning Wire <wire@example.com>",
    "To": "Ada Lovelace <ada@example.com>",
    "Subject": SUBJECT,
    "Date": "Mon, 02 Mar 2026 07:00:00 +0000",
    "Message-ID": "<18b883076d1e73a4@example.com>",
    "List-Id": "The Morning Wire <daily.example.com>",
    "List-Unsubscribe": f"<{LEAVE}>",
    "Auto-Submitted": "auto-generated",
    "MIME-Version": "1.0",
}
TEXT = f"""# The Morning Wire

## The Courier
The ferry sails again, four minutes early
https://courier.example/ferry
She crossed the bay with ninety passengers and one goat.

Unsubscribe: {LEAVE}
"""
#: A picture's first bytes, in base64.
PNG = b"iVBORw0KGgo="
PREHEADER = '<div style="display: none">The ferry sails again</div>'
PICTURE = '<img src="https://courier.example/ferry.jpg" alt="The ferry" width="536">'
FOOTER = f'<p style="color: #5a6068">It was sent to you. <a style="color: #0b57a4" href="{LEAVE}">Unsubscribe</a></p>'
DARK = """@media (prefers-color-scheme: dark) {
  table.letter {background-color: #1d2023 !important; color: #e4e6e9 !important;}
  p {color: #aab1b9 !important;}
  a {color: #8fbcff !important;}
}"""
HTML = f"""<!DOCTYPE html>
<html lang="en" dir="ltr"><head><title>{SUBJECT}</title><meta name="color-scheme" content="light dark">
<style>{DARK}</style></head>
<body>{PREHEADER}
<!--[if mso]><table role="presentation"><tr><td><![endif]-->
<table role="presentation" class="letter" bgcolor="#ffffff" style="color: #22262b"><tr><td>
<h1>The Morning Wire</h1>
<h2>The Courier</h2>
<h3><a style="color: #0b57a4" href="https://courier.example/ferry">The ferry sails again, four minutes early</a></h3>
<p>She crossed the bay with ninety passengers and one goat.</p>
{PICTURE}
{FOOTER}
</td></tr></table>
<!--[if mso]></td></tr></table><![endif]-->
</body></html>
"""


def part(kind: str, text: str) -> bytes:
    """One part, in quoted-printable."""
    body = quopri.encodestring(text.encode()).replace(b"\n", b"\r\n")
    head = f'Content-Type: text/{kind}; charset="utf-8"\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n'
    return head.encode() + body


def message(
    html: str | None = HTML, text: str | None = TEXT, *, parts: list[bytes] | None = None, **headers: str | None
) -> bytes:
    """A message as bytes.

    Args:
        html: the HTML part, or None for none.
        text: the text part, or None for none.
        parts: all parts as they stand, instead of those two.
        headers: to set, by their names with `_` for `-`; None leaves one out.
    """
    changed = {name.replace("_", "-"): value for name, value in headers.items()}
    fields = {name: value for name, value in ({**HEADERS, **changed}).items() if value is not None}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items()).encode()
    if parts is None:
        parts = [part(kind, body) for kind, body in (("plain", text), ("html", html)) if body is not None]
    joined = b"".join(b"--=_cut\r\n" + one + b"\r\n" for one in parts)
    return head + b'Content-Type: multipart/alternative; boundary="=_cut"\r\n\r\n' + joined + b"--=_cut--\r\n"


def changed(old: str, new: str) -> bytes:
    """The good letter, with one thing in its HTML replaced."""
    assert old in HTML, old
    return message(HTML.replace(old, new))


def with_body(html: str) -> bytes:
    """The good letter, with something more in its body."""
    return changed(FOOTER, html + FOOTER)


def inside(*, html: str = HTML, kind: str = "related", root: str = "text/html", name: str = "p1@example.com") -> bytes:
    """The good letter, with its picture inside the message."""
    image = (
        b"Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n"
        b"Content-ID: <" + name.encode() + b">\r\nContent-Disposition: inline\r\n\r\n" + PNG + b"\r\n"
    )
    shown = html.replace("https://courier.example/ferry.jpg", "cid:p1@example.com")
    head = f'Content-Type: multipart/{kind}; type="{root}"; boundary="=_=cut"\r\n\r\n--=_=cut\r\n'.encode()
    both = head + part("html", shown) + b"\r\n--=_=cut\r\n" + image + b"\r\n--=_=cut--\r\n"
    return message(parts=[part("plain", TEXT), both])
