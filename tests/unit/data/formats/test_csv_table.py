"""CSV tables: a word or a sentence a row, read back equal or refused with the place."""

import csv
import io
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ner_mlflow.config.schema import DataConfig
from ner_mlflow.data.findings import Findings
from ner_mlflow.data.formats.base import TaggedWords
from ner_mlflow.data.formats.csv_table import read_csv
from ner_mlflow.data.formats.registry import find_format
from ner_mlflow.errors import DataError

TAGS = st.sampled_from(["O", "B-OS", "I-OS", "B-a,b", "I-a b"])
WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), min_size=1, max_size=6)
SENTENCES = st.lists(
    st.lists(st.tuples(WORDS.filter(str.strip), TAGS), min_size=1, max_size=4),
    min_size=1,
    max_size=4,
)
KAGGLE = """Sentence #,Word,POS,Tag
Sentence: 1,Thousands,NNS,O
,of,IN,O
,London,NNP,B-geo
Sentence: 2,"a ""quoted"", word",NN,O
,"two
lines",NN,B-per
"""
KAGGLE_PAIRS = [
    [("Thousands", "O"), ("of", "O"), ("London", "B-geo")],
    [('a "quoted", word', "O"), ("two\nlines", "B-per")],
]


def write(folder: Path, content: str | bytes, name: str = "train.csv") -> Path:
    (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return folder / name


def read(path: Path, findings: Findings | None = None, **settings_: str) -> list[TaggedWords]:
    assert find_format(path).name == "csv"
    config = DataConfig(dataset=str(path), **settings_)
    return list(read_csv(path, config, findings or Findings(), "train"))


def pairs(sentences: list[TaggedWords]) -> list[list[tuple[str, str]]]:
    return [list(zip(sentence.tokens, sentence.tags, strict=True)) for sentence in sentences]


def refusal(path: Path, **settings_: str) -> str:
    with pytest.raises(DataError) as caught:
        list(read_csv(path, DataConfig(dataset=str(path), **settings_), Findings(), "train"))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_word_a_row_is_read_by_names_and_lines_are_known(tmp_path: Path) -> None:
    findings = Findings()
    path = write(tmp_path, KAGGLE)
    sentences = read(path, findings)
    assert pairs(sentences) == KAGGLE_PAIRS
    assert [sentence.position for sentence in sentences] == [2, 5]
    assert findings.count("header_skipped") == 1
    assert findings.facts["train", "columns"] == "word 2 (Word), tag 4 (Tag) of 4"


def test_the_column_of_sentences_may_be_filled_in_each_row_and_an_index_may_lead(
    tmp_path: Path,
) -> None:
    rows = [
        {"sentence_id": number, "word": word, "pos": "NN", "ner": tag}
        for number, sentence in enumerate(KAGGLE_PAIRS)
        for word, tag in sentence
    ]
    path = tmp_path / "train.csv"
    for is_gzipped in (False, True):
        path = tmp_path / ("train.csv.gz" if is_gzipped else "train.csv")
        pd.DataFrame(rows).to_csv(path)
        assert pairs(read(path)) == KAGGLE_PAIRS


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("bom", ["", "\ufeff"])
def test_separators_line_ends_and_a_byte_order_mark(
    tmp_path: Path, separator: str, end: str, bom: str
) -> None:
    text = f"{bom}Sentence #,Word,Tag\n1,a,O\n,b,B-X\n2,c,O\n"
    path = write(tmp_path, text.replace(",", separator).replace("\n", end), "train.txt")
    assert pairs(read(path)) == [[("a", "O"), ("b", "B-X")], [("c", "O")]]


@settings(deadline=None, max_examples=100)
@given(
    sentences=SENTENCES,
    separator=st.sampled_from([",", ";"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    is_filled=st.booleans(),
)
def test_a_written_table_reads_back_equal(
    tmp_path_factory: pytest.TempPathFactory,
    sentences: list[list[tuple[str, str]]],
    separator: str,
    quoting: int,
    is_filled: bool,
) -> None:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=separator, quoting=quoting)
    writer.writerow(["sentence_id", "token", "tag"])
    for number, sentence in enumerate(sentences):
        for position, (word, tag) in enumerate(sentence):
            writer.writerow([f"s{number}" if is_filled or not position else "", word, tag])
    path = write(tmp_path_factory.mktemp("csv"), text.getvalue())
    assert pairs(read(path)) == sentences


@pytest.mark.parametrize(
    "text",
    [
        'text,labels\n"Redis on Ubuntu","B-APP O B-OS"\n',
        "text,labels\nRedis on Ubuntu,B-APP O B-OS\n",
        "tokens,tags\n\"['Redis', 'on', 'Ubuntu']\",\"['B-APP', 'O', 'B-OS']\"\n",
        "tokens,tags\n['Redis' 'on' 'Ubuntu'],['B-APP' 'O' 'B-OS']\n",
        'tokens,tags\n"[""Redis"", ""on"", ""Ubuntu""]","[""B-APP"", ""O"", ""B-OS""]"\n',
        "Sentence #,Sentence,POS,Tag\nSentence: 1,Redis on Ubuntu,\"['N', 'P', 'N']\","
        "\"['B-APP', 'O', 'B-OS']\"\n",
        ",id,words,ner_tags\n0,7,\"['Redis', 'on', 'Ubuntu']\",\"[1, 0, 2]\"\n",
    ],
)
def test_a_sentence_a_row_is_read(tmp_path: Path, text: str) -> None:
    names = "O,B-APP,B-OS" if "[1" in text else ""
    (sentence,) = read(write(tmp_path, text), tag_names=names)
    assert pairs([sentence]) == [[("Redis", "B-APP"), ("on", "O"), ("Ubuntu", "B-OS")]]
    assert sentence.position == 2


def test_without_a_column_of_sentences_empty_rows_end_them(tmp_path: Path) -> None:
    text = "Word,Tag\na,O\nb,B-X\n,\nc,O\n\nd,O\n"
    assert pairs(read(write(tmp_path, text))) == [
        [("a", "O"), ("b", "B-X")],
        [("c", "O")],
        [("d", "O")],
    ]
    path = write(tmp_path, "Word,Tag\n" + "a,O\n" * 6000)
    assert "a sentence of more than 5,000 words: add a column 'sentence_id'" in refusal(path)


def test_documents_are_read(tmp_path: Path) -> None:
    text = "doc_id,sentence_id,word,tag\np,1,a,O\np,2,b,O\nq,3,c,B-X\n"
    assert [sentence.document for sentence in read(write(tmp_path, text))] == ["p", "p", "q"]


def test_columns_are_chosen_by_name_or_number(tmp_path: Path) -> None:
    path = write(tmp_path, "nr,wort,marke\n1,a,O\n1,b,B-X\n")
    config = {"token_column": "wort", "tag_column": "marke"}
    assert pairs(read(path, **config)) == [[("a", "O"), ("b", "B-X")]]
    path = write(tmp_path, "Sentence #,Word,inner,Tag\n1,a,O,B-X\n,b,B-Y,O\n")
    assert pairs(read(path, tag_column="inner")) == [[("a", "O"), ("b", "B-Y")]]
    assert pairs(read(path, tag_column="3")) == [[("a", "O"), ("b", "B-Y")]]


@pytest.mark.parametrize(
    ("content", "place", "message"),
    [
        (KAGGLE.replace(",of,IN,O", ",of,O"), ":3: ", "3 cells where the first row has 4"),
        (KAGGLE.replace(",of,", ",,"), ":3: ", "the token is blank ('')"),
        (KAGGLE.replace("IN,O", "IN,"), ":3: ", "the word has no tag"),
        (KAGGLE.replace(",of,", ',"of,'), ":3: ", "a broken row ("),
        (KAGGLE + ',"open,NN,O\n', ":8: ", "a broken row ("),
        (
            'Sentence #,Word,Tag\n1,a,O\n,",O\n,b,B-X\n,",O\n',
            ":3: ",
            'write a word that is a quote as """"',
        ),
        (KAGGLE.encode() + "Sentence: 3,Größe,NN,O\n".encode("latin-1"), ":8: ", "byte 0xf6 is "),
        ("sentence_id,word,tag\n1,a,DT\n1,b,NN\n", ": ", "column 3 holds no entity tags"),
        ("text,label\nI like it,good\n", ": ", "holds no entity tags"),
        ("text,labels\na b,O\n\nc d,B-X O\n", ":2: ", "2 tokens but 1 tags"),
    ],
)
def test_what_is_broken_is_named(
    tmp_path: Path, content: str | bytes, place: str, message: str
) -> None:
    path = write(tmp_path, content)
    shown = refusal(path)
    assert shown.startswith(f"{path}{place}")
    assert message in shown


def test_a_second_header_is_no_entity(tmp_path: Path) -> None:
    path = write(tmp_path, "sentence_id,word,tag\n1,Redis,APP\n1,is,O\n1,up,O\n" * 2)
    assert ":5: the header comes a second time: remove" in refusal(path)


def test_a_header_may_name_the_tags_as_it_likes(tmp_path: Path) -> None:
    findings = Findings()
    path = write(tmp_path, "Word,Category\nI,O\nlike,O\nRedis,APP\n")
    assert pairs(read(path, findings)) == [[("I", "O"), ("like", "O"), ("Redis", "APP")]]
    assert findings.count("header_skipped") == 1


def test_blank_tokens_are_dropped_by_choice(tmp_path: Path) -> None:
    findings = Findings()
    path = write(tmp_path, KAGGLE.replace("London", "\u00a0"))
    assert len(read(path, findings, blank_tokens="drop")[0].tokens) == 2
    assert findings.count("entity_of_blank_tokens") == 1


@pytest.mark.parametrize("content", ["", "Word,Tag\n", "Sentence #,Word,Tag\n\n,,\n"])
def test_a_table_without_rows_has_no_sentences(tmp_path: Path, content: str) -> None:
    path = write(tmp_path, content)
    assert list(read_csv(path, DataConfig(), Findings(), "train")) == []


def test_an_id_of_a_sentence_that_comes_again_is_told(tmp_path: Path) -> None:
    content = "sentence_id,word,tag\n1,we,O\n1,run,O\n2,Redis,B-SW\n1,again,O\n"
    findings = Findings()
    assert len(read(write(tmp_path, content), findings)) == 3
    assert findings.count("sentence_id_repeated") == 1


def test_ids_of_sentences_may_begin_again_in_another_document(tmp_path: Path) -> None:
    content = "document,sentence_id,word,tag\na,1,we,O\na,2,run,O\nb,1,Redis,B-SW\n"
    findings = Findings()
    assert len(read(write(tmp_path, content), findings)) == 3
    assert findings.count("sentence_id_repeated") == 0


@pytest.mark.parametrize("numbers", ["sentence_id", "position"])
def test_a_new_document_begins_a_sentence(tmp_path: Path, numbers: str) -> None:
    rows = [("a", "we", "O"), ("b", "Redis", "B-SW"), ("b", "runs", "O"), ("c", "I", "O")]
    content = "".join(f"{document},1,{word},{tag}\n" for document, word, tag in rows)
    found = read(write(tmp_path, f"doc_id,{numbers},token,label\n{content}"))
    assert pairs(found) == [[("we", "O")], [("Redis", "B-SW"), ("runs", "O")], [("I", "O")]]
    assert [sentence.document for sentence in found] == ["a", "b", "c"]


def test_a_document_may_be_named_in_its_first_row_only(tmp_path: Path) -> None:
    content = "doc_id,sentence_id,token,label\na,1,we,O\n,,run,O\n,2,Redis,B-SW\nb,1,I,O\n"
    found = read(write(tmp_path, content))
    assert [sentence.tokens for sentence in found] == [["we", "run"], ["Redis"], ["I"]]
    assert [sentence.document for sentence in found] == ["a", "a", "b"]


def test_a_blank_may_follow_each_separator(tmp_path: Path) -> None:
    content = 'Sentence #, Word, Tag\n1, Redis, B-SW\n1, "on, or off", O\n2, Use, O\n'
    found = pairs(read(write(tmp_path, content)))
    assert found == [[("Redis", "B-SW"), ("on, or off", "O")], [("Use", "O")]]


def test_a_first_line_for_spreadsheets_names_the_separator(tmp_path: Path) -> None:
    findings = Findings()
    path = write(tmp_path, "sep=;\nsentence_id;word;tag\n1;a,b;O\n2;Redis;B-SW\n")
    assert pairs(read(path, findings)) == [[("a,b", "O")], [("Redis", "B-SW")]]
    assert findings.count("header_skipped") == 2


def test_a_csv_export_of_an_annotation_tool_is_named(tmp_path: Path) -> None:
    label = '"[{""start"": 0, ""end"": 5, ""text"": ""Redis"", ""labels"": [""SW""]}]"'
    path = write(tmp_path, f"text,id,label\nRedis crashes,1,{label}\n")
    assert "as annotation tools write it to CSV: export JSON or JSONL" in refusal(path)


def test_numbers_of_sentences_are_not_taken_as_words(tmp_path: Path) -> None:
    path = write(tmp_path, "1,Redis,B-SW\n1,on,O\n2,Use,O\n2,it,O\n")
    assert "column 1 holds numbers only, not words" in refusal(path)
