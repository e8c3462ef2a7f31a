"""The six reference pictures of the sample letter: three widths, light and dark.  `make pictures` writes them anew.

They are compared only by the Chromium that made them: its major version stands
beside them in `chromium.txt`.
"""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Browser

from newsletter.app.letters import Letter
from tests.conftest import ROOT
from tests.proof.browser import browser, chromium, shown
from tests.proof.letters import sample_letter

FOLDER = ROOT / "docs" / "pictures"
MADE_WITH = FOLDER / "chromium.txt"
LARGEST = 150_000


def major(running: Browser) -> str:
    """The browser's major version."""
    return running.version.partition(".")[0]


def pictures(running: Browser, letter: Letter) -> Iterator[tuple[str, bytes]]:
    """Each picture's file name and its PNG: the first screen of the letter."""
    with shown(running, letter) as view:
        for width, scheme in view.windows():
            yield f"letter-{width}-{scheme}.png", view.page.screenshot(animations="disabled", caret="hide")


def main() -> int:
    """Write the pictures."""
    if chromium() is None:
        print("error: no chromium on PATH", file=sys.stderr)
        return 1
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        letter = sample_letter(Path(folder))
    with browser() as running:
        for name, png in pictures(running, letter):
            (FOLDER / name).write_bytes(png)
            print(f"{FOLDER / name}: {len(png):,} bytes")
        MADE_WITH.write_text(f"{major(running)}\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
