"""The showcase as people start it: it prints its address, serves its pages, and ends cleanly."""

import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import product
from pathlib import Path

import mlflow
import psutil
import pytest
from conftest import ROOT, StoreMaker, run_tracking_server, user_environment
from playwright.sync_api import Page, expect, sync_playwright
from showcases import MODEL, Showcase, build_hostile_store, build_store

from ner_mlflow.demo.navigation import PAGES
from ner_mlflow.paths import CACHE_VARIABLE

BROWSER = Path("/usr/bin/chromium")
CONSOLE = ("-c", "from ner_mlflow.cli.console import main; main()")
GRAVE = ("serious", "critical")
"""Impacts of faults that no page may have."""
HEADINGS = {
    "verdict": f"{MODEL} version 1 is the champion",
    "compare": "",
    "failures": "error",
    "trial": "Try it",
    "provenance": "corpus",
}


@contextmanager
def running(
    store: str, command: Sequence[str], log: Path, cwd: Path = ROOT, **more: str
) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """Start the showcase, and yield its address and its process, which the block may end."""
    with log.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, *command],
            cwd=cwd,
            env=user_environment(store, PYTHONPATH=str(ROOT), **more),
            stdout=file,
            stderr=file,
            text=True,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + 180
        while not (match := re.search(r"open next: (\S+)\n\Z", log.read_text())):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)
        yield match[1], process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)
            process.wait(60)


def answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/_stcore/health", timeout=5) as response:
            return bool(response.status == 200)
    except OSError:
        return False


def test_it_prints_its_address_last_and_ctrl_c_ends_it_without_an_error(
    make_store: StoreMaker, tmp_path: Path
) -> None:
    store, log = make_store(tmp_path), tmp_path / "log"
    with running(store, [*CONSOLE, "demo", "--port", "0"], log, tmp_path) as (address, process):
        assert address.startswith("http://127.0.0.1:")
        assert answers(address)
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(60) == 0
        assert not answers(address)
    assert log.read_text() == f"the showcase runs until Ctrl-C\nopen next: {address}\n"
    mlflow.set_tracking_uri(store)
    assert mlflow.search_runs(search_all_experiments=True, output_format="list") == []


@pytest.mark.slow  # 11 s
def test_ctrl_c_ends_the_run_that_was_opened_for_it_as_finished(
    make_store: StoreMaker, tmp_path: Path
) -> None:
    # As `mlflow run` calls a step. On Ctrl-C MLflow then marks its run FAILED whatever the step
    # did: its check whether a run has ended compares a text with numbers.
    store, log = make_store(tmp_path), tmp_path / "log"
    opened = mlflow.MlflowClient().create_run("0").info.run_id
    command = ["-m", "entrypoints.demo", "--port", "0"]
    with running(store, command, log, MLFLOW_RUN_ID=opened) as (_, process):
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(60) == 0
    run = mlflow.get_run(opened)
    assert (run.info.status, run.data.tags["ner.step"]) == ("FINISHED", "demo")


def test_mlflow_run_serves_it_and_its_end_is_no_failure(
    make_store: StoreMaker, tmp_path: Path
) -> None:
    store, log = make_store(tmp_path), tmp_path / "log"
    command = ["-m", "mlflow", "run", str(ROOT), "--env-manager", "local", "-e", "demo"]
    with running(store, [*command, "-P", "port=0"], log) as (address, process):
        assert answers(address)
        (step,) = psutil.Process(process.pid).children()
        step.terminate()
        assert process.wait(60) == 0
        assert not answers(address)
    mlflow.set_tracking_uri(store)
    (run,) = mlflow.search_runs(search_all_experiments=True, output_format="list")
    assert (run.info.status, run.data.tags["ner.step"]) == ("FINISHED", "demo")


def test_the_pages_end_with_the_command_even_if_it_is_killed(
    make_store: StoreMaker, tmp_path: Path
) -> None:
    store, log = make_store(tmp_path), tmp_path / "log"
    with running(store, [*CONSOLE, "demo", "--port", "0"], log, tmp_path) as (address, process):
        process.kill()
        process.wait()
        deadline = time.monotonic() + 20
        while answers(address):
            assert time.monotonic() < deadline, "the pages outlived the command"
            time.sleep(0.2)


