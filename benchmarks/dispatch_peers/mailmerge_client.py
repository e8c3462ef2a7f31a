"""mailmerge: its template, rendered per person, and its client's `sendmail`, which connects for each."""

from pathlib import Path
from tempfile import TemporaryDirectory

from mailmerge import SendmailClient, TemplateMessage

from benchmarks.dispatch_peers.common import HOST, NAME, NAME_HTML, URL, Job, job, measure

_TEMPLATE = """TO: {{{{email}}}}
SUBJECT: {subject}
FROM: {from_name} <{from_email}>
LIST-UNSUBSCRIBE: <{{{{url}}}}>
MIME-Version: 1.0
Content-Type: multipart/alternative; boundary="boundary"

--boundary
Content-Type: text/plain; charset=utf-8

{text}
--boundary
Content-Type: text/html; charset=utf-8

{html}
--boundary--
"""


def template(letter: Job) -> str:
    """The letter as mailmerge wants it: Jinja2, with headers above."""
    fields = {NAME: "{{name}}", NAME_HTML: "{{name_html}}", URL: "{{url}}"}
    text, html = letter.text, letter.html
    for mark, field in fields.items():
        text, html = text.replace(mark, field), html.replace(mark, field)
    return _TEMPLATE.format(
        subject=letter.subject, from_name=letter.from_name, from_email=letter.from_email, text=text, html=html
    )


def main() -> None:
    letter = job()
    with TemporaryDirectory() as folder:
        config = Path(folder, "server.conf")
        config.write_text(f"[smtp_server]\nhost = {HOST}\nport = {letter.port}\n", "utf-8")
        Path(folder, "template.txt").write_text(template(letter), "utf-8")

        def work() -> None:
            message = TemplateMessage(Path(folder, "template.txt"))
            client = SendmailClient(config, dry_run=False)
            for person in letter.people:
                sender, recipients, made = message.render(
                    {"email": person.email, "name": person.name, "name_html": person.name_html, "url": person.url}
                )
                client.sendmail(sender, recipients, made)

        measure(work)


if __name__ == "__main__":
    main()
