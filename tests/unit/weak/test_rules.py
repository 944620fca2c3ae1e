"""Rules label words of running text; what a file of rules may say, and what it may not."""

import re
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from ner_mlflow.data.sentences import Sentence
from ner_mlflow.errors import ConfigError
from ner_mlflow.tagging.words import split_sentences
from ner_mlflow.weak.labelers import Labeler, VotedSpan
from ner_mlflow.weak.rules import LONGEST_WORD, RulesLabeler, load_rules


def sentences_of(text: str) -> list[Sentence]:
    return [
        Sentence(tuple(words.texts), ("O",) * len(words.texts)) for words in split_sentences(text)
    ]


def found(labeler: Labeler, text: str) -> list[tuple[str, str]]:
    """Return the words and the type of each span, over all sentences of a text."""
    sentences = sentences_of(text)
    return [
        (" ".join(sentence.tokens[span.start : span.end]), span.type)
        for sentence, spans in zip(sentences, labeler.label(sentences), strict=True)
        for span in spans
    ]


@pytest.fixture(scope="module")
def rules() -> RulesLabeler:
    return RulesLabeler(load_rules("it5"))


def check(rules: RulesLabeler, text: str, expected: str) -> None:
    """Compare with ``words TYPE; words TYPE``."""
    assert "; ".join(f"{words} {type_}" for words, type_ in found(rules, text)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("We store it in PostgreSQL.", "PostgreSQL SOFTWARE"),
        ("nginx/1.25 restarts", "nginx SOFTWARE; 1.25 VERSION"),
        (
            "`pandas` and (NumPy), torch==2.1.0",
            "pandas SOFTWARE; NumPy SOFTWARE; torch SOFTWARE; 2.1.0 VERSION",
        ),
        ("visual studio CODE is open", "visual studio CODE SOFTWARE"),
        ("It runs on Ubuntu 22.04 only", "Ubuntu OS; 22.04 VERSION"),
        ("My iPhone rings", "iPhone HARDWARE"),
        # Names do not begin or end within a word.
        ("javascripting and MyPostgreSQLite and Ubuntuish", ""),
        ("see https://python.org/linux and /usr/lib/python", ""),
        # Neighbours both count.
        ("Android Firefox", "Android OS; Firefox SOFTWARE"),
        # The longest name counts.
        ("Spring Boot and Android Studio", "Spring Boot SOFTWARE; Android Studio SOFTWARE"),
        ("the Apache License is not Apache", "Apache SOFTWARE"),
    ],
)
def test_names_are_found_as_whole_words(rules: RulesLabeler, text: str, expected: str) -> None:
    check(rules, text, expected)


