"""Scripts without blanks are cut at each character, other words stay whole, nothing is hidden."""

import time
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ner_mlflow.tagging.invisible import visible
from ner_mlflow.tagging.scripts import (
    AFTER_STOP,
    CLOSELY_SET,
    SENTENCE_END,
    split_scripts,
    written_together,
)

PARTS = (
    *("使", "用", "Redis", "10", "カ", "ー", "っ", "เ", "ก", "็", "ា", "ក", "្", "မ", "်", "\u1039"),
    *(
        "를",
        "한",
        "。",
        "（",
        "，",
        "．",
        "１",
        "ｈ",
        "é",
        "e\u0301",
        "न",
        "्",
        "ع",
        "؟",
        "།",
        "བ",
        "๑",
    ),
    *(
        "\u200b",
        "\u200c",
        "\u200d",
        "\u00ad",
        "\u202a",
        "\u2060",
        "\ufe0f",
        "\U000e0100",
        "\U000e0041",
    ),
    *("👩", "💻", "🏴", "❤", "㈱", "\u3164", "\u0301", ".", "/", "\ud800"),
)
CHUNKS = st.one_of(
    st.text(st.characters(exclude_categories=["Zs", "Zl", "Zp", "Cc"]), min_size=1),
    st.lists(st.sampled_from(PARTS), min_size=1).map("".join),
)


def split(chunk: str) -> list[str]:
    return [chunk[start:end] for start, end in split_scripts(chunk)]


@settings(deadline=None, max_examples=500)
@given(CHUNKS)
@example("\u200b")
@example("\ud800使")
def test_pieces_hold_all_that_is_visible_in_order(chunk: str) -> None:
    extents = tuple(split_scripts(chunk))
    assert all(0 <= start < end <= len(chunk) for start, end in extents)
    assert all(before[1] <= after[0] for before, after in pairwise(extents))
    ends, starts = [0, *(end for _, end in extents)], [*(start for start, _ in extents), len(chunk)]
    between = "".join(chunk[end:start] for end, start in zip(ends, starts, strict=True))
    assert len(chunk) - len(between) == sum(end - start for start, end in extents)
    assert visible(between) == ""


@settings(deadline=None, max_examples=500)
@given(CHUNKS)
def test_a_piece_that_is_split_again_stays_whole(chunk: str) -> None:
    assert all(split(piece) == [piece] for piece in split(chunk))


@settings(deadline=None, max_examples=300)
@given(CHUNKS)
def test_no_hidden_character_begins_or_ends_a_piece(chunk: str) -> None:
    if visible(chunk):
        assert all(visible(piece[0]) and visible(piece)[-1] == piece[-1] for piece in split(chunk))


@pytest.mark.parametrize(
    ("chunk", "pieces"),
    [
        pytest.param("使用Redis缓存", ["使", "用", "Redis", "缓", "存"], id="Chinese"),
        pytest.param("2024年", ["2024", "年"], id="number in Chinese"),
        pytest.param("𠮷野家", ["𠮷", "野", "家"], id="Han beyond the first plane"),
        pytest.param("葛\U000e0100城", ["葛\U000e0100", "城"], id="variant of a Han character"),
        pytest.param("人々", ["人々"], id="iteration mark"),
        pytest.param("サーバーの", ["サー", "バー", "の"], id="Japanese long vowels"),
        pytest.param("キャッシュ", ["キャ", "ッ", "シュ"], id="Japanese small kana"),
        pytest.param("Redisって", ["Redis", "っ", "て"], id="Japanese particle"),
        pytest.param("か\u3099ｶﾞ", ["か\u3099", "ｶﾞ"], id="Japanese voiced marks"),
        pytest.param("㈱日立", ["㈱", "日", "立"], id="Japanese symbol"),
        pytest.param("ไทยใช้Windows10", ["ไท", "ย", "ใช้", "Windows10"], id="Thai"),
        pytest.param("น้ำ๑๐", ["น้ำ", "๑๐"], id="Thai number"),
        pytest.param("ໄທ", ["ໄທ"], id="Lao"),
        pytest.param("ភ្នំពេញ។", ["ភ្នំ", "ពេ", "ញ", "។"], id="Khmer"),
        pytest.param("မြန်မာ၊", ["မြ", "န်", "မာ", "၊"], id="Myanmar"),
        pytest.param("တက္ကသိုလ်", ["တ", "က္က", "သို", "လ်"], id="Myanmar, stacked"),
        pytest.param("བོད་", ["བོ", "ད", "་"], id="Tibetan"),
        pytest.param("ꦗꦮ", ["ꦗ", "ꦮ"], id="Javanese"),
        pytest.param("ꆈꌠ", ["ꆈ", "ꌠ"], id="Yi"),
        pytest.param("Redis를", ["Redis", "를"], id="Korean particle"),
        pytest.param("데이터베이스", ["데이터베이스"], id="Korean word"),
        pytest.param("नमस्ते", ["नमस्ते"], id="Devanagari"),
        pytest.param("می\u200cخواهم", ["می\u200cخواهم"], id="Persian"),
        pytest.param("Größe/e\u0301", ["Größe/e\u0301"], id="Latin"),
        pytest.param("👩\u200d💻Redis", ["👩\u200d💻Redis"], id="emoji are left to other rules"),
    ],
)
def test_each_character_of_a_script_without_blanks_is_a_piece(
    chunk: str, pieces: list[str]
) -> None:
    assert split(chunk) == pieces


