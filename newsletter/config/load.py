"""From a file to a `Config`: found, read, checked against itself, complete."""

import os
import re
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from pydantic import ValidationError

from newsletter.address import parse_address, parse_mailbox
from newsletter.config.bounces import bounces_config, check_bounces
from newsletter.config.digests import check_digest, hours_of, selected
from newsletter.config.feed import check_feed, feed_from, is_there, path_in, secret_of
from newsletter.config.keep import keep_of
from newsletter.config.notifying import approval_rule, check_notify, notify_config
from newsletter.config.problems import Place, add_errors, as_written, find, key_path, plain
from newsletter.config.project import (
    ArchiveConfig,
    Config,
    DigestConfig,
    DkimConfig,
    SmtpConfig,
    SubscribeConfig,
    is_loopback,
)
from newsletter.config.schema import (
    DATABASE,
    BouncesBlock,
    CanaryBlock,
    DigestBlock,
    DkimBlock,
    FeedBlock,
    NotifyBlock,
    ProjectBlock,
    SmtpBlock,
)
from newsletter.config.secret import PasswordSource
from newsletter.config.selection import feeds_in_order
from newsletter.errors import ConfigError, Problem
from newsletter.model import CanaryRule, Feed, OnUnknown
from newsletter.schedule import Lateness
from newsletter.text import one_line
from newsletter.urls import canonical_url
from newsletter.yamlfile import MapNode, Node, Problems, Tree, parse_tree, read_tree, shown_path

CONFIG_NAME = "newsletter.yaml"
#: Overrides `store`, path or address.
STORE_VARIABLE = "NEWSLETTER_STORE"

_Part = TypeVar("_Part", FeedBlock, DigestBlock, SmtpBlock, BouncesBlock, NotifyBlock)
_PORTS = {"starttls": 587, "implicit": 465, "none": 25}
_FILE_ENDINGS = (".xml", ".rss", ".atom", ".json", ".rdf", ".txt", ".html", ".feed")


def load_project(path: Path | None = None) -> Config:
    """Read a project.

    Args:
        path: the project's folder or its file; None: this folder or the nearest one above that has one.

    Raises:
        ConfigError: with every mistake, each at its line.
    """
    file = find_project(path)
    return _build(file, read_tree(file))


def parse_project(text: str, path: Path) -> Config:
    """Read a project from a text that is, or will be, the file `path`.

    Raises:
        ConfigError: with every mistake, each at its line.
    """
    return _build(path, parse_tree(text.removeprefix("\ufeff"), shown_path(path)))


def find_project(path: Path | None = None) -> Path:
    """Find newsletter.yaml: in the folder given, or in this one or the nearest above.

    Raises:
        ConfigError: there is none, or the one above belongs to somebody else.
    """
    if path is not None:
        file = (path if is_there(path) and not path.is_dir() else path / CONFIG_NAME).absolute()
        if not is_there(file):
            raise _no_project(shown_path(file if is_there(path) else path), "no such file")
        return file
    try:
        here = Path.cwd()
    except OSError as error:
        raise _no_project(CONFIG_NAME, "the current folder is gone") from error
    for folder in (here, *here.parents):
        file = folder / CONFIG_NAME
        if not is_there(file):
            continue
        # A project can name commands to run: one that somebody else has left in
        # a folder above (/tmp, say) is not taken up unasked.
        if folder != here and file.stat().st_uid not in (os.geteuid(), 0):
            text = "belongs to another user and is not in this folder"
            raise ConfigError(
                [Problem(path=shown_path(file), line=None, key="", text=text)],
                hint=f"if it is the one you mean: newsletter -c {shown_path(file)} …",
            )
        return file
    raise _no_project(CONFIG_NAME, "there is none in this folder or above it")


def _no_project(shown: str, text: str) -> ConfigError:
    problem = Problem(path=shown, line=None, key="", text=text)
    return ConfigError([problem], hint="newsletter init makes a new project")


class _Checker:
    """One file on its way to a `Config`: collects what is wrong with one value beside another."""

    def __init__(self, path: Path, tree: Tree) -> None:
        self.path = path
        self.folder = path.parent
        self.root: Node = tree.root or MapNode(1, {})
        self.problems = Problems(shown_path(path))
        for problem in tree.problems:
            self.problems.add(problem.line, problem.text)

    def wrong(self, place: Place, text: str) -> None:
        """Note a mistake at a place."""
        place = as_written(self.root, place)
        self.problems.add(find(self.root, place)[1], text, key_path(place))


def _build(path: Path, tree: Tree) -> Config:
    check = _Checker(path, tree)
    if tree.root is None:
        check.problems.add(None, "is empty")
        raise ConfigError(check.problems.all(), hint="newsletter init makes a project with comments to fill in")
    if not isinstance(check.root, MapNode):
        check.problems.add(check.root.line, "must be settings, one `key: value` a line")
        raise ConfigError(check.problems.all())
    raw, whole = plain(check.root), None
    try:
        whole = ProjectBlock.model_validate(raw)
    except ValidationError as error:
        add_errors(check.problems, check.root, error.errors(include_url=False))
    _check_together(check, raw)
    if check.problems or whole is None:
        raise ConfigError(check.problems.all())
    return _config(check, whole)


