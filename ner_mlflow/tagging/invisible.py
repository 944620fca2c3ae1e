"""Characters without a glyph: none begins or ends a piece of a text, and none hides a name.

Some of them matter where they stand: a joiner between letters of a joining script or in an emoji, a
variation selector after an emoji or a Han character, the tags of a flag. All others are hidden, and
a tokenizer need not see them. The tables are classes and patterns of `re`, after Unicode 15.
"""

import re

HIDDEN = (
    r"\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f"
    r"\u3164\ufeff\uffa0\ufff0-\ufffb\U000e0000-\U000e001f\U000e0080-\U000e00ff"
)
"""Hidden anywhere: soft hyphen, zero-width blanks, controls of direction, fillers."""
WITHIN_WORDS = r"\u00ad\u034f\u200c\u200d\u2060-\u2064\ufeff"
"""These stay in a word between two letters: they do not part it."""
HAN = (
    r"\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    r"\U00020000-\U0003ffff"
)
EMOJI = (
    r"©®\u203c\u2049\u2122\u2139\u2190-\u21ff\u2300-\u23ff\u2460-\u24ff\u25a0-\u27bf\u2900-\u297f"
    r"\u2b00-\u2bff\U0001f000-\U0001faff"
)
"""Emoji, and symbols that a variation selector turns into one."""
JOINING = (
    r"\u0620-\u06d3\u06d5-\u085f\u08a0-\u0963\u0966-\u0dff\u1820-\u18af\u1bc0-\u1bf3\u1c00-\u1c3a"
    r"\ua840-\ua873\ua880-\ua8cd\ua8e0-\ua92d\uaae0-\uaaef\uabc0-\uabea\ufb50-\ufdff\ufe70-\ufefc"
    r"\U00010a00-\U00010fff\U00011000-\U000116ff\U00011800-\U00011fff\U0001e900-\U0001e943"
)
"""Letters and signs of scripts in which a joiner changes its neighbours, Arabic to Adlam."""
SIGNED = r"\u1000-\u103f\u1780-\u17b3\u17b6-\u17d3\ua980-\ua9c0"
SIGNS = r"\u102b-\u103e\u17b6-\u17d3\ua9b3-\ua9c0"
"""Letters and signs of Myanmar, Khmer and Javanese; a joiner can stand before a sign."""
VIRAMAS = r"\u094d\u09cd\u0a4d\u0acd\u0b4d\u0bcd\u0c4d\u0ccd\u0d4d\u0dca"
"""Signs after which a joiner can end a word."""
SELECTED = rf"{EMOJI}{HAN}\u3030\u303d\u3297\u3299"
"""Characters whose look a variation selector changes."""
WITHOUT_GLYPH = rf"{HIDDEN}\u200c\u200d\ufe00-\ufe0f\U000e0020-\U000e007f\U000e0100-\U000e01ef"
"""All characters of this module's concern, hidden or not."""

_JOINER = (
    rf"(?:(?<=[{JOINING}])[\u200c\u200d](?=[{JOINING}])|(?<=[{VIRAMAS}])[\u200c\u200d]"
    rf"|(?:(?<=[{EMOJI}])|(?<=[{EMOJI}]\ufe0f))\u200d(?=[{EMOJI}])"
    rf"|(?<=[{SIGNED}])[\u200c\u200d](?=[{SIGNS}]))"
)
HIDDEN_RUN = (
    rf"(?:[{HIDDEN}]|(?!{_JOINER})[\u200c\u200d]"
    rf"|(?<![{SELECTED}])(?!(?<=[#*0-9])\ufe0f\u20e3)[\ufe00-\ufe0f]"
    rf"|(?<![{HAN}])[\U000e0100-\U000e01ef]"
    r"|(?<!\U0001f3f4)(?<![\U000e0020-\U000e007f])[\U000e0020-\U000e007f]++)++"
)
"""A pattern of hidden characters in a row."""

_SOME = re.compile(f"[{WITHOUT_GLYPH}]")
_HIDDEN_RUN = re.compile(HIDDEN_RUN)


def visible(text: str) -> str:
    """Return a text without its hidden characters, as a tokenizer should see it."""
    if text.isascii() or _SOME.search(text) is None:
        return text
    return _HIDDEN_RUN.sub("", text)
