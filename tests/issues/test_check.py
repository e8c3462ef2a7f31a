"""`check` reads a built message as others will: every rule passes a good letter and catches a bad one."""

import ast
import json
import re
from pathlib import Path

import pytest

from newsletter.issues import check
from newsletter.issues.check import Level, judge
from newsletter.issues.check.accepted import ACCEPTED
from newsletter.issues.check.clients import lacks
from newsletter.issues.check.contrast import colour_of, ratio
from newsletter.issues.check.css import sheet_of
from newsletter.issues.check.support import FACTS_OF
from tests.issues.letters import (
    DARK,
    FOOTER,
    HEADERS,
    HTML,
    LEAVE,
    PICTURE,
    PNG,
    PREHEADER,
    SUBJECT,
    TEXT,
    changed,
    inside,
    message,
    part,
    with_body,
)

Fault = tuple[str, str, str]


def faults(raw: bytes) -> list[Fault]:
    """(level, rule, what) of everything that is no mere note."""
    return [(f.level.name, f.rule, f.what) for f in judge(raw) if f.level is not Level.ok]


def rules(raw: bytes) -> set[tuple[str, str]]:
    """(level, rule) of everything that is no mere note."""
    return {(level, rule) for level, rule, _ in faults(raw)}


def test_a_good_letter_has_no_faults() -> None:
    assert [] == faults(message())


def test_a_letter_in_plain_text_has_no_faults() -> None:
    assert [] == faults(message(html=None))


def test_a_one_click_letter_has_no_faults() -> None:
    web = "https://wire.example.com/u/daily/token"
    letter = message(
        HTML.replace(LEAVE, web),
        TEXT.replace(LEAVE, web),
        List_Unsubscribe=f"<{web}>,\r\n <{LEAVE}>",
        List_Unsubscribe_Post="List-Unsubscribe=One-Click",
        Feedback_ID="12:daily:digest:wire1",
    )

    assert [] == faults(letter)


def test_a_letter_that_is_signed_throughout_has_no_faults() -> None:
    assert [] == faults(message(DKIM_Signature=f"v=1; a=rsa-sha256; d=example.com;\r\n h={SIGNED};\r\n bh=; b="))


def bytes_of(letter: bytes, old: bytes, new: bytes) -> bytes:
    assert old in letter
    return letter.replace(old, new, 1)


STRUCTURE = {
    "a bare line feed": (bytes_of(message(), b"\r\nTo:", b"\nTo:"), "error", "line-ends"),
    "a NUL": (bytes_of(message(), b"ferry", b"fer\0ry"), "error", "line-ends"),
    "bytes beyond ASCII": (bytes_of(message(), b"ninety", "ninëty".encode()), "error", "ascii"),
    "a line of 999 bytes": (message(X_Long="x" * 999), "error", "long-line"),
    "a body line of 77 bytes": (bytes_of(message(), b"--=_cut", b"x" * 77 + b"\r\n--=_cut"), "error", "long-line"),
    "no text part": (message(text=None), "error", "text-part"),
    "an empty text part": (message(text=" \n"), "error", "text-part"),
    "HTML first": (message(parts=[part("html", HTML), part("plain", TEXT)]), "error", "part-order"),
    "mixed parts": (bytes_of(message(), b"multipart/alternative", b"multipart/mixed"), "error", "alternatives"),
    "another charset": (bytes_of(message(), b'"utf-8"', b'"iso-8859-1"'), "error", "charset"),
    "not in its charset": (
        bytes_of(
            message(),
            b'"utf-8"\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n#',
            b'"utf-8"\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=FF#',
        ),
        "error",
        "mime",
    ),
    "no last boundary": (bytes_of(message(), b"--=_cut--", b""), "error", "mime"),
    "parts as they are": (bytes_of(message(), b"quoted-printable", b"7bit"), "warning", "encoding"),
    "more than the budget": (with_body("<p>goat and ferry</p>\n" * 4_500), "warning", "size"),
    "more than Gmail shows": (with_body("<p>goat and ferry</p>\n" * 5_500), "error", "size"),
    "no way out of the text": (message(text=TEXT.replace(LEAVE, "ask us")), "error", "way-out"),
    "no way out of the HTML": (changed(LEAVE, "https://wire.example/other"), "error", "way-out"),
}

