"""The public pages of a project, and who answers them."""

from newsletter.address import parse_address
from newsletter.app.project import App
from newsletter.delivery.deliver import send_one
from newsletter.delivery.single import Single, compose_single
from newsletter.delivery.smtp import SmtpSettings
from newsletter.errors import ConfigError, Problem
from newsletter.web.discretion import Told
from newsletter.web.server import PublicServer, ServerSettings
from newsletter.web.site import DigestPage, Site
from newsletter.yamlfile import shown_path


def public_server(app: App, settings: ServerSettings, *, log: Told, warn: Told) -> PublicServer:
    """Make the server of a project's public pages.

    Raises:
        ConfigError: the project says no `base_url` or no mail server, or has mistakes.
        StoreError: the memory cannot be used.
    """
    site = site_of(app)
    post = ProjectsPost(app)
    return PublicServer(
        site, app.store, app.roster, post, clock=app.clock, ids=app.ids, settings=settings, log=log, warn=warn
    )


def site_of(app: App) -> Site:
    """What the public pages need to know of the project.

    Raises:
        ConfigError: it says no `base_url`.
    """
    config = app.config
    if config.base_url is None:
        problem = Problem(
            path=shown_path(config.path), line=None, key="base_url", text="is missing: the pages need an address"
        )
        raise ConfigError([problem], hint="add `base_url: https://wire.example.com`, with your own name")
    return site_at(app, config.base_url)


def site_at(app: App, base_url: str) -> Site:
    """The same for pages that stand at another address, or ("") at none that is known."""
    config = app.config
    sender = config.from_address
    return Site(
        title=config.title,
        language=config.language,
        timezone=config.timezone,
        base_url=base_url,
        digests=tuple(
            DigestPage(name=digest.name, title=app.publication(digest.name, note="").rules.title)
            for digest in config.digests
        ),
        from_name=config.from_name or config.title,
        from_email=sender.wire,
        contact=(config.reply_to or sender).email,
        postal_address=config.postal_address,
        confirm=config.subscribe.confirm,
        has_form=config.subscribe.form,
    )


class ProjectsPost:
    """The project's mail server, for single messages.

    Args:
        app: the project.
    """

    def __init__(self, app: App) -> None:
        self._app = app
        # Read now: a wrong password is the keeper's business when the server starts, not a visitor's later.
        self._smtp: SmtpSettings = app.smtp()

    def reaches(self, email: str) -> bool:
        """Whether mail may go there: to reserved domains only through a server on this machine."""
        smtp = self._app.config.require_smtp()
        return smtp.is_loopback or not parse_address(email).is_reserved

    def compose(self, *, recipient: str, subject: str, text: str) -> bytes:
        """Write a message from the project, signed like an issue."""
        config = self._app.config
        sender = config.from_address
        said = Single(
            from_name=config.from_name or config.title,
            from_email=sender.wire,
            reply_to=config.reply_to.wire if config.reply_to else None,
            to_email=recipient,
            subject=subject,
            text=text,
            date=self._app.clock.now().replace(microsecond=0),
            message_id=f"{self._app.ids.token()}@{sender.domain}",
        )
        return compose_single(said, self._smtp.signers)

    async def send(self, message: bytes, recipient: str) -> None:
        """Hand it to the mail server."""
        sender = self._app.config.from_address.wire
        await send_one(message, sender=sender, recipient=recipient, smtp=self._smtp)
