"""What an inbox shows beside the subject: the first words of a letter, hidden ones included."""

from typing import Final

from lxml import etree, html

from newsletter.text import one_line

_LONGEST: Final = 140
#: What letters put after their preheader, so that an inbox shows nothing else: it is no text.
_FILLER: Final = "\u034f"
_UNSEEN: Final = frozenset(("head", "script", "style", "title"))


def inbox_words(page: str, text: str) -> str:
    """The words a mail program shows in its list of messages.

    Args:
        page: the HTML part, or "" where there is none.
        text: the text part.
    """
    words = _words(page) if page else text
    return one_line(words.partition(_FILLER)[0] or words.replace(_FILLER, ""), _LONGEST)


def _words(page: str) -> str:
    try:
        root = html.document_fromstring(page.encode(), parser=html.HTMLParser(huge_tree=True, encoding="utf-8"))
    except (etree.LxmlError, ValueError):
        return ""
    found: list[str] = []
    length = 0
    for event, node in etree.iterwalk(root, events=("start", "end")):
        seen = isinstance(node.tag, str) and not any(a.tag in _UNSEEN for a in (node, *node.iterancestors()))
        if event == "start":
            said = node.text if seen else None
        else:
            parent = node.getparent()
            said = node.tail if parent is not None and parent.tag not in _UNSEEN else None
        if said and said.strip():
            found.append(said)
            length += len(said)
        if length > 4 * _LONGEST or _FILLER in (said or ""):
            break
    return " ".join(found)
