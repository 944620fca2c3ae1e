"""A dataset is shown with its counts, sentences, changes and origin."""

from showcases import TYPES, OpenPage, Showcase, text_of


def test_a_dataset_is_described_in_a_sentence(showcase: Showcase, open_page: OpenPage) -> None:
    text = text_of(open_page("provenance"))
    assert "<h1>corpus</h1>" in text
    assert "84 sentences with 168 entities of 2 types, in train 60, validation 12, test 12." in text


def test_sentences_are_chosen_by_split_and_type_and_paged(
    showcase: Showcase, open_page: OpenPage
) -> None:
    app = open_page("provenance")
    assert app.selectbox(key="provenance_type").options == ["(any)", *TYPES]
    app.segmented_control(key="provenance_split").set_value("test").run()
    app.number_input(key="provenance_page").set_value(2).run()
    text = text_of(app)
    assert text.count('class="ner-case"') == 4
    assert "11.04<sub>Zahl</sub>" in text


def test_the_commit_and_the_settings_that_differ_are_those_of_the_run(
    showcase: Showcase, open_page: OpenPage
) -> None:
    app = open_page("provenance")
    runs = app.selectbox(key="provenance_run")
    assert runs.value == showcase.trained[1].run_id
    assert "<td>train.epochs</td><td>1</td><td>5</td>" in text_of(app)
    runs.set_value(showcase.trained[0].run_id).run()
    text = text_of(app)
    assert "<td>train.epochs</td><td>6</td><td>5</td>" in text
    assert "train.weight_decay" not in text
    assert "<td>Commit</td>" in text