#: What a signature covers: each once more than it occurs.
SIGNED = "from:from:subject:subject:list-unsubscribe:list-unsubscribe:list-unsubscribe-post"

HEADER = {
    "no Date": (message(Date=None), "error", "header-once"),
    "a signature that another way out can be added to": (
        message(DKIM_Signature=f"v=1; d=x.example; h={SIGNED.replace('list-unsubscribe:', '', 1)}; bh=; b="),
        "error",
        "dkim-covers",
    ),
    "a signature of the beginning": (
        message(DKIM_Signature=f"v=1; d=x.example; l=12; h={SIGNED}; bh=; b="),
        "error",
        "dkim-length",
    ),
    "two Subjects": (bytes_of(message(), b"To:", b"Subject: again\r\nTo:"), "error", "header-once"),
    "two readers in To": (message(To="ada@example.com, grace@example.com"), "error", "one-address"),
    "a comma that splits the sender": (message(From="Wire, The <wire@example.com>"), "error", "one-address"),
    "an encoded word nobody can read": (message(Subject="=?utf-9?q?caf=E9?="), "error", "encoded-word"),
    "an encoded unsubscribe link": (
        message(List_Unsubscribe="=?utf-8?q?=3Chttps=3A//wire=2Eexample=3E?="),
        "error",
        "encoded-address",
    ),
    "an encoded domain": (message(From="Wire <wire@=?utf-8?q?b=C3=BCcher?=.example>"), "error", "encoded-address"),
    "a Message-ID without brackets": (message(Message_ID="18b8@example.com"), "error", "message-id"),
    "a Message-ID of this machine": (message(Message_ID="<18b8@laptop.local.invalid>"), "warning", "message-id"),
    "no date at all in Date": (message(Date="yesterday"), "error", "date"),
    "a Date without an offset": (message(Date="Mon, 02 Mar 2026 07:00:00 -0000"), "error", "date"),
    "a short Feedback-ID": (message(Feedback_ID="a:b:c"), "warning", "feedback-id"),
    "no List-Unsubscribe": (message(List_Unsubscribe=None), "error", "list-unsubscribe"),
    "an http List-Unsubscribe": (message(List_Unsubscribe="<http://wire.example/u>"), "error", "list-unsubscribe"),
    "https and no mailto": (
        message(List_Unsubscribe="<https://wire.example/u>", List_Unsubscribe_Post="List-Unsubscribe=One-Click"),
        "warning",
        "list-unsubscribe",
    ),
    "https without one click": (
        message(List_Unsubscribe=f"<https://wire.example/u>, <{LEAVE}>"),
        "error",
        "one-click",
    ),
    "one click without https": (message(List_Unsubscribe_Post="List-Unsubscribe=One-Click"), "error", "one-click"),
    "one click misspelt": (
        message(List_Unsubscribe=f"<https://wire.example/u>, <{LEAVE}>", List_Unsubscribe_Post="One-Click"),
        "error",
        "one-click",
    ),
    "a List-Id that is an address": (message(List_Id="<daily@example.com>"), "error", "list-id"),
    "no Auto-Submitted": (message(Auto_Submitted=None), "warning", "auto-submitted"),
    "a Bcc": (message(Bcc="grace@example.com"), "error", "telltale"),
    "a Received of this machine": (message(Received="from laptop"), "error", "telltale"),
}

