"""Cut a chunk where its script changes, and at each character of scripts written without blanks.

``使用Redis缓存`` is ``使``, ``用``, ``Redis``, ``缓`` and ``存``. A character is what a reader
takes for one: a letter with its vowel signs and marks. Punctuation of such scripts is always a
piece of its own, and hidden characters belong to no piece unless they stand within a word. The
tables are classes and patterns of `re`, after Unicode 15.
"""

import re
from collections.abc import Iterable, Iterator
from unicodedata import category

from .invisible import EMOJI, HAN, HIDDEN_RUN, WITHIN_WORDS, WITHOUT_GLYPH

LOGOGRAPHS = (
    HAN
    + r"\u3041-\u3096\u309b-\u309f\u30a1-\u30ff\u31f0-\u31ff\uff66-\uff9f"  # kana of any width
    + r"\U0001aff0-\U0001afff\U0001b000-\U0001b16f"
    + r"\u3004\u3012\u3013\u3020\u3036\u303c\u3200-\u33ff"  # symbols, such as ㈱
    + r"\u3105-\u312f\u31a0-\u31bf"  # Bopomofo
    + r"\ua000-\ua48f"  # Yi
    + r"\U00016fe0-\U00018dff\U0001b170-\U0001b2ff"  # Tangut, Khitan, Nushu
)
"""Scripts without blanks in which each code point is a character."""
SYLLABIC = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x0F00, 0x0FFF),  # Tibetan
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x1950, 0x19DF),  # Tai Le, New Tai Lue
    (0x1A20, 0x1AAF),  # Tai Tham
    (0x1B00, 0x1B7F),  # Balinese
    (0xA980, 0xA9FF),  # Javanese, Myanmar
    (0xAA60, 0xAADF),  # Myanmar, Tai Viet
    (0x11700, 0x1174F),  # Ahom
)
"""Blocks of scripts without blanks whose letters take signs; their numbers stay whole."""
LEADING = r"\u0e40-\u0e44\u0ec0-\u0ec4\u19b5-\u19b7\u19ba\uaab5\uaab6\uaab9\uaabb\uaabc"
"""Vowels that are written before the letter that they belong to."""
FOLLOWING = (
    r"\u0e30\u0e32\u0e33\u0e45\u0eb0\u0eb2\u0eb3\u0ebd\u19b0-\u19b4\u19b8\u19b9\u19bb-\u19c9"  # Tai
    r"\u3005\u303b\u309b-\u309e\u30fc-\u30fe\uff70\uff9e\uff9f"  # 々 and ー
    r"\u3041\u3043\u3045\u3047\u3049\u3083\u3085\u3087\u308e"  # small kana; but っ begins って
    r"\u30a1\u30a3\u30a5\u30a7\u30a9\u30e3\u30e5\u30e7\u30ee\u31f0-\u31ff\uff67-\uff6e"
)
"""Letters that stay with the letter before them."""
STACKING = r"\u1039\u17d2\u1a60\u1b44\ua9c0"
"""Signs that put the next letter below the one before."""
HANGUL = (
    r"\u1100-\u115e\u1161-\u11ff\u3130-\u3163\u3165-\u318f\ua960-\ua97f\uac00-\ud7ff\uffa1-\uffdc"
)
"""Korean has blanks, but its particles follow a foreign name without one: ``Redis를``."""
ATTACHED = r"\u0590-\u06ff\u0750-\u077f\u08a0-\u0dff\ufb1d-\ufdff\ufe70-\ufefc"  # Hebrew to Sinhala
"""Alphabets whose prefixes and endings join a Latin name without a blank: ``الRedis``."""
HYPHENATED = ATTACHED + r"\u0400-\u058f\u10a0-\u10ff\u1200-\u137f"  # Cyrillic, Georgian, Ethiopic
"""Alphabets whose words join a Latin name with a hyphen: ``ה-Redis``, ``Redis-кластер``."""
NUMBERING = r"\u00b2\u00b3\u00b9\u2070\u2074-\u2079\u2460-\u249b\u24ea-\u24ff\u2776-\u2793"
"""Numbers that count items or notes, such as ① and ²; no word contains one."""
WIDE_PUNCTUATION = (
    r"\u3001-\u3003\u3008-\u3011\u3014-\u301f\u30a0\u30fb\uff61-\uff65"  # 、。「」『』【】・
    r"\ufe10-\ufe19\ufe30-\ufe6f\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff60"  # ，：（
)
"""Marks of Chinese and Japanese, and full-width forms; no word contains one."""
CLOSING = "،؛؟۔।॥።፣፤፥፦"
"""Marks that a blank follows; no word contains one."""
SENTENCE_END = frozenset("。！？｡．؟۔।॥።။།")
"""Marks that end a sentence."""
CLOSELY_SET = frozenset("。！？｡")
"""Marks that end a sentence also where no blank follows."""
AFTER_STOP = frozenset("」』）】》〉］｝〕〗｣＂＇")
"""Closing marks, which may follow the mark that ends a sentence."""


