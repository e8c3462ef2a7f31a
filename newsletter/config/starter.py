"""The two files of a new project, with the comments a newcomer needs."""

from collections.abc import Sequence

from newsletter.config.project import is_loopback
from newsletter.yamlfile import scalar

_CONFIG = """\
# newsletter.yaml: what this newsletter is, where its news comes from, how it is sent.
# `newsletter check` says whether it is right, with the line of every mistake.

title: {title}
from: {sender}
language: {language}                  # of dates and of what the program itself writes
timezone: {timezone}
# base_url: https://wire.example.com    # for web copies and one-click unsubscribe
{postal_address}

# A feed is an address, or an address with more to say about it:
#   - url: https://example.org/feed.xml
#     title: What to call it
#     tags: [tech]
#     max_entries: 5            # the newest in full, the others as headlines
{feeds}
first_run: 3                  # how many entries of a new feed to send at first; or all

# Left out: one digest, `daily`, of all feeds.
# digests:
#   daily:  {{schedule: "mon-fri 07:00"}}
#   weekly: {{schedule: "sun 18:00", tags: [tech], max_entries: 40}}

{smtp}
# People are in subscribers.yaml; what was sent to whom is remembered here:
store: .newsletter/newsletter.db
"""

_SMTP = """\
smtp:
  host: {host}
  port: {port}
  tls: {tls}               # starttls | implicit | none (only on this machine)
"""
_LOGIN = """\
  username: {username}
  # The password never stands here.  In the environment:
  password_env: NEWSLETTER_SMTP_PASSWORD
  # or password_file: /path (chmod 600), or password_command: pass show mail
"""
_NO_SMTP = """\
# Without a server everything but sending works: fetch, preview, check.
# smtp:
#   host: mail.example.com
#   port: 587
#   tls: starttls               # starttls | implicit | none (only on this machine)
#   username: wire@example.com
#   password_env: NEWSLETTER_SMTP_PASSWORD      # or password_file, password_command
"""

_PEOPLE = """\
# subscribers.yaml: the people.  Comments and order are yours, and survive every
# edit the program makes.  Who has unsubscribed or bounced is remembered in the
# store, and is not mailed whatever stands here.

# An address is enough; there is more to say where you want to:
#   - email: grace@example.com
#     name: Grace Hopper
#     digests: [weekly]         # left out: all of them
#     language: de
#     format: text              # html (the default) comes with a text part as well
#     attributes: {city: Arlington}
"""


def starter_config(
    *,
    title: str,
    from_: str,
    feeds: Sequence[str] = (),
    timezone: str = "UTC",
    language: str = "en",
    smtp: str | None = None,
    username: str | None = None,
    postal_address: str | None = None,
) -> str:
    """Write the newsletter.yaml of a new project.

    Args:
        title: what the newsletter is called.
        from_: who sends it, as "Name <address>".
        feeds: addresses to begin with.
        timezone: a name of the time zone database.
        language: a language tag.
        smtp: the mail server, "host" or "host:port"; None: later.
        username: for the mail server.
        postal_address: on paper; many countries require one.

    Returns:
        The text.  Whether the values are right is for `parse_project` to say.
    """
    if feeds:
        lines = ["feeds:", *(f"  - {scalar(feed)}" for feed in feeds)]
    else:
        lines = ["feeds: []                     # newsletter feed add https://…"]
    postal = scalar(postal_address) if postal_address else "1 Example Street, Berlin"
    return _CONFIG.format(
        title=scalar(title),
        sender=_quoted(from_),
        language=scalar(language),
        timezone=scalar(timezone),
        postal_address=f"{'' if postal_address else '# '}postal_address: {postal}",
        feeds="\n".join(lines) + "\n",
        smtp=_NO_SMTP if smtp is None else _server(smtp, username),
    )


def starter_people(email: str | None = None) -> str:
    """Write the subscribers.yaml of a new project, with one person or none."""
    return f"{_PEOPLE}\n- {scalar(email)}\n" if email else _PEOPLE


def _quoted(mailbox: str) -> str:
    """`Name <address>` without quotes where YAML allows it: it is easier to change."""
    name, bracket, address = mailbox.partition("<")
    if not bracket:
        return scalar(mailbox)
    plain = f"{name}x"
    return (
        mailbox
        if scalar(plain) == plain and scalar(address.removesuffix(">")) == address.removesuffix(">")
        else scalar(mailbox)
    )


def _server(smtp: str, username: str | None) -> str:
    host, colon, port = smtp.rpartition(":")
    if not colon or not port.isdigit() or (":" in host and not host.startswith("[")):
        host, port = smtp, ""
    host = host.removeprefix("[").removesuffix("]")
    local = is_loopback(host)
    tls = "none" if local else "implicit" if port == "465" else "starttls"
    text = _SMTP.format(host=scalar(host), port=port or ("25" if local else "587"), tls=tls)
    return text + _LOGIN.format(username=scalar(username)) if username else text
