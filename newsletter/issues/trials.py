"""Trial issues: what feeds can do to a letter, one trouble each, for `newsletter template check`.

Each is a draft that the real `digest.build` made from made-up entries, with a
masthead.  Whoever changes a template sees here what a quiet week does not show.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from newsletter.issues.digest import DigestRules, build
from newsletter.issues.illustrate import illustrated
from newsletter.issues.views import Masthead
from newsletter.model import Draft, Enclosure, Entry, Feed, FeedHealth, FeedStatus, Picture, StoredEntry

_GAZETTE: Final = "https://gazette.example/feed.xml"
_GARDEN: Final = "https://garden.example/atom"
_HEBREW: Final = "https://hebrew.example/rss"
_WORD: Final = "Donaudampfschifffahrtsgesellschaftskapitän"
_PARAGRAPH: Final = "<p>The ferry left the harbour before dawn, as it always does, and nobody waved. </p>"
_SYNTAX: Final = "{{ 7*7 }} {% block entry %} {# {{ self }} #} ${7*7} <%= 7 %> %(title)s {0}"
_HOSTILE: Final = (
    "</td></tr></table></div></body></html><style>* {display: none}</style><!-- <![endif]--><script>x</script>"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One trouble: its name, and the issue that has it."""

    name: str
    draft: Draft
    masthead: Masthead


class _Bench:
    """Makes the entries of the trials; the greater its number, the older an entry is."""

    def __init__(self, masthead: Masthead, now: datetime) -> None:
        self._masthead = masthead
        self._now = now

    def entry(self, number: int = 1, feed: str = _GAZETTE, **fields: Any) -> StoredEntry:
        given = {
            "title": f"Story number {number}",
            "url": f"{feed.rpartition('/')[0]}/posts/{number}",
            "published_at": self._now - timedelta(hours=number),
            "summary": _PARAGRAPH,
            **fields,
        }
        made = Entry(guid=f"g{number}", position=number, **given)
        return StoredEntry(id=number, feed_url=feed, entry=made, first_seen_at=self._now)

    def illustrated(self, *entries: StoredEntry) -> Draft:
        """A letter that brings pictures along, a wide one and a small one."""
        found: dict[str, Picture | str] = {"https://x.example/gone": "it is gone"}
        for name, side in (("wide", 1072), ("small", 40)):
            # What is in it plays no part: no template looks inside.
            found[f"https://x.example/{name}"] = Picture(
                cid=f"{name:0>8}@example.com", media_type="image/png", data=name.encode(), width=side, height=side
            )
        return illustrated(self.draft(*entries, pictures="cid"), found)

    def draft(
        self,
        *entries: StoredEntry,
        edited: Sequence[StoredEntry] = (),
        languages: dict[str, str] | None = None,
        feeds: Sequence[Feed] = (),
        note: str = "",
        **rules: Any,
    ) -> Draft:
        masthead = self._masthead
        names = dict.fromkeys(stored.feed_url for stored in (*entries, *edited))
        known = {
            url: FeedHealth(
                url=url,
                title=url.split("/")[2].split(".")[0].title(),
                home_url=url.rpartition("/")[0] + "/",
                language=(languages or {}).get(url, "en"),
                status=FeedStatus.ok,
                entries=1,
                held=0,
                failures=0,
                last_error=None,
                last_hint=None,
                last_success_at=None,
                last_attempt_at=None,
            )
            for url in names
        }
        made = DigestRules(name=masthead.digest_name, title=masthead.digest_title, language=masthead.language, **rules)
        used = feeds or [Feed(url=url) for url in names]
        return build(made, used, known, entries, edited, number=12, now=self._now, note=note)

    def everything(self) -> Draft:
        """An issue with one of each thing that a template can show."""
        episode = Enclosure(url="https://gazette.example/episode.mp3", media_type="audio/mpeg", length=24_300_000)
        return self.draft(
            self.entry(1, author="Ines Marlow", summary=_PARAGRAPH * 40, image="https://gazette.example/ferry.jpg"),
            self.entry(2, enclosures=(episode,)),
            self.entry(3),
            self.entry(4, _GARDEN, url="https://story.example/1"),
            self.entry(5, _HEBREW, title="הגשר החדש נפתח לתנועה", summary="גשם קל בצפון"),
            self.entry(6, _HEBREW, url="https://story.example/1"),
            edited=[self.entry(7, _GARDEN, title="Corrected")],
            languages={_HEBREW: "he"},
            per_feed=2,
            note="## Good morning\n\nThe **ferry** is [back](https://gazette.example/ferry).",
        )


