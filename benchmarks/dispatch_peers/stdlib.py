"""The standard library: an `EmailMessage` a person, over one `smtplib` connection."""

from email.message import EmailMessage
from smtplib import SMTP

from benchmarks.dispatch_peers.common import HOST, Job, Person, job, measure


def compose(letter: Job, person: Person) -> EmailMessage:
    """The letter to one person, as the standard library makes it."""
    message = EmailMessage()
    message["From"] = f"{letter.from_name} <{letter.from_email}>"
    message["To"] = person.email
    message["Subject"] = letter.subject
    message["Date"] = letter.date
    message["Message-ID"] = letter.message_id(person)
    message["List-Unsubscribe"] = f"<{person.url}>"
    message.set_content(letter.text_for(person), cte="quoted-printable")
    message.add_alternative(letter.html_for(person), subtype="html", cte="quoted-printable")
    return message


def main() -> None:
    letter = job()

    def work() -> None:
        with SMTP(HOST, letter.port) as client:
            for person in letter.people:
                client.send_message(compose(letter, person), to_addrs=[person.email])

    measure(work)


if __name__ == "__main__":
    main()
