"""Models that were scored on the same sentences stand side by side."""

import json

from showcases import OpenPage, Showcase, text_of

from ner_mlflow.demo.views.compare import choose_group


def test_the_page_says_which_model_is_best_and_how_sure_that_is(
    showcase: Showcase, open_page: OpenPage
) -> None:
    text = text_of(open_page("compare"))
    assert "<h1>" in text
    assert " on test of corpus" in text
    assert "chance (p = " in text or "are equal" in text
    assert "paired permutation test against the best one" in text


def test_trained_and_exported_models_are_in_the_table(
    showcase: Showcase, open_page: OpenPage
) -> None:
    app = open_page("compare")
    (names,) = [widget.options for widget in app.multiselect]
    assert len(names) == len(set(names)) == 4
    assert sum("int8" in name or "fp32" in name for name in names) == 2


def test_the_types_of_chosen_models_are_drawn(showcase: Showcase, open_page: OpenPage) -> None:
    app = open_page("compare")
    app.multiselect[0].set_value(app.multiselect[0].options[:1]).run()
    assert not app.exception
    app.multiselect[0].set_value([]).run()
    assert "Choose a model." in text_of(app)


def test_files_are_drawn_against_latency_or_size(showcase: Showcase, open_page: OpenPage) -> None:
    app = open_page("compare")

    def axes() -> list[str]:
        specs = [json.loads(chart.proto.spec) for chart in app.get("plotly_chart")]
        return [spec["layout"]["xaxis"].get("title", {}).get("text", "") for spec in specs]

    assert "median latency of one sentence, ms" in axes()
    app.segmented_control(key="compare_cost").set_value("size_mb").run()
    assert "size, MB" in axes()


def test_only_scores_on_the_same_sentences_are_compared(
    showcase: Showcase, open_page: OpenPage
) -> None:
    # The promotion scored the two files on validation too.
    app = open_page("compare")
    (groups,) = [box for box in app.selectbox if box.key == "compare_group"]
    assert [option.partition(" of ")[0] for option in groups.options] == ["test", "validation"]
    groups.select_index(1).run()
    assert "2 models on validation of corpus" in text_of(app)
    assert callable(choose_group)
