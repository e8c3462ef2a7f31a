"""What makes spam filters and readers suspicious, though nothing is broken."""

import re
from collections.abc import Iterator

from newsletter.issues.check.finding import Finding, warning
from newsletter.issues.check.reading import Letter

#: Phones show about half of it, mailboxes on a desk all.
SUBJECT_LIMIT = 78

_REPLY = re.compile(r"^\s*(re|fw|fwd|aw|wg|sv|vs|tr|rv)\s*(\[\d+\])?:", re.IGNORECASE)
_WORD = re.compile(r"[^\W_]{2,}")
_CAPITALS = 0.8
_TOO_FEW_LETTERS = 8
_FEW_WORDS = 20
_MANY_LINKS = 20
_WORDS_PER_LINK = 2
_SHARED = 0.5
_HIDDEN_WORDS = 60


def check_smells(letter: Letter) -> Iterator[Finding]:
    """Judge what filters judge: the subject, and the proportions of the letter."""
    yield from _subject(letter.subject)
    if letter.root is None:
        return
    shown = letter.visible_words()
    yield from _proportions(letter, len(shown))
    yield from _mismatch(letter, shown)
    hidden = sum(
        len(_WORD.findall("".join(node.itertext())))
        for node in letter.hidden
        if node.getparent() is not None and node.getparent() not in letter.hidden and node.tag not in _UNSEEN
    )
    if hidden > _HIDDEN_WORDS:
        yield warning(
            "hidden-text",
            f"{hidden} words that nobody sees",
            why="filters look for text that is there for them only",
            fix="hide nothing but the preheader",
        )


_UNSEEN = frozenset(("head", "style", "script", "title"))


def _subject(subject: str) -> Iterator[Finding]:
    where, fix = "Subject", "change templates/subject.txt.j2 or `subject:` of the digest"
    letters = [c for c in subject if c.isalpha() and c.upper() != c.lower()]
    if not subject.strip():
        yield warning("subject", "no subject", where=where, why="filters and readers pass it over", fix=fix)
    if len(subject) > SUBJECT_LIMIT:
        yield warning(
            "subject",
            f"a subject of {len(subject)} characters",
            where=where,
            why=f"mailboxes cut after about {SUBJECT_LIMIT}",
            fix=fix,
        )
    if len(letters) > _TOO_FEW_LETTERS and sum(c.isupper() for c in letters) > _CAPITALS * len(letters):
        yield warning("subject", "a subject in capitals", where=where, why="filters and readers hear shouting", fix=fix)
    if _REPLY.match(subject):
        yield warning(
            "subject",
            "a subject that looks like a reply",
            where=where,
            why="it pretends to a conversation, which filters count and readers resent",
            fix=fix,
        )
    if "!!" in subject or "$$" in subject or "??" in subject:
        yield warning("subject", "a subject with !!, ?? or $$", where=where, why="spam is written so", fix=fix)


def _proportions(letter: Letter, words: int) -> Iterator[Finding]:
    pictures, links = len(letter.tags("img")), len(letter.tags("a"))
    if pictures and words < _FEW_WORDS:
        yield warning(
            "pictures-only",
            f"{pictures} {'picture' if pictures == 1 else 'pictures'} and {words} words",
            why="filters cannot read pictures, and blocked ones leave readers with nothing",
            fix="say it in words as well",
        )
    if links > _MANY_LINKS and words < links * _WORDS_PER_LINK:
        yield warning(
            "many-links",
            f"{links} links in {words} words",
            why="filters take a list of bare links for spam",
            fix="show a title and a line of text with each link",
        )


def _mismatch(letter: Letter, shown: list[str]) -> Iterator[Finding]:
    """Whether the two parts tell the same story, by the words of the text part that the HTML part has too."""
    if not letter.text:
        return
    in_text = set(_WORD.findall(re.sub(r"\S+://\S+", " ", letter.text).casefold()))
    in_html = set(_WORD.findall(" ".join(shown).casefold()))
    for one, other, names in (
        (in_text, in_html, "text part is not in the HTML part"),
        (in_html, in_text, "HTML part is not in the text part"),
    ):
        if one and len(one & other) < _SHARED * len(one):
            yield warning(
                "mismatch",
                f"most of the {names}",
                why="filters compare the two, for spammers fill one with harmless words",
                fix="let templates/issue.txt.j2 and templates/issue.html.j2 show the same entries",
            )
            return