@pytest.mark.parametrize(
    "text",
    [
        "The error failed on the server for some user.",
        "An error, a crash and a bug: the database plugin failed.",
        "Go and access the word, then make it rust.",
        "We excel at this and express it in spring.",
        "Read R and C in the order of the flow.",
        # Names that a list without a witness holds, too, in lower case or at the beginning.
        "React to the comment.",
        "Excel at your job, and hibernate the postfix operator.",
        "Julia reported that the middleman left.",
        "Word 2 of the sentence, and Node 3 is down",
        "opens two windows on startup, new windows for each user",
        "**Access** to the database",
        "please OVERRIDE the GUIDE, call GetLastError and a free/libre one",
        "line 404 fails after 404 downloads of a 450 page book",
        "your phone number at the mouse pointer",
    ],
)
def test_plain_words_are_no_entities(rules: RulesLabeler, text: str) -> None:
    assert found(rules, text) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Written in Go 1.21 now", "Go SOFTWARE; 1.21 VERSION"),
        ("a Rust library", "Rust SOFTWARE"),
        ("Python, Go and Rust", "Python SOFTWARE; Go SOFTWARE; Rust SOFTWARE"),
        ("Go, Rust and Python", "Go SOFTWARE; Rust SOFTWARE; Python SOFTWARE"),
        ("Go to Jenkins. Access to MySQL is denied.", "Jenkins SOFTWARE; MySQL SOFTWARE"),
        ("Make Docker images, press R in Firefox", "Docker SOFTWARE; Firefox SOFTWARE"),
        ("we use React and Redux", "React SOFTWARE; Redux SOFTWARE"),
        ("with swift 3 on windows", "swift SOFTWARE; 3 VERSION; windows OS"),
        ("Bootstrap", "Bootstrap SOFTWARE"),
        ("run `make` first", "make SOFTWARE"),
        ("open Access 2010 here", "Access SOFTWARE; 2010 VERSION"),
        ("IE 8 fails", "IE SOFTWARE; 8 VERSION"),
        ("on Win 7 it works", "Win OS; 7 VERSION"),
        ("Linux and Mac", "Linux OS; Mac OS"),
    ],
)
def test_an_ambiguous_name_counts_with_a_witness(
    rules: RulesLabeler, text: str, expected: str
) -> None:
    check(rules, text, expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Firefox 78 and Python 3.8", "Firefox SOFTWARE; 78 VERSION; Python SOFTWARE; 3.8 VERSION"),
        ("upgrade to version 2.0", "2.0 VERSION"),
        ("fixed in v1.2.3", "v1.2.3 VERSION"),
        ("released 1.2.3", "1.2.3 VERSION"),
        ("Django >= 4.2", "Django SOFTWARE; 4.2 VERSION"),
        ("Firefox ( version 91.0 )", "Firefox SOFTWARE; 91.0 VERSION"),
        ("Windows Server 2012 R2", "Windows Server OS; 2012 R2 VERSION"),
        ("use API 21", "21 VERSION"),
        ("Python 2.7, 3.5 and 3.6", "Python SOFTWARE; 2.7 VERSION; 3.5 VERSION; 3.6 VERSION"),
        ("the Mac OS X 10.6", "Mac OS X OS; 10.6 VERSION"),
        ("Chrome 117 on Linux", "Chrome SOFTWARE; 117 VERSION; Linux OS"),
        ("java 8u292 or 1.8.0_292", "java SOFTWARE; 8u292 VERSION; 1.8.0_292 VERSION"),
        ("OpenSSL 1.0.2k-fips", "OpenSSL SOFTWARE; 1.0.2k-fips VERSION"),
        ("Windows 10, 64 bit", "Windows OS; 10 VERSION"),
        ("Python 3.8 and 16 GB", "Python SOFTWARE; 3.8 VERSION"),
        ("Kafka 3 times, MySQL 5 seconds", "Kafka SOFTWARE; MySQL SOFTWARE"),
        ("Redis (2.5 GB), Nginx (10.0.0.5)", "Redis SOFTWARE; Nginx SOFTWARE"),
    ],
)
def test_versions_are_found_in_context(rules: RulesLabeler, text: str, expected: str) -> None:
    check(rules, text, expected)


@pytest.mark.parametrize(
    "text",
    [
        "on 2024-01-31 at 12:30",
        "on 31.12.2024 we met",
        "ping 192.168.0.1 and 8.8.8.8",
        "see section 2.3 of it, and section 3.2.1",
        "on 11.09.23 it took 10.5.2 hours",
        "it took 12 of 34 tries and 1.5 seconds",
        "closes #12 and 3.14 is pi",
    ],
)
def test_other_numbers_are_no_versions(rules: RulesLabeler, text: str) -> None:
    assert found(rules, text) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("throws java.lang.NullPointerException here", "java.lang.NullPointerException ERROR"),
        ("ORA-01555 and 0xc0000005", "ORA - 01555 ERROR; 0xc0000005 ERROR"),
        ("a TypeError or ENOENT", "TypeError ERROR; ENOENT ERROR"),
        ("killed by SIGSEGV", "SIGSEGV ERROR"),
        ("got ERR_CONNECTION_REFUSED", "ERR_CONNECTION_REFUSED ERROR"),
        ("code 0x80070005 again", "0x80070005 ERROR"),
        ("a Segmentation fault", "Segmentation fault ERROR"),
        ("it says 502 Bad Gateway", "502 Bad Gateway ERROR"),
        ("a 404 page", "404 ERROR"),
        ("we sold 503 of 500 items", ""),
    ],
)
def test_names_of_errors_are_found(rules: RulesLabeler, text: str, expected: str) -> None:
    check(rules, text, expected)


