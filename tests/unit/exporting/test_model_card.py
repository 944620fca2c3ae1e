"""A model card holds what a hub and a reader need, and fits a registry's description."""

from dataclasses import replace

from huggingface_hub import ModelCard

from ner_mlflow.exporting.model_card import ModelFacts, ServedScores, describe_card, model_card
from ner_mlflow.pages import spaced_tables

FACTS = ModelFacts(
    name="it-ner",
    location='"models:/it-ner/3"',
    types=("OS", "VERSION"),
    variant="int8",
    size_mb=24.4,
    dataset="owner/tickets",
    dataset_fingerprint="0123456789abcdef",
    split="test",
    scores=[ServedScores("test, given words", 0.71234, 0.6, 0.8, 120), ServedScores("raw", 0.5)],
    type_scores=[ServedScores("OS", 0.9, 0.8, 1.0, 20)],
    backbone="minilm (1.0)",
    backbone_license="apache-2.0",
    dataset_license="cc-by-4.0",
    limits=["It misses names."],
    runs={"train": "abc"},
)


def test_the_metadata_is_what_the_hub_reads() -> None:
    data = ModelCard(str(model_card(FACTS))).data
    assert (data.license, data.library_name, data.pipeline_tag) == (
        "apache-2.0",
        "mlflow",
        "token-classification",
    )
    assert data.datasets == ["owner/tickets"]
    assert [result.metric_value for result in data.eval_results or ()] == [0.7123, 0.5]


def test_the_card_shows_scores_limits_licences_and_runs() -> None:
    text = str(model_card(FACTS).text)
    for line in (
        "| test, given words | 0.7123 | 0.6000 to 0.8000 | 120 |",
        "| raw | 0.5000 | – | – |",
        "| OS | 0.9000 | 0.8000 to 1.0000 | 20 |",
        "- It misses names.",
        "- Dataset: owner/tickets, fingerprint 0123456789ab, licence: cc-by-4.0",
        "- train: run abc",
    ):
        assert line in text.splitlines()


def test_unknown_licences_are_said_to_be_unknown() -> None:
    card = model_card(replace(FACTS, dataset_license="", backbone_license=""))
    assert card.data.license == "other"
    assert str(card.text).count("licence: not stated") == 2


def test_a_long_card_is_cut_at_a_line_and_says_so() -> None:
    card = model_card(replace(FACTS, limits=["x" * 50] * 100))
    text = describe_card(card, 2000)
    assert len(text) <= 2000
    assert text.endswith("(The whole card is README.md of the logged model.)")
    whole = spaced_tables(str(model_card(FACTS).text).strip())
    assert describe_card(model_card(FACTS), 5000) == whole


def test_names_are_no_markup_in_a_card() -> None:
    hostile = "<img src=x onerror=y>"
    card = model_card(replace(FACTS, types=(hostile,), dataset=hostile, limits=(hostile,)))
    assert "<img" not in str(card.text)
    assert str(card.text).count("&lt;img") == 4
