"""Bounces and complaints: what comes back after a message went out, whose it is, and what it means for a person.

    reading    bytes → what a report says; pure, bounded, never raises
    classify   codes and known words → hard, soft, policy; pure
    maildir    reports from a folder, `imap` from a server
    judging    whose the report is (proof), and whether it is one too many
    scan       a mailbox, from its first unread report to the last
    failures   the same for what the mail server refused while we were sending
"""