# ------------------------------------------------- what needs more than one value


def _check_together(check: _Checker, raw: dict[str, Any]) -> None:
    """Judge the blocks that are right by themselves, so that one mistake does not hide another."""
    blocks = _parts(FeedBlock, [{"url": f} if isinstance(f, str) else f for f in _list(raw.get("feeds"))])
    feeds = [None if block is None else feed_from(check.folder, block) for block in blocks]
    _check_feeds(check, blocks, feeds)
    digests = raw.get("digests")
    if isinstance(digests, dict) and None not in feeds:
        _check_digests(check, digests, [feed for feed in feeds if feed is not None])
    for smtp in _parts(SmtpBlock, [raw["smtp"]] if isinstance(raw.get("smtp"), dict) else []):
        if smtp is not None:
            _check_smtp(check, smtp)
    for bounces in _parts(BouncesBlock, [raw["bounces"]] if isinstance(raw.get("bounces"), dict) else []):
        if bounces is not None:
            check_bounces(bounces, check.wrong)
    for notify in _parts(NotifyBlock, [raw["notify"]] if isinstance(raw.get("notify"), dict) else []):
        if notify is not None:
            check_notify(check.wrong, notify)
    if isinstance(store := raw.get("store"), str):
        _check_store(check, store)


def _check_digests(check: _Checker, digests: dict[str, Any], feeds: list[Feed]) -> None:
    bodies = _parts(DigestBlock, [body if isinstance(body, dict) else {} for body in digests.values()])
    for name, body in zip(digests, bodies, strict=True):
        if body is not None:
            check_digest(check.wrong, check.folder, name, body, feeds)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _parts(model: type[_Part], raws: list[Any]) -> list[_Part | None]:
    """Each block by itself; None for one that has a mistake, which is reported elsewhere."""
    found: list[_Part | None] = []
    for raw in raws:
        try:
            found.append(model.model_validate(raw))
        except ValidationError:
            found.append(None)
    return found


def _check_feeds(check: _Checker, blocks: list[FeedBlock | None], feeds: list[Feed | None]) -> None:
    first: dict[str, int] = {}
    for index, (block, feed) in enumerate(zip(blocks, feeds, strict=True)):
        if block is None or feed is None:
            continue
        check_feed(block, check.wrong, index)
        written = feed.url.removeprefix(f"{check.folder}/")
        if feed.url.startswith("/") and _looks_like_host(written) and not is_there(Path(feed.url)):
            check.wrong(("feeds", index), f"{one_line(written, 100)} is no file: write https:// in front of an address")
        before = first.setdefault(canonical_url(feed.url), index)
        if before != index:
            line = find(check.root, ("feeds", before))[1]
            check.wrong(("feeds", index), f"is the same feed as feeds[{before}] in line {line}")


def _looks_like_host(text: str) -> bool:
    host, slash, _ = text.partition("/")
    is_name = re.fullmatch(r"(?:[\w-]+\.)+[a-z]{2,}", host, re.IGNORECASE) is not None
    return is_name and (bool(slash) or not host.lower().endswith(_FILE_ENDINGS))


def _check_smtp(check: _Checker, smtp: SmtpBlock) -> None:
    if smtp.tls == "none" and not is_loopback(smtp.host) and not smtp.insecure:
        text = "sends mail and password in clear: use starttls or implicit, or say `insecure: true` as well"
        check.wrong(("smtp", "tls"), text)
    sources = [key for key in ("password_env", "password_file", "password_command") if getattr(smtp, key) is not None]
    for key in sources[1:]:
        check.wrong(("smtp", key), f"there is {sources[0]} as well: keep one of them")
    keys = [(key.domain, key.selector) for key in smtp.dkim or ()]
    for index, name in enumerate(keys):
        if name in keys[:index]:
            check.wrong(("smtp", "dkim", index, "selector"), "is the one above again: each key has its own")
    if sources and smtp.username is None:
        check.wrong(("smtp", sources[0]), "is of no use without a username")


def _check_store(check: _Checker, store: str) -> None:
    try:
        _store(check.folder, store)
        has_password = "://" in store and urlsplit(store).password is not None
    except ValueError as error:
        check.wrong(("store",), str(error))
        return
    if has_password:
        text = "has a password in it, which does not belong in this file"
        check.wrong(("store",), f"{text}: leave it to ~/.pgpass, or set {STORE_VARIABLE} to the whole address")


# -------------------------------------------------------------- the finished thing


