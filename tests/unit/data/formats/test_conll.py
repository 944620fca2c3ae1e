"""CoNLL files: columns are chosen or refused, and nothing that looks like a word is lost."""

import gzip
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ner_mlflow.config.schema import DataConfig
from ner_mlflow.data.findings import Findings
from ner_mlflow.data.formats.base import TaggedWords
from ner_mlflow.data.formats.conll import read_conll
from ner_mlflow.data.formats.registry import find_format
from ner_mlflow.errors import DataError

TAGS = st.sampled_from(["O", "B-OS", "I-OS", "B-Data_Type", "I-a-b", "S-X", "E-X"])
CHARACTERS = st.characters(codec="utf-8", exclude_characters="\t\n\r")
WORDS = st.text(CHARACTERS, min_size=1, max_size=6).filter(
    lambda word: word.strip() and word != "-DOCSTART-"
)
SENTENCES = st.lists(
    st.lists(st.tuples(WORDS, TAGS), min_size=1, max_size=4), min_size=1, max_size=4
)
CONLL_2003 = """-DOCSTART- -X- -X- O

EU NNP B-NP B-ORG
rejects VBZ B-VP O
German JJ B-NP B-MISC
call NN I-NP O

Peter NNP B-NP B-PER
Blackburn NNP I-NP I-PER

-DOCSTART- -X- -X- O

BRUSSELS NNP B-NP B-LOC
"""
STACK_OVERFLOW = "If\tO\tIf\tO\nRedis\tB-App\tRedis\tB-Code\nruns\tO\truns\tO\n"


def write(folder: Path, content: str | bytes, name: str = "train.conll") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def read(
    folder: Path, content: str | bytes, findings: Findings | None = None, **settings_: str
) -> list[TaggedWords]:
    path = write(folder, content)
    config = DataConfig(dataset=str(path), **settings_)
    return list(read_conll(path, config, findings or Findings(), "train"))


def pairs(sentences: list[TaggedWords]) -> list[list[tuple[str, str]]]:
    return [list(zip(sentence.tokens, sentence.tags, strict=True)) for sentence in sentences]


def refusal(folder: Path, content: str | bytes, **settings_: str) -> str:
    with pytest.raises(DataError) as caught:
        read(folder, content, **settings_)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "Windows\tB-OS\n10\tI-OS\n\nok\tO\n",
        "Windows\tB-OS\n10\tI-OS\n\nok\tO",
        "Windows B-OS\n10 I-OS\n\nok O\n",
        "Windows   B-OS\n 10  I-OS  \n  \nok O\n",
        "Windows NNP x B-OS\n10 CD y I-OS\n\nok JJ z O\n",
        "Windows\tNNP\tB-OS\n10\tCD\tI-OS\n\nok\tJJ\tO\n",
        "Windows\tB-OS\r\n10\tI-OS\r\n\r\nok\tO\r\n",
        "\ufeffWindows\tB-OS\n10\tI-OS\n\nok\tO\n",
        "\n\nWindows\tB-OS\n10\tI-OS\n \t \n\n\nok\tO \n\n",
        "Windows\tB-OS\t\n10\tI-OS\n\nok\tO\n",
        "Windows\tB-OS\t\n10\tI-OS\t\n\nok\tO\t\n",
        "Windows B-OS\t\n10 I-OS\n\nok O\n",
    ],
    ids=[
        "tabs",
        "no last line end",
        "blanks",
        "many blanks",
        "columns",
        "tab columns",
        "crlf",
        "bom",
        "blank lines",
        "a tab at an end",
        "tabs at all ends",
        "blanks and a tab at an end",
    ],
)
def test_conll_is_read_however_it_is_spaced(tmp_path: Path, text: str) -> None:
    assert pairs(read(tmp_path, text)) == [[("Windows", "B-OS"), ("10", "I-OS")], [("ok", "O")]]


def test_sentences_know_their_first_line(tmp_path: Path) -> None:
    sentences = read(tmp_path, "\na\tO\nb\tO\n\n\nc\tO\n")
    assert [sentence.position for sentence in sentences] == [2, 6]


SPLITTERS = ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\u00a0", "\u3000"]


