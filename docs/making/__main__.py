"""`python -m docs.making`: write what `made()` gives into docs/."""

import sys
from pathlib import Path

from docs.making.made import made
from docs.making.settings import Undescribed

try:
    pages = made()
except Undescribed as missing:
    sys.exit(f"error: {missing}")
for path, text in pages.items():
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")
        print(f"wrote {path.relative_to(Path(__file__).parents[2])}")
