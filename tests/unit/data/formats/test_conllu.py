"""CoNLL-U and CoNLL-U Plus: entity tags wherever they stand, and words only."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ner_mlflow.config.schema import DataConfig
from ner_mlflow.data.findings import Findings
from ner_mlflow.data.formats.base import TaggedWords
from ner_mlflow.data.formats.conllu import read_conllu
from ner_mlflow.data.formats.registry import find_format
from ner_mlflow.errors import DataError

WORDS = st.text(
    st.characters(codec="utf-8", exclude_characters="\t\n\r"), min_size=1, max_size=6
).filter(str.strip)
TAGS = st.sampled_from(["O", "B-OS", "I-OS", "B-a b"])
SENTENCES = st.lists(
    st.lists(st.tuples(WORDS, TAGS), min_size=1, max_size=4), min_size=1, max_size=4
)
EXPECTED = [[("Redis", "B-APP"), ("runs", "O")], [("on", "O"), ("it", "O")]]


def row(number: object, form: str, misc: str = "_", *more: str) -> str:
    cells = [str(number), form, "_", "NOUN", "_", "_", "0", "root", "_", misc, *more]
    return "\t".join(cells) + "\n"


def write(folder: Path, text: str, name: str = "train.conllu") -> Path:
    (folder / name).write_text(text, encoding="utf-8", newline="")
    return folder / name


def read(path: Path, findings: Findings | None = None, **settings_: str) -> list[TaggedWords]:
    assert find_format(path).name == "conllu"
    config = DataConfig(dataset=str(path), **settings_)
    return list(read_conllu(path, config, findings or Findings(), "train"))


def pairs(sentences: list[TaggedWords]) -> list[list[tuple[str, str]]]:
    return [list(zip(sentence.tokens, sentence.tags, strict=True)) for sentence in sentences]


def refusal(path: Path, **settings_: str) -> str:
    with pytest.raises(DataError) as caught:
        read(path, **settings_)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("tag", "outside"),
    [
        ("NER={}", "NER=O"),
        ("SpaceAfter=No|NE={}", "SpaceAfter=No"),
        ("name={}|SpaceAfter=No", "_"),
        ("Entity={}", "Entity=O"),
        ("{}", "O"),
    ],
)
def test_tags_stand_in_misc(tmp_path: Path, tag: str, outside: str) -> None:
    text = (
        row(1, "Redis", tag.format("B-APP"))
        + row(2, "runs", outside)
        + "\n"
        + row(1, "on", outside)
        + row(2, "it", outside)
    )
    findings = Findings()
    path = write(tmp_path, f"# sent_id = 1\n{text}\n")
    assert pairs(read(path, findings)) == EXPECTED
    assert findings.count("comment_skipped") == 1


def test_tags_stand_in_a_column_of_their_own(tmp_path: Path) -> None:
    eleven = row(1, "Redis", "_", "B-APP") + row(2, "runs", "_", "O")
    assert pairs(read(write(tmp_path, eleven))) == EXPECTED[:1]
    plus = "# global.columns = ID FORM UPOS NER\n1\tRedis\tNOUN\tB-APP\n2\truns\tVERB\tO\n"
    findings = Findings()
    assert pairs(read(write(tmp_path, plus), findings)) == EXPECTED[:1]
    assert findings.facts["train", "columns"] == "word FORM, tag NER"
    bare = "# global.columns = FORM MINE\nRedis\tB-APP\nruns\tO\n"
    assert pairs(read(write(tmp_path, bare), tag_column="MINE")) == EXPECTED[:1]


def test_the_column_or_key_may_be_chosen(tmp_path: Path) -> None:
    path = write(tmp_path, row(1, "Redis", "NER=B-APP|Mine=B-X") + row(2, "runs", "NER=O|Mine=O"))
    assert pairs(read(path, tag_column="Mine")) == [[("Redis", "B-X"), ("runs", "O")]]
    assert pairs(read(path)) == EXPECTED[:1]
    assert "(keys of MISC: Mine, NER)" in refusal(path, tag_column="Yours")
    path = write(tmp_path, row(1, "Redis", "NER=B-APP|NE=B-X") + row(2, "runs", "NER=O|NE=O"))
    assert "NER, NE hold entity tags: give one of them as tag_column" in refusal(path)


def test_the_word_hash_is_no_comment_where_no_id_comes_first(tmp_path: Path) -> None:
    path = write(tmp_path, "# global.columns = FORM NER\n# text = #\n#\tO\n#a\tB-X\n")
    assert pairs(read(path)) == [[("#", "O"), ("#a", "B-X")]]


def test_ranges_and_empty_nodes_are_left_out_and_counted(tmp_path: Path) -> None:
    text = (
        row("1-2", "zum")
        + row(1, "zu", "NER=O")
        + row(2, "dem", "NER=O")
        + row("2.1", "leer")
        + row(3, "Haus", "NER=B-LOC")
    )
    findings = Findings()
    (sentence,) = read(write(tmp_path, text), findings)
    assert (sentence.tokens, sentence.position) == (["zu", "dem", "Haus"], 2)
    assert findings.count("range_skipped") == 2
    tagged = text.replace("zum", "zum").replace(row("1-2", "zum"), row("1-2", "zum", "NER=B-X"))
    assert ":1: a token range or an empty node has the tag 'B-X'" in refusal(
        write(tmp_path, tagged)
    )


def test_documents_have_their_names(tmp_path: Path) -> None:
    words = row(1, "Redis", "NER=B-APP") + "\n"
    text = f"# newdoc id = a b\n# sent_id = 1\n{words}{words}# newdoc\n{words}"
    sentences = read(write(tmp_path, text))
    assert [sentence.document for sentence in sentences] == ["a b", "a b", "train.conllu#2"]
    findings = Findings()
    (alone,) = read(write(tmp_path, f"# newdoc id = a\n{words}"), findings)
    assert alone.document is None
    assert findings.count("documents_ignored") == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (row(1, "a") + row(2, "b"), ": no entity tags, neither in MISC"),
        (row(1, "a", "Entity=(person-1"), "(MISC holds Entity): give the key or the column"),
        (row(1, "a", "NER=O") + "2\tb\n", ":2: 2 columns where the file has 10"),
        (row(1, "a", "NER=O") + row("x", "b", "NER=O"), ":2: the ID 'x' is not a number"),
        (row(1, "a", "NER=B-X") + row(2, " ", "NER=O"), ":2: the token is blank"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path, text)
    shown = refusal(path)
    assert shown.startswith(str(path))
    assert message in shown


def test_blank_words_are_dropped_by_choice(tmp_path: Path) -> None:
    path = write(tmp_path, row(1, " ", "NER=B-X") + row(2, "b", "NER=I-X"))
    assert pairs(read(path, blank_tokens="drop")) == [[("b", "B-X")]]


@settings(deadline=None, max_examples=80)
@given(sentences=SENTENCES, is_plus=st.booleans())
def test_a_written_file_reads_back_equal(
    tmp_path_factory: pytest.TempPathFactory,
    sentences: list[list[tuple[str, str]]],
    is_plus: bool,
) -> None:
    text = "# global.columns = ID FORM NER\n" if is_plus else ""
    for sentence in sentences:
        for number, (word, tag) in enumerate(sentence, start=1):
            text += f"{number}\t{word}\t{tag}\n" if is_plus else row(number, word, f"NER={tag}")
        text += "\n"
    path = write(tmp_path_factory.mktemp("conllu"), text)
    assert pairs(read(path, tag_column="NER")) == sentences