@pytest.fixture
def page() -> Iterator[Page]:
    if not BROWSER.is_file():
        pytest.skip("Chromium is not installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(BROWSER), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(60_000)
        yield page
        browser.close()


def build(store: str, folder: Path, backbone: Path) -> Showcase:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(CACHE_VARIABLE, str(folder / "cache"))
        return build_store(store, folder, backbone)


@pytest.mark.slow
def test_every_page_opens_in_a_browser_and_a_click_on_the_confusion_shows_its_sentences(
    make_store: StoreMaker, tiny_backbone: Path, tmp_path: Path, page: Page
) -> None:
    store = make_store(tmp_path)
    build(store, tmp_path, tiny_backbone)
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    with running(store, [*CONSOLE, "demo", "--port", "0"], tmp_path / "log") as (address, _):
        for name in PAGES:
            page.goto(f"{address}/{'' if name == 'verdict' else name}")
            page.locator(".ner-foot").wait_for()
            assert HEADINGS[name] in page.locator("h1").first.inner_text()
            assert page.locator("[data-testid=stException]").count() == 0
            width = page.evaluate("document.documentElement.scrollWidth")
            assert width <= 1280, f"{name} is wider than the window"
        page.goto(f"{address}/failures")
        chart = page.locator(".js-plotly-plot").first
        chart.wait_for()
        cell = chart.locator(".textpoint").first.bounding_box()  # gold Gerät, predicted Gerät
        assert cell is not None
        middle = (cell["x"] + cell["width"] / 2, cell["y"] + cell["height"] / 2)
        page.mouse.move(*middle)
        page.wait_for_timeout(500)
        page.mouse.click(*middle)
        expect(page.get_by_label("Gold type")).to_have_value("Gerät", timeout=60_000)
    assert problems == []


@pytest.mark.slow
def test_a_store_on_postgresql_is_shown_as_it_is_and_through_a_server(
    postgresql: str,
    tiny_backbone: Path,
    tmp_path: Path,
    page: Page,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)  # the artifacts of a new database are below the working folder
    mlflow.set_tracking_uri(postgresql)
    build(postgresql, tmp_path, tiny_backbone)
    with run_tracking_server(postgresql, tmp_path) as through_server:
        for number, store in enumerate((postgresql, through_server)):
            command = [*CONSOLE, "demo", "--port", "0"]
            with running(store, command, tmp_path / f"log {number}", tmp_path) as (address, _):
                for name in PAGES:
                    page.goto(f"{address}/{'' if name == 'verdict' else name}")
                    page.locator(".ner-foot").wait_for()
                    assert HEADINGS[name] in page.locator("h1").first.inner_text()
                    assert page.locator("[data-testid=stException]").count() == 0
                    assert page.locator("[data-testid=stAlert]").count() == 0


@pytest.mark.slow
def test_axe_finds_no_serious_fault_on_any_page(
    make_store: StoreMaker, tiny_backbone: Path, tmp_path: Path, page: Page
) -> None:
    from axe_playwright_python.sync_playwright import Axe

    store, axe, faults = make_store(tmp_path), Axe(), []
    build(store, tmp_path, tiny_backbone)
    with running(store, [*CONSOLE, "demo", "--port", "0"], tmp_path / "log") as (address, _):
        for scheme, name in product(("light", "dark"), PAGES):
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            page.goto(f"{address}/{'' if name == 'verdict' else name}")
            page.locator(".ner-foot").wait_for()
            page.wait_for_timeout(1500)
            for fault in axe.run(page).response["violations"]:
                if fault["impact"] in GRAVE:
                    where = [node["html"][:200] for node in fault["nodes"][:3]]
                    faults.append(f"{scheme} {name}: {fault['id']}: {where}")
    assert faults == []


@pytest.mark.slow
def test_markup_in_names_and_texts_never_runs(
    make_store: StoreMaker, tmp_path: Path, page: Page
) -> None:
    store = make_store(tmp_path)
    mlflow.set_tracking_uri(store)
    build_hostile_store()
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    with running(store, [*CONSOLE, "demo", "--port", "0"], tmp_path / "log") as (address, _):
        for name in ("", "compare", "failures"):
            page.goto(f"{address}/{name}")
            page.locator(".ner-foot").wait_for()
            page.wait_for_timeout(1500)
            assert "<script>alert(1)</script>" in page.locator("body").inner_text()
            assert page.locator("img[src=x]").count() == 0
    assert dialogs == []
