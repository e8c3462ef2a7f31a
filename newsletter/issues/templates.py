"""Finding templates and running them; every failure names the template and its line."""

import re
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import CodeType, FrameType, TracebackType
from typing import Any, Final, Never, Self

from jinja2 import (
    BaseLoader,
    BytecodeCache,
    DictLoader,
    Environment,
    FileSystemLoader,
    PrefixLoader,
    Template,
    TemplateNotFound,
    TemplateSyntaxError,
    nodes,
)
from jinja2.bccache import Bucket

from newsletter.errors import NewsletterError, TemplateError
from newsletter.issues.environment import MAX_OUTPUT, Run, Sandbox
from newsletter.issues.personal import Reader
from newsletter.issues.words import Words
from newsletter.text import one_line

DEFAULT_THEME: Final = "default"
#: The five files of a theme.
TEMPLATES: Final = ("issue.html.j2", "issue.txt.j2", "issue.md.j2", "archive.md.j2", "subject.txt.j2")
_THEME = re.compile(r"[A-Za-z0-9_-]+")
_MAX_SOURCE: Final = 1_000_000
#: So many compiled templates are kept.
_KEPT: Final = 100
#: How a template given as text, not as a file, is called in a traceback.
_FROM_TEXT: Final = "<template>"


def default_templates() -> Path:
    """The packaged templates: beside this package in a wheel, beside the package's folder in a checkout."""
    package = Path(__file__).resolve().parent.parent
    return package / "templates" if (package / "templates").is_dir() else package.parent / "templates"


def built_in_themes() -> tuple[str, ...]:
    """The names of the packaged themes, `default` first."""
    return (DEFAULT_THEME, *themes_in(default_templates()))


def themes_in(folder: Path) -> tuple[str, ...]:
    """The themes that stand as folders in a folder of templates, by name; those without a template are none."""
    try:
        found = [path for path in folder.iterdir() if _THEME.fullmatch(path.name) and path.name != DEFAULT_THEME]
        return tuple(sorted(path.name for path in found if any((path / name).is_file() for name in TEMPLATES)))
    except OSError:
        return ()


class _Folder(FileSystemLoader):
    """A folder of templates, none of them absurdly large."""

    def get_source(self, environment: Environment, template: str) -> tuple[str, str, Callable[[], bool]]:
        try:
            source, path, fresh = super().get_source(environment, template)
        except TemplateNotFound:
            raise
        except UnicodeDecodeError as error:
            raise TemplateError(f"templates/{template}", None, "it is not UTF-8 text") from error
        except (OSError, ValueError) as error:
            raise TemplateError(f"templates/{template}", None, f"it cannot be read: {error}") from error
        if len(source) > _MAX_SOURCE:
            raise TemplateError(f"templates/{template}", None, f"it has more than {_MAX_SOURCE:,} characters")
        return source, path, fresh


class _Shelf(BaseLoader):
    """Loaders one after the other, which remembers the text of every template that was asked for."""

    def __init__(self, loaders: Sequence[BaseLoader]) -> None:
        self._loaders = loaders
        self.used: dict[str, str] = {}

    def get_source(self, environment: Environment, template: str) -> tuple[str, str | None, Callable[[], bool] | None]:
        for loader in self._loaders:
            try:
                found = loader.get_source(environment, template)
            except TemplateNotFound:
                continue
            self.used[template] = found[0]
            return found
        raise TemplateNotFound(template)


