"""The `data` step: prepare a corpus and log the dataset with its statistics."""

import logging
from dataclasses import dataclass
from pathlib import Path

from ..config.schema import DataConfig
from ..data.annotated import annotated_texts
from ..data.dataset import PreparedDataset, fingerprint, load_dataset, save_dataset
from ..data.formats.registry import OUTPUTS
from ..data.hub import hub_commit
from ..data.label_map import LABEL_MAPS
from ..data.prepare import prepare
from ..data.sentences import SPLITS
from ..data.sources import read_corpus
from ..data.statistics import plot_statistics, statistics, statistics_metrics
from ..paths import find_path
from ..provenance import cache_key, file_sha256, step_fingerprint
from ..tracking.queries import download
from ..tracking.records import DataRecord, DatasetFields
from ..tracking.run import Run, temporary_folder
from ..tracking.steps import Step

log = logging.getLogger(__name__)

DATASET_FOLDER = "dataset"
"""The artifact folder of a data run that holds the dataset."""
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


def run_data(run: Run, config: DataConfig) -> TrackedDataset:
    """Prepare a dataset in an open run."""
    run.log_config(data=config)
    key = data_cache_key(config)
    reading = read_corpus(config)
    preparation = prepare(reading.corpus, config, reading.findings)
    digest = fingerprint(preparation.corpus, preparation.schema)
    name = _short_name(config.dataset)
    dataset = PreparedDataset(name, preparation.corpus, preparation.schema, digest)
    table = statistics(preparation)
    run.log_metrics(statistics_metrics(table))
    findings = preparation.findings
    run.log_metrics({f"changes/{name}": count for name, count in findings.metrics().items()})
    run.log_table("statistics", table)
    run.log_figure("statistics", plot_statistics(table, preparation.schema))
    with temporary_folder() as folder:
        save_dataset(dataset, folder / DATASET_FOLDER)
        run.log_folder(folder / DATASET_FOLDER, DATASET_FOLDER)
        if config.format != "none":
            _write_splits(dataset, folder / EXPORT_FOLDER, config.format)
            run.log_folder(folder / EXPORT_FOLDER, EXPORT_FOLDER)
    run.log_dataset(dataset, SPLITS, run.id)
    record = DataRecord(run_id=run.id, cache_key=key, dataset=name, dataset_fingerprint=digest)
    record.write(run)
    for split in SPLITS:
        log.info("%s: %d sentences", split, len(dataset.corpus[split]))
    for finding in findings:
        log.info("%s", finding)
    return TrackedDataset(run.id, dataset)


def load_data(run_id: str) -> TrackedDataset:
    """Return the dataset of a finished data run, verified against its fingerprint.

    Raises:
        TrackingError: there is no such run, or it is not a data run.
    """
    record = DataRecord.read(run_id)
    folder = download(f"runs:/{record.run_id}/{DATASET_FOLDER}")
    return TrackedDataset(record.run_id, load_dataset(folder))


def data_cache_key(config: DataConfig) -> str:
    """Return a key that is equal for equal code, settings and source.

    The source is the content of files, or the commit of a hub dataset.
    """
    names = [part.strip() for part in config.dataset.split(",")]
    names += [config.label_map, str(LABEL_MAPS / f"{config.label_map}.yaml")]
    paths = [path for path in map(find_path, names) if path]
    files = [file for path in paths for file in _files(path)]
    hashes = [f"{file.name} {file_sha256(file)}" for file in files]
    commit = hub_commit(config.dataset, config.revision)
    code = step_fingerprint(__file__)
    return cache_key([Step.DATA, code, config.model_dump_json(), commit, *hashes])


def _write_splits(dataset: PreparedDataset, folder: Path, name: str) -> None:
    folder.mkdir()
    output = OUTPUTS[name]
    for split in SPLITS:
        path = folder / f"{split}{output.suffixes[0]}"
        output.write(path, annotated_texts(dataset.corpus[split]))


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        return [file for file in sorted(path.iterdir()) if file.is_file()]
    return [path]


def _short_name(dataset: str) -> str:
    path = find_path(dataset.split(",")[0])
    return path.name if path else dataset
