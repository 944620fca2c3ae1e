"""Documents without labels become sentences that train gains, each with its proof."""

import json
from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest

from ner_mlflow.config.schema import WeakConfig
from ner_mlflow.data.findings import Findings
from ner_mlflow.data.prepare import PreparedCorpus
from ner_mlflow.data.sentences import Sentence, Sentences
from ner_mlflow.errors import DataError
from ner_mlflow.tagging.iob2 import UNSURE
from ner_mlflow.weak.augment import WeakLabels, augment
from ner_mlflow.weak.labelers import ANY_TYPE, VotedSpan, Votes

TYPES = ("OS", "SOFTWARE")


class Dictionary:
    """A labeler of single words."""

    version = "1"
    saw_validation = False

    def __init__(self, types: dict[str, str], name: str = "dictionary") -> None:
        self.name = name
        self._types = types

    def label(self, sentences: Sequence[Sentence]) -> list[Votes]:
        return [
            [
                VotedSpan(index, index + 1, self._types[word])
                for index, word in enumerate(sentence.tokens)
                if word in self._types
            ]
            for sentence in sentences
        ]


def gold(count: int, split: str) -> list[Sentence]:
    return [
        Sentence(
            ("I", "run", "nginx", "on", "Debian", f"{split}{number}"),
            ("O", "O", "B-SOFTWARE", "O", "B-OS", "O"),
            f"post {number}",
            f"{split}.conll:{number}",
        )
        for number in range(count)
    ]


CORPUS: PreparedCorpus = {
    split: Sentences.of(gold(count, split))
    for split, count in (("train", 40), ("validation", 20), ("test", 20))
}
KNOWN = Dictionary({"nginx": "SOFTWARE", "Debian": "OS", "Redis": "SOFTWARE"})


def texts(count: int) -> list[str]:
    random = Random(7)
    words = ["cache", "queue", "worker", "proxy", "ticket", "shard", "mirror", "token", "batch"]
    return [
        f"The {' '.join(random.sample(words, 6))} of Redis is slow since {number} days. "
        f"Please restart the {' '.join(random.sample(words, 5))} as soon as possible.\n"
        for number in range(count)
    ]


def write(folder: Path, rows: Sequence[str]) -> str:
    path = folder / "texts.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in rows), encoding="utf-8")
    return str(path)


def run(
    source: str,
    labelers: Sequence[Dictionary] = (KNOWN,),
    target: Sequence[Sentence] = (),
    findings: Findings | None = None,
    **settings: object,
) -> WeakLabels:
    config = WeakConfig(source=source, **settings)  # type: ignore[arg-type]
    return augment(CORPUS, TYPES, config, labelers, target, findings or Findings())


def test_as_many_sentences_with_an_entity_are_added_as_the_ratio_says(tmp_path: Path) -> None:
    labels = run(write(tmp_path, texts(60)), ratio=0.5)
    assert len(labels.sentences) == 20
    assert labels.counts == {
        "documents": 60,
        "used_documents": 60,
        "sentences": 120,
        "labelled": 120,
        "with_entity": 60,
        "added": 20,
    }
    assert all(
        ("Redis", "B-SOFTWARE") in zip(sentence.tokens, sentence.tags, strict=True)
        for sentence in labels.sentences
    )


def test_a_sentence_says_where_it_comes_from_and_keeps_its_text(tmp_path: Path) -> None:
    before = "Hello @octocat, see https://example.org/x and tell us more of it.\n\n"
    source = write(tmp_path, [before + texts(1)[0]])
    (sentence,) = run(source, ratio=1).sentences
    assert sentence.document == "texts.jsonl:1"
    assert sentence.origin == f"{source}:1 character {len(before)}"
    assert sentence.text is not None
    assert sentence.starts is not None
    assert sentence.text == texts(1)[0].split(".")[0] + "."
    assert [
        sentence.text[start : start + len(token)]
        for start, token in zip(sentence.starts, sentence.tokens, strict=True)
    ] == list(sentence.tokens)


def test_the_order_of_the_documents_does_not_change_the_choice(tmp_path: Path) -> None:
    rows = texts(50)
    chosen = {sentence.tokens for sentence in run(write(tmp_path, rows)).sentences}
    assert {s.tokens for s in run(write(tmp_path, rows[::-1])).sentences} == chosen
    assert {s.tokens for s in run(write(tmp_path, rows), seed=1).sentences} != chosen


