"""The synthetic sample corpus: deterministic, without leaks, every entity type in every split."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from ner_mlflow.data.sample import (
    SIZES,
    TABLES,
    Lexicon,
    Template,
    generate_sample,
    load_tables,
    split_gazetteers,
    split_templates,
)
from ner_mlflow.data.sentences import SPLITS, TEST, TRAIN, VALIDATION, Corpus, Sentence
from ner_mlflow.errors import DataError
from ner_mlflow.tagging.iob2 import OUTSIDE, invalid_positions, to_entities

SEED = 13
TYPES = {"ERROR", "HARDWARE", "OS", "SOFTWARE", "VERSION"}
DIGEST = """
import hashlib
from ner_mlflow.data.sample import generate_sample
print(hashlib.sha256(repr(generate_sample(13)).encode()).hexdigest())
"""


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return generate_sample(SEED)


@pytest.fixture(scope="module")
def lexicon() -> Lexicon:
    return split_gazetteers(load_tables(), SEED)


def mentions(sentences: list[Sentence]) -> list[tuple[str, tuple[str, ...]]]:
    return [
        (entity.type, s.tokens[entity.start : entity.end])
        for s in sentences
        for entity in to_entities(s.tags)
    ]


def surfaces(sentences: list[Sentence], type_: str) -> set[str]:
    return {" ".join(tokens).casefold() for other, tokens in mentions(sentences) if other == type_}


def folded(sentences: list[Sentence]) -> set[tuple[str, ...]]:
    return {tuple(token.casefold() for token in sentence.tokens) for sentence in sentences}


def shape(template: Template) -> re.Pattern[str]:
    words = [
        r"\S+(?: \S+)*" if re.fullmatch(r"\{.*\}", word) else re.escape(word)
        for word in template.words
    ]
    return re.compile(" ".join(words))


def altered_tables(folder: Path, **changes: object) -> Path:
    raw = yaml.safe_load(TABLES.read_text(encoding="utf-8"))
    path = folder / "tables.yaml"
    path.write_text(yaml.safe_dump({**raw, **changes}), encoding="utf-8")
    return path


def test_same_seed_same_corpus(corpus: Corpus) -> None:
    assert generate_sample(SEED) == corpus


def test_other_seed_other_corpus(corpus: Corpus) -> None:
    other = generate_sample(SEED + 1)
    assert all(other[split] != corpus[split] for split in SPLITS)


def test_corpus_does_not_depend_on_the_hash_seed() -> None:
    digests = set()
    for hash_seed in ("0", "1", "4242"):
        environment = {
            **os.environ,
            "PYTHONHASHSEED": hash_seed,
            "PYTHONPATH": str(Path(__file__).parents[3]),
        }
        done = subprocess.run(
            [sys.executable, "-c", DIGEST],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        digests.add(done.stdout)
    assert len(digests) == 1


def test_sizes_and_origins(corpus: Corpus) -> None:
    assert list(corpus) == list(SPLITS)
    assert (
        {split: len(sentences) for split, sentences in corpus.items()}
        == SIZES
        == {TRAIN: 600, VALIDATION: 150, TEST: 200}
    )
    for split, sentences in corpus.items():
        assert [sentence.origin for sentence in sentences] == [
            f"sample:{split}:{i}" for i in range(len(sentences))
        ]
        assert all(sentence.document is None for sentence in sentences)


@pytest.mark.parametrize("split", SPLITS)
def test_every_sentence_is_valid_iob2_over_clean_words(corpus: Corpus, split: str) -> None:
    for sentence in corpus[split]:
        assert len(sentence.tokens) == len(sentence.tags) > 0
        assert invalid_positions(sentence.tags) == []
        assert all(token and not re.search(r"[\s{}]", token) for token in sentence.tokens), sentence


@pytest.mark.parametrize("seed", [0, 1, 2, 3, SEED, 2024, -7])
def test_every_split_has_all_types_long_entities_and_hard_negatives(seed: int) -> None:
    corpus = generate_sample(seed)
    templates = split_templates(load_tables().templates, seed)
    for split in SPLITS:
        entities = mentions(corpus[split])
        assert {type_ for type_, _ in entities} == TYPES
        assert len({type_ for type_, tokens in entities if len(tokens) > 1}) > 2
        hard = [shape(template) for template in templates[split] if template.hard_negative]
        lines = [" ".join(sentence.tokens) for sentence in corpus[split]]
        assert hard
        assert all(any(pattern.fullmatch(line) for line in lines) for pattern in hard)


def test_no_sentence_occurs_twice(corpus: Corpus) -> None:
    assert all(len(folded(corpus[split])) == SIZES[split] for split in SPLITS)
    assert len(set().union(*(folded(corpus[split]) for split in SPLITS))) == sum(SIZES.values())


def test_no_template_goes_to_two_splits() -> None:
    templates = load_tables().templates
    shared = split_templates(templates, SEED)
    assert sorted(t.text for split in SPLITS for t in shared[split]) == sorted(
        t.text for t in templates
    )
    assert len(shared[TRAIN]) / len(templates) == pytest.approx(0.64, abs=0.03)
    assert len(shared[VALIDATION]) / len(templates) == pytest.approx(0.16, abs=0.03)
    assert len(shared[TEST]) / len(templates) == pytest.approx(0.20, abs=0.03)


def test_no_two_templates_differ_in_their_slots_only() -> None:
    shapes = [shape(template).pattern.casefold() for template in load_tables().templates]
    assert len(set(shapes)) == len(shapes)


@pytest.mark.parametrize("split", SPLITS)
def test_each_sentence_comes_from_a_template_of_its_split(corpus: Corpus, split: str) -> None:
    shapes = [shape(template) for template in split_templates(load_tables().templates, SEED)[split]]
    for sentence in corpus[split]:
        assert any(pattern.fullmatch(" ".join(sentence.tokens)) for pattern in shapes), sentence


@pytest.mark.parametrize("type_", sorted(TYPES))
def test_a_third_of_the_surfaces_stays_out_of_training(
    corpus: Corpus, lexicon: Lexicon, type_: str
) -> None:
    held_out, seen = (
        {surface.casefold() for surface in pool[type_]} for pool in (lexicon.held_out, lexicon.seen)
    )
    assert not held_out & seen
    assert len(held_out) / len(held_out | seen) == pytest.approx(1 / 3, abs=0.05)
    assert surfaces(corpus[TRAIN], type_) <= seen
    for split in (VALIDATION, TEST):
        assert surfaces(corpus[split], type_) & held_out
        assert surfaces(corpus[split], type_) & seen


def test_words_that_look_like_entities_are_also_outside(corpus: Corpus) -> None:
    everything = [sentence for split in SPLITS for sentence in corpus[split]]
    outside = {
        token.casefold()
        for s in everything
        for token, tag in zip(s.tokens, s.tags, strict=True)
        if tag == OUTSIDE
    }
    inside = {token.casefold() for _, tokens in mentions(everything) for token in tokens}
    assert {
        "windows",
        "java",
        "python",
        "spring",
        "word",
        "access",
        "error",
        "server",
        "go",
        "rust",
        "excel",
    } <= outside
    assert {"windows", "java", "error", "server", "access"} <= inside
    assert any(type_ == "OS" and tokens[0] == "Windows" for type_, tokens in mentions(everything))


def test_some_numbers_with_a_dot_are_versions_and_some_are_not(corpus: Corpus) -> None:
    dotted = {
        tag
        for s in corpus[TRAIN]
        for token, tag in zip(s.tokens, s.tags, strict=True)
        if re.fullmatch(r"\d+\.\d+", token)
    }
    assert {OUTSIDE, "B-VERSION"} <= dotted


def test_a_few_mentions_change_their_case(corpus: Corpus, lexicon: Lexicon) -> None:
    written = {" ".join(tokens) for type_, tokens in mentions(corpus[TRAIN])}
    in_lexicon = {surface for type_ in TYPES for surface in lexicon.seen[type_]}
    changed = written - in_lexicon
    assert any(surface.islower() for surface in changed)
    assert any(surface.isupper() for surface in changed)
    assert len(changed) < len(written) / 4


def test_articles_fit_the_next_word(corpus: Corpus) -> None:
    lines = " \n ".join(" ".join(s.tokens) for split in SPLITS for s in corpus[split])
    assert not re.search(r" a (?!usb|ups\b|unicode)[aeiou]", lines, re.IGNORECASE)
    assert not re.search(
        r" an (?!(?:hour|http|lte|mx|nas|nvme|r|ssd)\b)[^aeiou\W]", lines, re.IGNORECASE
    )


def test_templates_spell_out_no_entity() -> None:
    tables = load_tables()
    entries = [
        entry
        for groups in tables.gazetteers.values()
        for group in groups.values()
        for entry in group
    ]
    names = re.compile(
        " (?:" + "|".join(re.escape(entry) for entry in entries if "{" not in entry) + ") "
    )
    literal = [
        template.text
        for template in tables.templates
        if not template.hard_negative and names.search(f" {template.text} ")
    ]
    assert literal == []


def test_an_unknown_slot_names_its_template(tmp_path: Path) -> None:
    path = altered_tables(tmp_path, hard_negatives=["my {FRIDGE} is empty"])
    with pytest.raises(DataError, match=r"'my \{FRIDGE\} is empty': unknown slot \{FRIDGE\}"):
        load_tables(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hard_negatives": ["go home {OS", "x"]}, r"'\{OS' is no word"),
        ({"hard_negatives": ["ask me", "ask me"]}, "'ask me' is listed twice"),
        (
            {"fillers": {**load_tables().fillers, "number": ["{inches}"]}},
            r"'\{inches\}': unknown slot \{inches\}",
        ),
        (
            {
                "gazetteers": {"OS": {"family": ["Plan 9", "plan 9"]}},
                "templates": {"a": ["x {OS}"]},
                "hard_negatives": [],
            },
            "'plan 9' is listed",
        ),
        ({"numbers": "many"}, "not a table of the sample corpus"),
    ],
)
def test_broken_tables_are_refused(
    tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        load_tables(altered_tables(tmp_path, **changes))


def test_a_kind_with_too_few_templates_is_refused() -> None:
    with pytest.raises(DataError, match="only 1 of its kind 'OS'"):
        split_templates([Template("boot {OS}")], SEED)