@pytest.mark.parametrize("separator", ["\t", " "])
@pytest.mark.parametrize("character", SPLITTERS, ids=ascii)
def test_only_tabs_and_blanks_separate_columns_and_only_line_feeds_lines(
    tmp_path: Path, character: str, separator: str
) -> None:
    text = f"a{character}b{separator}O\nc{separator}O\n"
    assert pairs(read(tmp_path, text)) == [[(f"a{character}b", "O"), ("c", "O")]]


@settings(deadline=None, max_examples=120)
@given(sentences=SENTENCES, columns=st.integers(0, 2), gzipped=st.booleans())
def test_written_conll_reads_back_equal(
    tmp_path_factory: pytest.TempPathFactory,
    sentences: list[list[tuple[str, str]]],
    columns: int,
    gzipped: bool,
) -> None:
    middle = "_\t" * columns
    text = "\n".join(
        "".join(f"{word}\t{middle}{tag}\n" for word, tag in sentence) for sentence in sentences
    )
    content = text.encode("utf-8-sig")
    folder = tmp_path_factory.mktemp("conll")
    path = write(
        folder, gzip.compress(content) if gzipped else content, "x.gz" if gzipped else "x.conll"
    )
    read_back = pairs(list(read_conll(path, DataConfig(), Findings(), "train")))
    assert read_back == sentences


# --- columns


def test_the_chunk_column_of_conll_2003_is_no_rival_of_the_last(tmp_path: Path) -> None:
    findings = Findings()
    sentences = read(tmp_path, CONLL_2003, findings)
    assert pairs(sentences)[1] == [("Peter", "B-PER"), ("Blackburn", "I-PER")]
    assert findings.facts["train", "columns"] == "word 1, tag 4 of 4"


@pytest.mark.parametrize(
    ("content", "shown"),
    [
        (
            "1\tthe\tO\tO\n2\tUbuntu\tB-OS\tO\n3\thost\tO\tO\n\n1\ta\tO\tO\n2\tpc\tO\tB-OS\n",
            "column 1 holds running numbers, not words, and columns 3, 4 hold entity tags; the "
            "columns are 1 (1, 2, 3), 2 (the, Ubuntu, host), 3 (O, B-OS), 4 (O, B-OS): "
            "give token_column=2 and tag_column=3 or tag_column=4",
        ),
        (STACK_OVERFLOW, "columns 2, 4 hold entity tags; the columns are 1 (If, Redis, runs), 2 "),
        (
            "The DT B-NP\nhost NN I-NP\nruns VBZ B-VP\n",
            "column 3 holds no entity tags; the columns are 1 (The, host, runs), 2 (DT, NN, VBZ)",
        ),
        ("The DT\nhost NN\n", "column 2 holds no entity tags"),
        ("Redis B-APP Redis\nruns O runs\n", "column 3 holds no entity tags"),
        ("B-APP Redis\nO runs\n", "give token_column=2 and tag_column=1"),
        (
            "\n".join(f"{at // 4}\tword{at}\tO" + "\n" * (at % 4 == 3) for at in range(80)),
            "column 1 holds numbers only, not words",
        ),
        (
            "\n".join(f"s{at // 4}\tword{at}\tO" + "\n" * (at % 4 == 3) for at in range(80)),
            "column 1 repeats one value over many rows, so it names sentences",
        ),
        (
            "\n".join(f"s{at // 4}\tword{at % 9}\tO" + "\n" * (at % 4 == 3) for at in range(80)),
            "column 1 repeats one value over many rows, so it names sentences",
        ),
        (
            "\n".join(f"s{at // 8}\tword{at}\tB-OS" for at in range(80)),
            "column 1 repeats one value over many rows, so it names sentences",
        ),
        (
            "\n".join(f"{('NN', 'VB')[at % 2]}\tword{at}\tO" for at in range(3000)),
            "column 1 holds only 2 different values in 3,000 rows, too few for words",
        ),
    ],
)
def test_columns_that_are_not_clear_are_shown_with_the_setting_to_give(
    tmp_path: Path, content: str, shown: str
) -> None:
    message = refusal(tmp_path, content)
    assert message.startswith(str(tmp_path / "train.conll"))
    assert shown in message
    assert (
        "give token_column=2 and tag_column=" in message
        or "token_column=1" in message
        or ("token_column and tag_column" in message)
    )


