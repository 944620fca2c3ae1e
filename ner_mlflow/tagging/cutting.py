"""Cut what stands between two white spaces into pieces where entities of IT text begin and end.

``nginx/1.25`` is ``nginx``, ``/`` and ``1.25``; ``torch==2.1.0``, ``Redis,Nginx`` and ``**Redis**``
are cut alike. A model tags the pieces, so an entity need not be a whole blank-separated word, and
markup belongs to none. Training, evaluation and the served model all cut in this way. The rules are
the tables below; a chunk is cut without a look at its neighbours.
"""

import re
from collections.abc import Iterator, Sequence

from .invisible import WITHIN_WORDS
from .scripts import ATTACHED, EMOJI_SEQUENCE, HYPHENATED, MARKS, is_unspaced, split_scripts

NAMES = ("TCP/IP", "PL/SQL", "GNU/Linux", "OS/2", "OS/390", "z/OS", "z/VM", "I/O", "CI/CD", "AT&T")
"""Names that are one piece although the rules would cut them."""
_URL = r"[^\s\x00-\x1f\x7f<>\"'`|()\[\]{}&、。，；：！？「」『』（）【】《》]"
_SEGMENT = r"[\w.@+~$-]"
_LISTED = r"[a-z]{0,3}[A-Z0-9][\w.+#-]{0,30}"
_HEADING = r"(?<![\w.-])h[1-6]\."
_WRAPPED = r"\w(?:\S{0,80}?\w)??"
_PREFIX = (  # .NET, @Override, $HOME, --verbose, but not @code@, --struck-- and -redis==4.5
    rf"(?:\.(?<!{_HEADING})(?=[^\W\d_])|@(?=[^\W\d_])(?!{_WRAPPED}@(?!\w))"
    rf"|\$(?!{_WRAPPED}\$(?!\w))|--(?!(?<!\w--){_WRAPPED}--(?!\w))(?![A-Z][a-z])"
    rf"|-(?!{_WRAPPED}-(?![^\W_]|-)|[\w.-]{{1,64}}[=~<>!]=)(?![A-Z][a-z]))"
)
_CONTRACTED = r"(?:s|m|ve|re|d|ll)(?!\w)"
_COLOR = r"(?:0?\d|[2-4]\d|9[0-7]|10[0-7])(?:[;:]\d{1,3}){0,5}m"
RULES: dict[str, str] = {
    "emoji": EMOJI_SEQUENCE,
    "html_entity": r"&(?:(?:amp;){1,4}(?:lt|gt|quot|apos|nbsp|\#\d{1,7})"
    r"|[A-Za-z]\w{1,10}|\#\d{1,7}|\#x[0-9A-Fa-f]{1,6});",
    "comment": r"<!--|-->",
    # What a terminal obeys and does not show: colors, titles, links, character sets.
    "terminal": r"(?:\x1b\[|\x9b)[0-?]{0,16}[ -/]{0,2}[@-~]"
    r"|\x1b\](?:[^\x07\x1b\s]{0,256}(?:\x07|\x1b\\)|[\d;]{0,8})|\x1b[()*+\#%][0-9A-Z@]|\x1b[=>78\\]"
    # The same with the escape character written out, and colors that have lost it; not [5m].
    r"|(?:\\{1,4}(?:x1[bB]|033|u001[bB]|e)|\^\[|\#033|␛)\[(?:[0-9;]{1,16}[A-Za-z]|[mKJ])"
    rf"|\[{_COLOR}(?![\]\d/,)-]|:\d|s\b|ins?\b)",
    "escape": r"\\\\{0,3}(?:[nrt](?![a-z])|u[0-9A-Fa-f]{4})",
    # Of entities, a URL takes `&amp;` alone; brackets only in pairs: .../Foo_(bar).
    "url": r"(?:[A-Za-z][A-Za-z0-9+.-]{1,20}://|www\.)"
    rf"{_URL}+(?:(?:&(?!(?:lt|gt|quot|\#\d\d);)|\([^\s()<>]{{0,64}}\)){_URL}*)*(?<![.,;:!?*_])",
    "mail_address": r"[\w.+-]{1,64}+@(?:[\w-]{1,64}+\.){1,8}[^\W\d_]{2,24}\b",
    "tag": r"</?[A-Za-z][\w:.-]{0,64}+/?>",
    "windows_path": r"(?:[A-Za-z]:[\\/](?!/)|\\\\[\w.$-]+\\)[^\s\"'`<>|*?()\[\]{},;:]*(?<!\.)",
    "encoded": r"[A-Za-z0-9+/]{128,}+={0,2}",
    "path": r"(?:/(?<!\w/)|\.(?<!\w\.)\.?/|~(?<!\w~)/)[\w.@%+~$-]+(?:/[\w.@%+~$-]*)+(?<!\.)"
    # Four and more names are a list: Windows/Linux/macOS/Android, 2.7/3.4/3.5/3.6.
    rf"|(?={_SEGMENT}{{1,64}}+/)(?!{_LISTED}(?:/{_LISTED}){{3,15}}(?![\w/]))"
    rf"{_SEGMENT}+(?:/{_SEGMENT}+){{3,}}(?:/|(?<!\.))|~/[\w.@%+~$-]+(?<!\.)",
    "identifier": r"(?=[0-9A-Fa-f]{1,8}[:-])"
    r"(?:(?:[0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}"  # MAC address, UUID, IPv6
    r"|[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}"
    r"|(?=[A-Fa-f:]{0,9}\d)(?:[0-9A-Fa-f]{1,4}:){1,6}(?::[0-9A-Fa-f]{1,4}){1,6}"
    r"|(?:[0-9A-Fa-f]{1,4}:){7}[0-9A-Fa-f]{1,4})(?![\w:-]|\.\w)",
    "issue_number": r"\#\d+(?!\w)",
    "name": r"(?:" + "|".join(map(re.escape, NAMES)) + r")(?!\w)",
    "keys": r"(?=\w{2,7}\+\w)(?i:ctrl|control|alt|shift|cmd|command|win|windows?|strg)(?:\+\w+)+",
    "variable": r"%[A-Za-z_]\w{0,64}+%",  # %PATH%
    # Underscores that open emphasis, but not those of `__init__` and `_id`.
    "emphasis": r"_(?!_[a-z\d]+(?:_[a-z\d]+){0,8}__(?!\w))"
    r"_{0,2}(?=[A-Z][a-z]|--?[^\W_]|[^\W_](?:\S{0,80}?[^\s_])??_{1,3}(?!\w))",
    "word": rf"(?P<word>{_PREFIX}?"
    # java.lang.Error, but not h3.Redis and u'Redis'
    rf"[\w]+(?:(?:[.\-’](?!(?<={_HEADING})[A-Z][a-z])|(?<!\b[bfruBFRU])'|'(?={_CONTRACTED}))"
    r"(?!_+(?!\w))[\w]+"
    r"|::[\w]+|\+\+(?=\d)[\w]+"  # Errno::EPERM, C++11
    r"|(?:(?<=\d)[,:．]|\+)\d[\w]*"  # 10,000, 16:38, １．２, n+1
    r"|\$(?:[^\W\d_][\w]*|(?<=[a-z]\$)\d+)"  # Map$Entry
    rf"|[{WITHIN_WORDS}]+\w[\w]*)*"
    # After a word: 2.*, 5%, C++, C#, foo().
    r"(?:(?<=\d)(?:\.\*|%)|\+{1,2}(?![\w=])|(?<=\b[A-Za-z])\#(?![^\W\d_])|\(\))?)",
    "contraction": rf"(?<=[+#)%\"”`*\]>])['’]{_CONTRACTED}",  # `Redis`'s
    "operator": r"[<>=!~^:+*/|&-]=+|[-=]>",
    "mark": r"(?P<character>[^\w\s])(?P=character)*",
}
"""Kinds of pieces in order; at each place the first that fits is the piece."""
VERSION_SUFFIXES = (
    "alpha|beta|rc|pre|dev|preview|nightly|snapshot|release|final|stable|ga|ea|lts|esr|next|canary"
    "|build|patch|hotfix|git|svn|post|(?:m|b|p|r|cr|sp|g)(?=\\d)"
)
"""What belongs to the version number before it after a hyphen, as in ``1.2-rc1``."""
FILE_SUFFIXES = (
    "jar|war|zip|t?gz|tar(?:\\.[a-z]{1,4})?|tar|exe|msi|dll|deb|rpm|apk|aab|dmg|pkg|iso|img|whl|egg|so"
    "|gem|xpi|crx|vsix|nupkg|log|txt|pdf|md|html?|js|css|json|xml|ya?ml|sql|patch|diff"
)
"""Endings of files whose name ends in a version, as in ``log4j-1.2.17.jar``."""
INSIDE_WORD = re.compile(
    # seamonkey-2.53 but not 1e-5, log4j2-2.17, nginx_1.25, node-v18.1, 3.6-alpine but not 1.2-rc1
    r"(?P<hyphen>(?<=[^\W\d_])(?<!\de)-(?=\d)|(?<=[^\W_])-(?=\d+\.\d)|(?<=[^\W\d_])_(?=\d+\.\d)"
    r"|(?<=[^\W_])[-_](?=v\d+\.\d)"
    r"|(?:(?<=\.\d)|(?<=\.\d\d)|(?<=\.\d\d\d))-(?=[^\W\d_])"
    rf"(?!(?:{VERSION_SUFFIXES})(?![a-z])))"
    # Python3.11, TLSv1.2
    r"|(?P<version>(?<=[^\W\d_])(?=\d+\.(?:\d|x(?![a-z\d])))|(?<=(?-i:[A-Z]))(?=v\d+\.\d))"
    rf"|(?P<file>(?:(?<=\d)|(?<=-snapshot)|(?<=\.final)|(?<=\.release))(?=\.(?:{FILE_SUFFIXES})$))",
    re.IGNORECASE,
)
"""Where a word is cut once more: around a hyphen, at a version, at a file's suffix.

A file's suffix is cut only where something before it was.
"""
BETWEEN_ALPHABETS = re.compile(
    rf"(?<=[{HYPHENATED}])-(?=[A-Za-z])"  # ה-Redis
    # Redis-кластер, HTTP2-сервер, 22.04-й
    rf"|(?:(?<=[A-Za-z])|(?<=[A-Za-z.]\d)|(?<=\.\d\d))-(?=[{HYPHENATED}])"
    rf"|(?<=[{ATTACHED}])(?=[A-Za-z])|(?<=[A-Za-z])(?=[{ATTACHED}])"  # الRedis
)
"""Where a word is cut before that: between a Latin name and an affix of another alphabet."""
VERSION_LETTERS = frozenset(("v", "r", "ver", "rev", "version"))
"""Letters that belong to the version number after them: ``v1.2-rc1`` is one piece."""
LONGEST_CUT = 4096
"""Characters; a longer chunk (encoded data, minified code) is cut in parts, see :data:`CHUNK`."""
PARTING = ',;|(){}[]<>"`，。、'
"""Marks that stand between two names rather than within one."""
CHUNK = re.compile(
    rf"\S(?:\S{{0,{LONGEST_CUT - 1}}}+(?!\S)"
    rf"|\S{{{LONGEST_CUT // 2},{LONGEST_CUT - 1}}}(?<=[{re.escape(PARTING)}])(?=\w)"
    rf"|\S{{{LONGEST_CUT // 2},{LONGEST_CUT - 1}}}(?<=\W)(?=\w)"
    rf"|\S{{{LONGEST_CUT - 1}}})"
)
"""What is cut at once: all between two white spaces, or a part of it that ends with a mark."""
KNOWN_CHUNKS = 65_536
"""Largest number of chunks whose pieces are remembered."""
KNOWN_CHUNK_CHARACTERS = 128
"""Longer chunks rarely repeat and are not remembered."""
KNOWN_CHUNK_PIECES = 16
"""Chunks of more pieces are not remembered, so that hostile ones take little memory."""

