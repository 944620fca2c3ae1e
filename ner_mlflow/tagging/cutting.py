"""Cut what stands between two white spaces into pieces where entities of IT text begin and end.

``nginx/1.25`` is ``nginx``, ``/`` and ``1.25``; ``torch==2.1.0``, ``Redis,Nginx`` and ``**Redis**``
are cut alike. A model tags the pieces, so an entity need not be a whole blank-separated word, and
markup belongs to none. Training, evaluation and the served model all cut in this way. The rules are
the tables below; a chunk is cut without a look at its neighbours.
"""

import re
from collections.abc import Iterator

NAMES = ("TCP/IP", "PL/SQL", "GNU/Linux", "OS/2", "OS/390", "z/OS", "z/VM", "I/O", "CI/CD", "AT&T")
"""Names that are one piece although the rules would cut them."""
RULES: dict[str, str] = {
    "html_entity": r"&(?:[A-Za-z]\w{1,10}|\#\d{1,7}|\#x[0-9A-Fa-f]{1,6});",
    "url": r"(?:[A-Za-z][A-Za-z0-9+.-]{1,20}://|www\.)[^\s<>\"'`|()\[\]{}]+(?<![.,;:!?*_])",
    "mail_address": r"[\w.+-]{1,64}@(?:[\w-]{1,64}\.){1,8}[^\W\d_]{2,24}\b",
    "tag": r"</?[A-Za-z][^<>\s]{0,200}>",
    "windows_path": r"[A-Za-z]:[\\/](?!/)[^\s\"'`<>|*?()\[\]{},;]*(?<![.:])",
    "path": r"(?<!\w)(?:~|\.{1,2})?/[\w.@%+~$-]+(?:/[\w.@%+~$-]*)+(?<!\.)"
    r"|[\w.@+~$-]+(?:/[\w.@+~$-]+){3,}(?:/|(?<!\.))|~/[\w.@%+~$-]+(?<!\.)",
    "issue_number": r"\#\d+(?!\w)",
    "name": r"(?:" + "|".join(map(re.escape, NAMES)) + r")(?!\w)",
    "word": r"(?:\.(?=[^\W\d_])|@(?=[^\W\d_])|\$|--?)?"  # .NET, @Override, $HOME, --verbose
    r"\w+(?:[.\-'’+]\w+|::\w+|\+\+(?=\d)\w+|(?<=\d)[,:]\d+)*"  # java.lang.Error, 10,000, 16:38
    r"(?:(?<=\d)\.\*|\+{1,2}(?!\w)|(?<=\b[A-Za-z])\#(?!\w)|\(\)|%)?",  # 2.*, C++, C#, foo(), 50%
    "operator": r"[<>=!~^:]=+|[-=]>",
    "mark": r"(?P<character>[^\w\s])(?P=character)*",
}
"""Kinds of pieces in order; at each place the first that fits is the piece."""
INSIDE_WORD = re.compile(
    r"(?P<contraction>(?<=[^\W\d_])(?:n['’]t|['’](?:s|m|ve|re|d|ll))$)"
    r"|(?P<hyphen>(?<=[^\W\d_])-(?=\d))"  # seamonkey-2.53
    r"|(?P<version>(?<=[^\W\d_])(?=\d+\.[\dx]))",  # Python3.11
    re.IGNORECASE,
)
"""Where a word is cut once more: before a contraction, around a hyphen, at a version."""
VERSION_LETTERS = frozenset(("v", "r", "ver", "rev", "version"))
"""Letters that belong to the version number after them: ``v1.2-rc1`` is one piece."""
EMPHASIS = re.compile(r"(?P<open>_{1,2})[^\W_](?:\w*[^\W_])?(?P=open)")
"""A word in emphasis; in lower case and two underscores it is a name: ``__init__``."""
LONGEST_CUT = 4096
"""Characters; longer chunks (encoded data, minified code) are not cut."""
KNOWN_CHUNKS = 65_536
"""Largest number of chunks whose pieces are remembered."""
KNOWN_CHUNK_CHARACTERS = 64
"""Longer chunks rarely repeat and are not remembered."""

Extents = tuple[tuple[int, int], ...]
"""The start and end of each piece of a chunk, in order."""

_PIECE = re.compile("|".join(f"(?P<{kind}>{pattern})" for kind, pattern in RULES.items()))
CONTRACTION = re.compile(r"(?:n['’]t|['’](?:s|m|ve|re|d|ll))", re.IGNORECASE)
_ALPHANUMERIC = re.compile(r"[^\W_]")
_known: dict[str, Extents] = {}


def cut(chunk: str) -> Extents:
    """Return the pieces of a chunk, which holds no white space.

    A piece that is cut again stays whole, and so does a chunk without letters and digits.
    """
    extents = _known.get(chunk)
    if extents is None:
        extents = tuple(_cut(chunk))
        if len(chunk) <= KNOWN_CHUNK_CHARACTERS:
            if len(_known) >= KNOWN_CHUNKS:
                _known.clear()
            _known[chunk] = extents
    return extents


def _cut(chunk: str) -> Iterator[tuple[int, int]]:
    if len(chunk) > LONGEST_CUT or not _ALPHANUMERIC.search(chunk) or CONTRACTION.fullmatch(chunk):
        yield 0, len(chunk)
        return
    for match in _PIECE.finditer(chunk):
        if match.lastgroup == "word":
            yield from _cut_word(chunk, *match.span())
        else:
            yield match.span()


def _cut_word(chunk: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    if chunk[start] == "_" and (emphasis := EMPHASIS.fullmatch(chunk, start, end)):
        width = len(emphasis["open"])
        if width == 1 or not chunk[start:end].islower():
            yield start, start + width
            yield from _cut_word(chunk, start + width, end - width)
            yield end - width, end
            return
    begin = start
    for inner in INSIDE_WORD.finditer(chunk, start, end):
        at = inner.start()
        if at <= begin:
            continue
        if inner.lastgroup == "version" and chunk[begin:at].lower() in VERSION_LETTERS:
            continue
        yield begin, at
        begin = at
        if inner.lastgroup == "hyphen":
            yield at, at + 1
            begin = at + 1
    yield begin, end
