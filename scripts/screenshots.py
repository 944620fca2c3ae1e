"""Take the pictures of the documentation from a real run, in headless Chromium.

usage: python -m scripts.screenshots STORE [--experiment NAME]

STORE is the tracking store of a finished main job, such as sqlite:///mlflow.db. Needs the extra
`dev` and Debian's package chromium. The files go to docs/images.
"""

import argparse
import io
from dataclasses import dataclass
from pathlib import Path

import mlflow
from mlflow.entities import Run
from PIL import Image
from playwright.sync_api import Browser, sync_playwright

IMAGES = Path(__file__).parents[1] / "docs" / "images"
CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = ("--no-sandbox", "--disable-background-networking")
COLOURS = 128
"""Colours of a PNG file; keeps it small."""


@dataclass(frozen=True)
class Picture:
    """A page of a run, and what to show of it.

    Attributes:
        file: name of the PNG file without its ending.
        step: the step whose run holds the page.
        page: the artifact.
        height: pixels shown, from the top.
        scheme: ``light`` or ``dark``.
    """

    file: str
    step: str
    page: str
    height: int
    scheme: str = "light"


WIDTH = 1060
"""Width of the browser's window in pixels."""
PICTURES = (
    Picture("report", "main", "comparison.html", 578),
    Picture("errors", "evaluate", "errors.html", 625),
)


def take(browser: Browser, page: Path, picture: Picture) -> Image.Image:
    """Return a picture of a local page."""
    context = browser.new_context(
        viewport={"width": WIDTH, "height": picture.height},
        color_scheme="dark" if picture.scheme == "dark" else "light",
    )
    tab = context.new_page()
    tab.goto(page.as_uri())
    tab.wait_for_load_state("networkidle")
    image = Image.open(io.BytesIO(tab.screenshot())).convert("RGB")
    context.close()
    return image.quantize(COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)


def latest_run(experiment: str, step: str, **tags: str) -> Run:
    """Return the latest finished run of a step that has these tags.

    Raises:
        SystemExit: there is none.
    """
    wanted = {"step": step, **tags}
    conditions = [f"tags.`ner.{name}` = '{value}'" for name, value in wanted.items()]
    runs = mlflow.search_runs(
        experiment_names=[experiment],
        filter_string=" and ".join([*conditions, "attributes.status = 'FINISHED'"]),
        order_by=["attributes.start_time DESC"],
        output_format="list",
    )
    if not runs:
        raise SystemExit(f"experiment {experiment} has no finished run of the step {step}")
    return runs[0]


def page_of(experiment: str, picture: Picture) -> Path:
    """Download a page of the latest main job, or of an evaluation of its best model.

    Raises:
        SystemExit: there is none.
    """
    run = latest_run(experiment, "main")
    if picture.step == "evaluate":
        best = run.data.tags["ner.best_train_run"]
        run = latest_run(experiment, picture.step, train_run=best)
    return Path(mlflow.artifacts.download_artifacts(f"runs:/{run.info.run_id}/{picture.page}"))


def main() -> None:
    """Take every picture."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("store", metavar="STORE")
    parser.add_argument("--experiment", default="sample")
    arguments = parser.parse_args()
    mlflow.set_tracking_uri(arguments.store)
    IMAGES.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        for picture in PICTURES:
            image = take(browser, page_of(arguments.experiment, picture), picture)
            image.save(IMAGES / f"{picture.file}.png", optimize=True)
        browser.close()


if __name__ == "__main__":
    main()
