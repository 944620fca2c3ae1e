"""The `data` step: a corpus in, a prepared dataset with its statistics logged."""

import logging
from dataclasses import dataclass

from ..config.schema import DataConfig
from ..data.dataset import PreparedDataset, fingerprint, load_dataset, save_dataset
from ..data.label_map import LABEL_MAPS
from ..data.prepare import prepare
from ..data.sentences import SPLITS
from ..data.sources import hub_commit, read_corpus
from ..data.statistics import plot_statistics, statistics, statistics_metrics
from ..paths import find_path
from ..provenance import cache_key, file_sha256, step_fingerprint
from ..tracking.runs import Run, download, work_folder
from .steps import DATA_STEP

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class DataRef:
    """A prepared dataset and the run that holds it."""

    run_id: str
    dataset: PreparedDataset


def run_data(run: Run, config: DataConfig) -> DataRef:
    """Prepare a dataset in an open run."""
    run.log_config(data=config)
    corpus = read_corpus(config.dataset, config.revision, config.seed)
    preparation = prepare(corpus, config)
    digest = fingerprint(preparation.corpus, preparation.schema)
    dataset = PreparedDataset(
        _short_name(config.dataset), preparation.corpus, preparation.schema, digest
    )
    table = statistics(preparation)
    run.log_metrics(statistics_metrics(table))
    run.log_metrics({f"changes/{name}": float(count) for name, count in preparation.counts.items()})
    run.log_table("statistics", table)
    run.log_figure("statistics", plot_statistics(table, preparation.schema))
    with work_folder() as folder:
        save_dataset(dataset, folder / "dataset")
        run.log_folder(folder / "dataset", "dataset")
    run.log_dataset(dataset, SPLITS, run.id)
    run.set_tags(
        {
            "dataset": dataset.name,
            "dataset_fingerprint": digest,
            "cache_key": data_cache_key(config),
        }
    )
    for split in SPLITS:
        log.info("%s: %d sentences", split, len(dataset.corpus[split]))
    for name, count in sorted(preparation.counts.items()):
        if count:
            log.info("%s: %d", name.replace("_", " "), count)
    return DataRef(run.id, dataset)


def load_data(run_id: str) -> DataRef:
    """The dataset of a finished data run, verified."""
    return DataRef(run_id, load_dataset(download(f"runs:/{run_id}/dataset")))


def data_cache_key(config: DataConfig) -> str:
    """Equal for equal code, settings and files, or commit of a hub dataset."""
    paths = filter(
        None,
        map(
            find_path,
            [
                *(part.strip() for part in config.dataset.split(",")),
                config.label_map,
                str(LABEL_MAPS / f"{config.label_map}.yaml"),
            ],
        ),
    )
    files = [
        file
        for path in paths
        for file in ([path] if path.is_file() else sorted(path.iterdir()) if path.is_dir() else [])
        if file.is_file()
    ]
    hashes = [f"{file.name} {file_sha256(file)}" for file in files]
    return cache_key(
        [
            DATA_STEP,
            step_fingerprint(__file__),
            config.model_dump_json(),
            hub_commit(config.dataset, config.revision),
            *hashes,
        ]
    )


def _short_name(dataset: str) -> str:
    path = find_path(dataset.split(",")[0])
    return path.name if path else dataset
