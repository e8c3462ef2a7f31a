"""What people ask for by mail: the project's parts put together, and the one mail that is written back."""

import asyncio
from collections.abc import Callable

from newsletter.address import Address
from newsletter.app.project import App
from newsletter.delivery.deliver import send_one
from newsletter.delivery.links import SECRET_NAME, is_token_of
from newsletter.delivery.single import Single, compose_single
from newsletter.people.bounces.reading import Report
from newsletter.people.bymail.handling import Answer, MailCommands


def mail_commands(app: App) -> Callable[[Report], str | None]:
    """What does what mails ask for; nothing where the project does not want that."""
    config = app.config
    if not config.bounces.commands:
        return lambda _: None
    secret = app.store.secret(SECRET_NAME)
    people = app.roster
    own = [config.from_address, config.reply_to, config.bounces.address]
    return MailCommands(
        digests=config.digest_names,
        memory=app.store,
        people=people,
        is_token=lambda token, digest, key: is_token_of(token, secret, digest, key),
        everybody=people.keys,
        answer=lambda answer: _answer(app, answer),
        reaches=lambda address: _reaches(app, address),
        ours=frozenset(address.key for address in own if address is not None),
        clock=app.clock,
    )


def _reaches(app: App, address: Address) -> bool:
    """Whether mail may go there: to reserved domains only through a server on this machine."""
    smtp = app.config.smtp
    return smtp is not None and (smtp.is_loopback or not address.is_reserved)


def _answer(app: App, answer: Answer) -> None:
    """Mail the token; a report on this mail would only come back here, so it has no return path (RFC 3834 §3.3)."""
    config = app.config
    here = config.mail_address
    titles = " and ".join(answer.signup.digests) or "all of it"
    said = Single(
        from_name=config.from_name or config.title,
        from_email=config.from_address.wire,
        reply_to=here.wire,
        to_email=answer.to.wire,
        subject=f"Please confirm: {config.title} (confirm {answer.signup.token})",
        text=f"""Somebody, probably you, asked that {config.title} ({titles}) be sent to this address.

If it was you, answer this mail and leave its subject as it is.

If it was not you, do nothing: after a week the request is forgotten.

--\u0020
{config.title}
{config.postal_address or ""}
""",
        date=app.clock.now().replace(microsecond=0),
        message_id=f"{app.ids.token()}@{config.from_address.domain}",
    )
    smtp = app.smtp()
    message = compose_single(said, smtp.signers)
    asyncio.run(send_one(message, sender="", recipient=answer.to.wire, smtp=smtp))
