"""The `promote` step: a candidate takes the champion's place, if it may; or the champion before takes it back."""

import logging
from dataclasses import dataclass, replace

from tokenizers import Tokenizer

from ..config.schema import Config, EvaluateConfig
from ..data.sentences import VALIDATION
from ..errors import ModelError, TrackingError
from ..evaluation.counts import entity_counts
from ..evaluation.promotion import Contender, Measured, Verdict, judge
from ..export.latency import interleaved_latency_ms, onnx_loader, sentence_inputs, summarize_ms
from ..provenance import folder_sizes
from ..tagging.recognizer import MODEL_FILE, TOKENIZER_FILE
from ..tagging.tagger import TaggerSpec
from ..tracking.models import FoundModel, find_model
from ..tracking.registry import (
    AliasMovedError,
    RegisteredVersion,
    alias_holder,
    find_version,
    holder_before,
    mark,
    move_alias,
    now,
    user_of,
)
from ..tracking.runs import Run, read_metrics, read_tags
from .data import DataRef, load_data
from .evaluate import evaluated, read_predictions

log = logging.getLogger(__name__)

WARMUP_RUNS = 10


@dataclass(frozen=True)
class Promotion:
    """What came out: ``may`` says whether ``version`` may have the alias, by the verdict or by force, ``moved`` whether it was given it."""

    version: RegisteredVersion
    champion: RegisteredVersion | None
    verdict: Verdict
    may: bool
    moved: bool


def run_promote(
    run: Run,
    config: Config,
    name: str,
    candidate: str,
    alias: str,
    dry_run: bool = False,
    force: str = "",
) -> Promotion:
    """Judge a version of a registered model against the one that has the alias, and move the alias if it may.

    Args:
        run: receives the verdict; runs of evaluations that are missing are opened below it.
        config: the split that decides, and the margins.
        name: of the registered model.
        candidate: a version's number or alias, or ``latest``.
        alias: the alias to move.
        dry_run: judge only.
        force: a reason to move the alias whatever the verdict is; empty: none.

    Raises:
        TrackingError: no such version, or somebody else moved the alias meanwhile.
        ModelError: the candidate may not be promoted, and is not forced.
    """
    version, champion = find_version(name, candidate), alias_holder(name, alias)
    run.log_config(evaluate=_evaluation(config), promote=config.promote)
    run.set_tags(
        {
            "candidate": version.address,
            "champion": champion.address if champion else "none",
            "alias": alias,
        }
    )
    if champion and champion.version == version.version:
        raise TrackingError(f"{version.address} is {name}@{alias} already: name another candidate")
    verdict = _verdict(run, config, version, champion)
    run.log_table("promotion", verdict.table)
    run.describe(verdict.table)
    for check in verdict.checks:
        log.info("%s: %s (%s)", check.condition, "yes" if check.passed else "no", check.evidence)
    may = verdict.passed or bool(force)
    run.set_tags(
        {"passed": verdict.passed, "reason": verdict.reason, "promoted": False, "forced": force}
    )
    if may and not dry_run:
        reason = (
            verdict.reason if verdict.passed else f"forced ({force}), although {verdict.reason}"
        )
        _move(run, config, version, champion, alias, reason)
        run.set_tags({"promoted": True})
    elif not dry_run:
        raise ModelError(
            f"{version.address} does not become {name}@{alias}, {verdict.reason}; to promote it all the same: force='the reason why'"
        )
    return Promotion(version, champion, verdict, may, may and not dry_run)


def attempt(run: Run, config: Config, name: str, candidate: str, alias: str) -> str:
    """:func:`run_promote` where it is no failure that the candidate is refused, or another was faster; the reason, empty where it was promoted."""
    try:
        run_promote(run, config, name, candidate, alias)
    except (ModelError, AliasMovedError) as error:
        return str(error)
    return ""


def run_rollback(
    run: Run, config: Config, name: str, alias: str, reason: str, dry_run: bool = False
) -> tuple[RegisteredVersion, RegisteredVersion]:
    """Give an alias back to the version that had it before; with ``dry_run`` say only which that is.

    Returns:
        The version that has, or had, the alias, and the one before it.

    Raises:
        TrackingError: nothing is known to have had it before, or somebody else moved it meanwhile.
    """
    champion, previous = alias_holder(name, alias), holder_before(name, alias)
    if champion is None or previous is None:
        raise TrackingError(
            f"{name}@{alias}: no champion before this one is known, so nothing to roll back to: promote a version with force='the reason why'"
        )
    run.set_tags(
        {
            "candidate": previous.address,
            "champion": champion.address,
            "alias": alias,
            "reason": reason,
            "promoted": False,
        }
    )
    if not dry_run:
        who, when = user_of(run), now()
        note = f"{when}: {alias} again, rolled back from version {champion.version} by {who}: {reason}."
        move_alias(
            alias,
            previous,
            champion,
            {"restored_at": when, "restored_by": who},
            note,
            config.promote.lock_timeout_s,
            back=True,
        )
        mark(
            champion, {"rolled_back_at": when, "rolled_back_by": who, "rolled_back_reason": reason}
        )
        run.set_tags({"promoted": True})
    return champion, previous


