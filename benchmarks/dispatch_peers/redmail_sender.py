"""redmail: `EmailSender.send` a person, within one connection."""

from redmail import EmailSender

from benchmarks.dispatch_peers.common import HOST, job, measure


def main() -> None:
    letter = job()

    def work() -> None:
        sender = EmailSender(host=HOST, port=letter.port, use_starttls=False)
        sender.use_jinja = False
        with sender:
            for person in letter.people:
                sender.send(
                    subject=letter.subject,
                    sender=f"{letter.from_name} <{letter.from_email}>",
                    receivers=[person.email],
                    text=letter.text_for(person),
                    html=letter.html_for(person),
                    headers={"List-Unsubscribe": f"<{person.url}>"},
                )

    measure(work)


if __name__ == "__main__":
    main()