def test_a_column_that_was_chosen_is_read_whatever_stands_beside_it(tmp_path: Path) -> None:
    findings = Findings()
    sentences = read(tmp_path, STACK_OVERFLOW, findings, tag_column="2")
    assert pairs(sentences) == [[("If", "O"), ("Redis", "B-App"), ("runs", "O")]]
    assert findings.facts["train", "columns"] == "word 1, tag 2 of 4"
    assert pairs(read(tmp_path, "B-OS 7\nO 8\n", token_column="2", tag_column="1")) == [
        [("7", "B-OS"), ("8", "O")]
    ]


@pytest.mark.parametrize("column", ["0", "5", "word", "-1"])
def test_a_column_that_is_not_there_is_refused(tmp_path: Path, column: str) -> None:
    message = refusal(tmp_path, STACK_OVERFLOW, tag_column=column)
    assert f"tag_column={column}: no such column: give a number from 1 to 4" in message


@pytest.mark.parametrize(
    "header",
    [
        "Token\tPOS\tNER_tag",
        "word\tpos\tner",
        "# word\tpos\tner",
        "# global.columns = FORM UPOS NER",
    ],
)
def test_a_header_chooses_the_columns_and_is_counted(tmp_path: Path, header: str) -> None:
    findings = Findings()
    text = f"{header}\n\nRedis\tNNP\tB-APP\nruns\tVBZ\tO\n"
    sentences = read(tmp_path, text, findings)
    assert pairs(sentences) == [[("Redis", "B-APP"), ("runs", "O")]]
    assert findings.count("header_skipped") + findings.count("comment_skipped") == 1


def test_a_header_may_put_the_tags_first_and_its_names_choose_columns(tmp_path: Path) -> None:
    text = "ner outer word\nO B-X Redis\nB-APP O runs\n"
    findings = Findings()
    assert pairs(read(tmp_path, text, findings)) == [[("Redis", "O"), ("runs", "B-APP")]]
    assert findings.facts["train", "columns"] == "word 3 (word), tag 1 (ner) of 3"
    chosen = read(tmp_path, text, tag_column="outer")
    assert pairs(chosen) == [[("Redis", "B-X"), ("runs", "O")]]


def test_words_that_are_names_of_columns_are_no_header(tmp_path: Path) -> None:
    assert pairs(read(tmp_path, "word O\ntag B-X\n")) == [[("word", "O"), ("tag", "B-X")]]
    types = "Word WORK\nis O\na O\nWord WORK\n"
    assert pairs(read(tmp_path, types))[0][0] == ("Word", "WORK")
    assert pairs(read(tmp_path, "Word 1\nis 0\nout 0\n", tag_names="O,X"))[0][0] == ("Word", "X")


def test_a_second_header_is_no_entity(tmp_path: Path) -> None:
    part = "word tag\nRedis APP\nis O\nup O\n\n"
    assert ":6: the header comes a second time: remove" in refusal(tmp_path, part * 2)


def test_a_header_may_name_the_tags_as_it_likes(tmp_path: Path) -> None:
    findings = Findings()
    text = "Word\tCategory\nI\tO\nlike\tO\nRedis\tAPP\n"
    assert pairs(read(tmp_path, text, findings)) == [[("I", "O"), ("like", "O"), ("Redis", "APP")]]
    assert findings.count("header_skipped") == 1
    hipe = "TOKEN\tNE-COARSE-LIT\tNE-FINE-LIT\nà\tO\tO\nParis\tB-loc\tB-loc.adm.town\n"
    for column in ("2", "NE-COARSE-LIT"):
        chosen = read(tmp_path, hipe, tag_column=column)
        assert pairs(chosen) == [[("à", "O"), ("Paris", "B-loc")]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1\tO\n2\tO\n", [("1", "O"), ("2", "O")]),
        ("a x O\n", [("a", "O")]),
        ("a\ta\tB-OS\n", [("a", "B-OS")]),
        ("1 CD O\n2 CD B-X\n", [("1", "O"), ("2", "B-X")]),
    ],
)
def test_a_handful_of_rows_is_not_judged_by_its_words(
    tmp_path: Path, text: str, expected: list[tuple[str, str]]
) -> None:
    assert pairs(read(tmp_path, text)) == [expected]


