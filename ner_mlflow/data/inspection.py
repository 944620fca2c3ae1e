"""Describe a corpus: what was read of it, what preparation makes of it, and how to go on."""

import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

from ..config.schema import DataConfig, WeakConfig
from ..config.settings import SETTINGS
from ..errors import ConfigError, DataError, NerError
from ..paths import find_path
from ..redaction import redact
from ..tagging.iob2 import OUTSIDE
from .findings import Finding, Findings, finding_kinds
from .formats.heads import read_head
from .formats.registry import recognize
from .label_map import KEEP, LABEL_MAPS, load_label_map
from .prepare import Preparation, prepare
from .sentences import SPLITS
from .sources import SAMPLE, Reading, check_files, read_corpus
from .split_files import FILES_LEFT_OUT
from .survey import ShownSentence, Survey, choose_sentences

LISTED_PATHS = 30
"""Entries of a folder that are listed."""
SAMPLE_FORMAT = "the bundled sample, synthetic"
HUB_FORMAT = "a dataset of the hub"
LEFT_OUT = "file_left_out"
"""The finding that counts files that are left out; :data:`FILES_LEFT_OUT` names all of them."""
EFFECTS = ("left out", "changed", "noted")
"""Effects of findings, the gravest first."""


@dataclass(frozen=True)
class FileSummary:
    """A file of a corpus.

    Attributes:
        path: its path.
        split: the split that it belongs to; empty if that is not known.
        format: the title of its format, or what the path is instead.
        sentences: how many can be read, if the file was read on its own; else None.
        error: why it cannot be read; else empty.
    """

    path: str
    split: str
    format: str
    sentences: int | None = None
    error: str = ""


@dataclass(frozen=True)
class SplitSummary:
    """A split: its counts, and facts about it, such as its columns and its scheme."""

    split: str
    sentences: int
    words: int
    entities: int
    documents: int
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class TypeSummary:
    """An entity type.

    Attributes:
        type: its name.
        target: its name after relabelling, ``O`` where it is left out; empty where no label map
            was applied.
        counts: entities by split.
        examples: texts of entities by split, the most frequent first.
    """

    type: str
    target: str
    counts: Mapping[str, int]
    examples: Mapping[str, Sequence[str]]

    @property
    def count(self) -> int:
        """The number of entities in all splits."""
        return sum(self.counts.values())


@dataclass(frozen=True)
class LabelMapFit:
    """How a label map fits the types of a corpus.

    Attributes:
        name: the label map, as ``label_map`` names it.
        known: the types that it knows.
        missing: the types that it lacks.
        left: whether any entity is left after it.
        error: why it cannot be loaded; else empty.
    """

    name: str
    known: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    left: bool = False
    error: str = ""

    def __str__(self) -> str:
        if self.error:
            return self.error
        total = len(self.known) + len(self.missing)
        if self.missing:
            text = f"knows {len(self.known)} of {total} types, lacks {', '.join(self.missing)}"
        else:
            text = f"knows all {total} types"
        if self.name == KEEP:
            text = f"keeps all {total} types as they are"
        elif self.known and not self.left:
            text += ", but maps all of them to O"
        return f"label_map={self.name} {text}"


