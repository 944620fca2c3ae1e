"""The `data` step: prepare a corpus and log the dataset with its statistics."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from ..config.schema import PROMPT_LABELER, Config
from ..data.annotated import annotated_texts
from ..data.card import render_card
from ..data.dataset import PreparedDataset, fingerprint, load_dataset, save_dataset
from ..data.formats.registry import OUTPUTS
from ..data.hub import hub_commit, hub_license
from ..data.inspection import describe
from ..data.label_map import LABEL_MAPS
from ..data.prepare import prepare
from ..data.sentences import SPLITS, TRAIN
from ..data.sources import corpus_hashes, dataset_name, read_corpus
from ..data.statistics import plot_statistics, statistics, statistics_metrics
from ..paths import find_path
from ..provenance import cache_key, file_sha256, step_fingerprint
from ..tagging.iob2 import UNSURE
from ..tracking.lifecycle import page_links
from ..tracking.queries import download
from ..tracking.records import DataRecord, DatasetFields
from ..tracking.run import Run, temporary_folder
from ..tracking.steps import Step

log = logging.getLogger(__name__)

DATASET_FOLDER = "dataset"
"""The artifact folder of a data run that holds the dataset."""
CARD = "card"
"""The page of a data run that shows the dataset: what came in, and what became of it."""
EXPORT_FOLDER = "export"
"""The artifact folder of a data run that holds the splits in the format of ``data.format``."""


@dataclass(frozen=True)
class TrackedDataset:
    """A prepared dataset and the id of the data run that holds it."""

    run_id: str
    dataset: PreparedDataset

    @property
    def fields(self) -> DatasetFields:
        """The fields that name this dataset in the records of steps that work on it."""
        return {
            "data_run": self.run_id,
            "dataset": self.dataset.name,
            "dataset_fingerprint": self.dataset.fingerprint,
        }


def run_data(run: Run, settings: Config, key: str = "") -> TrackedDataset:
    """Prepare a dataset in an open run, with weakly labelled sentences in train if wanted.

    Args:
        run: the open run.
        settings: the settings.
        key: their :func:`data_cache_key`; empty: it is computed, which reads all sources.
    """
    config = settings.data
    asked = {"prompt": settings.prompt} if PROMPT_LABELER in settings.weak.labeler else {}
    run.log_config({"data": config, "weak": settings.weak, **asked})
    key = key or data_cache_key(settings)
    reading = read_corpus(config)
    preparation = prepare(reading.corpus, config, reading.findings)
    weak, pages = None, {}
    if settings.weak.source:
        from .weak import PAGES, add_weak_labels  # matchers and teachers take time to import

        weak, pages = settings.weak, PAGES
        preparation = add_weak_labels(run, preparation, settings)
    digest = fingerprint(preparation.corpus, preparation.schema)
    name = dataset_name(config.dataset)
    run.set_name(Step.DATA, name)
    corpus, schema = preparation.corpus, preparation.schema
    dataset = PreparedDataset(name, corpus, schema, digest, preparation.weak_sentences)
    if config.format != "none":
        unsure = preparation.corpus[TRAIN].count_tags().get(UNSURE, 0)
        preparation.findings.add("weak_words_exported", TRAIN, count=unsure)
    table = statistics(preparation)
    run.log_metrics(statistics_metrics(table))
    findings = preparation.findings
    run.log_metrics({f"changes/{name}": count for name, count in findings.metrics().items()})
    run.log_table("statistics", table)
    run.log_figure("statistics", plot_statistics(table, preparation.schema))
    inspection = describe(reading, preparation, config, digest, weak, pages)
    run.log_page(CARD, render_card(inspection))
    _describe(run, table, len(list(findings)), pages)
    with temporary_folder() as folder:
        save_dataset(dataset, folder / DATASET_FOLDER)
        run.log_folder(folder / DATASET_FOLDER, DATASET_FOLDER)
        if config.format != "none":
            _write_splits(dataset, folder / EXPORT_FOLDER, config.format)
            run.log_folder(folder / EXPORT_FOLDER, EXPORT_FOLDER)
    run.log_dataset(dataset, SPLITS, run.id)
    record = DataRecord(
        run_id=run.id,
        cache_key=key,
        dataset=name,
        dataset_fingerprint=digest,
        license=config.license or hub_license(config.dataset, config.revision),
    )
    record.write(run)
    for split in SPLITS:
        log.info("%s: %d sentences", split, len(dataset.corpus[split]))
    for finding in findings:
        log.info("%s", finding)
    return TrackedDataset(run.id, dataset)


def _describe(run: Run, table: pd.DataFrame, findings: int, pages: Iterable[str]) -> None:
    """Show on the run's first page how large the prepared splits are, and where more is told."""
    prepared = table.loc[table["stage"] == "prepared", ["split", "sentences", "entities"]]
    told = (
        f"The card lists {findings} findings: what was left out, changed or noted."
        if findings
        else "Nothing was left out, changed or noted."
    )
    lead = (
        f"{prepared['sentences'].sum():,} sentences with {prepared['entities'].sum():,} entities. "
        f"{told}"
    )
    names = (CARD, "statistics", *pages)
    links = {name.replace("_", " "): f"{name}.html" for name in names}
    run.describe(prepared, page_links(run, links), lead)


def load_data(run_id: str) -> TrackedDataset:
    """Return the dataset of a finished data run, verified against its fingerprint.

    Raises:
        TrackingError: there is no such run, or it is not a data run.
    """
    record = DataRecord.read(run_id)
    folder = download(f"runs:/{record.run_id}/{DATASET_FOLDER}")
    return TrackedDataset(record.run_id, load_dataset(folder))


def data_cache_key(settings: Config) -> str:
    """Return a key that is equal for equal code, settings and sources.

    The source is the content and the names of files, or the commit of a hub dataset, and the tables
    of labels and of tag names. Of weak supervision the texts, rules and teachers count as well.
    """
    config, weak = settings.data, settings.weak
    tables = (config.label_map, str(LABEL_MAPS / f"{config.label_map}.yaml"), config.tag_names)
    files = [path for path in map(find_path, tables) if path and path.is_file()]
    hashes = [f"{file.name} {file_sha256(file)}" for file in files] + corpus_hashes(config)
    commit = hub_commit(config.dataset, config.revision)
    code = step_fingerprint(__file__)
    parts = [Step.DATA, code, config.model_dump_json(), commit, *hashes]
    if weak.source:
        from .weak import weak_dependencies  # as in run_data

        where = {"engine", "spark_master"}  # the sentences are the same wherever they are cut
        parts += [weak.model_dump_json(exclude=where), *weak_dependencies(settings)]
    return cache_key(parts)


def _write_splits(dataset: PreparedDataset, folder: Path, name: str) -> None:
    folder.mkdir()
    output = OUTPUTS[name]
    for split in SPLITS:
        path = folder / f"{split}{output.suffixes[0]}"
        output.write(path, annotated_texts(dataset.corpus[split]))