OUTLINE = {
    "an empty HTML part": (message(html=" "), "error", "html"),
    "no language": (changed(' lang="en"', ""), "error", "lang"),
    "a language that is none": (changed("<h2>", '<h2 lang="not a language">'), "warning", "lang"),
    "no direction": (changed(' dir="ltr"', ""), "error", "dir"),
    "no doctype": (changed("<!DOCTYPE html>\n", ""), "warning", "doctype"),
    "another title": (changed(f"<title>{SUBJECT}", "<title>Newsletter"), "warning", "title"),
    "no h1": (changed("<h1>The Morning Wire</h1>", "<p>The Morning Wire</p>"), "error", "headings"),
    "two h1": (with_body("<h1>Again</h1>"), "error", "headings"),
    "a level left out": (changed("<h2>The Courier</h2>", ""), "error", "headings"),
    "an empty heading": (with_body("<h2> </h2>"), "warning", "headings"),
    "a layout table": (with_body("<table><tr><td>ferry</td></tr></table>"), "warning", "tables"),
    "no alt": (changed(' alt="The ferry"', ""), "error", "alt"),
    "a width that is none": (changed('width="536"', 'width="auto"'), "error", "picture-size"),
    "a height that is none": (changed('width="536"', 'height="auto"'), "error", "picture-size"),
    "a script": (with_body("<script>1</script>"), "error", "forbidden"),
    "a form": (with_body("<form><input></form>"), "error", "forbidden"),
    "an event": (changed("<h2>", '<h2 onclick="x()">'), "error", "forbidden"),
    "a page that leads elsewhere": (
        changed("<style>", '<meta http-equiv="Refresh" content="0; url=https://x.example"><style>'),
        "error",
        "forbidden",
    ),
    "a background picture": (
        changed("<td>\n<h1>", '<td background="https://x.example/i.png">\n<h1>'),
        "error",
        "forbidden",
    ),
    "position": (changed("<h2>", '<h2 style="position: absolute">'), "error", "forbidden"),
    "float in the style sheet": (changed(DARK, DARK + " p {float: left}"), "error", "forbidden"),
    "flex": (changed("<h2>", '<h2 style="display: flex">'), "error", "forbidden"),
    "a picture in the style": (
        changed("<h2>", '<h2 style="background: url(https://x.example)">'),
        "error",
        "forbidden",
    ),
    "a style sheet from elsewhere": (changed(DARK, "@import 'https://x.example/a.css';" + DARK), "error", "forbidden"),
    "no preheader": (changed(PREHEADER, ""), "warning", "preheader"),
    "a long preheader": (
        changed('<div style="display: none">', f'<div style="display: none">{"ferry " * 30}'),
        "warning",
        "preheader",
    ),
    "a comment for Word that never ends": (changed("<h1>", "<!--[if mso]><p>--><h1>"), "error", "conditional"),
}

LINKS = {
    "a link without words": (with_body('<p><a href="https://x.example"> </a></p>'), "error", "empty-link"),
    "a link on a picture without words": (
        with_body('<a href="https://x.example"><img src="https://x.example/i.png" alt=""></a>'),
        "error",
        "empty-link",
    ),
    "a link to nowhere": (with_body('<a style="color: #0b57a4" href="">ferry</a>'), "error", "dead-link"),
    "a link without a scheme": (with_body('<a href="courier.example/ferry">ferry</a>'), "error", "relative-link"),
    "a link without a host": (with_body('<a href="https:///ferry">ferry</a>'), "error", "relative-link"),
    "a link inside the letter": (with_body('<a href="#top">ferry</a>'), "error", "relative-link"),
    "a script as a link": (with_body('<a href="javascript:x()">ferry</a>'), "error", "link-scheme"),
    "a host that cannot be": (with_body('<a href="https://[x">ferry</a>'), "error", "relative-link"),
    "a link that shows another": (
        with_body('<a href="https://evil.example/x">https://bank.example/login</a>'),
        "warning",
        "other-address",
    ),
    "a host that shows another": (
        with_body('<a href="https://evil.example">www.bank.example</a>'),
        "warning",
        "other-address",
    ),
    "a shortener": (with_body('<a href="https://bit.ly/x">ferry</a>'), "warning", "shortener"),
    "an address of numbers": (with_body('<a href="http://192.0.2.7/x">ferry</a>'), "warning", "address-of-numbers"),
}