@pytest.mark.parametrize(
    "text", ["run git commit again", "npm install it", "python -c x", "see HADOOP-12345"]
)
def test_commands_and_issue_keys_are_no_software(rules: RulesLabeler, text: str) -> None:
    assert found(rules, text) == []


def test_types_that_the_dataset_lacks_are_left_out() -> None:
    text = "PostgreSQL on Ubuntu 22.04"
    labeler = RulesLabeler(load_rules("it5"), types=("OS", "PERSON"))
    assert found(labeler, text) == [("Ubuntu", "OS")]


def test_each_span_names_its_rule_and_its_score(rules: RulesLabeler) -> None:
    [[span]] = rules.label(sentences_of("PostgreSQL"))
    assert span == VotedSpan(0, 1, "SOFTWARE", span.score, "applications")
    assert 0 < span.score <= 1


def test_sentences_are_labelled_alike_alone_and_together(rules: RulesLabeler) -> None:
    texts = ["Go", "PostgreSQL", "", "1.21", "on Linux", "Spring", "Boot 2.0", "plain words"] * 300
    sentences = [Sentence(tuple(text.split()), ("O",) * len(text.split())) for text in texts]
    together = rules.label(sentences)
    assert together == [rules.label([sentence])[0] for sentence in sentences]
    assert rules.label([]) == []


def test_a_very_long_word_is_read_in_no_time(rules: RulesLabeler) -> None:
    assert rules.label([Sentence(("a." * LONGEST_WORD * 1000,), ("O",))]) == [[]]


TELLING = (
    *("Go", "Java", "Windows", "Server", "2012", "R2", "1.2.3", "v2", "404", "Not", "Found", "("),
    *("Spring", "Boot", "`", "API", "İstanbul", "and", "TypeError", "beta", "Mac", "git", "commit"),
    *("HADOOP", "-", "12"),
)
"""Words that rules look at."""
words = st.lists(
    st.one_of(
        st.text(min_size=1, max_size=8).filter(lambda text: not re.search(r"\s", text)),
        st.sampled_from(TELLING),
    ),
    max_size=12,
)


@settings(max_examples=200, deadline=None)
@given(st.lists(words, max_size=4))
def test_spans_are_sorted_within_their_sentence_and_do_not_overlap(
    sentences: Sequence[Sequence[str]],
) -> None:
    labeler = _SHARED
    given_sentences = [Sentence(tuple(tokens), ("O",) * len(tokens)) for tokens in sentences]
    labelled = labeler.label(given_sentences)
    assert len(labelled) == len(sentences)
    for tokens, spans in zip(sentences, labelled, strict=True):
        ends = [0, *(span.end for span in spans)]
        assert all(span.start >= end for span, end in zip(spans, ends, strict=False))
        assert all(span.start < span.end <= len(tokens) for span in spans)


_SHARED = RulesLabeler(load_rules("it5"))

OWN = """
gazetteers:
  tools: {type: TOOL, names: tools.txt, case: exact, score: 0.5}
patterns:
  parts:
    {type: PART, word: "P\\\\d+", before: "part", not_after: "pieces( .*)?", more_after: "[ab]"}
  sizes: {type: SIZE, word: "\\\\d+", with_after: "(?:m|km) (?:wide|long)"}
"""


