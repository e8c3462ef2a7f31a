"""All pages that are made, by where they lie."""

from pathlib import Path
from typing import Final

from docs.making.manual import manual_page
from docs.making.markdown import commands_page
from docs.making.settings import settings_page

DOCS: Final = Path(__file__).parents[1]


def made() -> dict[Path, str]:
    """Every page as it should be now.

    Raises:
        Undescribed: a setting has no words.
    """
    settings = DOCS / "settings.md"
    return {
        DOCS / "reference" / "commands.md": commands_page(),
        DOCS / "man" / "newsletter.1": manual_page(),
        settings: settings_page(settings.read_text(encoding="utf-8")),
    }
