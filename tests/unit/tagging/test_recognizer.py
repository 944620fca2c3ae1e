"""Texts of any length are answered as a whole, in memory that does not grow with them."""

import gc
import json
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from backbones import export_untrained, wordpiece
from conftest import ROOT
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ner_mlflow.tagging import recognizer as module
from ner_mlflow.tagging.encoding import Inputs
from ner_mlflow.tagging.recognizer import EntityRecognizer, load_tagger
from ner_mlflow.tagging.tagger import Forward, Tagger, TaggerSpec
from ner_mlflow.tagging.words import split_sentences

LABELS = ("O", "B-OS", "I-OS", "B-ERROR", "I-ERROR")
LETTERS = "abcdefghijklmnop.(),:/"
VOCABULARY = {
    piece: id_
    for id_, piece in enumerate(
        ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *LETTERS, *(f"##{letter}" for letter in LETTERS)]
    )
}
TABLE = np.random.default_rng(5).integers(-40, 40, size=(len(VOCABULARY), len(LABELS)))
SPEC = TaggerSpec(
    LABELS,
    max_length=24,
    pad_id=0,
    backbone="tiny",
    backbone_revision="main",
    base_sha256="ab" * 32,
    adaptation="full",
)
SPECS = {
    "sentences": SPEC,
    "passages": replace(SPEC, passage_sentences=3),
    "context": replace(SPEC, context_subwords=6),
}
MEGABYTE = 1_000_000
CHARACTERS = 150_000
"""Characters of a hostile text; as many as take several parts."""


TOKENIZER = wordpiece(VOCABULARY)


def by_window(inputs: Inputs) -> NDArray[np.float32]:
    """Return logits that depend on the whole window, from sums of integers."""
    context = (inputs["input_ids"] * inputs["attention_mask"]).sum(axis=1, keepdims=True)
    logits: NDArray[np.float32] = (
        TABLE[(inputs["input_ids"] + context) % len(TABLE)].astype(np.float32) / 8
    )
    return logits


def recognizer_of(spec: TaggerSpec = SPEC, forward: Forward = by_window) -> EntityRecognizer:
    return EntityRecognizer(Tagger(forward, TOKENIZER, spec, batch_subwords=512))


@pytest.fixture
def limits() -> Iterator[pytest.MonkeyPatch]:
    """Limits of parts that a test sets; for tests whose examples share a fixture."""
    with pytest.MonkeyPatch.context() as patch:
        yield patch


texts = st.lists(
    st.lists(
        st.sampled_from(["ab", "Nop", "c.", "(d,e)", "f/g:h", "\n", "\n\n", "I.", "\ud800", "é"]),
        max_size=40,
    ).map(" ".join),
    max_size=6,
)