Extents = tuple[tuple[int, int], ...]
"""The start and end of each piece of a chunk, in order."""

_PLAIN_KINDS = ("word", "contraction", "operator", "mark")
_PIECE = re.compile("|".join(RULES.values()).replace(r"[\w]", rf"[\w{MARKS}]"))
_ASCII_PIECE = re.compile("|".join(rule for kind, rule in RULES.items() if kind != "emoji"))
_PLAIN_PIECE = re.compile("|".join(map(RULES.__getitem__, _PLAIN_KINDS)))
_NOT_PLAIN = re.compile(rf"[/\\@<&#%_+:\x1b]|-\w+-|-->|\[{_COLOR}|\^\[\[|www\.|[A-Za-z0-9]{{128}}")
"""Found in each ASCII chunk that needs more than the plain kinds."""
CONTRACTION = re.compile(r"(?:n['’]t|['’](?:s|m|ve|re|d|ll))", re.IGNORECASE)
_ENDING = re.compile(r"(?:(?<=[^\W\d_])n['’]t|(?<=[^\W_])['’](?:s|m|ve|re|d|ll))$", re.IGNORECASE)
"""A contraction at the end of a word."""
_CUT_WITHIN = re.compile(r"\d[.\-]|[-_]\d")
"""Found in each word that :data:`INSIDE_WORD` can cut."""
ALPHANUMERIC = re.compile(r"[^\W_]")
_known: dict[str, Extents] = {}