def _move(
    run: Run,
    config: Config,
    version: RegisteredVersion,
    champion: RegisteredVersion | None,
    alias: str,
    reason: str,
) -> None:
    who, when = user_of(run), now()
    before = f"version {champion.version}" if champion else "nothing"
    tags = {
        "promoted_at": when,
        "promoted_by": who,
        "promoted_from": champion.version if champion else "",
        "promotion_reason": reason,
        "promotion_run": run.id,
    }
    note = f"{when}: {alias} after {before}, promoted by {who}: {reason}."
    move_alias(alias, version, champion, tags, note, config.promote.lock_timeout_s)


def _verdict(
    run: Run, config: Config, version: RegisteredVersion, champion: RegisteredVersion | None
) -> Verdict:
    found, export = find_model(version.address), _export_tags(version)
    candidate = Contender(
        version.address,
        export.get("dataset_fingerprint", ""),
        _proof_failures(version, found, export, config),
    )
    if champion is None:
        return judge(candidate, None, config.promote)
    holder = Contender(champion.address, _export_tags(champion).get("dataset_fingerprint", ""))
    if not candidate.shares_dataset_with(holder):
        return judge(candidate, holder, config.promote)
    models, data = (found, find_model(champion.address)), load_data(export["data_run"])
    latencies = _latencies_ms(*models, data, config.promote.latency_runs)
    one, two = (
        _measured(run, config, model, latency, data)
        for model, latency in zip(models, latencies, strict=True)
    )
    return judge(replace(candidate, measured=one), replace(holder, measured=two), config.promote)


def _measured(
    run: Run, config: Config, model: FoundModel, latency_p50_ms: float, data: DataRef
) -> Measured:
    predictions = read_predictions(evaluated(run, _evaluation(config), model, data))
    counts = entity_counts(
        predictions["gold"].tolist(), predictions["predicted"].tolist(), data.dataset.schema.types
    )
    return Measured(counts, latency_p50_ms, sum(folder_sizes(model.folder).values()))


def _evaluation(config: Config) -> EvaluateConfig:
    """How the split that decides is scored."""
    return config.evaluate.model_copy(update={"split": config.promote.split})


def _export_tags(version: RegisteredVersion) -> dict[str, str]:
    run_id = version.tags.get("export_run")
    return read_tags(run_id) if run_id else {}


def _proof_failures(
    version: RegisteredVersion, model: FoundModel, export: dict[str, str], config: Config
) -> tuple[str, ...]:
    """What does not hold of a version's proof: that of the very files that are registered, within the tolerances of now."""
    if "served_fingerprint" not in export:
        return (f"no export run of {version.address} is tracked",)
    failures = []
    if export["served_fingerprint"] != model.fingerprint:
        failures.append(
            f"the files of {version.address} are not those that export run {version.tags['export_run']} proved"
        )
    variant = export["served_variant"]
    lost = read_metrics(version.tags["export_run"])[f"{variant}/validation_f1_loss"]
    if not lost <= config.export.f1_tolerance:
        failures.append(
            f"{variant} lost {lost:.4f} validation F1, more than {config.export.f1_tolerance:g}"
        )
    return tuple(failures)


def _latencies_ms(
    candidate: FoundModel, champion: FoundModel, data: DataRef, runs: int
) -> tuple[float, float]:
    """Median milliseconds of both on the same validation sentences (the first window of each), measured here and now, in turns."""
    sentences = [sentence.tokens for sentence in data.dataset.corpus[VALIDATION]][:runs]
    contenders = {}
    for model in (candidate, champion):
        encoder = TaggerSpec.load(model.folder).encoder(
            Tokenizer.from_file(str(model.folder / TOKENIZER_FILE))
        )
        windows = [
            window for window in encoder.windows(sentences) if window.first_word == 0
        ]  # models may cut long sentences otherwise
        contenders[model.address] = (
            onnx_loader(model.folder / MODEL_FILE),
            sentence_inputs(windows),
        )
    times = interleaved_latency_ms(contenders, runs, WARMUP_RUNS)
    return summarize_ms(times[candidate.address])["p50_ms"], summarize_ms(times[champion.address])[
        "p50_ms"
    ]
