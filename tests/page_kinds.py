"""Every kind of page of this package, rendered from small data: what tests of pages share."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from studies import filled, rate

from ner_mlflow.config.loading import load_config
from ner_mlflow.data.card import render_card
from ner_mlflow.data.inspection import inspect_corpus
from ner_mlflow.data.running_text import running_texts
from ner_mlflow.data.sample import generate_sample
from ner_mlflow.data.sentences import Sentence
from ner_mlflow.evaluation.comparison import ComparedModel, compare
from ner_mlflow.evaluation.counts import entity_counts, f1
from ner_mlflow.evaluation.error_analysis import token_confusion
from ner_mlflow.evaluation.pages import Examples
from ner_mlflow.evaluation.report import EvalReport, evaluate
from ner_mlflow.evaluation.text_answers import TextAnswer
from ner_mlflow.evaluation.text_errors import find_text_errors
from ner_mlflow.evaluation.text_page import render_text_page
from ner_mlflow.pages import render_table_page
from ner_mlflow.sweeping.report import report
from ner_mlflow.tagging.iob2 import Entity
from ner_mlflow.tagging.label_schema import LabelSchema
from ner_mlflow.tagging.tagger import Tagged

TYPES = ("ERROR", "HARDWARE", "OS", "SOFTWARE", "VERSION")
HOSTILE = (
    "<img src=x onerror=window.alerted=1>",
    "a|b",
    "[x](javascript:window.alerted=1)",
    "</title></style><script>window.alerted=1</script>",
    "\"' onmouseover=window.alerted=1 x='",
)
"""Names of types, models and files, and words, that would be markup where they are not escaped."""


def evaluated(types: Sequence[str] = TYPES) -> tuple[list[Sentence], EvalReport]:
    """Return sentences and the report of a flawed model on them.

    Args:
        types: the names of the sample's five types; further names come from them too.
    """
    names = dict(zip(TYPES, types, strict=True))
    sentences = [_renamed(sentence, names) for sentence in generate_sample(13)["test"][:40]]
    predicted = _flawed(sentences, types)
    tagged = [Tagged(tags, np.full(len(tags), 0.8, np.float32)) for tags in predicted]
    schema = LabelSchema(tuple(sorted(types)))
    config = load_config(overrides={"evaluate.resamples": 200}).evaluate
    return sentences, evaluate(sentences, tagged, sentences, schema, config)


def pages(types: Sequence[str] = TYPES) -> dict[str, str]:
    """Return a page of each kind by name.

    Args:
        types: the names of the sample's five types; further names come from them too.
    """
    sentences, evaluation = evaluated(types)
    wide = pd.DataFrame([{f"{types[0]} {number}": number / 3 for number in range(40)}] * 2)
    long = pd.DataFrame({"model": [types[0]] * 90, "f1": np.linspace(0, 1, 90), "note": types[3]})
    return {
        **evaluation.pages,
        **{name: render_table_page(name, table) for name, table in evaluation.tables.items()},
        "wide": render_table_page(types[1], wide),
        "long": render_table_page(types[3], long),
        "empty": render_table_page("empty", pd.DataFrame(columns=list(types))),
        "weak_cleaning": render_table_page(
            "weak_cleaning",
            pd.DataFrame({"post": [1, 2], "rule": types[:2], "removed": [types[3], "code " * 90]}),
        ),
        "comparison": _comparison(sentences, types),
        "texts": _texts(sentences, types),
        "study": _study(types[3]),
        "card": _card(types),
        "refused": render_card(
            inspect_corpus(load_config(overrides={"data.dataset": "no/such/file"}).data)
        ),
    }


def _renamed(sentence: Sentence, names: Mapping[str, str]) -> Sentence:
    tags = tuple(tag[:2] + names[tag[2:]] if tag != "O" else tag for tag in sentence.tags)
    name = names["SOFTWARE"]
    tokens = (name, *sentence.tokens[1:])
    return replace(sentence, tokens=tokens, tags=tags, origin=f"{name}:{len(tokens)}")


def _flawed(sentences: Sequence[Sentence], types: Sequence[str]) -> list[list[str]]:
    """Return predictions in which one type is missed, and another taken for a third."""
    missed, confused, third = types[:3]
    return [
        [
            "O" if tag[2:] == missed else tag[:2] + third if tag[2:] == confused else tag
            for tag in sentence.tags
        ]
        for sentence in sentences
    ]


def _comparison(sentences: Sequence[Sentence], types: Sequence[str]) -> str:
    gold = [list(sentence.tags) for sentence in sentences]
    models = []
    for index, tags in enumerate((gold, _flawed(sentences, types))):
        counts = entity_counts(gold, tags, types)
        score = float(f1(counts.sum(axis=(0, 1))))
        ends = {"f1_low": score - 0.02, "f1_high": min(score + 0.02, 1.0)}
        files = pd.DataFrame(
            {"variant": ["fp32", "int8"], "size_mb": [90.0, 23.0], "latency_p50_ms": [9.0, 2.0]}
        ).assign(
            validation_f1=[score, score - 0.01],
            validation_f1_low=ends["f1_low"],
            validation_f1_high=ends["f1_high"],
        )
        models.append(
            ComparedModel(
                f"{types[3]} {index}",
                str(index),
                {"backbone": types[0]},
                {"f1": score, **ends, "precision": score, "recall": score, "accuracy": score},
                counts,
                token_confusion(gold, tags, types),
                variants=files,
            )
        )
    shown = Examples(types[1], sentences[:3], _flawed(sentences[:3], types))
    return compare(models, types, f"Models of {types[3]}", 200, 1).html([types[0]], shown)


def _texts(sentences: Sequence[Sentence], types: Sequence[str]) -> str:
    answers = []
    for text in running_texts(sentences).texts[:12]:
        answered = [entity for entity in text.entities if entity.type != types[0]]
        answered = [
            Entity(e.start, e.end - 1, e.type) if e.type == types[1] and e.end - e.start > 2 else e
            for e in answered
        ]
        filler = " ".join(["nothing here,"] * 60)
        answers.append(
            TextAnswer(
                f"{text.name} {types[3]}",
                f"{text.text} {filler}",
                tuple(text.entities),
                tuple(answered),
                (0.9,) * len(answered),
            )
        )
    scores = {"f1": 0.5, "precision": 0.5, "recall": 0.5}
    return render_text_page(answers, find_text_errors(answers), types, scores, True, 10)


def _study(name: str) -> str:
    study = filled(trials=6, name=name)
    study.run_waiting(rate)
    return report(study, (name,)).page


def _card(types: Sequence[str]) -> str:
    inspection = inspect_corpus(load_config().data)
    renamed = [
        replace(type_, type=name, examples={"train": tuple(types)})
        for type_, name in zip(inspection.types, types, strict=False)
    ]
    return render_card(
        replace(
            inspection,
            dataset=types[3],
            types=tuple(renamed),
            label_map=types[1],
            facts={types[1]: types[0]},
            settings={types[0]: types[3]},
            fingerprint=types[0],
            command=f"mlflow run . -P dataset={types[3]} " + "-P preset=minilm_full " * 9,
        )
    )