def write(folder: Path, rules: str = OWN, names: str = "# ours\nHammer\nClaw hammer\n\n") -> Path:
    (folder / "tools.txt").write_text(names, encoding="utf-8")
    path = folder / "own.yaml"
    path.write_text(rules, encoding="utf-8")
    return path


def test_a_file_of_ones_own_replaces_the_rules(tmp_path: Path) -> None:
    labeler = RulesLabeler(load_rules(str(write(tmp_path))))
    assert found(labeler, "Python hammer Hammer Claw hammer") == [
        ("Hammer", "TOOL"),
        ("Claw hammer", "TOOL"),
    ]
    assert found(labeler, "part P12 b") == [("P12 b", "PART")]
    assert found(labeler, "part P12 pieces") == []
    assert found(labeler, "P12") == []
    assert found(labeler, "it is 12 km long") == [("12 km long", "SIZE")]
    assert found(labeler, "it is 12 km") == []


def test_rules_are_parsed_once_until_one_of_their_files_changes(tmp_path: Path) -> None:
    path = write(tmp_path)
    rules = load_rules(str(path))
    assert load_rules(str(path)) is rules
    write(tmp_path, names="Wrench\n")
    changed = load_rules(str(path))
    assert changed.fingerprint != rules.fingerprint
    write(tmp_path)
    assert load_rules(str(path)).fingerprint == rules.fingerprint
    assert load_rules("it5") is load_rules("it5")


def _reversed(rules: str) -> str:
    """Return rules with their patterns in the opposite order."""
    value = yaml.safe_load(rules)
    value["patterns"] = dict(reversed(value["patterns"].items()))
    return yaml.safe_dump(value, sort_keys=False)