def test_bare_types_are_tags_where_most_words_have_none(tmp_path: Path) -> None:
    text = "the O\nUbuntu OS\nhost O\n"
    assert pairs(read(tmp_path, text)) == [[("the", "O"), ("Ubuntu", "OS"), ("host", "O")]]


@pytest.mark.parametrize(
    ("text", "position", "message"),
    [
        ("a\tO\nb\n", ":2: ", "1 column where the file has 2: 'b'"),
        ("a\tO\nb\tB-OS\tOS\n", ":2: ", "3 columns where the file has 2"),
        ("a x O\nb O\nc x O\n", ":2: ", "2 columns where the file has 3"),
        ("a\tO\n#b\tx\tO\n", ":2: ", "3 columns where the file has 2"),
        ("a\tO\n\tO\n", ":2: ", "the token is blank ('')"),
        ("a\tO\n\u00a0\tO\n", ":2: ", r"the token is blank ('\xa0')"),
        ("a\tO\nb\t\n", ":2: ", "the word has no tag"),
        ("a\nb\n", ": ", "only one column, but words and tags need one each"),
        (b"a\tO\n\nb\tO\nGr\xf6\xdfe\tO\n", ":4: ", "byte 0xf6 is not UTF-8"),
        (b"\xff\xfea\x00", ": ", "is UTF-16: convert the file to UTF-8"),
    ],
)
def test_a_broken_line_is_named(
    tmp_path: Path, text: str | bytes, position: str, message: str
) -> None:
    shown = refusal(tmp_path, text)
    assert f"{tmp_path / 'train.conll'}{position}" in shown
    assert message in shown


def test_numbers_of_tags_get_their_names(tmp_path: Path) -> None:
    assert pairs(read(tmp_path, "the 0\nUbuntu 1\n", tag_names="O,B-OS")) == [
        [("the", "O"), ("Ubuntu", "B-OS")]
    ]
    assert ":2: tag 2 is outside" in refusal(tmp_path, "a 0\nb 2\n", tag_names="O,B-OS")


# --- comments and documents


@pytest.mark.parametrize(
    "comment",
    [
        "# sent_id = 0",
        "# text = we run O",
        "#",
        "# id 0000\tdomain=train",
        "#\thttp://example.org [2024]",
        "# a b c d e f O",
        "## x",
    ],
)
@pytest.mark.parametrize("separator", ["\t", " "])
@pytest.mark.parametrize("columns", [2, 4])
def test_comments_are_skipped_and_counted(
    tmp_path: Path, comment: str, separator: str, columns: int
) -> None:
    row = [f"{word}{separator}" + f"_{separator}" * (columns - 2) for word in ("we", "Redis")]
    findings = Findings()
    text = f"{comment}\n{row[0]}O\n{comment}\n{row[1]}B-APP\n"
    assert pairs(read(tmp_path, text, findings)) == [[("we", "O"), ("Redis", "B-APP")]]
    (finding,) = findings
    assert (finding.kind, finding.count) == ("comment_skipped", 2)
    assert f"{tmp_path / 'train.conll'}:1 #" in str(finding)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("#\tO\nb\tO\n", "#b"),
        ("# O\nb O\n", "#b"),
        ("a O\n# B-OS\n", "a#"),
        ("#\tO\n\n#\tB-X\n", "##"),
        ("a NN O\n# SYM O\n", "a#"),
        ("#include\tO\nb\tO\n", "#includeb"),
    ],
)
def test_the_word_hash_is_no_comment(tmp_path: Path, text: str, words: str) -> None:
    findings = Findings()
    sentences = read(tmp_path, text, findings)
    assert "".join(word for sentence in sentences for word in sentence.tokens) == words
    assert not list(findings)


