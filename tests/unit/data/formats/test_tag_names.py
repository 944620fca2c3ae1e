"""Names of numbers: every shape gives the same list, and none gives a wrong one."""

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from ner_mlflow.data.formats.tag_names import load_tag_names, name_tag
from ner_mlflow.errors import DataError

NAMES = ["O", "B-OS", "I-OS"]
CARD = """---
language: en
dataset_info:
  features:
  - name: id
    dtype: string
  - name: pos
    sequence:
      class_label:
        names:
          '0': NN
          '1': DT
  - name: ner_tags
    sequence:
      class_label:
        names:
          '0': O
          '1': B-OS
          '2': I-OS
---
# A card

0: nothing
"""


def load(content: str, field: str = "") -> list[str]:
    return load_tag_names("x.json", {"x.json": content}.get, field)


@pytest.mark.parametrize(
    "content",
    [
        '{"O": 0, "B-OS": 1, "I-OS": 2}',
        '{"0": "O", "2": "I-OS", "1": "B-OS"}',
        '["O", "B-OS", "I-OS"]',
        '{"id2label": {"0": "O", "1": "B-OS", "2": "I-OS"}, "label2id": {"O": 0, "B-OS": 1, '
        '"I-OS": 2}, "model_type": "bert"}',
        "O: 0\nB-OS: 1\nI-OS: 2\n",
        "0: O\n1: B-OS\n2: I-OS\n",
        "- O\n- B-OS\n- I-OS\n",
        "O\nB-OS\nI-OS\n",
        "\ufeffO\r\nB-OS\r\nI-OS\r\n",
        CARD,
        '{"features": {"ner_tags": {"feature": {"names": ["O", "B-OS", "I-OS"], "_type": '
        '"ClassLabel"}, "_type": "Sequence"}}}',
        "---\nid2label:\n  0: O\n  1: B-OS\n  2: I-OS\n---\n",
        "[O, B-OS, I-OS]",
        "{O: 0, B-OS: 1, I-OS: 2}",
    ],
)
def test_every_shape_of_a_file_is_read(content: str) -> None:
    assert load(content) == NAMES


def test_names_may_stand_in_the_setting() -> None:
    assert load_tag_names("O, B-OS,I-OS", {}.get) == NAMES


def test_a_card_gives_the_names_of_the_field() -> None:
    assert load(CARD, "pos") == ["NN", "DT"]
    with pytest.raises(DataError, match=r"names of several fields \(a, b\)"):
        load(
            json.dumps(
                [
                    {"name": name, "sequence": {"class_label": {"names": [f"B-{name}"]}}}
                    for name in "ab"
                ]
            ).join(('{"features": ', "}"))
        )


def test_names_that_yaml_takes_for_other_values_stay_names() -> None:
    assert load("O: 0\nNO: 1\noff: 2\n") == ["O", "NO", "off"]
    assert load("".join(f"{number:02}: B-{number}\n" for number in range(12)))[10] == "B-10"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"O": 0, "B-OS": 2}', "its numbers are 0, 2: number the names from 0"),
        ('{"O": 0, "B-OS": 0}', "its numbers are 0, 0"),
        ('{"O": 1, "B-OS": 2}', "its numbers are 1, 2"),
        ('{"O": 0, "O": 1}', "the key 'O' is given twice"),
        ("O: 0\nO: 1\n", "the key 'O' is given twice"),
        ('["O", "O"]', "the name 'O' is empty or given twice"),
        ('{"O": "x"}', "no names of numbers"),
        ('{"O"', "neither JSON nor YAML"),
        ("a: [", "neither JSON nor YAML"),
        ("[" * 100_000, "neither JSON nor YAML"),
        ("", "no names of numbers"),
        ("{}", "no names of numbers"),
        ("[1, 2]", "no names of numbers"),
        ("[]", "no names of numbers"),
        ("0 O\n1 B-OS\n2 I-OS\n", "'0' is read as a name: write one name a line, or lines of"),
        ("O 0\nB-OS 1\nI-OS 2\n", "'0' is read as a name"),
        ("O,B-OS,I-OS\n", "'O,B-OS,I-OS' is read as a name: write one name a line"),
    ],
)
def test_a_file_that_names_no_numbers_is_refused(content: str, message: str) -> None:
    with pytest.raises(DataError) as caught:
        load(content)
    assert str(caught.value).startswith("x.json: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_refused() -> None:
    with pytest.raises(DataError, match=r"tag_names=no\.json: no such file"):
        load_tag_names("no.json", {}.get)


@settings(deadline=None, max_examples=60)
@given(
    names=st.lists(st.text(min_size=1), min_size=1, max_size=5, unique=True),
    shape=st.sampled_from(["label2id", "list"]),
)
def test_names_written_as_json_read_back_equal(names: list[str], shape: str) -> None:
    value = names if shape == "list" else {name: number for number, name in enumerate(names)}
    if not all(name.isascii() and name.isdigit() for name in names):
        assert load(json.dumps(value)) == names


def test_names_written_as_yaml_read_back_equal() -> None:
    names = ["O", "B-a: b", "NO", "~", "013"]
    assert load(yaml.safe_dump(dict(enumerate(names)))) == names


def test_a_number_without_a_name_is_refused(tmp_path: Path) -> None:
    assert name_tag(1, NAMES, "x") == "B-OS"
    for number in (-1, 3):
        with pytest.raises(DataError, match=f"x: tag {number} is outside the 3 class names"):
            name_tag(number, NAMES, "x")


@pytest.mark.parametrize(
    "content",
    [
        "\n".join(
            [
                "a: &a0 [x, x]",
                *(f"b{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)),
            ]
        ),
        "&a [*a]",
        '{"a": ' * 800 + "1" + "}" * 800,
        "[" * 100_000,
    ],
    ids=["aliases that multiply", "itself", "deep", "deeper"],
)
def test_a_bomb_is_refused_on_one_line(content: str) -> None:
    with pytest.raises(DataError, match=r"names\.yaml: ") as caught:
        load_tag_names("names.yaml", lambda _: content)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500