HOSTS = {
    "a picture without encryption": (
        changed("https://courier.example/ferry.jpg", "http://courier.example/f.jpg"),
        "warning",
        "picture-http",
    ),
    "a picture that is not there": (
        changed("https://courier.example/ferry.jpg", "cid:ferry"),
        "error",
        "picture-missing",
    ),
    "a picture in the letter's text": (
        changed("https://courier.example/ferry.jpg", "data:image/png;base64,AA"),
        "error",
        "picture-source",
    ),
    "a relative picture": (changed("https://courier.example/ferry.jpg", "ferry.jpg"), "error", "picture-source"),
    "a pixel": (changed('width="536"', 'width="1" height="1"'), "warning", "pixel"),
    "a hidden picture": (changed('width="536"', 'style="display:none"'), "warning", "pixel"),
}

INSIDE = {
    "a picture under another name": (inside(name="p2@example.com"), "error", "picture-missing"),
    "a picture nobody sees": (inside(html=HTML.replace(PICTURE, "")), "warning", "picture-unused"),
    "a picture that stands by itself": (inside(kind="mixed"), "error", "related"),
    "a picture beside another root": (inside(root="text/plain"), "error", "related"),
}

CONTRAST = {
    "grey on white": (changed("color: #5a6068", "color: #9a9ea6"), "error", "contrast"),
    "almost enough": (changed("color: #5a6068", "color: #808080"), "warning", "contrast"),
    "dark on dark": (changed("p {color: #aab1b9 !important;}", "p {color: #22262b !important;}"), "error", "contrast"),
    "dark surface, no light text": (changed("p {color: #aab1b9 !important;}", ""), "error", "contrast"),
    "a rule that inline styles beat": (changed("#8fbcff !important", "#8fbcff"), "warning", "dark"),
    "dark mode nobody is told of": (changed('<meta name="color-scheme" content="light dark">', ""), "warning", "dark"),
}

SMELLS = {
    "no subject": (message(HTML.replace(SUBJECT, ""), Subject=""), "warning", "subject"),
    "a long subject": (message(HTML.replace(SUBJECT, "a " * 40 + "b"), Subject="a " * 40 + "b"), "warning", "subject"),
    "shouting": (message(HTML.replace(SUBJECT, "A FERRY SAILS"), Subject="A FERRY SAILS"), "warning", "subject"),
    "a reply that is none": (message(HTML.replace(SUBJECT, "Re: ferry"), Subject="Re: ferry"), "warning", "subject"),
    "exclamations": (message(HTML.replace(SUBJECT, "Ferry!!"), Subject="Ferry!!"), "warning", "subject"),
    "pictures and no words": (
        changed("<p>She crossed the bay with ninety passengers and one goat.</p>", ""),
        "warning",
        "pictures-only",
    ),
    "links and no words": (with_body('<a href="https://x.example">x</a>' * 60), "warning", "many-links"),
    "another story in the text": (
        message(text=f"Harmless words about gardens, weather, cooking, chess. {LEAVE}"),
        "warning",
        "mismatch",
    ),
    "much hidden text": (
        with_body(f'<div style="display: none">{"the ferry sails " * 30}</div>'),
        "warning",
        "hidden-text",
    ),
}

CLIENTS = {
    "a property that Outlook lacks": (changed("<h2>", '<h2 style="box-shadow: 0 0 2px #000">'), "warning", "clients"),
    "a unit that Outlook lacks": (changed("<h2>", '<h2 style="margin: 1rem">'), "warning", "clients"),
    "a font from the web": (changed(DARK, "@font-face {font-family: X}" + DARK), "warning", "clients"),
    "a generated text": (changed(DARK, "p::before {content: 'x'}" + DARK), "warning", "clients"),
    "an attribute": (changed("<h2>", "<h2 hidden='x'>"), "warning", "clients"),
}

