"""A feed's rules, tried on its entries: which entries an issue leaves out, and which rule says so.

Rules are a project's, texts are strangers', so time is rationed.  A match may take
`_PATIENCE` seconds; a rule that needs that long time and again, or an issue that has
spent its ration, gets `_HASTE` a match from then on, which is plenty for any
ordinary rule.  A match that is not found in time is none, and that is said.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Literal

from newsletter.clock import SystemClock
from newsletter.errors import ConfigError, Problem
from newsletter.issues.plaintext import html_text
from newsletter.model import Entry, Feed, Rule, SlowRule
from newsletter.pattern import search
from newsletter.text import one_line

#: No more characters of an entry's text than these are looked at.
LOOKED_AT: Final = 20_000

_PATIENCE: Final = 0.2
_HASTE: Final = 0.01
#: Seconds beyond `_HASTE` a match that one rule, and all rules together, may take in an issue.
_RULE_RATION: Final = 1.0
_ISSUE_RATION: Final = 5.0

_NAMED_BY: Final = 100
_EXCERPT: Final = 60
_AROUND: Final = 20

#: What to do about a slow rule.
SLOW_HINT: Final = (
    "write it without one repetition inside another, such as (a+)+ or (.*x)*; newsletter feed test tries it"
)

Kind = Literal["exclude", "include"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A rule that matches an entry: in its title or its text, what it matched, and the words around that."""

    kind: Kind
    rule: Rule
    where: Literal["title", "text"]
    matched: str
    excerpt: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Filtered:
    """Whether a feed's rules let an entry through, and which rule says so; `why` is "" where there are none.

    `late` names the rules that ran out of time.
    """

    passes: bool
    why: str = ""
    hits: tuple[Hit, ...] = ()
    late: tuple[str, ...] = ()

    @property
    def note(self) -> str:
        """What has to be said of the entry whether it passes or not; mostly nothing."""
        if not self.late:
            return ""
        return f"ran out of time: the {'rules' if len(self.late) > 1 else 'rule'} {', '.join(self.late)}"


class Filters:
    """Tries rules on the entries of one issue, and keeps account of the time they take.

    Args:
        timer: seconds that never jump; this machine's by default.
    """

    def __init__(self, timer: Callable[[], float] | None = None) -> None:
        self._timer = timer or SystemClock().monotonic
        self._spent: defaultdict[tuple[str, Kind, Rule], float] = defaultdict(float)
        self._late: Counter[tuple[str, Kind, Rule]] = Counter()

    def judge(self, entry: Entry, feed: Feed, *, all_rules: bool = False) -> Filtered:
        """Try a feed's `exclude` and `include` rules on an entry's title and text; `exclude` wins.

        Args:
            entry: the entry.
            feed: the rules are its.
            all_rules: try those, too, that can no longer decide.

        Raises:
            ConfigError: a rule is no regular expression.
        """
        if not feed.include and not feed.exclude:
            return Filtered(passes=True)
        hits: list[Hit] = []
        late: list[str] = []
        for found in self._try(entry, feed):
            if isinstance(found, Hit):
                hits.append(found)
                if not all_rules:
                    break
            else:
                late.append(found)
        first = hits[0] if hits else None
        if first is None:
            why = f"no {'include' if feed.include else 'exclude'} rule matches"
        else:
            why = f"{'excluded' if first.kind == 'exclude' else 'let in'} by the rule {_called(first.rule)}"
        passes = not feed.include if first is None else first.kind == "include"
        return Filtered(passes=passes, why=why, hits=tuple(hits), late=tuple(late))

    @property
    def slow(self) -> tuple[SlowRule, ...]:
        """The rules that have run out of time so far, and on how many entries."""
        return tuple(
            SlowRule(feed_url=url, kind=kind, name=rule.name, entries=number)
            for (url, kind, rule), number in self._late.items()
        )

    def _try(self, entry: Entry, feed: Feed) -> Iterator[Hit | str]:
        """Yield each rule's hit, or its name where it ran out of time."""
        title = entry.title[:LOOKED_AT]
        text = f"{title}\n{html_text(entry.content or entry.summary)[:LOOKED_AT]}"
        kinds: tuple[tuple[Kind, tuple[Rule, ...]], ...] = (("exclude", feed.exclude), ("include", feed.include))
        for kind, rules in kinds:
            for rule in rules:
                try:
                    span = self._search(rule, text, feed, kind)
                except TimeoutError:
                    yield _called(rule)
                else:
                    if span is not None:
                        yield _hit(kind, rule, text, span, len(title))

    def _search(self, rule: Rule, text: str, feed: Feed, kind: Kind) -> tuple[int, int] | None:
        key = (feed.url, kind, rule)
        in_haste = self._spent[key] >= _RULE_RATION or sum(self._spent.values()) >= _ISSUE_RATION
        limit = _HASTE if in_haste else _PATIENCE
        began = self._timer()
        try:
            span = search(rule.pattern, text, seconds=limit)
        except TimeoutError:
            self._late[key] += 1
            # A clock that stands still counts, too.
            self._spent[key] += limit
            raise
        except ValueError as error:
            problem = Problem(path=feed.url, line=None, key=kind, text=f"{rule.pattern!r} {error}")
            raise ConfigError([problem]) from error
        self._spent[key] += max(self._timer() - began - _HASTE, 0.0)
        return span


def slow_words(slow: SlowRule) -> str:
    """That a rule ran out of time, in one sentence."""
    entries = f"{slow.entries} {'entry' if slow.entries == 1 else 'entries'}"
    name = one_line(slow.name, _NAMED_BY)
    return f"{slow.feed_url}: the {slow.kind} rule {name} ran out of time on {entries} and counts as not matching there"


def _called(rule: Rule) -> str:
    return one_line(rule.name, _NAMED_BY)


def _hit(kind: Kind, rule: Rule, text: str, span: tuple[int, int], title: int) -> Hit:
    begin, end = span
    # A pattern may reach from the title into the text; where it begins is where it stands.
    in_title = begin <= title
    first, last = (0, title) if in_title else (title + 1, len(text))
    after = min(last, end + _AROUND, begin + _EXCERPT)
    before = max(first, begin - _AROUND)
    excerpt = one_line(text[before:after])
    return Hit(
        kind=kind,
        rule=rule,
        where="title" if in_title else "text",
        matched=one_line(text[begin : min(end, begin + _EXCERPT)]),
        excerpt=f"{'…' if before > first else ''}{excerpt}{'…' if after < last else ''}",
    )
