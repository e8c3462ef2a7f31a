"""The settings of newsletter.yaml, one model a block: what may be written, and what holds if nothing is.

Only the shape of one value is judged here; what needs a second value or the
disk is judged in `load`.  Messages come from `problems`.
"""

import re
import shlex
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator

from newsletter.address import Address, parse_address, parse_mailbox
from newsletter.config.addresses import base_url_of, web_address
from newsletter.config.approving import USUAL_AHEAD, ahead_time, short_approve
from newsletter.config.block import Block
from newsletter.config.canary import (
    USUAL_STOP,
    USUAL_WAIT,
    duration,
    percent,
    settle_time,
    share_or_count,
    short_canary,
)
from newsletter.config.filters import Rules
from newsletter.config.intervals import poll_interval
from newsletter.config.keep import KeepBlock
from newsletter.config.project import GroupBy, Pictures, Sort, Tls, WhoseClock
from newsletter.config.signing import selector, signing_domain
from newsletter.config.timing import hours_range, lateness, one_or_several, schedule_rule
from newsletter.errors import AddressError
from newsletter.text import one_line
from newsletter.urls import safe_url
from newsletter.yamlfile import Unclear, language_tag, time_zone

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}", re.ASCII)  # RFC 9110 §5.6.2
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e]{0,4000}", re.ASCII)
#: What the fetch itself must decide.
_OWN_HEADERS = frozenset(
    {"host", "connection", "content-length", "transfer-encoding", "accept-encoding", "te", "upgrade"}
)
_LIST_ID = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)+", re.ASCII)  # RFC 2919 §2: dot-atom-text
_DIGEST_NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}", re.ASCII)
_THEME = re.compile(r"[A-Za-z0-9_-]{1,60}", re.ASCII)
_RATE = re.compile(r"[1-9][0-9]{0,6}/(?:s|m|h|d)", re.ASCII)
#: The themes that are always there; any folder in the project's templates/ is one, too.
BUILT_IN_THEMES = ("default", "compact", "plain")


def _line(text: str) -> str:
    """One line of text that says something."""
    found = one_line(text)
    if not found:
        raise ValueError("is empty")
    if "\n" in text.strip():
        raise ValueError("must be one line")
    return found


def _postal(text: str) -> str:
    """An address on paper, on one line or several."""
    found = ", ".join(filter(None, (one_line(line).rstrip(",") for line in text.splitlines())))
    if not found:
        raise ValueError("is empty")
    return found


def _mailbox(text: str) -> str:
    try:
        _, address = parse_mailbox(text)
    except AddressError as error:
        raise ValueError(str(error)) from error
    return _sendable(text, address)


def _address(text: str) -> str:
    try:
        return _sendable(text, parse_address(text.strip()))
    except AddressError as error:
        raise ValueError(str(error)) from error


def _sendable(text: str, address: Address) -> str:
    if address.needs_smtputf8:
        raise ValueError("the part before the @ must be ASCII, or most servers will refuse your mail")
    return text.strip()


def _feed_url(text: str) -> str:
    text = text.strip()
    try:
        scheme = urlsplit(text).scheme.lower()
    except ValueError as error:
        raise ValueError("is not a web address") from error
    if scheme == "feed":
        raise ValueError("feed: is no real address: write https:// instead")
    if scheme in ("http", "https"):
        if safe_url(text) is None or re.search(r"\s", text):
            raise ValueError("is not a web address: it has no host, or a blank in it")
    elif scheme == "file":
        if not text[5:].startswith("/"):
            raise ValueError("write the path alone, or file:///path")
    elif "://" in text:
        raise ValueError(f"feeds are read over http and https and from files, not over {scheme}")
    elif not text or "\0" in text or "\n" in text:
        raise ValueError("is empty" if not text else "is not a path")
    return text


def _nothing_is_empty_list(value: Any) -> Any:
    """A key whose items are all commented out."""
    return [] if isinstance(value, Unclear) and value.written in ("", "~", "null") else value


def _short_feeds(value: Any) -> Any:
    value = _nothing_is_empty_list(value)
    return [{"url": item} if isinstance(item, str) else item for item in value] if isinstance(value, list) else value


