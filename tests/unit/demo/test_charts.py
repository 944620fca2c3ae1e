"""Charts hold what their tables hold, and text that looks like HTML stays text."""

import math
from dataclasses import replace

import pandas as pd

from ner_mlflow.demo.charts import (
    confusion_chart,
    counts_chart,
    interval_chart,
    robustness_chart,
    tradeoff_chart,
    type_chart,
)
from ner_mlflow.demo.standing import Score, Scored, TypeScore, Variant
from ner_mlflow.tracking.queries import RunSummary
from ner_mlflow.tracking.records import EvaluateRecord

RUN = RunSummary("a" * 32, "0", "run", "FINISHED", "", 0, {}, {}, {})
RECORD = EvaluateRecord(
    run_id=RUN.id, data_run="", dataset="", dataset_fingerprint="", model="m", split="test"
)
EVIL = "<b>x</b>"


def model(name: str, **types: float) -> Scored:
    scores = tuple(TypeScore(type_, Score(f1, f1 - 0.1, f1), 5) for type_, f1 in types.items())
    return Scored(RUN, RECORD, name, Score(0.5), scores, None)


def test_a_score_has_its_interval_and_the_best_row_its_colour() -> None:
    figure = interval_chart(["a", EVIL], [Score(0.5, 0.4, 0.7), Score(0.3)], strong=0)
    strong, other = figure.data
    assert list(strong.x) == [0.5]
    assert list(strong.error_x.arrayminus) == [0.5 - 0.4]
    assert list(other.error_x.array) == [0.0]
    assert strong.marker.color != other.marker.color
    assert figure.layout.yaxis.ticktext == ("a", "&lt;b&gt;x&lt;/b&gt;")


def test_a_type_that_a_model_has_no_score_for_is_left_out() -> None:
    figure = type_chart([model("a", X=0.5, Y=0.6), model("b", Y=0.7)], ["a", "b"], ["X", "Y"])
    assert [len(trace.x) for trace in figure.data] == [2, 1]
    assert figure.layout.yaxis.ticktext == ("X  n=5", "Y  n=5")


def test_the_front_is_drawn_through_the_best_files() -> None:
    file = Variant(RUN, "", "a", "fp32", Score(0.9), 90.0, 9.0, False)
    files = [
        file,
        replace(file, variant="int8", score=Score(0.8), size_mb=20.0, latency_ms=2.0),
        replace(file, variant="fp16", score=Score(0.7), size_mb=45.0, latency_ms=math.nan),
    ]
    for cost, expected in (("latency_ms", [2.0, 9.0]), ("size_mb", [20.0, 90.0])):
        front, points, *_ = tradeoff_chart(files, cost).data
        assert list(front.x) == expected
        assert [text.strip() for text in points.text] == ["fp32", "int8", ""]


def test_the_key_explains_colours_and_shapes() -> None:
    file = Variant(RUN, "", "a", "fp32", Score(0.9), 90.0, 9.0, False)
    files = [file, replace(file, variant=EVIL), replace(file, model="b")]
    _, *traces = tradeoff_chart(files, "size_mb").data
    points = [trace for trace in traces if trace.x != (None,)]
    models, shapes = traces[len(points) :][:2], traces[len(points) :][2:]
    assert [trace.name for trace in models] == ["a", "b"]
    assert [trace.line.color for trace in models] == [trace.marker.color for trace in points]
    assert [trace.name for trace in shapes] == ["fp32", "&lt;b&gt;x&lt;/b&gt;"]
    assert [trace.marker.symbol for trace in shapes] == list(points[0].marker.symbol)
    assert not any(trace.showlegend for trace in points)


def test_a_cell_of_the_confusion_names_its_row_and_column() -> None:
    types = [EVIL, "O"]
    matrix = pd.DataFrame([[3, 1], [2, 0]], index=types, columns=types)
    figure = confusion_chart(matrix)
    *_, texts, cells = figure.data
    assert list(texts.text) == ["3", "1", "2", "·"]
    assert [list(cell) for cell in cells.customdata] == [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert cells.hovertext[1] == "&lt;b&gt;x&lt;/b&gt; → O: 1, 25% of the row"


def test_the_most_harmful_perturbation_comes_first() -> None:
    rows = [("clean", 0, 0.9), ("typos", 1, 0.8), ("typos", 2, 0.5), ("casing", 1, 0.7)]
    table = pd.DataFrame(rows, columns=["kind", "severity", "f1"])
    table = table.assign(f1_low=table["f1"] - 0.1, f1_high=table["f1"] + 0.1)
    figure = robustness_chart(table)
    assert figure.layout.yaxis.ticktext == ("typos", "casing")
    assert [trace.name for trace in figure.data] == ["severity 1", "severity 2"]
    assert figure.layout.shapes[0].x0 == 0.9


def test_entities_are_counted_by_type_and_split() -> None:
    figure = counts_chart({"train": {"X": 1000.0, "Y": 2.0}, "test": {"X": 5.0, "Y": 0.0}})
    assert [(trace.name, list(trace.x)) for trace in figure.data] == [
        ("train", [1000.0, 2.0]),
        ("test", [5.0, 0.0]),
    ]