def test_sentences_of_the_gold_corpora_are_not_added_again(tmp_path: Path) -> None:
    target = [Sentence(("Redis", "runs", "on", "my", "box"), ("B-SOFTWARE", "O", "O", "O", "O"))]
    rows = ["I run nginx on Debian test3", "Redis runs on my box", *texts(2)]
    findings = Findings()
    labels = run(write(tmp_path, rows), target=target, findings=findings, ratio=1)
    assert len(labels.sentences) == 2
    assert findings.count("weak_sentence_known") == 2
    assert findings.count("weak_sentences_missing") == 38


def test_held_out_texts_are_known_however_they_are_cut(tmp_path: Path) -> None:
    text = "the cache of Redis on host seven is slow since we changed the batch size"
    words = text.split()
    held_out = Sentence((*words, "and", "more"), ("O",) * (len(words) + 2))
    findings = Findings()
    rows = [f"{text} yesterday.", *texts(2)]
    labels = run(write(tmp_path, rows), target=[held_out], findings=findings, ratio=1)
    assert (len(labels.sentences), findings.count("weak_sentence_known")) == (2, 1)


def test_a_type_that_gold_does_not_hold_is_left_out(tmp_path: Path) -> None:
    findings = Findings()
    labeler = Dictionary({"nginx": "SOFTWARE", "Redis": "SOFTWARE", "days": "TIME"})
    config = WeakConfig(source=write(tmp_path, texts(3)), ratio=1)
    labels = augment(CORPUS, (*TYPES, "TIME"), config, [labeler], [], findings)
    assert {tag for sentence in labels.sentences for tag in sentence.tags} == {
        *("O", UNSURE, "B-SOFTWARE")
    }
    (left_out,) = [finding for finding in findings if finding.kind == "weak_type_left_out"]
    assert left_out.places == ("OS never found in gold", "TIME never found in gold")


def test_documents_that_repeat_another_one_are_counted(tmp_path: Path) -> None:
    findings = Findings()
    rows = [text for text in texts(5) for _ in range(3)]
    labels = run(write(tmp_path, rows), findings=findings, ratio=1)
    assert (len(labels.sentences), findings.count("weak_duplicate")) == (5, 10)


def test_types_that_the_target_domain_does_not_confirm_are_left_out(tmp_path: Path) -> None:
    wrong = Sentence(("We", "like", "Redis", "here", "."), ("O",) * 5)
    right = Sentence(("We", "like", "nginx", "here", "."), ("O", "O", "B-SOFTWARE", "O", "O"))
    target = [wrong, wrong, wrong, right]
    findings = Findings()
    with pytest.raises(DataError, match="no sentence with an entity among 20 sentences of 10"):
        run(write(tmp_path, texts(10)), target=target, findings=findings)
    (left_out,) = [finding for finding in findings if finding.kind == "weak_type_left_out"]
    assert left_out.places == ("SOFTWARE precision 0.250",)
    assert len(run(write(tmp_path, texts(10)), target=target, min_precision=0.0).sentences) == 10


@pytest.mark.parametrize(("unsure", "tag"), [("mask", UNSURE), ("outside", "O")])
def test_words_that_a_labeler_leaves_open_are_masked_or_outside(
    tmp_path: Path, unsure: str, tag: str
) -> None:
    labeler = Dictionary({"nginx": "SOFTWARE", "Redis": "SOFTWARE", "days": ANY_TYPE})
    sentences = run(write(tmp_path, texts(3)), [labeler], unsure=unsure, ratio=1).sentences
    assert {
        dict(zip(sentence.tokens, sentence.tags, strict=True))["days"] for sentence in sentences
    } == {tag}


def test_several_labelers_are_combined_as_validation_says(tmp_path: Path) -> None:
    guesser = Dictionary({"Redis": "OS", "run": "OS", "on": "OS"}, "guesser")
    labels = run(write(tmp_path, texts(10)), [KNOWN, guesser])
    assert labels.union in ("vote", "hmm")
    assert set(labels.union_f1) == {"vote", "hmm"}
    assert {tag for sentence in labels.sentences for tag in sentence.tags} <= {
        *("O", UNSURE, "B-SOFTWARE")
    }
    assert set(labels.scores["labeler"]) == {"dictionary", "guesser", "union"}


def test_what_cleaning_removed_is_counted_by_rule_with_examples(tmp_path: Path) -> None:
    text = texts(1)[0] + "\n```\nredis-server --port 1\n```\n"
    removed = run(write(tmp_path, [text]), ratio=1).removed.set_index("rule")
    assert removed.loc["code_block", "parts"] == 1
    assert "redis-server --port 1" in removed.loc["code_block", "examples"]
