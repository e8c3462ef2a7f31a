"""aiosmtplib: so many connections, each sending the next message in turn.

With `--ready` the messages are not composed: three values are replaced in one
that is, so that the transport alone is measured.
"""

import asyncio
import sys
from email.policy import SMTP as WIRE

import aiosmtplib

from benchmarks.dispatch_peers.common import HOST, URL, Job, Person, job, measure
from benchmarks.dispatch_peers.stdlib import compose


async def send_all(letter: Job, ready: bytes | None) -> None:
    people = iter(letter.people)

    async def worker() -> None:
        client = aiosmtplib.SMTP(hostname=HOST, port=letter.port, use_tls=False, start_tls=False)
        await client.connect()
        for person in people:
            if ready is None:
                await client.send_message(compose(letter, person), recipients=[person.email])
            else:
                message = ready.replace(b"reader@example.com", person.email.encode())
                await client.sendmail(letter.from_email, [person.email], message)
        await client.quit()

    await asyncio.gather(*(worker() for _ in range(letter.connections)))


def main() -> None:
    letter = job()
    ready = None
    if "--ready" in sys.argv:
        anybody = Person(email="reader@example.com", name="Reader", name_html="Reader", url=URL)
        ready = compose(letter, anybody).as_bytes(policy=WIRE)
    measure(lambda: asyncio.run(send_all(letter, ready)))


if __name__ == "__main__":
    main()