def cut(chunk: str) -> Extents:
    """Return the pieces of a chunk, which holds no white space.

    Hidden characters between pieces belong to none (:mod:`.invisible`). A piece that is cut again
    stays whole, and so does a chunk without letters and digits. Takes time linear in the chunk.
    """
    extents = _known.get(chunk)
    if extents is None:
        if len(chunk) > LONGEST_CUT:
            return tuple(
                (part.start() + start, part.start() + end)
                for part in CHUNK.finditer(chunk)
                for start, end in _cut(part.group())
            )
        extents = tuple(_cut(chunk))
        if len(chunk) <= KNOWN_CHUNK_CHARACTERS and len(extents) <= KNOWN_CHUNK_PIECES:
            if len(_known) >= KNOWN_CHUNKS:
                _known.clear()
            _known[chunk] = extents
    return extents


def to_pieces(words: Sequence[str]) -> tuple[list[str], list[int]]:
    """Return the pieces of words, and for each piece the index of its word."""
    pieces: list[str] = []
    owners: list[int] = []
    for index, word in enumerate(words):
        if word.isalnum() and word.isascii():
            pieces.append(word)
            owners.append(index)
            continue
        extents = cut(word)
        pieces += [word[start:end] for start, end in extents]
        owners += [index] * len(extents)
    return pieces, owners


