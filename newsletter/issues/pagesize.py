"""How large a page will be once its styles are inlined, without inlining it.

What inlining adds to an element depends, for the rules a letter needs, on the
element and on what it stands in.  So a small page with one element of each kind
is inlined, and what each has gained is counted for all its likes.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from html import escape, unescape
from typing import Final

_MARKUP = re.compile(
    r"<!--.*?-->|<(?:style|script)\b.*?</(?:style|script)\s*>"
    r"""|<(?P<end>/?)(?P<name>[a-zA-Z][a-zA-Z0-9]*)(?P<attributes>(?:[^<>"']|"[^"]*"|'[^']*')*)>""",
    re.DOTALL | re.IGNORECASE,
)
_HEAD = re.compile(r"^.*?</head\s*>", re.DOTALL | re.IGNORECASE)
_CHOSEN_BY = re.compile(r"""\b(class|id|dir)\s*=\s*(?:"([^"]*)"|'([^']*)')""", re.IGNORECASE)
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z][a-zA-Z0-9]{1,31});")
_MARK = re.compile(r'<[^<>]*\bdata-kind="(\d+)"[^<>]*>')
_VOID: Final = frozenset(("area", "base", "br", "col", "hr", "img", "input", "link", "meta", "source", "wbr"))
#: Not part of what is counted: these stand above or are no elements of the page.
_OUTSIDE: Final = frozenset(("html", "head", "body", "meta", "title", "xml"))
#: What a serialised page keeps as it is.
_KEPT: Final = {"&amp;": 5, "&lt;": 4, "&gt;": 4, "&quot;": 6, "&#34;": 6}
_MOST_KINDS: Final = 500
_DEEPEST: Final = 30

#: An element with all it stands in, outermost first: names with the attributes that rules go by.
_Kind = tuple[tuple[str, str], ...]


class PageSize:
    """Foretells the size of pages made by one template.

    Args:
        samples: pages that together have every kind of element.
        inline: what will be done to the pages; done once here, to a small one.
    """

    def __init__(self, samples: Iterable[str], inline: Callable[[str], str]) -> None:
        pages = list(samples)
        self._counted = {page: Counter(_kinds(page)) for page in pages}
        seen: Counter[_Kind] = Counter()
        for counted in self._counted.values():
            seen.update(counted)
        head = _HEAD.match(pages[0])
        # Parents before their children; of too many kinds the rarest are left out.
        common = {kind for kind, _ in seen.most_common(_MOST_KINDS)}
        common = {kind for kind in common if all(kind[:depth] in common for depth in range(1, len(kind)))}
        number = {kind: n for n, kind in enumerate(sorted(common))}
        page, lengths = _specimens(number, head[0] if head else "<html><head></head>")
        after = inline(page)
        gained = {int(found[1]): len(found[0].encode()) for found in _MARK.finditer(after)}
        self._costs = {kind: gained[n] - lengths[n] for kind, n in number.items() if n in gained}
        self._by_name: dict[str, int] = {}
        for kind, cost in self._costs.items():
            name = kind[-1][0]
            self._by_name[name] = max(cost, self._by_name.get(name, 0))
        self._constant = len(after.encode()) - _plain(page) - sum(self._costs.values())

    def inlined(self, page: str) -> int:
        """About how many bytes of UTF-8 a page will have."""
        size = _plain(page) + self._constant
        counted = self._counted.get(page)
        for kind, times in (Counter(_kinds(page)) if counted is None else counted).items():
            cost = self._costs.get(kind)
            size += times * (self._by_name.get(kind[-1][0], 0) if cost is None else cost)
        return size


def _kinds(page: str) -> Iterator[_Kind]:
    """Each element's kind, in the order of a page."""
    stack: list[tuple[str, str]] = []
    for found in _MARKUP.finditer(page):
        name = (found["name"] or "").lower()
        if not name or name in _OUTSIDE:
            continue
        if found["end"]:
            for place in range(len(stack) - 1, -1, -1):
                if stack[place][0] == name:
                    del stack[place:]
                    break
            continue
        attributes = found["attributes"]
        chosen = ""
        if attributes:
            chosen = "".join(
                f' {a[1].lower()}="{escape(unescape(a[2] or a[3] or ""))}"' for a in _CHOSEN_BY.finditer(attributes)
            )
        own = (name, chosen)
        yield (*stack[:_DEEPEST], own)
        if name not in _VOID and not attributes.endswith("/"):
            stack.append(own)


def _specimens(number: dict[_Kind, int], head: str) -> tuple[str, dict[int, int]]:
    """A page with one element of each kind, each in its place; and how long its tags are."""
    children: dict[_Kind, list[_Kind]] = {}
    for kind in number:
        children.setdefault(kind[:-1], []).append(kind)
    lengths: dict[int, int] = {}

    def written(kind: _Kind) -> Iterator[str]:
        name, chosen = kind[-1]
        tag = f'<{name}{chosen} data-kind="{number[kind]}">'
        lengths[number[kind]] = len(tag.encode())
        yield tag
        if name not in _VOID:
            yield "."
            for child in children.get(kind, ()):
                yield from written(child)
            yield f"</{name}>"

    body = "".join(part for kind in children.get((), ()) for part in written(kind))
    return f"{head}\n<body>\n{body}\n</body>\n</html>\n", lengths


def _plain(page: str) -> int:
    """The size of a page as it is serialised: entities as characters, but for those that must stay."""
    size = len(page.encode())
    for entity, times in Counter(_ENTITY.findall(page)).items():
        kept = _KEPT.get(entity)
        size += times * ((len(unescape(entity).encode()) if kept is None else kept) - len(entity))
    return size