@dataclass(frozen=True)
class Inspection:
    """What people see of a corpus before they train on it.

    Attributes:
        dataset: the corpus, as the setting names it.
        source: what it is, where it has no files of its own; else empty.
        files: its files.
        facts: facts about the whole corpus.
        splits: its splits as they were read.
        types: its types, the most frequent first, as they were read.
        prepared_splits: the splits after preparation; empty if it was not prepared.
        prepared_types: the types after preparation; likewise.
        fits: how each label map fits, the chosen one first.
        label_map: the label map that was applied or is recommended; empty if none fits.
        findings: what was left out, changed or noted, in this order.
        settings: settings that differ from their defaults: name -> value as on the command line.
        fingerprint: the fingerprint of the prepared dataset; empty if it was not prepared.
        pages: pages beside that of the corpus: name -> what each shows.
        sentences: sentences to show, of the prepared corpus if there is one.
        error: why the corpus is refused, with the way out; empty if it is not.
        command: the command that trains on the corpus; empty if there is none.
    """

    dataset: str
    source: str = ""
    files: tuple[FileSummary, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    splits: tuple[SplitSummary, ...] = ()
    types: tuple[TypeSummary, ...] = ()
    prepared_splits: tuple[SplitSummary, ...] = ()
    prepared_types: tuple[TypeSummary, ...] = ()
    fits: tuple[LabelMapFit, ...] = ()
    label_map: str = ""
    findings: tuple[Finding, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    fingerprint: str = ""
    pages: Mapping[str, str] = field(default_factory=dict)
    sentences: tuple[ShownSentence, ...] = ()
    error: str = ""
    command: str = ""

    @property
    def entities(self) -> int:
        """The number of entities that were read."""
        return sum(type_.count for type_ in self.types)

    @property
    def entities_outside(self) -> int:
        """The number of entities whose type the label map makes ``O``."""
        return sum(type_.count for type_ in self.types if type_.target == OUTSIDE)

    @property
    def formats(self) -> tuple[str, ...]:
        """The formats of the files, without repetition, or the source that stands for them."""
        formats = (file.format for file in self.files if file.split)
        return tuple(dict.fromkeys(formats)) or ((self.source,) if self.source else ())


def inspect_corpus(config: DataConfig) -> Inspection:
    """Read a corpus, prepare it by the label map that fits, and describe it; nothing is written.

    A corpus that cannot be read raises no error: the ``error`` of the result says what is wrong,
    and the result holds what was found.
    """
    try:
        reading = read_corpus(config)
    except DataError as refused:
        return describe_refused(config, refused)
    fits = fit_label_maps(_types_of(reading), config)
    label_map = recommend_label_map(fits, config)
    error = next((fit.error for fit in fits if fit.error), "")
    if label_map:
        config = config.model_copy(update={"label_map": label_map})
    preparation = None
    if not error:
        try:
            preparation = prepare(reading.corpus, config, reading.findings)
        except NerError as refused:
            error = str(refused)
    return replace(
        describe(reading, preparation, config), fits=fits, label_map=label_map, error=error
    )


def describe(
    reading: Reading,
    preparation: Preparation | None,
    config: DataConfig,
    fingerprint: str = "",
    weak: WeakConfig | None = None,
    pages: Mapping[str, str] = MappingProxyType({}),
) -> Inspection:
    """Describe a corpus that was read.

    Args:
        reading: the corpus as it was read.
        preparation: the same corpus, prepared; None if it was not.
        config: the settings of both.
        fingerprint: the fingerprint of the prepared dataset.
        weak: how train gained weakly labelled sentences; None: it did not.
        pages: other pages that belong to the corpus: name -> what each shows.
    """
    findings = preparation.findings if preparation else reading.findings
    surveys = {split: Survey(rows, config.seed) for split, rows in reading.corpus.items()}
    types = _summarize_types(surveys)
    prepared: dict[str, Survey] = {}
    if preparation:
        prepared = {split: Survey(rows, config.seed) for split, rows in preparation.corpus.items()}
        types = _with_targets(types, config)
    shown = preparation.corpus if preparation else reading.corpus
    return Inspection(
        dataset=config.dataset,
        source="" if reading.files else SAMPLE_FORMAT if config.dataset == SAMPLE else HUB_FORMAT,
        files=_in_split_order(
            FileSummary(str(file.path), file.split, file.format.title) for file in reading.files
        ),
        facts=_corpus_facts(_facts_of("", findings), findings),
        splits=_summarize_splits(surveys, findings),
        types=types,
        prepared_splits=_summarize_splits(prepared, Findings()),
        prepared_types=_summarize_types(prepared),
        fits=fit_label_maps([type_.type for type_ in types], config),
        label_map=config.label_map,
        findings=_by_effect(findings),
        settings=changed_settings(config) | (_changed_weak_settings(weak) if weak else {}),
        fingerprint=fingerprint,
        pages=pages,
        sentences=choose_sentences(shown, prepared or surveys, config.seed),
    )


def describe_refused(config: DataConfig, error: NerError) -> Inspection:
    """Describe a corpus that cannot be read: its files, what is wrong with each, and the error."""
    findings = Findings()
    try:
        files = _in_split_order(
            FileSummary(
                str(check.file.path),
                check.file.split,
                check.file.format.title,
                check.sentences,
                check.error,
            )
            for check in check_files(config, findings)
        )
    except DataError:
        files = tuple(_list_paths(config.dataset))
    return Inspection(
        dataset=config.dataset,
        files=files,
        facts=_corpus_facts(
            {
                f"{name} of {split}" if split else name: text
                for (split, name), text in findings.facts.items()
            },
            findings,
        ),
        findings=_by_effect(findings),
        settings=changed_settings(config),
        error=str(error),
    )


def fit_label_maps(types: Iterable[str], config: DataConfig) -> tuple[LabelMapFit, ...]:
    """Return how the chosen label map fits these types, then each that ships, then ``keep``."""
    names = sorted(table.stem for table in LABEL_MAPS.glob("*.yaml"))
    return tuple(
        _fit(name, tuple(types)) for name in dict.fromkeys([config.label_map, *names, KEEP])
    )


def recommend_label_map(fits: Sequence[LabelMapFit], config: DataConfig) -> str:
    """Return the first label map that knows all types and leaves some, or an empty text.

    The chosen one may lack types where ``unknown_tags`` allows that.
    """
    for fit in fits:
        is_allowed = fit.name == config.label_map and config.unknown_tags == "outside"
        if fit.left and (is_allowed or not fit.missing):
            return fit.name
    return ""


def changed_settings(config: DataConfig, base: DataConfig | None = None) -> dict[str, str]:
    """Return the settings that differ from those of ``base``: name -> value as typed.

    Args:
        config: the settings.
        base: the settings to differ from; None: the defaults.
    """
    values = config.model_dump(mode="json")
    others = (base or DataConfig()).model_dump(mode="json")
    return {
        name: SETTINGS[f"data.{name}"].to_text(value)
        for name, value in values.items()
        if value != others[name]
    }


def _changed_weak_settings(config: WeakConfig) -> dict[str, str]:
    """Return the settings of ``weak`` that differ from the defaults, as ``weak.NAME`` and text."""
    values = config.model_dump(mode="json")
    defaults = WeakConfig().model_dump(mode="json")
    return {
        f"weak.{name}": redact(SETTINGS[f"weak.{name}"].to_text(value))
        for name, value in values.items()
        if value != defaults[name]
    }


def _fit(name: str, types: Sequence[str]) -> LabelMapFit:
    try:
        table = load_label_map(name)
    except ConfigError as error:
        return LabelMapFit(name, missing=tuple(types), error=str(error))
    known = tuple(type_ for type_ in types if table.knows(f"B-{type_}"))
    return LabelMapFit(
        name,
        known,
        tuple(type_ for type_ in types if type_ not in known),
        any(table.relabel(f"B-{type_}") != OUTSIDE for type_ in known),
    )


def _types_of(reading: Reading) -> list[str]:
    counts: Counter[str] = Counter()
    for sentences in reading.corpus.values():
        for tag, count in sentences.count_tags().items():
            if tag.startswith("B-"):
                counts[tag[2:]] += count
    return sorted(counts, key=lambda type_: (-counts[type_], type_))


def _summarize_splits(
    surveys: Mapping[str, Survey], findings: Findings
) -> tuple[SplitSummary, ...]:
    return tuple(
        SplitSummary(
            split,
            survey.sentences,
            survey.words,
            survey.types.total(),
            survey.documents,
            _facts_of(split, findings),
        )
        for split, survey in _in_order(surveys)
    )


def _corpus_facts(facts: Mapping[str, str], findings: Findings) -> dict[str, str]:
    """Return the facts without the list of files that are left out, if the finding names all."""
    named = all(
        finding.count == len(finding.places) for finding in findings if finding.kind == LEFT_OUT
    )
    return {name: text for name, text in facts.items() if not named or name != FILES_LEFT_OUT}


def _facts_of(split: str, findings: Findings) -> dict[str, str]:
    return {name: text for (of_split, name), text in findings.facts.items() if of_split == split}


def _summarize_types(surveys: Mapping[str, Survey]) -> tuple[TypeSummary, ...]:
    names = {type_ for survey in surveys.values() for type_ in survey.types}
    summaries = [
        TypeSummary(
            type_,
            "",
            {split: survey.types[type_] for split, survey in _in_order(surveys)},
            {split: survey.examples(type_) for split, survey in _in_order(surveys)},
        )
        for type_ in sorted(names)
    ]
    return tuple(sorted(summaries, key=lambda summary: -summary.count))


def _with_targets(types: Iterable[TypeSummary], config: DataConfig) -> tuple[TypeSummary, ...]:
    table = load_label_map(config.label_map)
    return tuple(
        replace(type_, target=table.relabel(f"B-{type_.type}").removeprefix("B-"))
        for type_ in types
    )


def _in_order(surveys: Mapping[str, Survey]) -> list[tuple[str, Survey]]:
    return [(split, surveys[split]) for split in SPLITS if split in surveys]


def _in_split_order(files: Iterable[FileSummary]) -> tuple[FileSummary, ...]:
    return tuple(sorted(files, key=lambda file: _split_rank(file.split)))


def _by_effect(findings: Findings) -> tuple[Finding, ...]:
    kinds = finding_kinds()
    order = list(kinds)

    def rank(finding: Finding) -> tuple[int, int, int]:
        effect = EFFECTS.index(kinds[finding.kind].effect)
        return effect, order.index(finding.kind), _split_rank(finding.split)

    return tuple(sorted(findings, key=rank))


def _split_rank(split: str) -> int:
    return SPLITS.index(split) if split in SPLITS else -1


def _list_paths(dataset: str) -> Iterable[FileSummary]:
    """Yield what is at a path, or at several paths separated by commas."""
    names = [dataset] if find_path(dataset) else [part.strip() for part in dataset.split(",")]
    for path in filter(None, map(find_path, filter(None, names))):
        if not path.is_dir():
            yield FileSummary(str(path), "", _format_title(path))
            continue
        entries = sorted(entry for entry in path.iterdir() if not entry.name.startswith("."))
        for entry in entries[:LISTED_PATHS]:
            yield FileSummary(str(entry), "", _format_title(entry))
        if len(entries) > LISTED_PATHS:
            rest = len(entries) - LISTED_PATHS
            yield FileSummary(str(path / "..."), "", f"{rest} more")


def _format_title(path: Path) -> str:
    if path.is_dir():
        return "folder"
    try:
        format_ = recognize(read_head(path))
    except (DataError, OSError, EOFError, zlib.error) as error:
        return "cannot be read" if isinstance(error, DataError) else type(error).__name__
    return format_.title if format_ else "no known format"
