"""What a rejection means: the mailbox is gone, or it is for now, or it is us.

Only "there is no such mailbox", "it was closed" and "there is no such domain"
are hard, and the person's.  A refusal for policy (RFC 3463 §3.8, X.7.Z), for
content, for size or for our reputation never blames the person, however
permanent.  Whatever is permanent and says nothing clear is soft: it takes
several of those to stop mail.

The enhanced status code (RFC 3463) decides where it is precise and no known
words contradict it; several large providers send 5.1.1 for "too fast" or "not
wanted".  Words alone make a rejection hard only if the server that refused said
them itself, to a machine, before it had the message: some filters say "unknown
user" of a message they do not like, and what an old gateway writes to people
is hearsay.
"""

import re
from dataclasses import dataclass
from typing import Final

from newsletter.model import BounceKind
from newsletter.text import one_line

#: What is kept of a server's words.
WORDS: Final = 300
#: What is looked at of a text that has no diagnostic of its own.
_CONTEXT: Final = 4_000

_ENHANCED = re.compile(r"(?<![\d.])([245])\.(\d{1,3})\.(\d{1,3})(?![\d.])")
_BASIC = re.compile(r"(?<![\d.\-])([45]\d\d)(?![\d.])")

#: Not the person: spam filters, reputation, authentication, the message itself, relaying, our own sender.
_POLICY = re.compile(
    r"(?ix)\bspam|unsolicited|\bjunk\b|black\W?list|block\W?list|\bblocked\b|\b(?:dns|r)bl\b|reputation|\bDMARC\b|\bSPF\b|\bDKIM\b"
    r"|authentic|not\ authori[sz]ed|\bpolic(?:y|ies)\b|virus|malware|infected|phish|banned|suspicious|prohibited"
    r"|rate\W?limit|too\ (?:many|fast|quick|frequent)|throttl|exceeded\ (?:the\ )?(?:max\w*\ )?(?:number|rate|connections)"
    r"|max(?:imum)?\ number\ of\ (?:messages|connections|recipients|senders|hosts)|connected\ to\ this\ server\ too"
    r"|has\ (?:currently\ )?exceeded|greylist|gr[ae]y\W?listed|preferences|relay"
    r"|(?:access|permission)\ denied|not\ accepting\ (?:mail|messages)\ from|refused\ to\ accept\ from"
    r"|(?:message|mail|content|header|attachment|body)s?\ (?:was\ |has\ been\ |is\ |were\ |content\ )?"
    r"(?:rejected|refused|filtered|not\ allowed|denied)|content\ (?:reject|filter|restrict|violation)|illegal\ (?:header|content)"
    r"|message\ (?:size|too\ (?:large|big|long))|size\ (?:limit|exceed)|exceeds?\ .{0,40}\bsize|too\ (?:large|big)"
    r"|\bsender'?s?\ (?:address|domain|mailbox|ip|host|verif|reject|denied|is\ )|domain\ of\ sender|sender\ .{0,80}"
    r"(?:reject|denied|unknown|not\ exist|invalid)|reverse\ dns|\bptr\b|\bhelo\b|mail\ loop|hop\ count|too\ many\ hops|loops\ back"
)
#: Full, for now or for long: soft, and it decays.
_FULL = re.compile(
    r"(?i)quota|mail ?box exceeds|mail ?box (?:is )?(?:currently )?full|(?:mail ?box|account|inbox|folder|storage)\W+(?:\w+\W+){0,3}full|over(?:drawn| its limit)"
    r"|insufficient (?:disk|storage|system|space)|no (?:disk )?space|not enough (?:disk )?(?:space|storage)|space not enough"
    r"|(?:out of|exceeds?.{0,20}) (?:storage|disk)|too much mail"
)
#: Closed for now, or nobody can say: soft.
_UNSURE = re.compile(
    r"(?i)suspend|frozen|inactiv|temporar|try (?:again|later)|deferred|time[ds]? ?out|not been accessed|dormant|locked"
)
#: It had the message when it said so.
_AFTER_DATA = re.compile(r"(?i)in reply to (?:the )?end of DATA|in reply to DATA|(?:>>>|=+>)\s*DATA\b")
_WHO = (
    r"(?:user|recipient|mail ?box|account|addres{1,2}e?e?|person|name|e-?mail(?: account| address)?|login|local.?part)"
)
_GONE = re.compile(
    rf"(?ix){_WHO.replace(' ', chr(92) + ' ')}(?:\(s\)|s)?\W{{1,5}}(?:\S{{1,100}}\s){{0,6}}?(?:(?:is|was|are|were|has|have|name)\ )?"
    r"(?:unknown|not\ (?:found|known|exist|valid|listed|defined|local)|(?:does|do)(?:\ not|n.t)\ exist|invalid|non.?existent"
    r"|(?:been\ )?(?:disabled|deactivated|deleted|closed|terminated|discontinued|removed|cancell?ed|expired)"
    r"|no\ longer\ (?:exist|active|available|in\ use|valid|work|on\ server|here|employ))"
    r"|\b(?:unknown|invalid|no\ such|nonexistent|unrout(?:e)?able|undeliverable|bad(?:\ destination)?|no\ valid)\W{1,5}(?:or\ \w+\ |virtual\ |local\ |email\ )?"
    rf"{_WHO.replace(' ', chr(92) + ' ')}"
    r"|no\ (?:mail ?box|account|user)\ (?:here\ )?(?:by|with|for)\ (?:that|this)\ (?:name|address)|there\ is\ no\ (?:such\ )?(?:user|account|mailbox)"
    r"|does(?:\ not|n.t)\ (?:have|match)\ an?y?\ .{1,60}account|not\ (?:a\ )?(?:known|valid|our)\ (?:user|customer|recipient|mailbox)"
    r"|(?:does|do)(?:\ not|n.t)\ like\ recipient|could\ not\ be\ found|couldn.t\ be\ found|wasn.t\ found\ at"
    r"|not\ listed\ in|unknown\ (?:or\ illegal\ )?alias|recipient.{0,40}unknown"
)
_NO_DOMAIN = re.compile(
    r"(?i)(?:host|domain)(?: name)?(?: or domain name)? (?:is )?(?:unknown|not found|lookup failed|does(?: not|n.t) exist)"
    r"|(?:unknown|no such) (?:host|domain)|(?:unable|couldn.t|could not) (?:to )?(?:resolve|find) (?:any )?(?:the )?(?:host|domain)"
    r"|host not found|domain.{0,60}(?:does not exist|not found)|all relevant MX records point to non-existent hosts|null MX|illegal host/domain|Unrouteable address"
)
#: X.1.Z and X.2.Z that say it without words (RFC 3463 §3.2; RFC 7505 for 5.1.10).
_HARD_CODES: Final = frozenset({"5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10"})
#: The message, not the mailbox: too big (5.2.3, 5.3.4), or its content (5.6.Z).
_MESSAGE_CODES: Final = ("5.2.3", "5.3.4", "5.6.")
_SENDER_CODES: Final = frozenset({"5.1.7", "5.1.8"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """What a rejection means, and the words that say so; `status` is "" where there is no enhanced code."""

    kind: BounceKind
    status: str
    words: str


def classify(
    *, status: str = "", diagnostic: str = "", context: str = "", action: str = "failed", is_direct: bool = False
) -> Meaning:
    """Judge one rejection.

    Args:
        status: an enhanced status code (RFC 3463), or "".
        diagnostic: the words of the server that refused, or "".
        context: what else the report says to people; looked at where the server said nothing.
        action: that of a delivery report (RFC 3464 §2.3.3).
        is_direct: the server's own words came to a machine: in a delivery report, or in answer to our RCPT.
    """
    words = one_line((diagnostic or context)[:_CONTEXT])
    found = _ENHANCED.search(status) or _ENHANCED.search(words)
    code = found.group() if found else ""
    codes = {code, *(match.group() for match in _ENHANCED.finditer(diagnostic[:_CONTEXT]))}
    is_late = bool(_AFTER_DATA.search(f"{diagnostic[:_CONTEXT]} {context[:_CONTEXT]}"))
    kind = BounceKind.delay if action == "delayed" else _kind(words, code, codes, may_say=is_direct and not is_late)
    return Meaning(kind=kind, status=code, words=one_line(words, WORDS))


def _kind(words: str, code: str, codes: set[str], *, may_say: bool) -> BounceKind:
    if any(one[1:4] == ".7." for one in codes) or code.startswith(_MESSAGE_CODES) or code in _SENDER_CODES:
        return BounceKind.policy
    # What a large provider says of addresses that it does not know, in the words of a policy.
    is_unknown_there = code == "5.4.1" and "recipient address rejected" in words.lower()
    if code == "5.2.2" or is_unknown_there or _FULL.search(words):
        return BounceKind.soft
    if _POLICY.search(words):
        return BounceKind.policy
    basic = _BASIC.search(words)
    is_for_now = code.startswith("4") or (not code and basic is not None and basic.group().startswith("4"))
    if is_for_now or _UNSURE.search(words):
        return BounceKind.soft
    if code in _HARD_CODES or (may_say and (_GONE.search(words) or _NO_DOMAIN.search(words))):
        return BounceKind.hard
    return BounceKind.soft