def _cut(chunk: str) -> list[tuple[int, int]]:
    has_words = ALPHANUMERIC.search(chunk) is not None
    if chunk.isascii():
        return _cut_script(chunk) if has_words else [(0, len(chunk))]
    extents: list[tuple[int, int]] = []
    for begin, stop in split_scripts(chunk):
        if not has_words or is_unspaced(chunk[begin:stop]):
            extents.append((begin, stop))
        else:
            extents += [
                (begin + start, begin + end) for start, end in _cut_script(chunk[begin:stop])
            ]
    return extents


def _cut_script(chunk: str) -> list[tuple[int, int]]:
    """Cut a chunk, or a part of one, of scripts with blanks between words."""
    if CONTRACTION.fullmatch(chunk):
        return [(0, len(chunk))]
    pattern = _PIECE
    if chunk.isascii():
        pattern = _ASCII_PIECE if _NOT_PLAIN.search(chunk) else _PLAIN_PIECE
    extents: list[tuple[int, int]] = []
    for match in pattern.finditer(chunk):
        start, end = extent = match.span()
        if match.lastgroup != "word":
            extents.append(extent)
        elif not (word := chunk[start:end]).isascii():
            for part in _between_alphabets(chunk, start, end):
                extents += _cut_word(chunk, *part)
        elif word.isalpha():
            extents.append(extent)
        else:
            extents += _cut_word(chunk, start, end)
    return extents


def _between_alphabets(chunk: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    for border in BETWEEN_ALPHABETS.finditer(chunk, start, end):
        at, after = border.span()
        if at > start:
            yield start, at
        if after > at:
            yield at, after
        start = after
    yield start, end


def _cut_word(chunk: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    begin = start
    pluses = _closing_pluses(chunk, start, end) if chunk[end - 1] == "+" else 0
    end -= pluses
    if _CUT_WITHIN.search(chunk, start, end):
        for inner in INSIDE_WORD.finditer(chunk, start, end):
            at = inner.start()
            if at <= begin or not _ends_piece(inner.lastgroup, chunk[start:begin], chunk[begin:at]):
                continue
            yield from _cut_ending(chunk, begin, at)
            begin = at
            if inner.lastgroup == "hyphen":
                yield at, at + 1
                begin = at + 1
    yield from _cut_ending(chunk, begin, end)
    if pluses:
        yield end, end + pluses


def _closing_pluses(chunk: str, start: int, end: int) -> int:
    """Count the marks that close ``+inserted+``; the word ``C++`` has none, also in ``+C++``."""
    closing = end - start - len(chunk[start:end].rstrip("+"))
    before = chunk[max(0, start - 3) : start]  # a word takes two at most
    return closing if closing == len(before) - len(before.rstrip("+")) else 0


def _cut_ending(chunk: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    endings: list[tuple[int, int]] = []
    if chunk[end - 1] == "_":
        word = chunk[start:end].rstrip("_")
        # Underscores close emphasis after a letter or digit, but not in `foo.__init__`.
        if word and word[-1].isalnum() and not word.rpartition(".")[2].startswith("_"):
            last = start + len(word)
            endings.append((last, end))
            end = last
    while ending := _ENDING.search(chunk, max(start + 1, end - 3), end):
        endings.append((ending.start(), end))
        end = ending.start()
    yield start, end
    yield from reversed(endings)


def _ends_piece(kind: str | None, before: str, piece: str) -> bool:
    """Return whether a place within a word ends a piece; ``before`` are the pieces before it."""
    if kind == "version":
        return piece.lower() not in VERSION_LETTERS
    return kind != "file" or before != ""