class _Compiled(BytecodeCache):
    """What templates were compiled to, for the next `Templates` of this process: compiling takes longer than running.

    A template whose text has changed is another one: Jinja compares checksums.
    """

    def __init__(self) -> None:
        self._codes: OrderedDict[tuple[str, str], CodeType] = OrderedDict()

    def load_bytecode(self, bucket: Bucket) -> None:
        """Give the code of a template, if it is there."""
        code = self._codes.get((bucket.key, bucket.checksum))
        if code is not None:
            bucket.code = code

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep the code of a template; of too many the oldest goes."""
        if bucket.code is not None:
            self._codes[bucket.key, bucket.checksum] = bucket.code
        while len(self._codes) > _KEPT:
            self._codes.popitem(last=False)


_compiled = _Compiled()


class Templates:
    """The templates of a project with one theme, ready to run.

    A file is looked for in the project's folders, then among the packaged ones;
    of a theme other than `default` in the folder of that name first.  A project's
    file may build on a packaged one, also on one of the same name:
    `{% extends "default/issue.html.j2" %}`, `{% extends "compact/issue.html.j2" %}`.
    """

    def __init__(self, folders: Sequence[Path] = (), theme: str = DEFAULT_THEME) -> None:
        if not _THEME.fullmatch(theme):
            raise TemplateError(
                f"templates/{one_line(theme, 40)}", None, "a theme is named by letters, digits, - and _"
            )
        packaged = default_templates()
        self._roots = [*(Path(folder).resolve() for folder in folders), packaged]
        themed = [root / theme for root in self._roots] if theme != DEFAULT_THEME else []
        self.theme = theme
        self._load_from(
            PrefixLoader({name: _Folder(_folders(packaged, name)) for name in built_in_themes()}),
            _Folder([str(path) for path in (*themed, *self._roots)]),
        )
        if theme != DEFAULT_THEME and not any(path.is_dir() for path in themed):
            raise TemplateError(f"templates/{theme}", None, f"there is no theme {theme!r}")

    @classmethod
    def kept(cls, texts: Mapping[str, str]) -> Self:
        """The templates that another `Templates` has `used`, by name; there are no others."""
        templates = cls()
        templates._load_from(DictLoader(texts))
        return templates

    def _load_from(self, *loaders: BaseLoader) -> None:
        self._shelf = _Shelf(loaders)
        self._environment = Sandbox(loader=self._shelf, autoescape=_is_html, bytecode_cache=_compiled)

    @property
    def used(self) -> Mapping[str, str]:
        """The text of each template that has been run or looked at so far, by name; those it builds on included."""
        return dict(self._shelf.used)

    def text(self, name: str) -> str | None:
        """The text of a template, as `used` names it; None where there is none, or it cannot be read."""
        try:
            return self._shelf.get_source(self._environment, name)[0]
        except (TemplateNotFound, TemplateError):
            return None

    def source(self, name: str) -> tuple[Path, str]:
        """Where one of `TEMPLATES` comes from, and its text.

        Raises:
            TemplateError: it cannot be read.
        """
        loader = self._environment.loader
        assert loader is not None
        try:
            text, path, _ = loader.get_source(self._environment, name)
        except TemplateNotFound as error:
            self._fail(error, name)
        return Path(path or name), text

    def blocks(self, name: str) -> tuple[str, ...]:
        """The names of the blocks that a file building on this one may redefine, in the order they stand there.

        Raises:
            TemplateError: it cannot be read.
        """
        try:
            found: dict[str, None] = {}
            following: str | None = name
            while following is not None:
                _, text = self.source(following)
                tree = self._environment.parse(text, following)
                found = dict.fromkeys(block.name for block in tree.find_all(nodes.Block)) | found
                parent = tree.find(nodes.Extends)
                following = parent.template.as_const() if parent else None
        except Exception as error:  # noqa: BLE001 - as in `render`
            self._fail(error, name)
        return tuple(found)

    def add_filter(self, name: str, function: Callable[..., Any]) -> None:
        """Give all templates one more filter."""
        self._environment.add_filter(name, function)

    def speak(self, words: Words) -> None:
        """Take the fixed words from here from now on."""
        self._environment.words = words

    def render(self, name: str, context: Mapping[str, object], reader: Reader) -> str:
        """Run one of `TEMPLATES`.

        Raises:
            TemplateError: it cannot be read, or fails, or writes without end.
            LogicOnSubscriber: it decides on a subscriber and `reader` has none.
        """
        try:
            template = self._environment.get_template(name)
        except Exception as error:  # noqa: BLE001 - whatever a template can do wrong has a place in it
            self._fail(error, name)
        return self._run(template, name, context, reader)

    def render_text(self, source: str, name: str, context: Mapping[str, object], reader: Reader) -> str:
        """Run a template given as text, such as a digest's `subject`; `name` stands for it in messages.

        Raises:
            TemplateError: see `render`.
            LogicOnSubscriber: see `render`.
        """
        try:
            template = self._environment.from_string(source)
        except Exception as error:  # noqa: BLE001
            self._fail(error, name)
        return self._run(template, name, context, reader)

    def _run(self, template: Template, name: str, context: Mapping[str, object], reader: Reader) -> str:
        parts = []
        written = 0
        self._environment.run = Run(reader)
        try:
            stream = template.generate(context)
            for part in stream:
                parts.append(part)
                written += len(part)
                if written > MAX_OUTPUT:
                    text = f"it writes more than {MAX_OUTPUT:,} characters"
                    raise TemplateError(self._shown(template.filename, name), _line(stream, template), text)  # noqa: TRY301
        except NewsletterError:
            raise
        except Exception as error:  # noqa: BLE001
            self._fail(error, name)
        finally:
            self._environment.run = None
        return "".join(parts)

    def _fail(self, error: Exception, name: str) -> Never:
        """Raise what went wrong as a `TemplateError` with its place."""
        if isinstance(error, NewsletterError):
            raise error
        if isinstance(error, TemplateSyntaxError):
            where = self._shown(error.filename, error.name or name)
            raise TemplateError(where, error.lineno, str(error.message)) from error
        place = self._place(error.__traceback__)
        where = self._shown(place[0], name) if place else self._shown(None, name)
        if isinstance(error, TemplateNotFound):
            text = f"there is no template {error.name!r}"
        elif isinstance(error, RecursionError):
            text = "it includes or calls itself without end"
        elif isinstance(error, MemoryError):
            text = "it needs too much memory"
        else:
            text = str(error) or type(error).__name__
        raise TemplateError(where, place[1] if place else None, text) from error

    def _place(self, traceback: TracebackType | None) -> tuple[str, int] | None:
        """File and line of the innermost template in a traceback."""
        found = None
        while traceback is not None:
            filename = traceback.tb_frame.f_code.co_filename
            if filename == _FROM_TEXT or any(Path(filename).is_relative_to(root) for root in self._roots):
                found = (filename, traceback.tb_lineno)
            traceback = traceback.tb_next
        return found

    def _shown(self, filename: str | None, name: str) -> str:
        """A template's name for a message: `templates/issue.html.j2`."""
        for root in self._roots:
            if filename and Path(filename).is_relative_to(root):
                return f"templates/{Path(filename).relative_to(root).as_posix()}"
        return f"templates/{name}" if name.endswith(".j2") else name


def _line(stream: object, template: Template) -> int | None:
    """The line of a template at which its output stands still, where it is in this very file."""
    while (inner := getattr(stream, "gi_yieldfrom", None)) is not None:
        stream = inner
    frame: FrameType | None = getattr(stream, "gi_frame", None)
    if frame is None or frame.f_code.co_filename != template.filename:
        return None
    return template.get_corresponding_lineno(frame.f_lineno)


def _folders(packaged: Path, theme: str) -> list[str]:
    """Where the files of a packaged theme are; what it lacks is the default's."""
    return [str(packaged)] if theme == DEFAULT_THEME else [str(packaged / theme), str(packaged)]


def _is_html(name: str | None) -> bool:
    return name is not None and name.removesuffix(".j2").endswith((".html", ".htm", ".xml"))
