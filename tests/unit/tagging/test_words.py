"""Running text to sentences of pieces: no character is lost, and no input is slow."""

import pytest
from cpu_time import limit_cpu_time
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ner_mlflow.tagging.cutting import LONGEST_CUT, cut
from ner_mlflow.tagging.invisible import visible
from ner_mlflow.tagging.words import MOST_PIECES, Words, encodable, split_sentences

PUNCTUATION = "<>()[]{}.,;:!?\"'`“”‘’«»…-_/#+@ \t\n\r\u00a0\u2028"
PARTS = [
    "n't",
    "'s",
    "e.g.",
    "...",
    "Node.js",
    "<div>",
    "foo()",
    "\n\n",
    "\n",
    " ",
    ".",
    "No",
    "(",
    '"',
]
TEXTS = st.one_of(
    st.text(st.characters()),  # half surrogate pairs included
    st.text(st.one_of(st.sampled_from(PUNCTUATION), st.sampled_from("aB1é")), max_size=60),
    st.lists(st.sampled_from(PARTS)).map("".join),
)


def words_of(text: str) -> Words:
    """Return the words of all sentences, in a row."""
    split = split_sentences(text)
    return Words(*([value for words in split for value in words[part]] for part in range(3)))


def sentences(text: str) -> list[str]:
    return [" ".join(words.texts) for words in split_sentences(text)]


@settings(deadline=None, max_examples=200)
@given(TEXTS)
@example("\ud800")
@example("(\udfff)")
@example("x" * (LONGEST_CUT + 1) + ",")
def test_words_are_the_text_without_its_white_space_and_hidden_characters(text: str) -> None:
    words = words_of(text)
    text = encodable(text)
    assert visible("".join(words.texts)) == visible("".join(text.split()))
    assert all(word == text[start:end] != "" for word, start, end in zip(*words, strict=True))
    assert all(not any(character.isspace() for character in word) for word in words.texts)
    assert all(end <= start for end, start in zip(words.ends, words.starts[1:], strict=False))


@settings(deadline=None, max_examples=200)
@given(TEXTS)
def test_no_sentence_is_empty(text: str) -> None:
    assert all(words.texts for words in split_sentences(text))


@settings(deadline=None, max_examples=60)
@given(TEXTS, TEXTS)
def test_a_blank_line_always_ends_a_sentence(first: str, second: str) -> None:
    expected = [words.texts for text in (first, second) for words in split_sentences(text)]
    assert [words.texts for words in split_sentences(f"{first}\n\n{second}")] == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        (" \n\t ", []),
        ("Windows 10 crashed", ["Windows", "10", "crashed"]),
        ("Node.js,", ["Node.js", ","]),
        ("Node.js.", ["Node.js", "."]),
        ("C++", ["C++"]),
        ("C++, C#.", ["C++", ",", "C#", "."]),
        (".NET", [".NET"]),
        ("(.NET)", ["(", ".NET", ")"]),
        ("ASP.NET/IIS", ["ASP.NET", "/", "IIS"]),
        ("v1.2.3;", ["v1.2.3", ";"]),
        ("can't", ["ca", "n't"]),
        ("don’t.", ["do", "n’t", "."]),
        ("It's", ["It", "'s"]),
        ("I'LL", ["I", "'LL"]),
        ("we've we're I'd I'm", ["we", "'ve", "we", "'re", "I", "'d", "I", "'m"]),
        ("'s n't", ["'s", "n't"]),
        ("users'", ["users", "'"]),
        ("(see foo())", ["(", "see", "foo()", ")"]),
        ("foo(),", ["foo()", ","]),
        ("foo(bar[0])", ["foo", "(", "bar", "[", "0", "]", ")"]),
        ("[x] {y} <z", ["[", "x", "]", "{", "y", "}", "<", "z"]),
        ("a) b]", ["a", ")", "b", "]"]),
        ("<div>", ["<div>"]),
        ("</div>,", ["</div>", ","]),
        ("(<div>)", ["(", "<div>", ")"]),
        ("List<String>", ["List", "<String>"]),
        ('"Windows 10"', ['"', "Windows", "10", '"']),
        ("“quoted”, ‘so’ «too»", ["“", "quoted", "”", ",", "‘", "so", "’", "«", "too", "»"]),
        ("`ls -l`", ["`", "ls", "-l", "`"]),
        ("what?!", ["what", "?", "!"]),
        ("wait...", ["wait", "..."]),
        ("... -- () =>", ["...", "--", "()", "=>"]),
        ("http://a.b/c?d=1.", ["http://a.b/c?d=1", "."]),
        ("C:\\dir\\x.txt:", ["C:\\dir\\x.txt", ":"]),
        ("a\u00a0b\u2028c", ["a", "b", "c"]),
        ("e.g. Windows", ["e.g", ".", "Windows"]),
        ("key=value", ["key", "=", "value"]),
        ("-f --all", ["-f", "--all"]),
        ("日本語。", ["日", "本", "語", "。"]),
    ],
)
def test_words(text: str, words: list[str]) -> None:
    assert words_of(text).texts == words


def test_offsets_count_code_points() -> None:
    assert list(zip(*words_of("🙂 (Node.js),"), strict=True)) == [
        ("🙂", 0, 1),
        ("(", 2, 3),
        ("Node.js", 3, 10),
        (")", 10, 11),
        (",", 11, 12),
    ]