@pytest.mark.parametrize("spec", SPECS.values(), ids=list(SPECS))
@settings(
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(texts=texts, pieces=st.integers(1, 30), characters=st.integers(1, 200))
def test_answers_do_not_depend_on_the_parts_in_which_a_text_is_read(
    limits: pytest.MonkeyPatch, spec: TaggerSpec, texts: list[str], pieces: int, characters: int
) -> None:
    recognizer = recognizer_of(spec)
    limits.setattr(module, "LONGEST_PART_PIECES", 1_000_000)
    limits.setattr(module, "PART_CHARACTERS", 1_000_000)
    whole = list(recognizer.recognize(texts))
    limits.setattr(module, "LONGEST_PART_PIECES", pieces)
    limits.setattr(module, "LONGEST_PART_CHARACTERS", characters)
    limits.setattr(module, "PART_CHARACTERS", characters)
    assert list(recognizer.recognize(texts)) == whole
    assert recognizer.recognize_rows(texts) == [
        [entity._asdict() for entity in entities] for entities in whole
    ]
    assert [recognizer.recognize(text) for text in texts] == whole
    in_parts: list[list[dict[str, object]]] = [[]]

    def add(entities: list[dict[str, object]], ends: bool) -> None:
        in_parts[-1] += entities
        if ends:
            in_parts.append([])

    recognizer.recognize_parts(texts, 0, add)
    assert in_parts == [*recognizer.recognize_rows(texts), []]
    for text, entities in zip(texts, whole, strict=True):
        assert all(entity.text == text[entity.start : entity.end] for entity in entities)


def test_the_texts_of_these_tests_have_entities_in_many_parts(limits: pytest.MonkeyPatch) -> None:
    limits.setattr(module, "LONGEST_PART_PIECES", 8)
    text = "ab Nop c. (d,e) f/g:h\nNop ab. " * 20
    (entities,) = recognizer_of().recognize([text])
    assert len(entities) > 40
    assert [entity.start for entity in entities] == sorted(entity.start for entity in entities)


def test_a_text_is_answered_as_its_sentences_are_tagged() -> None:
    text = "ab Nop c. (d,e) f/g:h\nNop ab. " * 20
    sentences = split_sentences(text)
    tagger = Tagger(by_window, TOKENIZER, SPEC)
    tagged = tagger.begin([sentence.texts for sentence in sentences]).result()
    starts = [
        sentence.starts[index]
        for sentence, answer in zip(sentences, tagged, strict=True)
        for index, tag in enumerate(answer.tags)
        if tag.startswith("B-")
    ]
    (entities,) = recognizer_of().recognize([text])
    assert [entity.start for entity in entities] == starts


HOSTILE = {
    "dots": ".",
    "brackets": "(",
    "letters": "a",
    "emoji": "\U0001f600",
    "chinese": "数据库崩溃了",
    "glued": "(a",
    "words": "a ",
    "sentences": "a. ",
    "lines": "A\n",
    "spaced emoji": "\U0001f600 ",
    "half surrogates": "\ud800",
    "long words": "a" * 4000 + " ",
    "long glued": "(a,b)" * 800 + " ",
}


@pytest.mark.parametrize("pattern", HOSTILE.values(), ids=list(HOSTILE))
def test_a_long_text_takes_little_memory_and_gives_it_back(pattern: str) -> None:
    def no_entities(inputs: Inputs) -> NDArray[np.float32]:
        logits = np.zeros((*inputs["input_ids"].shape, len(LABELS)), dtype=np.float32)
        logits[..., 0] = 5
        return logits

    recognizer = recognizer_of(replace(SPEC, max_length=128), no_entities)
    text = (pattern * (CHARACTERS // len(pattern) + 1))[:CHARACTERS]
    recognizer.recognize_rows([text[:1000]])
    gc.collect()
    tracemalloc.start()
    try:
        assert recognizer.recognize_rows([text]) == [[]]
        gc.collect()
        kept, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 20 * MEGABYTE
    assert kept < 2 * MEGABYTE


@pytest.mark.parametrize("blank", ["", " "], ids=["dense", "spaced"])
@pytest.mark.parametrize("longest", [1, 10, 80])
def test_a_model_reads_few_of_many_random_marks(longest: int, blank: str) -> None:
    subwords = 0

    def counting(inputs: Inputs) -> NDArray[np.float32]:
        nonlocal subwords
        subwords += inputs["input_ids"].size
        return by_window(inputs)

    recognizer = recognizer_of(replace(SPEC, max_length=128), counting)
    marks = np.random.default_rng(3).choice(list(".(),:/;|"), 100_000).tolist()
    lines = [blank.join(marks[start : start + longest]) for start in range(0, len(marks), longest)]
    recognizer.recognize_rows(["\n".join([*lines, "ab Nop"])])
    assert 0 < subwords < 20_000


def test_what_is_remembered_of_ever_new_words_is_bounded() -> None:
    recognizer = recognizer_of()
    draw = np.random.default_rng(3)
    words = ["".join(draw.choice(list("abcdefghij"), 40)) for _ in range(5_000)]
    text = " ".join(words)
    tracemalloc.start()
    try:
        recognizer.recognize_rows([text])
        gc.collect()
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 5 * MEGABYTE  # they have 40 subwords each, too many to be remembered


def test_many_callers_at_once_get_their_own_answers(limits: pytest.MonkeyPatch) -> None:
    limits.setattr(module, "LONGEST_PART_PIECES", 50)
    limits.setattr(module, "PARTS_IN_WORK", 2)
    recognizer = recognizer_of()
    texts = ["ab Nop c. (d,e) f/g:h\n" * (number % 16 + 1) for number in range(64)]
    expected = [recognizer.recognize_rows([text, text]) for text in texts]
    with ThreadPoolExecutor(len(texts)) as pool:
        assert list(pool.map(lambda text: recognizer.recognize_rows([text, text]), texts)) == (
            expected
        )


def test_few_long_calls_are_in_work_at_once(limits: pytest.MonkeyPatch) -> None:
    limits.setattr(module, "LONG_CALL_CHARACTERS", 1000)
    recognizer = recognizer_of()
    # What a long call keeps of its answers is dropped here, as a service drops what it has sent.
    at_once: list[int] = []
    begun: set[int] = set()

    def long_call(number: int) -> None:
        def seen(entities: list[dict[str, object]]) -> int:
            begun.add(number)
            at_once.append(len(begun))
            return len(entities)

        recognizer.recognize_each(["ab Nop c.\n" * 20] * 300, seen)
        begun.discard(number)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(long_call, range(8)))
    assert len(at_once) == 8 * 300
    # One more may not yet have been taken out of `begun`, for each that has given its turn back.
    assert max(at_once) <= 2 * module.LONG_CALLS_IN_WORK


def test_short_calls_do_not_wait_for_long_ones(limits: pytest.MonkeyPatch) -> None:
    limits.setattr(module, "LONG_CALL_CHARACTERS", 1000)
    recognizer = recognizer_of()
    answered = threading.Event()

    def seen(entities: list[dict[str, object]]) -> bool:
        return answered.wait(20)  # a long call that does not end before the short one

    with ThreadPoolExecutor(module.LONG_CALLS_IN_WORK + 1) as pool:
        long_calls = [
            pool.submit(recognizer.recognize_each, ["ab Nop c.\n" * 200], seen)
            for _ in range(module.LONG_CALLS_IN_WORK + 1)
        ]
        recognizer.recognize_rows(["ab Nop"])
        answered.set()
        assert [call.result() for call in long_calls] == [[True]] * len(long_calls)


def test_callers_that_fail_do_not_keep_the_others_waiting() -> None:
    fails = True

    def broken(inputs: Inputs) -> NDArray[np.float32]:
        if fails:
            raise MemoryError("no room")
        return by_window(inputs)

    recognizer = recognizer_of(forward=broken)
    for _ in range(100):
        with pytest.raises(MemoryError, match="no room"):
            recognizer.recognize_rows(["ab Nop"])
    fails = False
    assert recognizer.recognize_rows(["ab Nop"]) == recognizer_of().recognize_rows(["ab Nop"])


def test_readers_that_pause_do_not_keep_the_others_waiting() -> None:
    recognizer = recognizer_of()
    texts = ["ab Nop c."] * 2000
    paused = [recognizer.recognize(texts) for _ in range(40)]
    first = [next(reader) for reader in paused]
    assert recognizer.recognize_rows(texts[:1]) == [[entity._asdict() for entity in first[0]]]
    assert all(list(reader) == first[:1] * 1999 for reader in paused[:2])


def test_callers_at_once_get_the_answers_of_each_alone(exported: Path) -> None:
    recognizer = EntityRecognizer(load_tagger(exported, threads=2))
    texts = [f"ab Nop {number}. I use f/g:h" for number in range(24)] + ["ab", ""]
    expected = [recognizer.recognize(text) for text in texts]
    assert sum(map(len, expected)) > 10
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(recognizer.recognize, texts * 4)) == expected * 4


@pytest.fixture(scope="module")
def exported(tiny_backbone: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_untrained(tiny_backbone, tmp_path_factory.mktemp("hostile"), 128)


@pytest.mark.slow
def test_64_hostile_texts_at_once_take_less_than_a_gigabyte(exported: Path) -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "benchmarks.service_memory", str(exported)),
            *("--kinds", "dots", "letters", "brackets", "emoji", "a_dots", "bracket_letters"),
            *("cjk", "words"),
        ],
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    result = json.loads(done.stdout.splitlines()[-1])
    for name in ("words", "request", "threads"):
        assert result[name]["peak_bytes"] - result[name]["answers_bytes"] < 1e9, name
