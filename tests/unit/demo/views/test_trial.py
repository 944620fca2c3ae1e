"""People try a model on their texts, compare two, and keep corrections."""

import json

from showcases import MODEL, OpenPage, Showcase, text_of

from ner_mlflow.demo.views.trial import KEPT, TEXT


def test_a_text_is_shown_with_its_entities(showcase: Showcase, open_page: OpenPage) -> None:
    app = open_page("trial")
    assert app.selectbox(key="trial_first").value == f"models:/{MODEL}/1"
    app.text_area(key=TEXT).set_value("I use Ubuntu 22.04 <b>").run()
    assert not app.exception
    text = text_of(app)
    assert "Gerät" in text
    assert "Zahl" in text
    assert "&lt;b&gt;" in text
    assert " entities</h2>" in text or "1 entity</h2>" in text


def test_two_models_stand_side_by_side_with_what_differs(
    showcase: Showcase, open_page: OpenPage
) -> None:
    app = open_page("trial")
    app.text_area(key=TEXT).set_value("I use Ubuntu 3.04 train").run()
    second = app.selectbox(key="trial_second")
    assert f"models:/{MODEL}/2" in second.proto.options or len(second.options) > 4
    second.set_value(f"models:/{MODEL}/2").run()
    assert not app.exception
    text = text_of(app)
    assert "Both find " in text
    assert "version 2" in text


def test_variants_of_one_export_can_be_compared(showcase: Showcase, open_page: OpenPage) -> None:
    options = open_page("trial").selectbox(key="trial_first").options
    assert sum("fp32 · export" in option for option in options) == 2
    assert sum("int8 · export" in option for option in options) == 2


def test_a_text_without_letters_is_refused_in_one_line(
    showcase: Showcase, open_page: OpenPage
) -> None:
    app = open_page("trial")
    app.text_area(key=TEXT).set_value("  ").run()
    (warning,) = app.warning
    assert "holds no text" in warning.value


def test_a_file_of_texts_is_tagged_whole(showcase: Showcase, open_page: OpenPage) -> None:
    app = open_page("trial")
    lines = "".join(json.dumps({"text": f"Ubuntu {number}"}) + "\n" for number in range(12))
    app.get("file_uploader")[0].upload("tickets.jsonl", lines.encode(), "application/jsonl").run()
    assert not app.exception
    text = text_of(app)
    assert "12 texts in " in text
    assert "2 more texts are in the downloads." in text
    assert "Correct it" not in text


def test_a_correction_is_kept_once_for_annotators(showcase: Showcase, open_page: OpenPage) -> None:
    app = open_page("trial")
    app.text_area(key=TEXT).set_value("I use Ubuntu 3.04 train").run()
    app.button(key="trial_keep").click().run()
    app.button(key="trial_keep").click().run()
    assert not app.exception
    (line,) = app.session_state[KEPT]
    kept = json.loads(line)
    assert kept["text"] == "I use Ubuntu 3.04 train"
    for start, end, label in kept["label"]:
        assert kept["text"][start:end] in ("Ubuntu", "3.04", "Ubuntu 3.04") or label
