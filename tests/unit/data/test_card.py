"""The card of a corpus, as a page and as text: aligned, escaped, with all that was found."""

import re
from html.parser import HTMLParser

from ner_mlflow.data.card import WIDTH, format_text, render_card
from ner_mlflow.data.findings import Finding
from ner_mlflow.data.highlights import Part
from ner_mlflow.data.inspection import (
    FileSummary,
    Inspection,
    LabelMapFit,
    SplitSummary,
    TypeSummary,
)
from ner_mlflow.data.survey import ShownSentence

INSPECTION = Inspection(
    dataset="corpora/mine",
    files=(
        FileSummary("corpora/mine/train.conll", "train", "CoNLL"),
        FileSummary("corpora/mine/test.jsonl", "test", "token rows"),
    ),
    facts={"files left out": "notes.txt (no split)"},
    splits=(
        SplitSummary("train", 1200, 9000, 340, 12, {"scheme": "BIOES", "columns": "1 and 4"}),
        SplitSummary("test", 20, 180, 9, 0, {"scheme": "BIOES"}),
    ),
    types=(
        TypeSummary("Person", "PER", {"train": 300, "test": 8}, {"train": ("Anna", "東京", "Bo")}),
        TypeSummary("Place", "O", {"train": 40, "test": 1}, {"train": ("Rome",), "test": ("Bo",)}),
    ),
    prepared_splits=(
        SplitSummary("train", 1080, 8100, 270, 11),
        SplitSummary("validation", 120, 900, 30, 1),
        SplitSummary("test", 20, 180, 8, 0),
    ),
    prepared_types=(
        TypeSummary(
            "PER", "", {"train": 270, "validation": 30, "test": 8}, {"train": ("Anna", "Bo")}
        ),
    ),
    fits=(
        LabelMapFit("mine.yaml", ("Person", "Place"), (), True),
        LabelMapFit("it5", (), ("Person", "Place"), False),
    ),
    label_map="mine.yaml",
    findings=(
        Finding("file_left_out", "", 1, ("corpora/mine/notes.txt: no split",)),
        Finding("scheme_converted", "train", 5000, ()),
        Finding("duplicate_rows", "train", 7, ("train.conll:7 'a'", "train.conll:9 'a'")),
    ),
    settings={"label_map": "mine.yaml"},
    fingerprint="0123abcd",
    sentences=(ShownSentence("train", "train.conll:3", (Part("Anna", "PER"), Part("left"))),),
    command="mlflow run . --env-manager local -P dataset=corpora/mine -P label_map=mine.yaml",
)
REFUSED = Inspection(
    dataset="mine",
    files=(
        FileSummary("mine/train.conll", "train", "CoNLL", 40),
        FileSummary("mine/dev.jsonl", "validation", "token rows", 1, "dev.jsonl:2: no: mend it"),
    ),
    error="dev.jsonl:2: no: mend it",
)
SCRIPT = "<script>alert('&')</script>"