def _config(check: _Checker, whole: ProjectBlock) -> Config:
    folder = check.folder
    feeds = tuple(feed_from(folder, block, settle=whole.settle) for block in whole.feeds)
    secrets = [secret_of(folder, block, index) for index, block in enumerate(whole.feeds)]
    name, address = parse_mailbox(whole.from_)
    list_id = whole.list_id or address.domain
    return Config(
        path=check.path,
        folder=folder,
        title=whole.title,
        from_name=name or whole.title,
        from_address=address,
        reply_to=None if whole.reply_to is None else parse_address(whole.reply_to),
        language=whole.language,
        timezone=whole.timezone,
        base_url=whole.base_url,
        postal_address=whole.postal_address,
        user_agent=whole.user_agent,
        first_run=whole.first_run,
        mention_edits=whole.edits == "mention",
        on_unknown=OnUnknown(whole.on_unknown),
        store=_chosen_store(folder, whole.store),
        subscribers=None if whole.subscribers == DATABASE else path_in(folder, whole.subscribers),
        templates=folder / "templates",
        feeds=feeds,
        feed_secrets={feed.url: secret for feed, secret in zip(feeds, secrets, strict=True) if secret},
        failing_after=whole.failing_after,
        digests=tuple(
            DigestConfig(
                name=digest,
                feeds=feeds_in_order(folder, selected(folder, feeds, body), body.sections or ()),
                list_id=f"{digest}.{list_id}",
                timezone=body.timezone or whole.timezone,
                schedule=body.schedule,
                lateness=Lateness(longest=timedelta(seconds=body.max_lateness), catch_up=body.catch_up == "one"),
                hours=hours_of(body, body.timezone or whole.timezone),
                theme=body.theme,
                max_entries=body.max_entries,
                per_feed=body.per_feed,
                min_entries=body.min_entries,
                sort=body.sort,
                group_by=body.group_by,
                pictures=body.pictures,
                note=None if body.note is None else path_in(folder, body.note),
                canary=None if body.canary is None else _canary(body.canary),
                approve=approval_rule(body.approve),
                subject=body.subject,
            )
            for digest, body in (whole.digests or {"daily": DigestBlock()}).items()
        ),
        smtp=None if whole.smtp is None else _smtp(check, whole.smtp),
        bounces=bounces_config(whole.bounces, folder, path_in),
        follow_copies=whole.on_copy == "send",
        keep=keep_of(whole.keep, has_pages=whole.base_url is not None),
        subscribe=SubscribeConfig(confirm=whole.subscribe.confirm, form=whole.subscribe.form),
        notify=notify_config(whole, folder),
        archive=ArchiveConfig(out=path_in(folder, whole.archive.out), url=whole.archive.url),
    )


def _canary(block: CanaryBlock) -> CanaryRule:
    return CanaryRule(first=block.share, wait=block.wait, stop_at=block.stop_at)


def _smtp(check: _Checker, smtp: SmtpBlock) -> SmtpConfig:
    folder = check.folder
    return SmtpConfig(
        host=smtp.host,
        port=smtp.port or _PORTS[smtp.tls],
        tls=smtp.tls,
        insecure=smtp.insecure,
        username=smtp.username,
        connections=smtp.connections,
        rates=tuple(smtp.rate),
        per_domain={domain: tuple(rates) for domain, rates in smtp.per_domain.items()},
        per_connection=smtp.per_connection,
        window=smtp.window,
        timeout=smtp.timeout,
        dkim=tuple(_dkim(check, index, block) for index, block in enumerate(smtp.dkim or ())),
        password_source=PasswordSource(
            variable=smtp.password_env,
            file=None if smtp.password_file is None else path_in(folder, smtp.password_file),
            command=None if smtp.password_command is None else tuple(smtp.password_command),
            folder=folder,
        ),
    )


def _dkim(check: _Checker, index: int, block: DkimBlock) -> DkimConfig:
    place = as_written(check.root, ("smtp", "dkim", index, "key_file"))
    return DkimConfig(
        domain=block.domain,
        selector=block.selector,
        key_file=path_in(check.folder, block.key_file),
        line=find(check.root, place)[1],
        place=key_path(place),
    )


def store_is_given() -> bool:
    """Whether the environment names the store, whatever the project says."""
    return bool(os.environ.get(STORE_VARIABLE))


def _chosen_store(folder: Path, written: str) -> str:
    """The store that the environment names, or else the project."""
    given = os.environ.get(STORE_VARIABLE)
    if not given:
        return _store(folder, written)
    try:
        return _store(folder, given)
    except ValueError as error:
        problem = Problem(path=STORE_VARIABLE, line=None, key="", text=str(error))
        raise ConfigError(
            [problem], hint=f"unset {STORE_VARIABLE}, or set it to a path or a postgresql:// address"
        ) from error


def _store(folder: Path, written: str) -> str:
    scheme, separator, rest = written.strip().partition("://")
    if not separator:
        scheme, rest = "sqlite", f"/{written.strip()}"
    if scheme in ("postgresql", "postgres", "postgresql+psycopg"):
        urlsplit(written)  # complains of a broken address
        return f"postgresql://{rest}"
    if scheme not in ("sqlite", "sqlite+pysqlite"):
        raise ValueError("must be a path, or an address that begins with postgresql://")
    name = rest.removeprefix("/")
    if not name or name.startswith((":memory:", "file:")) or "\0" in name:
        raise ValueError("must name a file: what is sent has to be remembered")
    return str(path_in(folder, name))
