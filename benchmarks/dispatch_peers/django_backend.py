"""Django: `EmailMultiAlternatives` a person, handed to `send_messages` of its SMTP backend, which has one connection."""

import django
from django.conf import settings
from django.core.mail import EmailMultiAlternatives, get_connection

from benchmarks.dispatch_peers.common import HOST, job, measure


def main() -> None:
    letter = job()
    settings.configure(EMAIL_BACKEND="django.core.mail.backends.smtp.EmailBackend", DEFAULT_CHARSET="utf-8")
    django.setup()

    def work() -> None:
        connection = get_connection(host=HOST, port=letter.port)
        connection.open()
        for person in letter.people:
            message = EmailMultiAlternatives(
                letter.subject,
                letter.text_for(person),
                f"{letter.from_name} <{letter.from_email}>",
                [person.email],
                headers={
                    "Date": letter.date,
                    "Message-ID": letter.message_id(person),
                    "List-Unsubscribe": f"<{person.url}>",
                },
            )
            message.attach_alternative(letter.html_for(person), "text/html")
            connection.send_messages([message])
        connection.close()

    measure(work)


if __name__ == "__main__":
    main()
