"""Which characters the bytes of a feed stand for.

Decided here once, for XML and JSON alike, so that it does not depend on which
detection packages happen to be installed, nor on codecs no feed is written in.
"""

import codecs
import re

# The order matters: the mark of UTF-32 starts with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# Where the zero bytes are in the first four, of which the first character is ASCII (RFC 4627 §3, XML 1.0 appendix F).
_ZEROS = {
    (False, True, True, True): "utf-32-le",
    (True, True, True, False): "utf-32-be",
    (False, True, False, True): "utf-16-le",
    (True, False, True, False): "utf-16-be",
}
_EBCDIC = b"\x4c\x6f\xa7\x94"  # "<?xm"
_PARAMETER = re.compile(r";\s*charset\s*=\s*[\"']?([A-Za-z0-9._:-]{1,40})", re.IGNORECASE)
_DECLARATION = re.compile(rb"\s{0,100}<\?xml[^>]{0,200}?encoding\s{0,9}=\s{0,9}[\"']([A-Za-z0-9._:-]{1,40})")
# Encodings of text.  Python has others that take hours for megabytes (punycode,
# idna) or read instructions out of the text (unicode-escape, utf-7).
_TEXT_CODEC = re.compile(
    r"(ascii|utf-(8|16|32)(-[bl]e|-sig)?|iso8859-\d+|cp\d{3,4}|koi8-[rtu]|mac-\w+|tis-620|hz|johab|kz1048|ptcp154"
    r"|gb\w+|big5\w*|(euc|iso2022|shift)_\w+)"
)
# What pages labelled so are really written in (WHATWG Encoding Standard §4.2).
_SUPERSETS = {
    "ascii": "cp1252",
    "iso8859-1": "cp1252",
    "iso8859-9": "cp1254",
    "tis-620": "cp874",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
}
# A document with fewer broken characters than one in twenty is broken, not mislabelled.
_TOLERANCE = 20


def decode(body: bytes, content_type: str | None) -> str:
    """Turn a document into text; never fails, whatever it is called or holds.

    A byte order mark wins (RFC 7303 §3.2).  Then text that is valid UTF-8
    beyond ASCII is UTF-8, whatever the labels say: no other encoding looks like
    it by chance, and servers put their default label on everything.  Then the
    label of the HTTP answer, then that of the XML declaration.
    """
    for mark, name in _MARKS:
        if body.startswith(mark):
            return body[len(mark) :].decode(name, "replace")
    start = tuple(byte == 0 for byte in body[:4])
    name = "cp037" if body.startswith(_EBCDIC) else _ZEROS.get(start, "")  # type: ignore[arg-type]
    if name:
        return body.decode(name, "replace")
    labels = _labels(body, content_type)
    if not body.isascii():
        text = body.decode("utf-8", "replace")
        beyond = sum(1 for c in text if c > "\x7f") if "\ufffd" in text else 0
        if text.count("\ufffd") * _TOLERANCE <= beyond:
            return text
    for label in labels:
        try:
            return body.decode(label)
        except UnicodeDecodeError:
            continue
    return body.decode(labels[0] if labels else "cp1252", "replace")


def _labels(body: bytes, content_type: str | None) -> list[str]:
    """The encodings the document is said to be in, most trustworthy first, as names of codecs."""
    said = [match[1] for match in [_PARAMETER.search((content_type or "")[:200])] if match]
    said += [match[1].decode() for match in [_DECLARATION.match(body)] if match]
    found = []
    for label in said:
        try:
            name = codecs.lookup(label).name
        except (LookupError, ValueError):
            continue
        # A document whose declaration can be read as ASCII is not in UTF-16.
        if _TEXT_CODEC.fullmatch(name) and not name.startswith(("utf-16", "utf-32")):
            found.append(_SUPERSETS.get(name, name))
    return found
