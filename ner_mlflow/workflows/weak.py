"""Add weakly labelled sentences to train in the `data` step, and log the proof of their labels."""

import logging
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from ..config.schema import PROMPT_LABELER, Config, DataConfig, PromptConfig, WeakConfig
from ..data.dataset import PreparedDataset, fingerprint
from ..data.findings import Findings
from ..data.hub import hub_commit, is_hub_id
from ..data.label_map import load_label_map
from ..data.prepare import Preparation, relabel
from ..data.sentences import TEST, TRAIN, VALIDATION, Sentence, Sentences
from ..data.sources import corpus_hashes, read_corpus
from ..errors import ConfigError, DataError
from ..modeling.loading import open_teachers
from ..paths import cache_folder
from ..prompting.answer_cache import AnswerCache
from ..prompting.answers import answer_schema
from ..prompting.baseline import PROMPTS, choose_examples
from ..prompting.client import connect_endpoint
from ..provenance import cache_key, file_sha256, library_versions, step_fingerprint
from ..tagging.iob2 import UNSURE
from ..tagging.label_schema import LabelSchema
from ..tracking.models import FoundModel, find_model
from ..tracking.run import Run
from ..tracking.spark import (
    cause_of,
    check_output,
    existing_output,
    map_on_spark,
    spark_session,
)
from ..tracking.spark_texts import SESSION_SETTINGS, SparkSource, list_files, write_on_spark
from ..weak.augment import WeakLabels, augment
from ..weak.documents import SourceFile, find_files, has_scheme
from ..weak.labelers import Labeler, PromptLabeler, TeacherLabeler
from ..weak.labelled import labelled_table, write_labelled
from ..weak.reading import CutSource, cut_chunk, read_and_cut
from ..weak.rules import RulesLabeler, load_rules
from ..weak.scoring import UNION, plot_scores, score_metrics
from ..weak.skipped import LISTED, Notice

log = logging.getLogger(__name__)

RULES = {"rules": "it5"}
"""Names of labelers and the rules of this package that they stand for."""
RULES_SUFFIXES = (".yaml", ".yml")
TARGET = "weak_gold"
"""What findings of ``weak.gold`` concern, in place of a split."""
PAGES = {
    "weak_labelers": "how well each labeler finds the entities of gold sentences",
    "weak_cleaning": "what cleaning removed from texts, with examples",
    "weak_skipped": f"the documents without labels that were left out, the first {LISTED} of each "
    "reason",
}
"""Pages of a data run about weak labels: name -> what each shows."""
_NAME = re.compile(r"[\w .-]+", re.ASCII)
TEACHER = "teacher"
"""The name of the labeler that asks trained models."""


def add_weak_labels(run: Run, preparation: Preparation, config: Config) -> Preparation:
    """Return the preparation with a train split that gained weakly labelled sentences.

    Args:
        run: the open data run.
        preparation: the prepared gold corpus.
        config: the settings, with a ``weak.source``.

    Raises:
        ConfigError: rules cannot be read.
        DataError: texts, rules or the second gold corpus cannot be read.
        ModelError: a teacher is not a usable model, or has other labels.
    """
    labels = make_weak_labels(preparation, config)
    _log(run, labels, config.weak)
    _log_dataset(run, labels, preparation.schema, config.data.dataset)
    return extend_train(preparation, labels)


def make_weak_labels(preparation: Preparation, config: Config) -> WeakLabels:
    """Return the sentences to add to train, and how they came about.

    Args:
        preparation: the prepared gold corpus; its findings receive what was left out.
        config: the settings, with a ``weak.source``.

    Raises:
        ConfigError: see :func:`add_weak_labels`, as are the other errors.
    """
    weak, corpus, schema = config.weak, preparation.corpus, preparation.schema
    labelers = _open_labelers(config, corpus[TRAIN], schema)
    target = _target_sentences(config, preparation.findings)
    with _open_engine(weak) as (cut_source, write):
        labels = augment(
            corpus, schema.types, weak, labelers, target, preparation.findings, cut_source
        )
        if weak.output:
            write(labelled_table(labels.sentences))
            log.info("weak supervision: wrote the labelled sentences to %s", weak.output)
    return labels


@contextmanager
def _open_engine(config: WeakConfig) -> Iterator[tuple[CutSource, Callable[[pa.Table], None]]]:
    """Yield what reads and cuts the source, and what writes a table to ``weak.output``.

    Raises:
        ConfigError: there is no cluster.
        DataError: ``weak.output`` exists.
    """
    output = config.output
    if config.engine == "local":
        if output and has_scheme(output):
            raise DataError(
                f"weak.output {output!r}: is an address that Spark writes: set weak.engine=spark, "
                "or give a path"
            )
        if output and Path(output).exists():
            raise existing_output(output)
        yield read_and_cut, partial(write_labelled, folder=Path(output))
        return
    with _open_spark(config) as spark:
        if output:
            output = output if has_scheme(output) else f"file:{Path(output).absolute()}"
            check_output(spark, output)
        cut_source: CutSource = SparkSource(spark, config.spark_master)
        if is_hub_id(config.source):  # this machine streams it
            cut_chunks = partial(map_on_spark, spark=spark, function=cut_chunk)
            cut_source = partial(read_and_cut, cut_chunks=cut_chunks)
        yield cut_source, partial(write_on_spark, spark, output=output)