class TextParser(HTMLParser):
    """The texts of a page, and its tags."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.text = ""
        self.tags: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, _attrs: object) -> None:
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def sections(text: str) -> dict[str, str]:
    """Return the parts of the text between blank lines by their first word."""
    return {part.split()[0]: part for part in text.split("\n\n")}


def test_the_text_begins_with_what_was_read_and_ends_with_the_command() -> None:
    lines = format_text(INSPECTION).splitlines()
    assert lines[:2] == [
        "corpora/mine",
        "  CoNLL, token rows, BIOES, 2 splits, 1,220 sentences, 2 types",
    ]
    assert lines[-2:] == ["Continue with", f"  {INSPECTION.command}"]


def test_files_stand_below_the_folder_that_they_share() -> None:
    assert sections(format_text(INSPECTION))["Files"].splitlines() == [
        "Files in corpora/mine/",
        "  train  train.conll  CoNLL",
        "  test   test.jsonl   token rows",
        "  files left out: notes.txt (no split)",
    ]


def test_places_are_relative_to_the_folder_of_the_files() -> None:
    text = format_text(INSPECTION)
    assert "      notes.txt: no split\n" in text
    two = (FileSummary("a/train.tsv", "train", "CoNLL"), FileSummary("a/b.tsv", "test", "CoNLL"))
    listed = format_text(Inspection("a/train.tsv,a/b.tsv", files=two))
    assert listed.splitlines()[3:5] == ["Files in a/", "  train  train.tsv  CoNLL"]
    elsewhere = format_text(Inspection("a/train.tsv", files=two[:1]))
    assert elsewhere.splitlines()[3:] == ["Files", "  train  a/train.tsv  CoNLL"]


def test_of_many_files_those_with_errors_are_shown() -> None:
    files = [FileSummary(f"mine/{number}.ann", "train", "brat", 1) for number in range(2000)]
    files[1700] = FileSummary("mine/1700.ann", "train", "brat", 0, "1700.ann:3: no: mend it")
    inspection = Inspection("mine", files=tuple(files), error="1700.ann:3: no: mend it")
    lines = format_text(inspection).splitlines()
    assert lines[4].split() == ["train", "1700.ann", "brat", "error", "after", "0", "sentences"]
    assert len(lines) < 60
    assert lines[-1] == "  and 1,960 more"
    page = TextParser(render_card(inspection)).text
    assert "and 1,960 more" in page
    assert page.count("1700.ann:3") == 2


def test_splits_are_a_table_with_the_facts_below() -> None:
    assert sections(format_text(INSPECTION))["Splits"].splitlines() == [
        "Splits        sentences  words  entities  documents  sentences prepared",
        "  train           1,200  9,000       340         12               1,080",
        "  validation          –      –         –          –                 120",
        "  test               20    180         9          –                  20",
        "  scheme: BIOES",
        "  columns of train: 1 and 4",
    ]


def test_types_are_a_table_with_targets_and_examples_of_all_splits() -> None:
    assert sections(format_text(INSPECTION))["Types"].splitlines() == [
        "Types     becomes  train  test   examples",
        "  Person  PER        300     8   Anna, 東京, Bo",
        "  Place   O           40     1   Rome, Bo",
        "  41 of 349 entities have a type that becomes O",
    ]


def test_the_label_map_that_fits_is_marked() -> None:
    assert sections(format_text(INSPECTION))["Label"].splitlines() == [
        "Label maps",
        "* label_map=mine.yaml knows all 2 types: recommended",
        "  label_map=it5 knows 0 of 2 types, lacks Person, Place",
    ]


def test_findings_stand_below_their_effects_with_places() -> None:
    text = format_text(INSPECTION)
    assert text.index("Left out\n") < text.index("Changed\n") < text.index("Noted\n")
    assert sections(text)["Noted"].splitlines() == [
        "Noted",
        "  train: sentences that repeat another sentence of their split: 7",
        "      train.conll:7 'a'",
        "      train.conll:9 'a'",
        "      and 5 more",
    ]


def test_a_corpus_without_findings_says_so() -> None:
    clean = Inspection("mine", splits=INSPECTION.splits)
    for shown in (format_text(clean), render_card(clean)):
        assert "othing" in shown


def test_a_refused_corpus_shows_each_file_with_its_error() -> None:
    assert format_text(REFUSED).splitlines() == [
        "mine",
        "  refused",
        "",
        "Files in mine/",
        "  train       train.conll  CoNLL       40 sentences",
        "  validation  dev.jsonl    token rows  error after 1 sentence",
        "      dev.jsonl:2: no: mend it",
    ]
    page = TextParser(render_card(REFUSED))
    assert page.text.count("dev.jsonl:2: no: mend it") == 2


def test_lines_fit_the_terminal_but_for_commands_and_long_words() -> None:
    long = [f"Long_Name_Of_A_Type_{number}" * 2 for number in range(80)]
    inspection = Inspection(
        "mine",
        splits=INSPECTION.splits,
        types=tuple(
            TypeSummary(name, name.lower(), {"train": 1, "test": 1}, {"train": ["東京 " * 60]})
            for name in long
        ),
        fits=(LabelMapFit("it5", (), tuple(long), False),),
        findings=(Finding("tags_repaired", "train", 1, ("word " * 60,)),),
    )
    text = format_text(inspection)
    assert max(map(len, text.splitlines())) <= WIDTH
    assert "and 20 more" in text


def test_characters_that_steer_a_terminal_are_escaped() -> None:
    evil = Inspection(
        "mine",
        splits=INSPECTION.splits,
        types=(TypeSummary("A\x1b", "", {"train": 1}, {"train": ("x\x07y\n",)}),),
        findings=(Finding("tags_repaired", "train", 1, ("here \x9b1m",)),),
    )
    text = format_text(evil)
    assert all(line.isprintable() for line in text.splitlines())
    assert r"x\x07y\n" in text


def test_the_page_shows_what_came_in_what_changed_and_sentences_in_colour() -> None:
    page = render_card(INSPECTION)
    text = TextParser(page).text
    headings = re.findall("<h2>(.*?)</h2>", page)
    assert headings == [
        "Source",
        "Settings that differ from the defaults",
        "Left out",
        "Changed",
        "Noted",
        "Types in the source",
        "Types after preparation",
        "Label maps",
        "Continue with",
        "Sentences",
    ]
    for shown in (
        "BIOES",
        "0123abcd",
        "5,000",
        "train.conll:9",
        "and 5 more",
        "Anna, 東京, Bo",
        "41 of 349 entities",
    ):
        assert shown in text
    assert re.search('<mark style="--light: #.+?">Anna<sub>PER</sub></mark> left', page)


def test_texts_of_a_corpus_are_escaped_on_the_page() -> None:
    page = render_card(
        Inspection(
            SCRIPT,
            files=(FileSummary(SCRIPT, "train", SCRIPT, 1, SCRIPT),),
            facts={SCRIPT: SCRIPT},
            splits=(SplitSummary("train", 1, 1, 1, 1, {"columns": SCRIPT}),),
            types=(TypeSummary(SCRIPT, SCRIPT, {"train": 1}, {"train": (SCRIPT,)}),),
            fits=(LabelMapFit(SCRIPT, (SCRIPT,), (SCRIPT,), True),),
            findings=(Finding("tags_repaired", "train", 1, (SCRIPT,)),),
            settings={"dataset": SCRIPT},
            sentences=(ShownSentence("train", SCRIPT, (Part(SCRIPT, SCRIPT), Part(SCRIPT))),),
            error=SCRIPT,
            command=SCRIPT,
        )
    )
    parser = TextParser(page)
    assert "script" not in parser.tags
    assert "<script" not in page
    assert parser.text.count(SCRIPT) >= 15
