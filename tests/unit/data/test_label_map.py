"""Label maps: every tag of the StackOverflow corpus has a target; broken tables are refused."""

from pathlib import Path
from typing import Literal

import pytest

from ner_mlflow.config.schema import DataConfig
from ner_mlflow.data.label_map import LabelMap, load_label_map
from ner_mlflow.data.prepare import prepare
from ner_mlflow.data.sentences import TRAIN, Sentence
from ner_mlflow.errors import ConfigError, DataError
from ner_mlflow.tagging.iob2 import OUTSIDE
from ner_mlflow.tagging.label_schema import LabelSchema

ENTITIES = {
    "Application": "SOFTWARE",
    "Library": "SOFTWARE",
    "Language": "SOFTWARE",
    "Operating_System": "OS",
    "Device": "HARDWARE",
    "Version": "VERSION",
    "Error_Name": "ERROR",
}
OUTSIDERS = [
    *(
        "Algorithm",
        "Class",
        "Code_Block",
        "Data_Structure",
        "Data_Type",
        "File_Name",
        "File_Type",
        "Function",
        "HTML_XML_Tag",
    ),
    *(
        "Keyboard_IP",
        "Output_Block",
        "User_Interface_Element",
        "User_Name",
        "Value",
        "Variable",
        "Website",
    ),
]
CORPUS_TAGS = sorted(
    {f"{prefix}-{type_}" for type_ in [*ENTITIES, *OUTSIDERS] for prefix in "BI"}
    - {"I-Keyboard_IP"}
)
FIVE = ("ERROR", "HARDWARE", "OS", "SOFTWARE", "VERSION")


def table_file(folder: Path, content: str | bytes) -> str:
    path = folder / "mine.yaml"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(path)


def test_the_corpus_has_45_tags() -> None:
    assert len(CORPUS_TAGS) == 45


@pytest.mark.parametrize("tag", CORPUS_TAGS)
def test_it5_knows_each_tag_of_the_corpus(tag: str) -> None:
    table = load_label_map("it5")
    prefix, type_ = tag.split("-", 1)
    assert table.knows(tag)
    assert table.relabel(tag) == (f"{prefix}-{ENTITIES[type_]}" if type_ in ENTITIES else OUTSIDE)


@pytest.mark.parametrize("type_", ["Licence", "Organization"])
def test_it5_knows_the_types_of_other_exports(type_: str) -> None:
    assert load_label_map("it5").knows(f"B-{type_}")
    assert load_label_map("it5").relabel(f"I-{type_}") == OUTSIDE


@pytest.mark.parametrize("type_", FIVE)
def test_it5_leaves_its_own_types_alone(type_: str) -> None:
    assert load_label_map("it5").relabel(f"I-{type_}") == f"I-{type_}"


def test_it5_gives_five_types_and_knows_no_others() -> None:
    table = load_label_map("it5")
    assert table.target_types == FIVE
    assert not table.knows("B-ide")
    assert not table.knows("B-device")
    assert table.knows(OUTSIDE)
    assert table.relabel("B-ide") == OUTSIDE


@pytest.mark.parametrize("tag", ["O", "B-Anything", "I-any-thing"])
def test_keep_keeps_every_tag(tag: str) -> None:
    table = load_label_map("keep")
    assert table.knows(tag)
    assert table.relabel(tag) == tag
    assert table.target_types is None