_Maker = Callable[[_Bench], Draft]


def _one(**fields: Any) -> _Maker:
    """An issue of an ordinary entry, an awkward one, and an ordinary one again."""
    return lambda bench: bench.draft(bench.entry(1), bench.entry(2, **fields), bench.entry(3, _GARDEN))


def _table(rows: int, columns: int, cell: str) -> str:
    return f"<table>{('<tr>' + f'<td>{cell}</td>' * columns + '</tr>') * rows}</table>"


_DRAFTS: Final[dict[str, _Maker]] = {
    "everything": _Bench.everything,
    "no title": _one(title=""),
    "no title, no text": _one(title="", summary=""),
    "no date": _one(published_at=None),
    "no address": _one(url=None),
    "no title, date, address or text": _one(title="", published_at=None, url=None, summary=""),
    "no text": _one(summary=""),
    "10,000 characters of title": _one(title="word " * 2_000),
    "10,000 characters without a blank": _one(title="x" * 10_000, summary="y" * 10_000),
    "long words": _one(title=_WORD * 4, summary=f"<p>{_WORD * 30}</p>"),
    "a long address": _one(
        url="https://gazette.example/" + "path/" * 300, summary=f"<p>https://x.example/{'a' * 900}</p>"
    ),
    "a script as title": _one(title="<script>alert(1)</script>", summary="<script>alert(1)</script>", author="<b>"),
    "HTML that ends the letter": _one(title=_HOSTILE, summary=_HOSTILE, content=_HOSTILE),
    "nested 5,000 deep": _one(content="<div>" * 5_000 + "deep"),
    "markup in titles": _one(title="AT&T <b>bold</b> &amp;lt; 1 < 2 > 0 \"quoted\" 'single' `tick`"),
    "Markdown in titles": _one(title="# [a](b) *c* _d_ ![e](f) 1. - +", summary="# h\n- a\n1. b"),
    "template syntax": _one(title=_SYNTAX, summary=_SYNTAX, content=f"<p>{_SYNTAX}</p>", author=_SYNTAX),
    "percent signs": _one(title="100% %s %(n)s %d", author="%s"),
    "emoji": _one(title="🚢⚓️ 👩‍👩‍👧‍👦 🏳️‍🌈 e\u0301", summary="<p>🌊🌊🌊</p>"),
    "zero-width characters": _one(title="\u200b\u200c\u200d\u2060\ufeff", summary="\u200b"),
    "controls and overrides": _one(title="a\x00b\x1b[31m\u202egnp.exe\u2028c\u2066d\ud800", author="\u202e\u0007"),
    "line breaks in titles": _one(title="one\r\nBcc: two@example.com\r\n\r\nthree"),
    "an encoded word as title": _one(title="=?utf-8?q?a=0D=0ABcc=3A_b=40x.example?="),
    "right to left": lambda b: b.draft(
        b.entry(1, _HEBREW, title="הגשר החדש נפתח לתנועה", author="דנה", summary="<p>גשם קל (בצפון) 12 מ״מ.</p>"),
        languages={_HEBREW: "he"},
    ),
    "mixed languages": lambda b: b.draft(
        b.entry(1, title="Ferry", language="en"),
        b.entry(2, title="החדש Ferry נפתח", language="he"),
        b.entry(3, title="東京の天気", language="ja", summary="<p>" + "東京は雨です。" * 60 + "</p>"),
        b.entry(4, title="طقس اليوم", language="ar"),
        b.entry(5, title="Погода", language="ru"),
        b.entry(6, title="x", language="not a language"),
    ),
    "no language": lambda b: b.draft(b.entry(1), languages={_GAZETTE: ""}),
    "a huge table": _one(content=_table(300, 30, "Rainfall")),
    "a table of long words": _one(content=_table(4, 4, _WORD)),
    "lists, quotes and code": _one(
        content="<ul><li>a<ul><li>b</ul></ul><blockquote><p>q</p></blockquote><pre>" + "code " * 90 + "</pre>"
    ),
    "pictures": _one(
        content='<p><img src="/a.jpg" width="2000" height="10"><img src="data:x"></p>', image="https://x.example/i"
    ),
    "pictures inside the message": lambda b: b.illustrated(
        b.entry(1, image="https://x.example/wide"),
        b.entry(2, image="https://x.example/small"),
        b.entry(3, image="https://x.example/wide"),
        b.entry(4, image="https://x.example/gone"),
    ),
    "enclosures": _one(
        enclosures=(
            Enclosure(url="https://x.example/a%20b.mp3?x=1&y=2", media_type="audio/mpeg", length=1),
            Enclosure(url="https://x.example/", media_type=None, length=-3),
            Enclosure(url="javascript:alert(1)", length=10**15),
        )
    ),
    "also in": lambda b: b.draft(
        *(b.entry(n, f"https://source{n}.example/feed", url="https://story.example/1") for n in range(1, 9))
    ),
    "updated": lambda b: b.draft(b.entry(1), edited=[b.entry(2, title="<Corrected>"), b.entry(3, url=None)]),
    "nothing but updates": lambda b: b.draft(edited=[b.entry(1)]),
    "more": lambda b: b.draft(*(b.entry(n, title=f"<{n}>") for n in range(1, 30)), per_feed=2),
    "nothing but headlines": lambda b: b.draft(
        b.entry(1), b.entry(2, url=None), feeds=[Feed(url=_GAZETTE, max_entries=0)]
    ),
    "by tag": lambda b: b.draft(
        b.entry(1),
        b.entry(2, _GARDEN),
        feeds=[Feed(url=_GAZETTE, tags=("<news>",)), Feed(url=_GARDEN)],
        group_by="tag",
    ),
    "in one section": lambda b: b.draft(b.entry(1), b.entry(2, _GARDEN), b.entry(3, _HEBREW), group_by="none"),
    "a note": lambda b: b.draft(
        b.entry(1),
        note=f"# One\n\n### Three\n\n> {_WORD * 4}\n\n- a\n- b\n\n| a | b |\n|---|---|\n| `c` | ~~d~~ |\n\n![](https://x.example/i)",
    ),
    "a note of HTML": lambda b: b.draft(b.entry(1), note=f"{_HOSTILE}\n\n{_SYNTAX}\n\n<b onclick=x>b"),
    "no entries": lambda b: b.draft(),
    "one entry": lambda b: b.draft(b.entry(1)),
    "one source": lambda b: b.draft(*(b.entry(n) for n in range(1, 6))),
    "60 sources": lambda b: b.draft(*(b.entry(n, f"https://source{n}.example/feed") for n in range(1, 61))),
    "500 entries": lambda b: b.draft(*(b.entry(n) for n in range(1, 501))),
}

