"""All pages in a browser: axe-core finds no serious fault, and no name becomes markup."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from conftest import StoreMaker, run_tracking_server
from page_kinds import HOSTILE, TYPES, pages
from playwright.sync_api import Browser, sync_playwright

from ner_mlflow.tracking.lifecycle import open_run
from ner_mlflow.tracking.steps import Step

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
WIDTHS = (1280, 1440)
GRAVE = ("serious", "critical")
"""Impacts of faults that no page may have."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        CHROMIUM is None, reason="Chromium is missing: apt-get install chromium brings it"
    ),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A file of each kind of page, with plain names and with hostile ones."""
    folder = tmp_path_factory.mktemp("pages")
    paths = {}
    for kind, types in (("plain", TYPES), ("hostile", HOSTILE)):
        for name, html in pages(types).items():
            paths[f"{kind} {name}"] = folder / f"{kind}_{name}.html"
            paths[f"{kind} {name}"].write_text(html, encoding="utf-8")
    return paths


def of_kind(files: dict[str, Path], kind: str) -> list[tuple[str, Path]]:
    return [(name, path) for name, path in files.items() if name.startswith(kind)]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_fault_on_any_page(
    browser: Browser, files: dict[str, Path], scheme: str
) -> None:
    from axe_playwright_python.sync_playwright import Axe

    axe, faults = Axe(), []
    page = browser.new_page(color_scheme=scheme, viewport={"width": WIDTHS[0], "height": 900})  # type: ignore[arg-type]
    for name, path in of_kind(files, "plain"):
        page.goto(path.as_uri())
        for fault in axe.run(page).response["violations"]:
            if fault["impact"] in GRAVE:
                where = [node["html"][:200] for node in fault["nodes"][:3]]
                faults.append(f"{name}: {fault['id']}: {json.dumps(where)}")
    page.close()
    assert faults == []


def test_no_name_becomes_markup_or_runs(browser: Browser, files: dict[str, Path]) -> None:
    page = browser.new_page()
    requested: list[str] = []
    page.on("request", lambda request: requested.append(request.url))
    for name, path in of_kind(files, "hostile"):
        page.goto(path.as_uri())
        page.wait_for_timeout(50)
        assert page.evaluate("window.alerted") is None, name
        assert page.locator("img:not([src^='data:']), a[href^='javascript:']").count() == 0, name
        assert page.locator("[onmouseover], [onerror]").count() == 0, name
    page.close()
    # Pages are read without a network.
    assert [url for url in requested if not url.startswith(("file:", "data:", "blob:"))] == []


@pytest.mark.parametrize("width", WIDTHS)
def test_no_page_is_wider_than_the_window(
    browser: Browser, files: dict[str, Path], width: int
) -> None:
    page = browser.new_page(viewport={"width": width, "height": 900})
    for name, path in of_kind(files, "hostile"):
        page.goto(path.as_uri())
        wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        assert wide <= 0, f"{name} is {wide} pixels too wide"
    page.close()


def test_no_name_becomes_markup_in_the_description_of_a_run(
    browser: Browser, make_store: StoreMaker, tmp_path: Path
) -> None:
    store = make_store(tmp_path)
    with open_run(Step.EVALUATE, "evaluate") as run:
        run.describe(pd.DataFrame({name: [name] for name in HOSTILE}))
    with run_tracking_server(store, tmp_path) as address:
        page = browser.new_page(viewport={"width": 1440, "height": 1200})
        page.goto(f"{address}/#/experiments/0/runs/{run.id}")
        cell = page.locator("td", has_text="javascript").first
        cell.wait_for(timeout=60_000)
        shown = page.locator("table", has=cell).first
        texts = [text.strip() for text in shown.locator("td").all_inner_texts()]
        assert texts == list(HOSTILE)
        assert shown.locator("img, a, script").count() == 0
        assert page.evaluate("window.alerted") is None
        page.close()


def test_pages_are_dark_where_the_reader_prefers_it(
    browser: Browser, files: dict[str, Path]
) -> None:
    seen = {}
    for scheme in ("light", "dark"):
        page = browser.new_page(color_scheme=scheme)  # type: ignore[arg-type]
        page.goto(files["plain errors"].as_uri())
        seen[scheme] = [
            page.evaluate(f"getComputedStyle(document.querySelector('{part}')).backgroundColor")
            for part in ("body", "mark")
        ]
        page.close()
    assert seen["light"] == ["rgb(255, 255, 255)", "rgb(253, 226, 228)"]
    assert all(light != dark for light, dark in zip(*seen.values(), strict=True))
