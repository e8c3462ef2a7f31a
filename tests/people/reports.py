"""Reports as mail systems write them, made here: delivery reports, spam reports, notices of absence."""

from datetime import datetime
from email.utils import format_datetime
from zlib import crc32

from tests.conftest import START

OURS = "0123456789abcdef0123456789abcdef@example.com"


def dsn(
    recipient: str = "ada@example.com",
    *,
    status: str = "5.1.1",
    said: str = "550 5.1.1 <ada@example.com>: Recipient address rejected: User unknown in virtual mailbox table",
    action: str = "failed",
    message_id: str = OURS,
    to: str = "bounces@example.com",
    date: datetime = START,
    original: str = "",
    number: int = 1,
    returned: str | None = None,
) -> bytes:
    """A delivery report of one recipient, in the form of RFC 3464, with the header of the message it is about."""
    header = (
        returned if returned is not None else f"From: wire@example.com\nTo: {recipient}\nMessage-ID: <{message_id}>"
    )
    kept = f"Original-Recipient: rfc822;{original}\n" if original else ""
    return f"""Return-Path: <>
From: Mail Delivery System <MAILER-DAEMON@mx.example.net>
To: {to}
Subject: Undelivered Mail Returned to Sender
Date: {format_datetime(date)}
Message-ID: <report-{number}@mx.example.net>
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="cut"

--cut
Content-Type: text/plain; charset=us-ascii

This is the mail system at host mx.example.net. Your message could not be delivered.

<{recipient}>: {said}

--cut
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.net

{kept}Final-Recipient: rfc822; {recipient}
Action: {action}
Status: {status}
Diagnostic-Code: smtp; {said}

--cut
Content-Type: text/rfc822-headers

{header}
Subject: Three stories

--cut--
""".encode()


def complaint(message_id: str = OURS, *, to: str = "redacted", kind: str = "abuse", number: int = 1) -> bytes:
    """A spam report in the form of RFC 5965; large providers leave the recipient out."""
    return f"""From: feedback@provider.test
To: bounces@example.com
Subject: FW: Three stories
Date: {format_datetime(START)}
Message-ID: <feedback-{number}@provider.test>
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report; boundary="cut"

--cut
Content-Type: text/plain

This is an email abuse report.

--cut
Content-Type: message/feedback-report

Feedback-Type: {kind}
User-Agent: Reporter/1.0
Version: 1

--cut
Content-Type: message/rfc822

From: wire@example.com
To: {to}
Message-ID: <{message_id}>
Subject: Three stories

Hello
--cut--
""".encode()


def absence(message_id: str = OURS, *, sender: str = "ada@example.com") -> bytes:
    """A notice of absence, as RFC 3834 wants it, that quotes what looks like a bounce."""
    return f"""Return-Path: <>
From: {sender}
To: bounces@example.com
Subject: Out of office
Auto-Submitted: auto-replied (vacation)
In-Reply-To: <{message_id}>
Message-ID: <holiday@example.com>

I am away. 550 5.1.1 User unknown is what my colleague says of:
{sender}
""".encode()


def letter(subject: str, *, sender: str = "Ada <ada@example.com>", more: str = "", body: str = "Hello") -> bytes:
    """A mail that a person wrote."""
    return f"""From: {sender}
To: bounces@example.com
Subject: {subject}
Date: {format_datetime(START)}
Message-ID: <{crc32(repr((subject, sender, more, body)).encode())}@example.com>
{more}
{body}
""".encode()