_MASTHEADS: Final[dict[str, dict[str, Any]]] = {
    "with base_url": {"base_url": "https://wire.example.com"},
    "no base_url": {"base_url": None},
    "with postal address": {"postal_address": "1 Example Street <Berlin>", "reason": "You asked & we answered."},
    "no postal address": {"postal_address": None, "reason": None},
    "an awkward masthead": {"title": "<T> & {{ t }}", "digest_title": '"D": <b>é</b> 東京 ' + "long " * 60},
    "an unknown time zone": {"timezone": "Nowhere/Land"},
}


def trials(masthead: Masthead, languages: Sequence[str], *, now: datetime, only: str = "") -> Iterator[Trial]:
    """Make every trial issue, one after the other.

    Args:
        masthead: what stands above and below them.
        languages: in each of these, one issue with everything in it.
        now: when they are made.
        only: a part of the names of those that are wanted.
    """
    bench = _Bench(masthead, now)
    for name, make in _DRAFTS.items():
        if only.lower() in name.lower():
            yield Trial(name=name, draft=make(bench), masthead=masthead)
    spoken = {f"in {language}": {"language": language} for language in languages}
    for name, changes in {**_MASTHEADS, **spoken}.items():
        if only.lower() not in name.lower():
            continue
        changed = replace(masthead, **changes)
        yield Trial(name=name, draft=_Bench(changed, now).everything(), masthead=changed)
