"""A draft's letter as nobody in particular gets it, and a short name by which an editor's answer holds for that letter alone."""

from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from newsletter.issues.render import Masthead, Renderings, Templates
from newsletter.model import Draft

_LENGTH: Final = 12
#: Stands for the merge fields; in an issue it is random.
_TOKEN: Final = "0" * 32


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenLetter:
    """What there is to look at: the subject, the letter as Markdown, and 12 hexadecimal digits that stand for all of it.

    Pictures that are to travel inside the message are fetched later and not in it.
    """

    subject: str
    markdown: str
    fingerprint: str


def seen_letter(draft: Draft, masthead: Masthead, templates: Templates) -> SeenLetter:
    """Render a draft for nobody in particular; the same letter has the same fingerprint.

    Raises:
        TemplateError: it cannot be rendered.
    """
    renderings = Renderings(draft, masthead, templates, token=_TOKEN)
    letter = renderings.for_nobody()
    whole = f"{renderings.subject}\0{letter.html}\0{letter.text}"
    return SeenLetter(
        subject=renderings.subject,
        markdown=letter.markdown,
        fingerprint=sha256(whole.encode("utf-8", "surrogatepass")).hexdigest()[:_LENGTH],
    )
