"""What the project tests look at: the files that are, or would be, tracked, and the modules of the package."""

import ast
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "newsletter"
#: What no listing of ours may descend into.
_SKIPPED = {".git", ".venv", ".newsletter", "demo", "dist", "build", "__pycache__"}


@cache
def tracked() -> tuple[str, ...]:
    """Paths of all files that git has or would add; without git, of all files that are not made by a tool."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    found = subprocess.run(listing, cwd=ROOT, capture_output=True, check=False)
    if found.returncode == 0:
        names = [name for name in found.stdout.decode().split("\0") if name]
    else:
        paths = (path.relative_to(ROOT) for path in ROOT.rglob("*") if path.is_file())
        names = [str(path) for path in paths if not _SKIPPED & set(path.parts[:1]) and "__pycache__" not in path.parts]
    return tuple(sorted(name for name in names if (ROOT / name).is_file()))


def texts(*suffixes: str) -> Iterator[tuple[str, str]]:
    """Tracked files that are text, as (path, text); only those with one of the suffixes, if any are given."""
    for name in tracked():
        if suffixes and not name.endswith(suffixes):
            continue
        try:
            yield name, (ROOT / name).read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue


@cache
def modules() -> dict[str, ast.Module]:
    """Every module of the package, parsed, by its path below the package's folder."""
    return {
        str(path.relative_to(PACKAGE)): ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
        for path in sorted(PACKAGE.rglob("*.py"))
    }


def dotted(node: ast.AST) -> str:
    """`a.b.c` for a chain of names, else an empty text."""
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else ""