def test_the_version_changes_with_rules_names_and_types(tmp_path: Path) -> None:
    def version(**changes: str) -> str:
        return RulesLabeler(load_rules(str(write(tmp_path, **changes)))).version

    first = version()
    assert re.fullmatch("[0-9a-f]{64}", first)
    assert version() == first
    others = {
        version(names="Hammer\n"),
        version(rules=OWN.replace("0.5", "0.6")),
        version(rules=_reversed(OWN)),
        RulesLabeler(load_rules(str(write(tmp_path))), types=("TOOL",)).version,
    }
    assert len(others | {first}) == 5


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ("a: 1", "a: unknown key: write one of witnesses, gazetteers, patterns"),
        ("", "holds no rules"),
        ("gazetteers: {}", "holds no rules"),
        ("gazetteers: []", "gazetteers: must map names to rules"),
        ("gazetteers:\n  x: 1", "gazetteers.x: must hold some of type"),
        (
            "gazetteers:\n  x: {type: A, names: tools.txt}",
            "gazetteers.x: has no case: write it",
        ),
        (
            "gazetteers:\n  x: {type: A, names: tools.txt, case: any}",
            "gazetteers.x.case: 'any' is not one of exact, ignore",
        ),
        (
            "gazetteers:\n  x: {type: A, names: none.txt, case: exact}",
            "gazetteers.x.names: 'none.txt' is neither a file",
        ),
        (
            "gazetteers:\n  x: {type: A, names: empty.txt, case: exact}",
            "empty.txt holds no name: write one name a line",
        ),
        (
            "gazetteers:\n  x: {type: A, names: tools.txt, case: exact, witness: w}",
            "gazetteers.x.witness: 'w' is not in witnesses (none)",
        ),
        (
            "gazetteers:\n  x: {type: A, names: tools.txt, case: exact, score: 2}",
            "gazetteers.x.score: must be a number from 0 to 1",
        ),
        (
            "witnesses:\n  w: {words: [a]}\n" + OWN.strip(),
            "witnesses.w: has words but not within: write both",
        ),
        ("patterns:\n  x: {type: A, word: '('}", "patterns.x.word: is not a regular expression"),
        ("patterns:\n  x: {type: 1, word: a}", "patterns.x.type: 1 is read as the number 1"),
        (
            "patterns:\n  x: {type: A, word: a, behind: B}",
            "patterns.x.behind: must be a list of texts",
        ),
        (
            "patterns:\n  x: {type: A, word: a, skip: b}",
            "patterns.x: has skip but not behind",
        ),
        ("patterns:\n  x: {type: A, word: a, near: b}", "patterns.x.near: unknown key"),
        (
            "gazetteers:\n  x: {type: A, names: tools.txt, case: exact, without: .*}",
            "2: gazetteers.x: has no name that is not left out: narrow its without",
        ),
        (
            "gazetteers:\n  x: {type: o, names: tools.txt, case: exact}",
            "2: gazetteers.x.type: 'o' is no type: write the letter O for outside",
        ),
        (
            "patterns:\n  x: {type: B-A, word: a}",
            "2: patterns.x.type: B-A has the prefix of a tag: write the type alone, A",
        ),
        (
            "patterns:\n  x:\n    type: A\n    word: a\n    behind: [A, SOFTWRE]",
            "5: patterns.x.behind: no rule gives the type 'SOFTWRE': write one of A, or remove it",
        ),
        (
            "witnesses:\n  w: {near: [TOLL], near_within: 1}\n" + OWN.strip(),
            "2: witnesses.w.near: no rule gives the type 'TOLL': write one of PART, SIZE, TOOL",
        ),
        (
            "patterns:\n  x: {type: A, word: a, behind: []}",
            "2: patterns.x.behind: is empty: write what it should hold, or remove the line",
        ),
        ("witnesses:\n  w: {}\n" + OWN.strip(), "2: witnesses.w: holds nothing: write some of"),
        (
            "witnesses:\n  w: {words: [library, Visual Studio], within: 1}\n" + OWN.strip(),
            "2: witnesses.w.words: 'Visual Studio' is not a single word of a text, which is cut "
            "into 'Visual Studio': write single words",
        ),
        (
            "witnesses:\n  w: {near: [TOOL], near_within: 3, through: [and/or]}\n" + OWN.strip(),
            "2: witnesses.w.through: 'and/or' is not a single word of a text, which is cut into "
            "'and / or': write single words",
        ),
        (
            "witnesses:\n  w: {words: [a, 3], within: 1}\n" + OWN.strip(),
            "2: witnesses.w.words: 3 is read as the number 3: put it in quotes",
        ),
        (
            "witnesses:\n  w: {words: [a], within: -1}\n" + OWN.strip(),
            "2: witnesses.w.within: must be a number of words, 0 or more, not -1",
        ),
        (
            "patterns:\n  x: {type: A, word: a, score: 85%}",
            "2: patterns.x.score: must be a number from 0 to 1, not 85%",
        ),
        (
            'patterns:\n  x: {type: A, word: "\\bfoo"}',
            r"2: patterns.x.word: holds the control character '\x08', which no word has: write \\ "
            r"for \ between double quotes, or take single ones",
        ),
        (
            "patterns:\n  x: {type: A, word: a, before: '(?i)version'}",
            "2: patterns.x.before: is not a regular expression (global flags not at the start of "
            "the expression): correct (?i)version, and write (?i:...) for (?i)...",
        ),
    ],
)
def test_bad_rules_are_refused_in_one_line_that_names_the_key(
    tmp_path: Path, rules: str, message: str
) -> None:
    (tmp_path / "empty.txt").write_text("# nothing\n", encoding="utf-8")
    path = write(tmp_path, rules)
    with pytest.raises(ConfigError) as caught:
        load_rules(str(path))
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"weak rules {path}:")
    assert "\n" not in str(caught.value)


def test_unknown_rules_are_refused_with_the_names_of_those_that_exist() -> None:
    with pytest.raises(ConfigError, match=r"'nope' are neither known \(it5\) nor a file"):
        load_rules("nope")
