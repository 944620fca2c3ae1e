"""A report shows every trial, the best ones, and plots that need no network."""

import json
import re

import pytest
from readable_plots import assert_readable
from studies import filled, heartbeat_is_fresh, rate, stop_heartbeats, wait_until

from ner_mlflow.errors import TrackingError
from ner_mlflow.plotting import COLOURS
from ner_mlflow.sweeping.report import report, trials_table
from ner_mlflow.sweeping.trial import RunningTrial

F1 = ("validation_f1",)


def test_a_report_has_a_row_for_each_trial_and_plots_that_need_no_network() -> None:
    study = filled(trials=8)
    study.run_waiting(rate)
    result = report(study, F1)
    assert set(result.figures) == {"history", "importance", "parameters", "contour"}
    assert result.page.count("Plotly.newPlot") == 4
    assert '"dtick":1' in result.page  # the numbers of trials are whole
    assert "cdn.plot.ly/plotly" not in result.page.replace("https://cdn.plot.ly/un/", "")
    assert list(result.table["validation_f1"]) == [trial.values[0] for trial in study.trials()]
    assert list(result.table["trial"]) == list(range(8))
    assert result.table.loc[result.table["best"] == "*", "validation_f1"].tolist() == [
        result.table["validation_f1"].max()
    ]


def test_the_page_opens_with_the_best_trial_and_names_the_direction_of_the_objective() -> None:
    study = filled(trials=4)
    study.run_waiting(rate)
    result = report(study, F1)
    best = result.table.loc[result.table["best"] == "*"].iloc[0]
    lead = f"4 of 4 trials are complete. The best is trial {best['trial']}: validation_f1 "
    assert lead + f"{best['validation_f1']:.4g}, with " in result.page
    assert "validation_f1 (higher is better)" in result.page


def test_a_study_of_equal_values_has_the_plots_that_it_can_have() -> None:
    study = filled(trials=3)
    study.run_waiting(lambda _: [0.5])
    result = report(study, F1)
    assert {"history", "parameters", "contour"} <= set(result.figures)
    for figure in result.figures.values():
        assert_readable(figure)


def test_several_objectives_are_shown_with_their_pareto_front() -> None:
    study = filled(objectives=["validation_f1", "size"], trials=6)
    study.run_waiting(lambda trial: [trial.number / 10, float(trial.number // 2)])
    result = report(study, ("validation_f1", "size"))
    assert "pareto_front" in result.figures
    assert_readable(result.figures["pareto_front"])
    front = result.table.loc[result.table["pareto_front"] == "*", "trial"]
    assert set(front) == {1, 3, 5}


def test_one_complete_trial_gives_a_page_without_plots() -> None:
    study = filled(trials=1)
    study.run_waiting(rate)
    result = report(study, F1)
    assert result.figures == {}
    assert "Too few trials were completed for plots." in result.page


@pytest.mark.parametrize("trials", [1, 3])
def test_a_name_cannot_break_the_page(trials: int) -> None:
    study = filled(name="</script><script>x</script><img src=x onerror=y>", trials=trials)
    study.run_waiting(rate)
    result = report(study, ("</script><script>x",))
    assert "<script>x" not in result.page
    assert "<img" not in result.page.split("<body>")[1].split("<script")[0]
    for figure in result.figures.values():
        assert_readable(figure)


def test_the_interactive_plots_have_the_style_of_the_others() -> None:
    study = filled(trials=4)
    study.run_waiting(rate)
    page = report(study, F1).page
    assert page.count(f'"colorway":{json.dumps(list(COLOURS), separators=(",", ":"))}') == 4


def test_the_interactive_plots_use_our_names_and_no_line_is_as_pale_as_the_paper() -> None:
    study = filled(trials=6)
    study.run_waiting(rate)
    page = report(study, F1).page
    assert "Hyperparameter" not in page
    assert '"number of the trial"' in page
    _, _, parallel = page.partition("Parameters of each trial")
    lines = [
        [float(part) for part in colour.split(",")]
        for colour in re.findall(r'"line":{"color":"rgb\(([^)]*)\)"', parallel)
    ]
    assert len(lines) >= 6
    assert max(min(colour) for colour in lines) < 200


def test_the_table_states_why_trials_ended() -> None:
    study = filled(trials=4, pruner="hyperband")

    def end_in_many_ways(trial: RunningTrial) -> list[float]:
        if trial.number == 0:
            trial.note(run="the run")
            trial.report(1, 0.5)
            return rate(trial)
        if trial.number == 1:
            raise RuntimeError("out of memory")
        if trial.number == 2:
            wait_until(lambda: heartbeat_is_fresh(study, trial.number))
            stop_heartbeats(study)
            study.reclaim()
            return rate(trial)
        raise TrackingError("the store is down")

    with pytest.raises(TrackingError):
        study.run_waiting(end_in_many_ways)
    table = trials_table(study, F1).set_index("trial")
    # The lost trial's slot is run again before the next one: trial 4, then 5.
    assert table["state"].tolist() == [
        "complete",
        "failed",
        "failed",
        "waiting",
        "failed",
        "waiting",
    ]
    assert table["reason"].tolist() == [
        "",
        "RuntimeError: out of memory",
        "its process sent no heartbeat for too long",
        "",
        "the store is down",
        "",
    ]
    assert table["run"].tolist() == ["the run", "", "", "", "", ""]
    assert table["epochs"].tolist() == [1, 0, 0, 0, 0, 0]
    assert table["validation_f1"].isna().tolist() == [False, True, True, True, True, True]
