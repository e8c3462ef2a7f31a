"""Pages that show two versions of a letter side by side, for `template check --diff --out`."""

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from newsletter.app.templatediff import Difference

_STYLE: Final = """\
:root {color-scheme: light dark; --page: #f4f2ec; --ink: #22262b; --soft: #5a6068; --link: #0b57a4; --new: #1c6b3a; --gone: #a8381b;}
@media (prefers-color-scheme: dark) {
  :root {--page: #141618; --ink: #e4e6e9; --soft: #aab1b9; --link: #8fbcff; --new: #8fd6a8; --gone: #ff9c85;}
}
body {margin: 0; padding: 16px; background: var(--page); color: var(--ink); font: 16px/24px system-ui, Arial, sans-serif;}
a {color: var(--link);}
h1 {margin: 0 0 12px; font-size: 24px; line-height: 30px;}
h2 {margin: 0 0 8px; font-size: 16px;}
.pair {display: grid; grid-template-columns: repeat(auto-fit, minmax(320px, 1fr)); gap: 16px;}
section {min-width: 0;}
iframe {width: 100%; height: 80vh; border: 1px solid var(--soft); background: #ffffff;}
pre {overflow-x: auto; font: 13px/19px ui-monospace, monospace;}
ins {color: var(--new); text-decoration: none;}
del {color: var(--gone); text-decoration: none;}
"""


def pair_page(one: "Difference") -> str:
    """Both versions of one rendering, and below them where they differ."""
    name = escape(one.name)
    versions = "".join(
        f'<section><h2>{title}, {size:,} bytes of HTML</h2><iframe sandbox="" title="{title}" src="{name}.{when}.html">'
        "</iframe></section>"
        for title, when, size in (("As frozen", "then", one.html_then), ("As it would be now", "now", one.html_now))
    )
    diffs = "".join(
        f'<h2>{escape(part.part)}</h2><pre tabindex="0" role="region" aria-label="{escape(part.part)}">'
        f"{''.join(map(_line, part.lines))}</pre>"
        for part in one.parts
    )
    findings = "".join(
        f"<li>{word}: {escape(finding.what)}</li>"
        for word, many in (("new", one.new), ("gone", one.gone))
        for finding in many
    )
    body = f'<p><a href="index.html">All issues</a></p><div class="pair">{versions}</div>'
    return _page(name, body + (f"<h2>Findings</h2><ul>{findings}</ul>" if findings else "") + diffs)


def index_page(found: Sequence["Difference"]) -> str:
    """The list of all renderings that were compared."""
    rows = "".join(
        f"<li>{escape(one.name)}: {escape(one.error)}</li>"
        if one.error
        else f'<li><a href="{escape(one.name)}.html">{escape(one.name)}</a>: '
        f"{', '.join(part.part for part in one.parts) or 'the same'}</li>"
        for one in found
    )
    return _page("Issues then and now", f"<ul>{rows}</ul>")


def _line(line: str) -> str:
    kind = {"+": "ins", "-": "del"}.get(line[:1])
    text = escape(line)
    return f"<{kind}>{text}</{kind}>\n" if kind else f"{text}\n"


def _page(title: str, body: str) -> str:
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; "
        "frame-src 'self' file:; img-src data: https: http:\">\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n{body}\n</main>\n"
        "</body>\n</html>\n"
    )
