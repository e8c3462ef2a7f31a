"""The preview page as files: one letter, to be opened from disk or sent to somebody."""

from pathlib import Path
from typing import Any, Final

from newsletter.asjson import as_json
from newsletter.preview.server import page_files

#: Where the page's data goes; the page looks for an element of this id.
_PLACE: Final = b"<!--frozen-->"


def write_frozen(folder: Path, data: dict[str, Any]) -> list[Path]:
    """Write index.html, with the page's data in it, and the files it uses beside it; returns their paths.

    Args:
        folder: is there already.
        data: `project`, `letter`, `findings`, `status`, as the server would answer.
    """
    # Within a script element nothing but "<" could end it (HTML §4.12.1.3).
    script = as_json(data).replace("<", "\\u003c")
    element = f'<script type="application/json" id="frozen">{script}</script>'.encode("utf-8", "replace")
    written = []
    for name, body in sorted(page_files().items()):
        path = folder / name
        path.write_bytes(body.replace(_PLACE, element, 1) if name == "index.html" else body)
        written.append(path)
    return written
