"""Models that were scored on the same sentences stand side by side."""

import json
import re

from showcases import OpenPage, Showcase, text_of

from ner_mlflow.demo.views.compare import choose_group


def test_the_page_says_which_model_is_best_and_how_sure_that_is(
    showcase: Showcase, open_page: OpenPage
) -> None:
    text = text_of(open_page("compare"))
    assert "2 models and 2 exported files on test of corpus" in text
    title = re.search("<h1>(.*) is best</h1>", text)
    assert title
    assert "the difference is significant (p = 0.0" in text
    assert "paired permutation test against the best one" in text


def test_the_best_model_is_compared_with_another_one_and_its_own_file_stands_behind(
    showcase: Showcase, open_page: OpenPage
) -> None:
    first, second = (record.run_id for record in showcase.trained)
    assert {record.train_run for record in showcase.evaluated} == {first, second}
    app = open_page("compare")
    (names,) = [widget.options for widget in app.multiselect]
    text = text_of(app)
    sentence = re.search(r"Its F1 is .* above (.*); the difference .*\. (.*) has ", text)
    assert sentence
    best, rival, kin = names[0], sentence[1], sentence[2]
    assert rival in names
    assert " file" not in best  # the model and its file are equal
    assert kin in ("Its exported file klein int8", "Its exported file klein fp32")
    scores = re.findall(r"<td>([^<]+)</td><td class=\"ner-number\">(0\.\d+|1\.0+)</td>", text)
    by_name = dict(scores[: len(names)])
    assert by_name[rival] < by_name[best]


def test_trained_and_exported_models_are_in_the_table(
    showcase: Showcase, open_page: OpenPage
) -> None:
    app = open_page("compare")
    (names,) = [widget.options for widget in app.multiselect]
    assert len(names) == len(set(names)) == 4
    assert sum("int8 file" in name or "fp32 file" in name for name in names) == 2


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
    assert "2 exported files on validation of corpus" in text_of(app)
    assert callable(choose_group)