def _ranges(points: Iterable[int]) -> Iterator[str]:
    """Yield the parts of a class of `re`, one for each run of code points."""
    first = last = -2
    for point in (*points, -2):
        if point != last + 1:
            if first >= 0:
                yield f"\\U{first:08x}-\\U{last:08x}"
            first = point
        last = point


def _members(blocks: Iterable[tuple[int, int]], categories: str) -> str:
    """Return the characters of some blocks with a glyph and in some general categories."""
    without_glyph = re.compile(f"[{WITHOUT_GLYPH}]")
    return "".join(
        _ranges(
            point
            for first, last in blocks
            for point in range(first, last + 1)
            if category(chr(point))[0] in categories and not without_glyph.match(chr(point))
        )
    )


MARKS = _members([(0x300, 0x1EFFF)], "M")
"""Combining marks of all scripts; they stay with the letter before them."""
EMOJI_SEQUENCE = (
    rf"(?:[{EMOJI}\u3030\u303d](?:[\ufe0e\ufe0f\u20e3\U0001f3fb-\U0001f3ff]|\u200d[{EMOJI}]"
    r"|[\U000e0020-\U000e007f])++|[\U0001f1e6-\U0001f1ff]{2}|[0-9#*]\ufe0f?\u20e3)"
)
"""An emoji of more than one code point."""

_LETTERS = LOGOGRAPHS + _members(SYLLABIC, "LSC")
_SIGNS = _members(SYLLABIC, "M")
_PUNCTUATION = WIDE_PUNCTUATION + CLOSING + NUMBERING + _members(SYLLABIC, "P")
_CUT = _LETTERS + _SIGNS + _PUNCTUATION + HANGUL
_KEPT = rf"(?=[{WITHOUT_GLYPH}])(?!{HIDDEN_RUN})."
_PIECE = re.compile(
    rf"(?:[{LEADING}]?[{_LETTERS}]|[{_SIGNS}])"
    rf"(?:[{STACKING}][{_LETTERS}]|[{FOLLOWING}{MARKS}]|{_KEPT})*+"
    rf"|[{_PUNCTUATION}]"
    rf"|(?P<hidden>{HIDDEN_RUN})"  # those within a word do not get here
    rf"|[{HANGUL}](?:[{HANGUL}{MARKS}]|{_KEPT})*+"
    rf"|(?:[^{_CUT}{WITHOUT_GLYPH}]++"
    r"|(?<=[\uff10-\uff19])\uff0e(?=[\uff10-\uff19])"  # １．２
    rf"|(?<=[\w{MARKS}])[{WITHIN_WORDS}]++(?=\w)(?![{_CUT}{WITHOUT_GLYPH}])|{_KEPT})++",
    re.DOTALL,
)
_UNSPACED = re.compile(f"[{_LETTERS}{_SIGNS}{WIDE_PUNCTUATION}]")
_NOTABLE = re.compile(f"[{_CUT}{WITHOUT_GLYPH}]")


def split_scripts(chunk: str) -> Iterator[tuple[int, int]]:
    """Yield the start and end of each piece of a chunk, which holds no white space.

    Most chunks are one piece. A piece that is split again stays whole, and so does a chunk that
    holds hidden characters alone. Takes time linear in the chunk, and memory for one piece.
    """
    if chunk.isascii() or _NOTABLE.search(chunk) is None:
        yield 0, len(chunk)
        return
    is_hidden = True
    for match in _PIECE.finditer(chunk):
        if match.lastgroup != "hidden":
            is_hidden = False
            yield match.span()
    if is_hidden:
        yield 0, len(chunk)


def is_unspaced(text: str) -> bool:
    """Return whether a text begins in a script without blanks or with its punctuation."""
    return _UNSPACED.match(text) is not None


def written_together(left: str, right: str) -> bool:
    """Return whether running text has no white space between two words for their scripts."""
    return is_unspaced(left[-1:]) or is_unspaced(right) or right[:1] in CLOSING