def _short_digests(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {name: {} if isinstance(body, Unclear) and not body.written else body for name, body in value.items()}


def _headers(value: dict[str, str]) -> dict[str, str]:
    for name, text in value.items():
        if not _TOKEN.fullmatch(name) or not _HEADER_VALUE.fullmatch(text):
            raise ValueError(f"{one_line(name, 60)} is not a header of one line of ASCII")
        if name.lower() in _OWN_HEADERS:
            raise ValueError(f"{name} is set by the program itself")
    return value


def _words(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return shlex.split(value)
    except ValueError as error:
        raise ValueError(f"cannot be split into words: {str(error).lower()}") from error


def _command(value: list[str]) -> list[str]:
    if not value or not value[0]:
        raise ValueError("is empty: write the program and its arguments")
    return value


def _first_run(value: Any) -> int | None:
    if value == "all":
        return None
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 1000:  # noqa: PLR2004
        return value
    raise ValueError("must be a whole number up to 1000, or all")


def _rates(value: Any) -> list[str]:
    """One rate, or several that all hold."""
    found = value if isinstance(value, list) else [value]
    if not all(isinstance(rate, str) and _RATE.fullmatch(rate) for rate in found):
        raise ValueError("must be a number per second, minute, hour or day, such as 50/s or 1000/h, or a list of such")
    return found


def _domain(text: str) -> str:
    """A recipients' domain as it goes on the wire, or * for all others."""
    if text.strip() == "*":
        return "*"
    try:
        return parse_address(f"somebody@{text.strip()}").domain.lower()
    except AddressError as error:
        raise ValueError("is not a domain such as mail.example.com, or * for all others") from error


def _host(text: str) -> str:
    text = text.strip()
    found = re.fullmatch(r"([^:\s/@\[\]]+):(\d+)", text)
    if found:
        raise ValueError(f"must be the name alone: write `host: {found[1]}` and `port: {found[2]}`")
    if not re.fullmatch(r"\[[0-9A-Fa-f:.]+\]|[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*|[^\W_]([\w.-]{0,251}[^\W_])?\.?", text):
        raise ValueError("is not a host name such as mail.example.com")
    return text.removeprefix("[").removesuffix("]")


def _one_or_two(value: Any) -> Any:
    if isinstance(value, str | int | float):
        raise ValueError("must be settings: domain, selector and key_file")  # noqa: TRY004 - pydantic's way
    if isinstance(value, list) and len(value) > 2:  # noqa: PLR2004
        raise ValueError("has more than two keys: one of RSA and one of Ed25519 are what verifiers can use")
    return [value] if isinstance(value, dict) else value


def _matching(pattern: re.Pattern[str], words: str) -> AfterValidator:
    def check(text: str) -> str:
        if not pattern.fullmatch(text):
            raise ValueError(words)
        return text

    return AfterValidator(check)


#: What `subscribers` says where the people are in the store.
DATABASE: Final = "database"


def _one_file(text: str) -> str:
    if not text.strip() or "\0" in text:
        raise ValueError("is not a path")
    return text


Line = Annotated[str, AfterValidator(_line)]
Language = Annotated[str, AfterValidator(language_tag)]
Timezone = Annotated[str, AfterValidator(time_zone)]
Rates = Annotated[list[str], PlainValidator(_rates)]
EnvironmentName = Annotated[str, _matching(re.compile(r"[A-Za-z_]\w*", re.ASCII), "is not a variable's name")]
PasswordCommand = Annotated[list[str], BeforeValidator(_words), AfterValidator(_command)]
Number = Annotated[int, Field(ge=1, le=1_000_000)]
Settle = Annotated[float, PlainValidator(settle_time)]
Ranges = Annotated[list[Annotated[str, AfterValidator(hours_range)]], BeforeValidator(one_or_several)]


class FeedBlock(Block):
    """One feed; its address alone is the short form."""

    url: Annotated[str, AfterValidator(_feed_url)]
    title: Line | None = None
    language: Language | None = None
    tags: list[Line] = []
    max_entries: Number | None = None
    include: Rules = []
    exclude: Rules = []
    headers: Annotated[dict[str, str], AfterValidator(_headers)] = {}
    username: Line | None = None
    password_env: EnvironmentName | None = None
    password_file: Line | None = None
    password_command: PasswordCommand | None = None
    allow_private: bool = False
    poll: Annotated[float | None, PlainValidator(poll_interval)] = None
    settle: Settle | None = None


class CanaryBlock(Block):
    """A few people who get an issue before the others; how many is the short form."""

    share: Annotated[float | int, PlainValidator(share_or_count)]
    wait: Annotated[float, PlainValidator(duration)] = USUAL_WAIT
    stop_at: Annotated[float, PlainValidator(percent)] = USUAL_STOP


class ApproveBlock(Block):
    """An issue that an editor looks at before it goes out; how long ahead is the short form."""

    ahead: Annotated[float, PlainValidator(ahead_time)] = USUAL_AHEAD
    without_answer: Literal["send", "hold", "cancel"] = "hold"


class DigestBlock(Block):
    """One digest: which feeds, when, how much."""

    feeds: list[Line] | None = None
    tags: list[Line] | None = None
    schedule: Annotated[str, AfterValidator(schedule_rule)] | None = None
    timezone: Timezone | None = None
    max_lateness: Annotated[float, PlainValidator(lateness)] = 6 * 3600.0
    catch_up: Literal["skip", "one"] = "skip"
    clock: WhoseClock = "digest"
    send_window: Ranges = []
    quiet_hours: Ranges = []
    theme: Annotated[str, _matching(_THEME, "a theme is named by letters, digits, - and _")] = "default"
    max_entries: Number | None = None
    per_feed: Number | None = None
    min_entries: Number = 1
    sort: Sort = "newest"
    group_by: GroupBy = "feed"
    sections: list[Line] | None = None
    pictures: Pictures = "link"
    note: Line | None = None
    subject: Annotated[Line, Field(max_length=1000)] | None = None
    canary: Annotated[CanaryBlock | None, BeforeValidator(short_canary)] = None
    approve: Annotated[ApproveBlock | None, BeforeValidator(short_approve)] = None


class DkimBlock(Block):
    """One DKIM key: whose signature, and where the DNS and the disk have its halves."""

    domain: Annotated[str, AfterValidator(signing_domain)]
    selector: Annotated[str, AfterValidator(selector)]
    key_file: Line


class SmtpBlock(Block):
    """The mail server."""

    host: Annotated[str, AfterValidator(_host)]
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    tls: Tls = "starttls"
    insecure: bool = False
    username: Line | None = None
    password_env: EnvironmentName | None = None
    password_file: Line | None = None
    password_command: PasswordCommand | None = None
    connections: Annotated[int, Field(ge=1, le=100)] = 4
    rate: Rates = []
    per_domain: dict[Annotated[str, AfterValidator(_domain)], Rates] = {}
    per_connection: Number | None = None
    window: Annotated[int, Field(ge=1, le=16)] = 1
    timeout: Annotated[float, Field(ge=1, le=3600)] = 60.0
    dkim: Annotated[list[DkimBlock], BeforeValidator(_one_or_two), Field(min_length=1)] | None = None


class ImapBlock(Block):
    """A folder on an IMAP server."""

    host: Annotated[str, AfterValidator(_host)]
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    tls: Literal["implicit", "starttls", "none"] = "implicit"
    username: Line
    password_env: EnvironmentName | None = None
    password_file: Line | None = None
    password_command: PasswordCommand | None = None
    folder: Line = "INBOX"
    timeout: Annotated[float, Field(ge=1, le=3600)] = 60.0


class BouncesBlock(Block):
    """What comes back, where it comes to, and when it stops mail."""

    address: Annotated[str, AfterValidator(_address)] | None = None
    verp: bool = False
    maildir: Line | None = None
    imap: ImapBlock | None = None
    delete: bool = False
    commands: bool = True
    hard: Annotated[int, Field(ge=0, le=1000)] = 1
    soft: Annotated[int, Field(ge=0, le=1000)] = 5
    days: Annotated[int, Field(ge=1, le=365)] = 30
    unproven: Literal["keep", "count"] = "keep"
    keep_days: Annotated[int, Field(ge=1, le=3650)] = 180


class SubscribeBlock(Block):
    """How people sign up on the public pages."""

    confirm: bool = True
    form: bool = True


def _owners(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class NotifyBlock(Block):
    """How the owner hears of what needs them, and of how much of it."""

    apprise_env: EnvironmentName | None = None
    apprise_file: Line | None = None
    apprise_command: PasswordCommand | None = None
    failures: Annotated[float, PlainValidator(percent)] = 0.05
    overdue: Annotated[float, PlainValidator(lateness)] = 26 * 3600.0
    per_day: Annotated[int, Field(ge=1, le=100)] = 10


class ArchiveBlock(Block):
    """Past issues as files for any web server."""

    out: Annotated[str, AfterValidator(_one_file)] = "archive"
    url: Annotated[str, AfterValidator(web_address)] | None = None


class ProjectBlock(Block):
    """The whole file."""

    title: Line
    from_: Annotated[str, AfterValidator(_mailbox), Field(alias="from")]
    reply_to: Annotated[str, AfterValidator(_address)] | None = None
    language: Language = "en"
    timezone: Timezone = "UTC"
    base_url: Annotated[str, AfterValidator(base_url_of)] | None = None
    postal_address: Annotated[str, AfterValidator(_postal)] | None = None
    list_id: Annotated[str, _matching(_LIST_ID, "must be a name with a dot in it, such as wire.example.com")] | None = (
        None
    )
    user_agent: Annotated[str, _matching(_HEADER_VALUE, "must be one line of ASCII")] | None = None
    first_run: Annotated[int | None, PlainValidator(_first_run)] = 3
    edits: Literal["ignore", "mention"] = "ignore"
    settle: Settle = 0.0
    on_unknown: Literal["resend", "hold"] = "resend"
    on_copy: Literal["hold", "send"] = "hold"
    failing_after: Annotated[int, Field(ge=1, le=1000)] = 3
    store: Line = ".newsletter/newsletter.db"
    subscribers: Annotated[str, AfterValidator(_one_file)] = "subscribers.yaml"
    feeds: Annotated[list[FeedBlock], BeforeValidator(_short_feeds)] = []
    digests: (
        Annotated[
            dict[
                Annotated[
                    str, _matching(_DIGEST_NAME, "a digest's name is of small letters, digits, - and _, such as daily")
                ],
                DigestBlock,
            ],
            BeforeValidator(_short_digests),
            Field(min_length=1),
        ]
        | None
    ) = None
    smtp: SmtpBlock | None = None
    bounces: BouncesBlock | None = None
    subscribe: SubscribeBlock = SubscribeBlock()
    keep: KeepBlock = KeepBlock()
    owner: Annotated[
        list[Annotated[str, AfterValidator(_address)]], BeforeValidator(_owners), Field(max_length=10)
    ] = []
    notify: NotifyBlock = NotifyBlock()
    archive: ArchiveBlock = ArchiveBlock()