ALL = STRUCTURE | HEADER | OUTLINE | LINKS | HOSTS | INSIDE | CONTRAST | SMELLS | CLIENTS


@pytest.mark.parametrize("name", ALL)
def test_a_bad_letter_is_caught(name: str) -> None:
    letter, level, rule = ALL[name]

    assert (level, rule) in rules(letter), faults(letter)


def test_every_rule_has_a_letter_that_breaks_it() -> None:
    named = {
        call.args[0].value
        for path in Path(check.__file__).parent.glob("*.py")
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Name)
        and call.func.id in {"error", "warning"}
        and isinstance(call.args[0], ast.Constant)
    }

    assert len(named) > 30
    assert set() == named - {rule for _, _, rule in ALL.values()}


HARMLESS = {
    "an entry's data table": "<table><tr><th>Time</th></tr><tr><td>7:10</td></tr></table>",
    "decoration": '<p><img src="https://courier.example/rule.png" alt=""></p>',
    "a link with a picture that has words": '<a href="https://x.example"><img src="https://x.example/i" alt="Goat"></a>',
    "a link that shows its own address": '<a style="color: #0b57a4" href="https://www.x.example/a?b=1">x.example/a</a>',
    "a name that looks like a host": '<a style="color: #0b57a4" href="https://x.example/">Node.js</a>',
    "a telephone number": '<a style="color: #0b57a4" href="tel:+4930123">call</a>',
    "an abbreviation": "<p><abbr title='Gross tonnage'>GT</abbr></p>",
    "see-through text behind nothing": '<p style="background-color: transparent">ferry</p>',
}


@pytest.mark.parametrize("name", HARMLESS)
def test_a_harmless_thing_is_let_be(name: str) -> None:
    assert [] == faults(with_body(HARMLESS[name]))


def test_capitals_where_there_are_no_small_letters_are_no_shouting() -> None:
    subject = "朝の便り: 東京の天気と交通"
    encoded = "=?utf-8?b?5pyd44Gu5L6/44KKOiDmnbHkuqzjga7lpKnmsJfjgajkuqTpgJo=?="

    assert [] == faults(message(HTML.replace(SUBJECT, subject), Subject=encoded))


def test_a_finding_says_what_where_why_and_how() -> None:
    [found] = [f for f in judge(changed(' alt="The ferry"', "")) if f.rule == "alt"]

    line = next(n for n, text in enumerate(HTML.splitlines(), 1) if PICTURE in text)
    assert found.what == "a picture without alt"
    assert found.where == f"HTML line {line}, in “The ferry sails again, four minutes early”"
    assert found.why
    assert found.fix


def test_every_finding_has_its_reason_and_its_remedy() -> None:
    for letter, _, _ in ALL.values():
        for found in judge(letter):
            assert found.what, found
            assert found.why, found
            assert found.fix or found.level is Level.ok, found


def test_errors_come_first_and_repeats_are_counted() -> None:
    found = judge(with_body('<img src="https://courier.example/i.png"><a href="https://bit.ly/x">ferry</a>' * 12))

    levels = [f.level for f in found]
    assert levels == sorted(levels, reverse=True)
    assert 5 == sum(f.rule == "alt" for f in found)
    assert "a picture without alt (and 7 more like it)" in [f.what for f in found]


def test_the_hosts_that_an_opened_letter_calls_are_named_and_counted() -> None:
    notes = [
        f.what for f in judge(with_body(PICTURE + PICTURE.replace("courier.", "cdn.courier."))) if f.rule == "hosts"
    ]

    assert ["pictures come from 2 hosts: courier.example (2), cdn.courier.example (1)"] == notes