def test_a_comment_that_ends_in_a_tag_is_one_where_its_key_says_so(tmp_path: Path) -> None:
    findings = Findings()
    text = "# newdoc O\nwe O\n\n# newdoc O\nrun O\n"
    assert [sentence.tokens for sentence in read(tmp_path, text)] == [["we"], ["run"]]
    three = "# sent_id O\na NN O\nb NN O\n"
    assert pairs(read(tmp_path, three, findings)) == [[("a", "O"), ("b", "O")]]
    assert findings.count("comment_skipped") == 1


def test_lines_begin_documents(tmp_path: Path) -> None:
    text = (
        "a\tO\n-DOCSTART- -X- O\n\nb\tO\n\nc\tO\n-DOCSTART-\nd\tO\n\n"
        "# newdoc id = post 7\n# sent_id = 1\ne\tO\n#begin document (bc/x); part 000\nf\tO\n"
    )
    sentences = read(tmp_path, text)
    assert [(*sentence.tokens, sentence.document) for sentence in sentences] == [
        ("a", None),
        ("b", "train.conll#1"),
        ("c", "train.conll#1"),
        ("d", "train.conll#2"),
        ("e", "post 7"),
        ("f", "(bc/x); part 000"),
    ]


@pytest.mark.parametrize("line", ["-DOCSTART- -X- O", "# newdoc id = a", "-DOCSTART-\tO"])
def test_one_document_in_the_whole_file_says_nothing(tmp_path: Path, line: str) -> None:
    findings = Findings()
    sentences = read(tmp_path, f"{line}\na\tO\n\nb\tO\n", findings)
    assert [sentence.document for sentence in sentences] == [None, None]
    assert findings.count("documents_ignored", "train") == 1
    two = read(tmp_path, f"{line}\na\tO\n\n{line}\nb\tO\n")
    assert None not in {sentence.document for sentence in two}


# --- blank tokens


def test_blank_tokens_are_dropped_by_choice_and_counted(tmp_path: Path) -> None:
    findings = Findings()
    text = "a\tO\n\u00a0\tB-OS\nb\tI-OS\n\n\tB-X\n\nc\tO\n"
    sentences = read(tmp_path, text, findings, blank_tokens="drop")
    assert pairs(sentences) == [[("a", "O"), ("b", "B-OS")], [("c", "O")]]
    assert findings.count("blank_token_dropped") == 2
    assert findings.count("entity_of_blank_tokens") == 1
    assert findings.count("row_without_words") == 1


@pytest.mark.parametrize("word", ["\u200b", "\ufe0f", "\u00ad"])
def test_characters_without_width_are_words(tmp_path: Path, word: str) -> None:
    assert pairs(read(tmp_path, f"{word}\tO\n")) == [[(word, "O")]]


# --- recognition


@pytest.mark.parametrize(
    "name", ["eng.train", "NER-de-train.iob", "train", "train.CONLL", "t.txt", "t.tsv.gz", "a.csv"]
)
def test_it_is_known_by_its_content(tmp_path: Path, name: str) -> None:
    content = CONLL_2003.encode()
    path = write(tmp_path, gzip.compress(content) if name.endswith(".gz") else content, name)
    assert find_format(path).name == "conll"


@pytest.mark.parametrize("content", ["{ O\nx B-APP\n} O\n", '{"a"\tO\nb\tO\n', "[ [ O\na b O\n"])
def test_words_that_begin_like_json_do_not_hide_it(tmp_path: Path, content: str) -> None:
    assert find_format(write(tmp_path, content)).name == "conll"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.conll", "Redis\tB-APP\nruns  O\n"),
        ("a.txt", "Redis\tB-APP\nruns  O\n"),
        ("a.txt", "Redis\tB-APP\nruns\n"),
        ("a.txt", "Redis B-APP\nruns x O\n"),
        ("a.iob", "Redis NNP\nruns\nit\n"),
    ],
)
def test_a_broken_row_does_not_make_it_another_format(
    tmp_path: Path, name: str, content: str
) -> None:
    assert find_format(write(tmp_path, content, name)).name == "conll"


def test_running_text_is_no_table(tmp_path: Path) -> None:
    path = write(tmp_path, "This is a readme.\nIt has lines of several lengths.\nEnd\n", "a.txt")
    with pytest.raises(DataError, match="of no known format"):
        find_format(path)