@contextmanager
def _open_spark(config: WeakConfig) -> Iterator[Any]:
    master = config.spark_master
    with (
        spark_session(master, "ner_mlflow data", SESSION_SETTINGS) as spark,
        cause_of(f"Spark at {master} failed"),
    ):
        yield spark


def extend_train(preparation: Preparation, labels: WeakLabels) -> Preparation:
    """Return the preparation with the weakly labelled sentences behind those of train."""
    corpus = preparation.corpus
    train = Sentences.of([*corpus[TRAIN], *labels.sentences])
    return replace(
        preparation,
        corpus={**corpus, TRAIN: train},
        weak_sentences=preparation.weak_sentences + len(labels.sentences),
    )


def _open_labelers(config: Config, train: Sequence[Sentence], schema: LabelSchema) -> list[Labeler]:
    """Return the labelers of ``weak.labeler``; all models together are one teacher.

    Args:
        config: the settings.
        train: gold sentences, for the examples in a prompt.
        schema: the labels of the dataset, which teachers must have too.

    Raises:
        ConfigError: rules or a prompt cannot be read, or two labelers have one name.
        ModelError: a teacher is not a usable model, or has other labels.
    """
    weak = config.weak
    _check_names(weak)
    labelers: list[Labeler] = []
    for name in filter(_are_rules, weak.labeler):
        rules = load_rules(RULES.get(name, name))
        if not rules.types & set(schema.types):
            raise ConfigError(
                f"weak_labeler {name!r} finds {', '.join(sorted(rules.types))}, but the dataset "
                f"has {', '.join(schema.types)}: give rules for these types"
            )
        if others := rules.types - set(schema.types):
            log.warning(
                "weak_labeler %r: its rules for %s are left out, since the dataset has %s",
                name,
                ", ".join(sorted(others)),
                ", ".join(schema.types),
            )
        labelers.append(RulesLabeler(rules, schema.types, _rules_name(name)))
    teachers = _find_teachers(weak)
    if teachers:
        taggers = open_teachers(teachers, schema.labels)
        version = cache_key(
            [library_versions(), weak.confidence, *(teacher.fingerprint for teacher in teachers)]
        )
        labelers.append(TeacherLabeler(TEACHER, version, taggers, weak.confidence))
    if PROMPT_LABELER in weak.labeler:
        labelers.append(_prompt_labeler(config.prompt, train, schema))
    return labelers


def _check_names(weak: WeakConfig) -> None:
    """Check that tables and metrics can tell the labelers apart, before any of them is opened.

    Raises:
        ConfigError: they cannot.
    """
    names = [_rules_name(name) for name in filter(_are_rules, weak.labeler)]
    if any(map(_is_teacher, weak.labeler)):
        names.append(TEACHER)
    if PROMPT_LABELER in weak.labeler:
        names.append(PROMPT_LABELER)
    if unusable := next((name for name in names if name == UNION or not _NAME.fullmatch(name)), ""):
        raise ConfigError(
            f"weak_labeler: {unusable!r} cannot name a labeler in tables and metrics: rename the "
            f"file; use letters, digits, blanks and . _ -, and another name than {UNION!r}"
        )
    if repeated := next((name for name in names if names.count(name) > 1), None):
        raise ConfigError(
            f"weak_labeler {', '.join(weak.labeler)}: two are named {repeated!r}: give each once, "
            "and rename a file"
        )


def _rules_name(name: str) -> str:
    """Return the name in tables and metrics of a labeler of rules."""
    return name if name in RULES else Path(name).stem


def _prompt_labeler(
    config: PromptConfig, train: Sequence[Sentence], schema: LabelSchema
) -> PromptLabeler:
    """Return a labeler that asks with the first of ``prompt.prompts``, and keeps the answers."""
    name = config.prompts[0]
    if name not in PROMPTS:
        raise ConfigError(
            f"prompt.prompts {name!r}: weak_labeler={PROMPT_LABELER} asks with the first of them, "
            f"which must be one of {', '.join(PROMPTS)}"
        )
    folder = cache_folder() / "answers"
    folder.mkdir(parents=True, exist_ok=True)
    complete = AnswerCache(
        connect_endpoint(config, answer_schema(schema.types)),
        folder / "answers.db",
        _answer_settings(config),
    )
    examples = choose_examples(train, schema.types, config.examples, config.seed)
    version = cache_key([_answer_settings(config), PROMPTS[name], [e.tokens for e in examples]])
    return PromptLabeler(
        version, complete, PROMPTS[name], examples, schema.types, config.concurrency
    )