def test_a_letter_that_brings_its_picture_along_has_no_faults_and_calls_nobody() -> None:
    letter = inside()

    assert [] == faults(letter)
    notes = {finding.rule: finding.what for finding in judge(letter)}
    assert "opening the letter calls no host" == notes["hosts"]
    assert f"the message has {len(letter):,} bytes, {len(PNG) + 2} of them for 1 picture" == notes["message-size"]


def test_a_letter_without_pictures_calls_nobody() -> None:
    assert ["opening the letter calls no host"] == [f.what for f in judge(changed(PICTURE, "")) if f.rule == "hosts"]


@pytest.mark.parametrize("raw", [b"", b"\r\n\r\n", b"\xff\xfe\0", b"Subject", HEADERS["To"].encode(), b"\r\n" * 1000])
def test_what_is_no_message_is_judged_and_not_a_crash(raw: bytes) -> None:
    assert judge(raw)


def test_deep_nesting_is_read_to_its_end() -> None:
    deep = "<div>" * 2_000 + "</div>" * 2_000 + '<img src="https://courier.example/i.png">'

    assert ("error", "alt") in rules(with_body(deep))


def test_accepted_pairs_are_all_real_and_have_reasons() -> None:
    """The ratchet holds nothing that the facts do not say."""
    for feature, (clients, reason) in ACCEPTED.items():
        assert set(clients.split()) <= set(lacks(feature)), feature
        assert clients, feature
        assert reason, feature


def test_the_reduced_facts_are_those_of_the_source(corpus: Path) -> None:
    """Gmail's row, feature by feature, against the full table: its worst edition counts."""
    full = json.loads((corpus / "caniemail" / "caniemail.json").read_text(encoding="utf-8"))
    words = {"y": None, "u": None, "a": "partial", "n": "no"}

    assert full["last_update_date"].startswith(FACTS_OF)
    for feature in full["data"]:
        kind, _, name = feature["slug"].partition("-")
        known = lacks(f"{kind}:{name}")
        if known:
            editions = [words[list(tests.values())[-1].split()[0]] for tests in feature["stats"]["gmail"].values()]
            expected = "no" if "no" in editions else "partial" if "partial" in editions else None
            assert expected == known.get("gmail"), feature["slug"]
    assert {} == lacks("css:color")


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("#000000", "#ffffff", 21.0),
        ("#777777", "#ffffff", 4.478),
        ("#fff", "#fff", 1.0),
        ("white", "rgb(0, 0, 0)", 21.0),
    ],
)
def test_contrast_is_that_of_wcag(one: str, other: str, expected: float) -> None:
    a, b = colour_of(one), colour_of(other)
    assert a is not None
    assert b is not None

    assert expected == pytest.approx(ratio(a, b), abs=0.001)


@pytest.mark.parametrize("value", ["transparent", "inherit", "rgba(0, 0, 0, 0)", "none", "", "#12"])
def test_what_is_no_colour_is_none(value: str) -> None:
    assert colour_of(value) is None


def test_a_style_sheet_is_cut_into_its_rules() -> None:
    found = sheet_of("/* } */ @import 'a'; a{color:red} @media x { b , i {color : Blue !important; top:0} } } c{")

    assert [("", "@import 'a'", ()), ("", "a", (("color", "red", False),))] == [
        (r.media, r.selector, r.declarations) for r in found[:2]
    ]
    assert ("@media x", "b , i", (("color", "blue", True), ("top", "0", False))) == (
        found[2].media,
        found[2].selector,
        found[2].declarations,
    )


def test_rules_are_not_fooled_by_the_footer_alone() -> None:
    """The way out counts only where it can be seen."""
    hidden = FOOTER.replace('<p style="', '<p style="display: none; ')

    assert ("error", "way-out") in rules(changed(FOOTER, hidden))
    assert re.search("Unsubscribe", hidden)
