"""CSS into style attributes, once per rendering, and proof that nothing was lost on the way.

premailer's defaults would take the `!important` out of the dark-mode rules, write
`height="auto"` over good heights and load style sheets from the network; libxml2
below it leaves out whatever nests too deep, with all that follows.
"""

import logging
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote

from lxml import etree
from markupsafe import escape

from newsletter.errors import TemplateError
from newsletter.issues.merge import double_quoted, set_kinds, write

#: Attributes that premailer would derive from styles; the templates set those that are wanted.
_NO_ATTRIBUTES: Final = ["align", "bgcolor", "height", "valign", "width"]

#: libxml2 writes what stands in an attribute between "&{" and "}" as it is, "<" and ">" and all: it takes it for a
#: script macro (HTML 4.01, B.7.1).  Between the two characters while it is at work, this keeps it from that.
_APART: Final = "\ue0f2"


def inline(html: str, token: str, *, name: str = "templates/issue.html.j2") -> str:
    """Inline the `<style>` rules of an HTML part; its merge tokens then know where they stand.

    A block marked `data-premailer="ignore"` stays as it is, for what only works
    in a style sheet: dark mode, hover, small screens.

    Raises:
        TemplateError: the HTML or its style sheet cannot be read.
    """
    if not html.strip():
        return ""
    # Only here: it brings an HTTP library along, and most commands inline nothing.
    from premailer import Premailer

    try:
        inlined = Premailer(
            html.replace("&amp;{", f"&amp;{_APART}{{"),
            strip_important=False,
            disable_basic_attributes=_NO_ATTRIBUTES,
            allow_network=False,
            allow_loading_external_files=False,
            cssutils_logging_level=logging.CRITICAL,
            disable_validation=True,
            keep_style_tags=False,
            align_floating_images=False,
            disable_link_rewrites=True,
        ).transform(pretty_print=False)
    except (etree.LxmlError, ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
        raise TemplateError(name, None, f"its HTML or CSS cannot be inlined: {error}") from error
    together = str(inlined)
    for apart in (_APART, quote(_APART)):  # in an address it is written in ASCII
        together = together.replace(f"&amp;{apart}{{", "&amp;{")
    return set_kinds(double_quoted(together), token)


def lost(before: str, after: str, titles_and_urls: Iterable[tuple[str, str | None]]) -> str | None:
    """The first title or address that stood in the HTML before inlining and does not after, or None.

    Args:
        before: as the template wrote it.
        after: as it is to be sent.
        titles_and_urls: of the entries, in order; searching on from the last one found keeps this linear.
    """
    was, is_ = _Search(before), _Search(after)
    for title, url in titles_and_urls:
        for text, kind in ((title, "h"), (url, "u")):
            if text and was.has(str(escape(text))) and not is_.has(write(text, kind)):
                return text
    return None


class _Search:
    """Looks for texts that stand in a known order, mostly."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def has(self, wanted: str) -> bool:
        found = self._text.find(wanted, self._at)
        if found < 0:
            return wanted in self._text
        self._at = found
        return True