def test_a_file_of_the_user_is_a_table(tmp_path: Path) -> None:
    table = load_label_map(
        table_file(tmp_path, "# mine\nGröße: SIZE\nDevice: THING\nPart: THING\nNoise: O\n")
    )
    assert table.name == "mine"
    assert table.target_types == ("SIZE", "THING")
    assert [table.relabel(tag) for tag in ("B-Größe", "I-Device", "B-Part", "B-Noise", "O")] == [
        "B-SIZE",
        "I-THING",
        "B-THING",
        "O",
        "O",
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("A: [OS", "not YAML"),
        ("A: *anchor", "not YAML"),
        ("- A\n- B", "must map source types to target types"),
        ("just text", "must map"),
        ("", "must map"),
        ("A: {B: OS}", "must map"),
        ("A: {}", "must map to one type"),
        ("A: 5", r"mine\.yaml:1: A: 5 is read as the number 5: put it in quotes"),
        ("OS: OS\nA: 0", r":2: A: 0 is read as the number 0: put .*, or write the letter O"),
        ("OS: OS\n5: OS", r"mine\.yaml:2: key 5 is read as the number 5: put it in quotes"),
        ("NO: OS", r"mine\.yaml:1: key NO is read as false: put it in quotes"),
        ("2024-01-01: DATE", r"mine\.yaml:1: key 2024-01-01 is read as a date: put it in quotes"),
        ("A: no", r"mine\.yaml:1: no is read as false: .*put it in quotes"),
        ("A: true", r"mine\.yaml:1: A: true is read as true: put it in quotes"),
        ("OS: OS\nMISC:", r"mine\.yaml:2: MISC: no target type is written: write one, or O"),
        ("OS: OS\nOS: SOFTWARE", r"mine\.yaml:2: key 'OS' is given a second time, .*remove one"),
        ("OS:\tOS", r"line 1: .*write blanks instead of the tab\): write 'source: target' lines"),
        ("OS : OS\n  A: A", r"line 2: mapping values are not allowed here"),
        ("OS: B-OS", r":1: OS: B-OS has the prefix of a tag: write the type alone, OS"),
        ("O: OS", r":1: O: words that are O belong to no entity: remove the line"),
        ("'': OS", "must map a type, not an empty text"),
        ("OS: OS\nA: I-", r":2: A: I- has the prefix of a tag: write the type alone$"),
        ("OS: OS\nA: o", r":2: A: 'o' is no type: write the letter O for outside"),
        ("OS: OS\nA: 'O '", r":2: A: 'O ' is no type: write the letter O for outside"),
        ("A: OS\nB: 'OS '", r":2: B: 'OS ' has blanks at its ends: write OS$"),
        ("A: OS\nB: OS\u00a0", r":2: B: 'OS\\xa0' has blanks at its ends: write OS$"),
        ("A: O\nB: O", "maps every type to O"),
        ("{}", "maps every type to O"),
        ("Größe: OS".encode("latin-1"), "mine.yaml"),
        ("A: 2020-13-45", "mine.yaml"),
        ("A: ''", "mine.yaml"),
    ],
)
def test_a_broken_table_is_refused_on_one_line(
    tmp_path: Path, content: str | bytes, message: str
) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        load_label_map(table_file(tmp_path, content))
    assert "mine.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbfOS: SYSTEM\r\nNO: O\r\n".replace(b"NO", b"'NO'"),
        b'{"OS": "SYSTEM",\n"NO": "O"}',
        b"OS : SYSTEM\n'NO' :   O",
        b"OS: SYSTEM\n'NO': O\nO: O",
    ],
    ids=["a byte order mark and CRLF", "JSON", "blanks before the colon", "O stays O"],
)
def test_a_table_may_be_written_as_people_write_it(tmp_path: Path, content: bytes) -> None:
    table = load_label_map(table_file(tmp_path, content))
    assert (table.relabel("B-OS"), table.relabel("B-NO")) == ("B-SYSTEM", "O")


@pytest.mark.parametrize("unknown_tags", ["error", "outside"])
def test_a_table_of_tags_is_refused_for_a_corpus_of_types(
    tmp_path: Path, unknown_tags: Literal["error", "outside"]
) -> None:
    name = table_file(tmp_path, "Software: SOFTWARE\nB-OS: OS\nI-OS: OS\n")
    config = DataConfig(label_map=name, unknown_tags=unknown_tags)
    with pytest.raises(DataError, match=r"mine\.yaml:2: 'B-OS' is a tag, .*: write OS"):
        prepare({TRAIN: [Sentence(("a", "b"), ("B-OS", "B-Software"))]}, config)


def test_a_type_that_differs_by_case_from_the_table_s_is_named(tmp_path: Path) -> None:
    config = DataConfig(label_map=table_file(tmp_path, "os: OS"))
    with pytest.raises(DataError, match=r"B-OS \(1 times: .*\), did you mean os\?"):
        prepare({TRAIN: [Sentence(("a",), ("B-OS",))]}, config)


@pytest.mark.parametrize("name", ["it6", "missing.yaml", "", "x" * 300])
def test_an_unknown_table_lists_the_known_ones(name: str) -> None:
    with pytest.raises(ConfigError, match=r"known table \(it5, keep\)") as caught:
        load_label_map(name)
    assert repr(name) in str(caught.value)


def test_labels_are_outside_first_then_begin_and_inside_by_type() -> None:
    schema = LabelSchema(("OS", "ERROR", "OS"))
    assert schema.types == ("ERROR", "OS")
    assert schema.labels == ("O", "B-ERROR", "I-ERROR", "B-OS", "I-OS")
    assert schema.ids == {"O": 0, "B-ERROR": 1, "I-ERROR": 2, "B-OS": 3, "I-OS": 4}


def test_a_schema_does_not_depend_on_the_order_of_its_types() -> None:
    assert LabelSchema(("OS", "ERROR")) == LabelSchema(("ERROR", "OS"))


def test_a_table_without_target_types_beside_outside_has_none() -> None:
    assert LabelMap("x", {"A": "O"}).target_types == ()