def test_names_in_a_long_chunk_are_found_at_their_offsets() -> None:
    text = "see " + '{"name":"Redis","os":"Ubuntu"},' * 1000
    words = words_of(text)
    found = [
        start for word, start in zip(words.texts, words.starts, strict=True) if word == "Redis"
    ]
    assert found == [4 + 31 * index + 9 for index in range(1000)]


@settings(deadline=None, max_examples=30)
@given(st.text(st.sampled_from("aB1.,(é\u0301"), min_size=1, max_size=6), st.integers(1, 3000))
def test_a_chunk_of_any_length_is_cut_in_the_same_way(unit: str, repeats: int) -> None:
    chunk = unit * repeats
    pieces = [chunk[start:end] for start, end in cut(chunk)]
    assert words_of(chunk).texts == pieces


@pytest.mark.parametrize("text", ["a " * 5000, "a," * 5000, "(" * 9000, "(a) " * 3000])
def test_sentences_have_a_bounded_number_of_pieces(text: str) -> None:
    # A sentence ends between chunks, or between parts of a long one.
    sizes = [len(words.texts) for words in split_sentences(text)]
    assert max(sizes) < MOST_PIECES + LONGEST_CUT


@pytest.mark.parametrize("name", ["Galaxy Tab S7", "Visual Studio Code", "node.js"])
@pytest.mark.parametrize("separator", [", ", "; ", " | ", "(", ","])
def test_a_name_is_whole_where_a_sentence_of_many_names_is_split(name: str, separator: str) -> None:
    text = separator.join([name] * 2000)
    sentences = split_sentences(text)
    assert len(sentences) > 2
    found = [text[words.starts[0] : words.ends[-1]].count(name) for words in sentences]
    assert sum(found) == 2000


def test_a_sentence_without_marks_is_split_at_a_blank() -> None:
    sizes = [len(words.texts) for words in split_sentences("word " * 3000)]
    assert sizes == [MOST_PIECES, MOST_PIECES, 3000 - 2 * MOST_PIECES]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It broke. We fixed it.", ["It broke .", "We fixed it ."]),
        ("Why? Because! So", ["Why ?", "Because !", "So"]),
        ("Wait… Then", ["Wait …", "Then"]),
        ("Wait ... Then", ["Wait ...", "Then"]),
        ("It broke. then it ran", ["It broke . then it ran"]),
        ("version 3.5 of Node.js runs", ["version 3.5 of Node.js runs"]),
        ("e.g. Windows and vs. Linux", ["e.g . Windows and vs . Linux"]),
        ("See Fig. 3. Then", ["See Fig . 3 .", "Then"]),
        ("Etc. Then", ["Etc . Then"]),
        ("etc! Then", ["etc !", "Then"]),
        ('He said "stop." Then', ['He said " stop . "', "Then"]),
        ('("He said “stop.”") Then', ['( " He said “ stop . ” " )', "Then"]),
        ("(It broke.) Then", ["( It broke . )", "Then"]),
        ("Acme Corp., Boston", ["Acme Corp . , Boston"]),
        ("It broke.Then", ["It broke.Then"]),
        ("a.)b", ["a . ) b"]),
        ("First line\nSecond line", ["First line", "Second line"]),
        ("a wrapped\nline continues", ["a wrapped line continues"]),
        ("a wrapped.\nline continues", ["a wrapped . line continues"]),
        ("a wrapped\n\nline ends", ["a wrapped", "line ends"]),
        ("a wrapped\n  \t\nline ends", ["a wrapped", "line ends"]),
        ("windows\r\nEnds", ["windows", "Ends"]),
        ("windows\r\n\r\nends", ["windows", "ends"]),
        ("a wrapped\r\nline continues", ["a wrapped line continues"]),
        ("one\rTwo\vThree\fFour\x85Five\u2028Six", ["one", "Two", "Three", "Four", "Five", "Six"]),
        ("a wrapped\rline continues", ["a wrapped line continues"]),
        ("a wrapped\r\rline ends", ["a wrapped", "line ends"]),
        ("one\fpage and\u2029paragraph", ["one", "page and", "paragraph"]),
        ("a list:\n- one\n- two", ["a list :", "- one", "- two"]),
        ("Error 5\n404 too", ["Error 5", "404 too"]),
        ("It broke. 3 times", ["It broke .", "3 times"]),
        ("It broke!!! Then", ["It broke !!!", "Then"]),
        ("What?! Then", ["What ? !", "Then"]),
        ("It broke.. Then", ["It broke ..", "Then"]),
        ("**It broke.** Then", ["** It broke . **", "Then"]),
        ("_It broke._ Then", ["_ It broke . _", "Then"]),
        ("nginx/1.25. Then", ["nginx / 1.25 .", "Then"]),
        ("!", ["!"]),
        (". . .", [".", ".", "."]),
        ("", []),
    ],
)
def test_sentences(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "a" * 1_000_000,
        "(" * 1_000_000,
        ")" * 1_000_000,
        "<" * 1_000_000,
        "(a" * 500_000,
        "'" * 1_000_000 + "a",
        "a" + "." * 1_000_000,
        "\n" * 1_000_000 + "a",
        "a\n" + " " * 1_000_000 + "b",
        (("(" * 250 + "a ") * 4000)[:100_000],
        "word " * 50_000,
        "; " * 50_000,
        '" ' * 50_000,
        ") " * 50_000,
    ],
    ids=lambda text: ascii(text[:6]),
)
def test_no_text_is_slow(text: str) -> None:
    with limit_cpu_time(4):
        split = split_sentences(text)
    assert sum(len(word) for words in split for word in words.texts) == len("".join(text.split()))
