"""From the form to the list: what is asked is written down at once, and everything that depends on the person happens later.

Whoever asks gets the same answer after the same work, whatever the address is
to us: one line is written, one job is queued.  The job, which nobody waits for,
looks who it is and decides which mail goes out, if any.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from newsletter.address import Address, parse_address
from newsletter.clock import Clock
from newsletter.delivery.links import token
from newsletter.errors import NewsletterError
from newsletter.model import Format, SignUp
from newsletter.web.asking import Asking
from newsletter.web.discretion import Told, without_addresses
from newsletter.web.limits import Allowance, Limiter
from newsletter.web.members import Members, Standing
from newsletter.web.pages import Pages
from newsletter.web.ports import Memory, Post
from newsletter.web.site import Site

#: So many mails an address may be sent in a day, whoever asks for them.
PER_ADDRESS: Final = 3
#: So many sign-ups there may be in all.
IN_ALL: Final = Allowance(burst=200, every=10.0)
#: Seconds between attempts to hand a mail to the server.
_RETRIES: Final = (5.0, 60.0)
_MOST_WAITING: Final = 500
_AT_ONCE: Final = 2
FORM: Final = "the sign-up form"
LINK: Final = "the link in the confirmation mail"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What somebody has written into the form; an empty `digests` means all of them."""

    address: Address
    name: str
    digests: tuple[str, ...]
    language: str | None
    format: Format


class SignUpDesk:
    """Takes sign-ups, and mails people about them.

    Args:
        site: the project.
        memory: the store.
        members: who puts people on the list.
        post: who mails.
        pages: what the mails say.
        clock: what time it is.
        ask: does something that may block, elsewhere.
        warn: told what went wrong, without addresses.
        sleep: waits for seconds.
    """

    def __init__(
        self,
        site: Site,
        memory: Memory,
        members: Members,
        post: Post,
        pages: Pages,
        *,
        clock: Clock,
        ask: Asking,
        warn: Told,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._site = site
        self._memory = memory
        self._members = members
        self._post = post
        self._pages = pages
        self._clock = clock
        self._ask = ask
        self._warn = warn
        self._sleep = sleep
        self._in_all = Limiter(IN_ALL, clock)
        self._jobs: set[asyncio.Task[None]] = set()
        self._sending = asyncio.Semaphore(_AT_ONCE)

    # -------------------------------------------------------------------------- asking

    @property
    def is_full(self) -> bool:
        """Whether nobody may sign up now; the same for everybody."""
        return len(self._jobs) >= _MOST_WAITING or not self._in_all.allows("")

    async def take(self, asked: Asked) -> None:
        """Write down that somebody asked; a mail follows, or does not."""
        signup = await self._ask(lambda: self._written(asked))
        job = asyncio.create_task(self._work(signup))
        self._jobs.add(job)
        job.add_done_callback(self._jobs.discard)

    def _written(self, asked: Asked) -> SignUp:
        return self._memory.sign_up(
            asked.address.key,
            asked.address.email,
            name=asked.name,
            digests=asked.digests,
            language=asked.language,
            format_=asked.format,
            source=FORM,
        )

    # -------------------------------------------------------------------------- mailing

    async def settled(self, seconds: float | None = None) -> None:
        """Wait until everybody who asked has been answered, but for no longer than this."""
        if self._jobs:
            await asyncio.wait(self._jobs, timeout=seconds)

    async def stop(self, seconds: float) -> None:
        """Mail what is waiting, but for no longer than this; then end."""
        await self.settled(seconds)
        for job in self._jobs:
            job.cancel()
        await asyncio.gather(*self._jobs, return_exceptions=True)

    async def _work(self, signup: SignUp) -> None:
        try:
            await self._answer(signup)
        except NewsletterError as error:
            self._warn(f"a sign-up could not be answered: {without_addresses(str(error))}", event="signup.failed")
        except Exception as error:  # noqa: BLE001 - one sign-up must not end all the others
            text = f"a sign-up could not be answered: an unexpected {type(error).__name__}"
            self._warn(text, event="signup.failed")

    async def _answer(self, signup: SignUp) -> None:
        message = await self._ask(lambda: self._mail_for(signup))
        if message is None:
            return
        for pause in (*_RETRIES, None):
            try:
                # Whoever waits for another attempt waits outside.
                async with self._sending:
                    await self._post.send(message, parse_address(signup.email).wire)
            except NewsletterError:
                if pause is None:
                    raise
                await self._sleep(pause)
            else:
                return

    def _mail_for(self, signup: SignUp) -> bytes | None:
        """The mail that a sign-up leads to; None where none may be sent."""
        a_day_ago = self._clock.now() - timedelta(days=1)
        if not self._post.reaches(signup.email) or self._memory.signups_since(a_day_ago, signup.key) > PER_ADDRESS:
            return None
        standing = self._members.standing(signup.key)
        asked = signup.digests or self._site.names
        if all(standing.gets(name) for name in asked):
            return self._compose(signup, "mail_there.txt.j2", link=self._preferences(asked[0], signup.key))
        if all(standing.is_barred(name) for name in asked):
            return None
        if not self._site.confirm and _is_unknown(standing):
            self._members.enlist_unconfirmed(signup, FORM)
            return self._compose(signup, "mail_there.txt.j2", link=self._preferences(asked[0], signup.key), is_new=True)
        return self._compose(signup, "mail_confirm.txt.j2", link=self._site.url("c", signup.token))

    def _preferences(self, digest: str, key: str) -> str:
        made = token(self._memory.secret(self._memory.links_secret()), digest, key)
        self._memory.remember_link(digest, made, key)
        return self._site.url("p", digest, made)

    def _compose(self, signup: SignUp, template: str, *, link: str, is_new: bool = False) -> bytes:
        words = self._pages.words(signup.language)
        subject, _, text = self._pages.mail(
            template, words, link=link, titles=self._site.titles(signup.digests), is_new=is_new
        ).partition("\n")
        return self._post.compose(recipient=parse_address(signup.email).wire, subject=subject, text=text.strip("\n"))


def _is_unknown(standing: Standing) -> bool:
    """Whether nothing ever kept mail from this address."""
    return not standing.suppressions