def _answer_settings(config: PromptConfig) -> str:
    """Return what a language model's answer depends on besides the messages."""
    names = {"base_url", "model", "json_schema", "temperature", "max_tokens", "seed"}
    return config.model_dump_json(include=names)


def _target_sentences(config: Config, findings: Findings) -> list[Sentence]:
    """Return the sentences of all splits of ``weak.gold``, relabelled as the dataset's are.

    Args:
        config: the settings; those of ``data`` say how the corpus is read.
        findings: receives what was left out or changed.

    Raises:
        DataError: the corpus cannot be read, or holds types that the label map does not know.
    """
    if not config.weak.gold:
        return []
    source = _gold_config(config)
    table = load_label_map(source.label_map)
    reading = read_corpus(source)
    corpus = relabel(reading.corpus, table, source, reading.findings)
    findings.include(reading.findings, TARGET)
    return [sentence for sentences in corpus.values() for sentence in sentences]


def _gold_config(config: Config) -> DataConfig:
    """Return how ``weak.gold`` is read: as the dataset, but its own files and revision."""
    own = {"dataset": config.weak.gold, "splits": (), "revision": "main"}
    return config.data.model_copy(update=own)


def weak_dependencies(settings: Config) -> list[str]:
    """Return what weak labels depend on besides the settings, as parts of a cache key.

    These are the code, the content of the texts and of the second gold corpus or the commits of hub
    datasets, the rules, and the models.
    """
    config = settings.weak
    hub_ids = [name for name in (config.source, config.gold) if name and is_hub_id(name)]
    return [
        step_fingerprint(__file__),
        *(str(hub_commit(hub_id, "main")) for hub_id in hub_ids),
        *_file_hashes(config),
        *(corpus_hashes(_gold_config(settings)) if config.gold else []),
        *(
            load_rules(RULES.get(name, name)).fingerprint
            for name in filter(_are_rules, config.labeler)
        ),
        *(teacher.fingerprint for teacher in _find_teachers(config)),
        *([settings.prompt.model_dump_json()] if PROMPT_LABELER in config.labeler else []),
    ]


def _find_teachers(config: WeakConfig) -> list[FoundModel]:
    return [find_model(name) for name in config.labeler if _is_teacher(name)]


def _is_teacher(name: str) -> bool:
    return name != PROMPT_LABELER and not _are_rules(name)


def _are_rules(name: str) -> bool:
    return name in RULES or name.endswith(RULES_SUFFIXES)


def _file_hashes(config: WeakConfig) -> list[str]:
    """Return the name and hash of each file of ``weak.source``; a hub dataset has none.

    Files that are left out count by their names. A file at an address of Spark counts by its name,
    its size, and the time of its last change.
    """
    source = config.source
    if is_hub_id(source):
        return []
    if has_scheme(source):
        if config.engine == "local":  # the step itself refuses it
            return []
        with _open_spark(config) as spark:
            return [
                f"{file.name} {file.size} {file.changed_ms}"
                for file in list_files(spark, source)
                if not isinstance(file, Notice)
            ]
    return [
        f"{file.name} {file_sha256(file.path)}" if isinstance(file, SourceFile) else file.id
        for file in find_files(source)
    ]


def _log(run: Run, labels: WeakLabels, config: WeakConfig) -> None:
    tags = labels.sentences.count_tags()
    entities = {tag[2:]: count for tag, count in tags.items() if tag.startswith("B-")}
    run.log_metrics(
        {f"weak/{name}": float(count) for name, count in labels.counts.items()}
        | {"weak/added/unsure_words": float(tags.get(UNSURE, 0))}
        | {f"weak/added/{type_}/entities": float(count) for type_, count in entities.items()}
        | {f"weak/union/{name}/f1": value for name, value in labels.union_f1.items()}
        | score_metrics(labels.scores)
    )
    run.log_table("weak_labelers", labels.scores)
    run.log_figure("weak_labelers", plot_scores(labels.scores, config.min_precision))
    run.log_table("weak_cleaning", labels.removed)
    run.log_table("weak_skipped", labels.skipped)
    run.log_yaml(
        "weak_labelers",
        {
            "labelers": labels.versions,
            "union": labels.union,
            "left_out_types": {type_: round(p, 4) for type_, p in labels.left_out.items()},
            "entities_added": entities,
        },
    )
    log.info(
        "weak supervision: added %d of %d sentences from %d documents, labelled by %s",
        labels.counts["added"],
        labels.counts["sentences"],
        labels.counts["used_documents"],
        labels.union,
    )


def _log_dataset(run: Run, labels: WeakLabels, schema: LabelSchema, name: str) -> None:
    """Log the weakly labelled sentences as an input of their own, with their fingerprint."""
    empty = Sentences.of([])
    corpus = {TRAIN: labels.sentences, VALIDATION: empty, TEST: empty}
    digest = fingerprint(corpus, schema)
    run.log_dataset(
        PreparedDataset(f"{Path(name).name} weak", corpus, schema, digest), (TRAIN,), run.id
    )
