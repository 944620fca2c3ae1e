"""The saved view of training runs, in MLflow's own UI in a browser."""

import shutil
from pathlib import Path

import pytest
from conftest import StoreMaker, run_tracking_server
from playwright.sync_api import expect, sync_playwright

from ner_mlflow.tracking.lifecycle import open_run
from ner_mlflow.tracking.shared_view import UI_MODE, view_link
from ner_mlflow.tracking.steps import Step

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        CHROMIUM is None, reason="Chromium is missing: apt-get install chromium brings it"
    ),
]


def test_training_runs_show_f1_learning_rate_and_rank_at_once_in_a_table_and_in_charts(
    make_store: StoreMaker, tmp_path: Path
) -> None:
    import mlflow

    store = make_store(tmp_path)
    for rank, f1 in ((8, 0.71), (16, 0.73), (32, 0.72)):
        with open_run(Step.TRAIN, f"rank {rank}") as run:
            run.log_metrics({"test/f1": f1, "best_validation/f1": f1, "train/loss": 0.1})
            params = {
                "train.learning_rate": rank / 1e5,
                "model.lora_rank": rank,
                "train.epochs": 5,
                "train.batch_size": 16,
            }
            mlflow.MlflowClient().log_batch(
                run.id, params=[mlflow.entities.Param(*item) for item in params.items()]
            )
    with open_run(Step.EVALUATE, "of another step"):
        pass
    with (
        run_tracking_server(store, tmp_path) as address,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        context = browser.new_context(viewport={"width": 1440, "height": 1400})
        context.set_default_timeout(60_000)
        experiment = context.new_page()
        experiment.goto(f"{address}/#/experiments/0/runs?{UI_MODE}")
        with context.expect_page() as opened:
            experiment.get_by_role("link", name="Training runs by F1").click()
        page = opened.value
        page.locator(".ag-header-cell", has_text="test/f1").wait_for()
        for column in ("train.learning_rate", "model.lora_rank"):
            expect(page.locator(".ag-header-cell", has_text=column)).to_be_visible()
        scores = page.locator("[role=gridcell][col-id='metrics.`test/f1`']")
        expect(scores).to_have_count(3)
        assert [text[:4] for text in scores.all_inner_texts()] == ["0.73", "0.72", "0.71"]
        page.goto("about:blank")
        page.goto(f"{address}/{view_link('0', charts=True)}")
        page.get_by_text("Parallel Coordinates").first.wait_for()
        expect(page.locator(".js-plotly-plot .scatterlayer .point").first).to_be_attached()
        browser.close()
