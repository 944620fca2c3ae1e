"""The StackOverflow NER corpus, if it is beside the checkout: the counts of its description."""

import subprocess
import sys
import time

import pytest
from conftest import ROOT

from ner_mlflow.config.loading import load_config
from ner_mlflow.data.prepare import prepare
from ner_mlflow.data.sources import read_corpus
from ner_mlflow.tagging.iob2 import to_entities

CORPUS = ROOT.parent / "shared" / "data" / "stackoverflow-ner"
COUNTS = {
    "train": (9263, {"ERROR": 61, "HARDWARE": 199, "OS": 171, "SOFTWARE": 2770, "VERSION": 257}),
    "validation": (2936, {"ERROR": 35, "HARDWARE": 149, "OS": 73, "SOFTWARE": 863, "VERSION": 138}),
    "test": (3108, {"ERROR": 18, "HARDWARE": 53, "OS": 66, "SOFTWARE": 842, "VERSION": 111}),
}

pytestmark = pytest.mark.skipif(not CORPUS.is_dir(), reason=f"no corpus at {CORPUS}")


def test_counts_are_those_of_the_corpus() -> None:
    config = load_config(overrides={"data.dataset": str(CORPUS)}).data
    reading = read_corpus(config)
    preparation = prepare(reading.corpus, config, reading.findings)
    for split, (sentences, types) in COUNTS.items():
        source = preparation.source[split]
        assert len(source) == sentences
        entities = [entity.type for sentence in source for entity in to_entities(sentence.tags)]
        assert {type_: entities.count(type_) for type_ in preparation.schema.types} == types
    assert [reading.findings.count("tags_repaired", split) for split in COUNTS] == [7, 3, 1]
    assert preparation.corpus["validation"] == preparation.source["validation"]
    assert preparation.corpus["test"] == preparation.source["test"]


def test_the_corpus_is_inspected_in_seconds() -> None:
    code = "from ner_mlflow.cli.console import main; main()"
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", code, "inspect", "--dataset", str(CORPUS)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert time.monotonic() - start < 5
    assert "3 splits, 15,307 sentences, 24 types" in done.stdout
    assert "label_map=it5 knows all 24 types: recommended" in done.stdout


def test_oversampling_is_that_of_the_reference_study() -> None:
    settings = {"data.dataset": str(CORPUS), "data.cross_split_duplicates": "keep"}
    config = load_config("bert_full", settings).data
    preparation = prepare(read_corpus(config).corpus, config)
    assert preparation.findings.count("oversampled") == 2229
    assert preparation.findings.count("rare_boosted") == 208
    assert len(preparation.corpus["train"]) == 9263 + 2229 + 208