@pytest.mark.parametrize(
    ("chunk", "pieces"),
    [
        ("「Redis」，", ["「", "Redis", "」", "，"]),
        ("（Redis）：", ["（", "Redis", "）", "："]),
        ("【Redis】！？", ["【", "Redis", "】", "！", "？"]),
        ("Redis、Nginx。", ["Redis", "、", "Nginx", "。"]),
        ("ｈｔｔｐ：／／ａ", ["ｈｔｔｐ", "：", "／", "／", "ａ"]),
        ("１．２．", ["１．２", "．"]),
        ("Redis؟", ["Redis", "؟"]),
        ("Redis।", ["Redis", "।"]),
        ("(Redis),", ["(Redis),"]),
    ],
)
def test_punctuation_of_other_scripts_and_widths_is_cut_off(chunk: str, pieces: list[str]) -> None:
    assert split(chunk) == pieces


@pytest.mark.parametrize(
    ("chunk", "pieces"),
    [
        ("\u200bRedis\u200b", ["Redis"]),
        ("\ufeffRedis\u00ad", ["Redis"]),
        ("\u202aRedis\u202c,", ["Redis", ","]),
        ("Redis\u200bNginx", ["Redis", "Nginx"]),
        ("Post\u00adgres", ["Post\u00adgres"]),
        ("Post\u2060gres", ["Post\u2060gres"]),
        ("Redis\ufe0f使\ufe0f", ["Redis", "使\ufe0f"]),
        ("\u200b\u200b", ["\u200b\u200b"]),
    ],
)
def test_a_hidden_character_belongs_to_a_piece_only_within_a_word(
    chunk: str, pieces: list[str]
) -> None:
    assert split(chunk) == pieces


def test_marks_that_concern_sentences_are_pieces() -> None:
    for mark in SENTENCE_END | CLOSELY_SET | AFTER_STOP:
        assert split(f"a{mark}b") == ["a", mark, "b"]


@pytest.mark.parametrize(
    ("left", "right", "together"),
    [
        ("使", "用", True),
        ("用", "Redis", True),
        ("Redis", "，", True),
        ("サー", "バー", True),
        ("ไทย", "ใช้", True),
        ("Redis", "؟", True),
        ("؟", "Redis", False),
        ("Redis", "Nginx", False),
        ("한국", "서울", False),
        ("नमस्ते", "दुनिया", False),
    ],
)
def test_words_of_scripts_without_blanks_are_written_together(
    left: str, right: str, together: bool
) -> None:
    assert written_together(left, right) is together


HOSTILE = (
    *(
        "使",
        "使a",
        "\u200b",
        "a\u200b",
        "a\u00ad",
        "\u200d",
        "क्\u200d",
        "ก็",
        "เ",
        "가",
        "\u0301",
        "é",
    ),
    *(
        "👩\u200d",
        "，",
        "e\u0301",
        "\ufe0f",
        "使\ufe0f",
        "\U000e0041",
        "a\u200d",
        "္က",
        "၁",
        "a\u0301\u00ad",
    ),
)


@pytest.mark.parametrize("part", HOSTILE, ids=ascii)
def test_a_hostile_chunk_takes_time_linear_in_its_length(part: str) -> None:
    chunk = part * (200_000 // len(part))
    start = time.process_time()
    list(split_scripts(chunk))
    visible(chunk)
    assert time.process_time() - start < 2  # quadratic time would be minutes
