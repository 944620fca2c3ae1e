"""The first page answers which version is served, how good it is, and why it is there."""

from markupsafe import escape
from showcases import MODEL, OpenPage, Showcase, text_of

from ner_mlflow.demo import store
from ner_mlflow.demo.views.verdict import reason_text, verdict_title
from ner_mlflow.tracking.overview import VersionSummary
from ner_mlflow.tracking.records import VersionOrigin


def version(**tags: str) -> VersionSummary:
    return VersionSummary("it-ner", "2", "", VersionOrigin(), tags, "", 0)


def test_one_sentence_says_how_good_the_champion_is(
    showcase: Showcase, open_page: OpenPage
) -> None:
    text = text_of(open_page("verdict"))
    assert f"<h1>{MODEL} version 1 is the champion</h1>" in text
    assert "The file it serves finds entities with <strong>F1 " in text
    assert "95 % interval" in text
    assert " on test of corpus; its weakest type is <strong>" in text


def test_the_history_tells_who_was_promoted_and_who_was_refused(
    showcase: Showcase, open_page: OpenPage
) -> None:
    text = text_of(open_page("verdict"))
    assert "champion: version 1" in text
    assert text.count('ner-good">promoted') == 1
    assert text.count('ner-bad">refused') == 1
    reasons = [run.tags["reason"] for run in store.promotions(MODEL)]
    assert len(reasons) == 2
    assert all(escape(reason) in text for reason in reasons)


def test_the_page_shows_types_and_the_description_of_the_version(
    showcase: Showcase, open_page: OpenPage
) -> None:
    app = open_page("verdict")
    assert [expander.label for expander in app.expander] == [
        "Description of the version",
        "All 2 versions",
    ]
    assert len(app.get("plotly_chart")) == 1


def test_a_reason_names_who_promoted_what_and_when() -> None:
    promoted = version(
        promotion_reason="F1 is 0.02 higher",
        promoted_by="me",
        promoted_from="1",
        promoted_at="2026-01-02T03:04:05+00:00",
    )
    text = "Promoted by me on 2026-01-02 03:04 UTC, after version 1: F1 is 0.02 higher."
    assert reason_text(promoted, "champion", True) == text
    assert "no promotion is recorded" in reason_text(version(), "champion", True)
    assert "none was promoted yet" in reason_text(version(), "", False)
    assert verdict_title(version(), "") == "it-ner version 2 is the latest; no version has an alias"
