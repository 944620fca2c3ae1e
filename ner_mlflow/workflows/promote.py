"""The `promote` step: let a candidate take the champion's place if it may, or roll back."""

import logging
from dataclasses import dataclass, replace

from ..config.schema import Config, EvaluateConfig
from ..data.running_text import RAW, text_kind
from ..data.sentences import VALIDATION
from ..errors import TrackingError
from ..evaluation.promotion import (
    GIVEN_WORDS,
    RAW_TEXTS,
    Contender,
    Measured,
    Verdict,
    judge,
)
from ..evaluation.text_scores import strict_counts
from ..exporting.side_by_side import time_side_by_side
from ..pages import escape_markdown
from ..provenance import folder_sizes
from ..tracking.models import FoundModel, find_model
from ..tracking.records import ExportRecord, Outcome, PromoteRecord, VersionOrigin
from ..tracking.registry import (
    AliasHeldError,
    AliasMovedError,
    RegisteredVersion,
    alias_holder,
    check_reason,
    find_version,
    move_alias,
    now,
    previous_holder,
    settle,
    user_of,
)
from ..tracking.run import Run
from ..tracking.steps import Step
from .data import TrackedDataset, load_data
from .evaluate import evaluate_once, prediction_counts

log = logging.getLogger(__name__)

WARMUP_RUNS = 10
NO_VERSION = "none"
"""The champion in a record where no version has the alias yet."""


@dataclass(frozen=True)
class Promotion:
    """The outcome of a promotion.

    ``allowed`` is true if ``version`` may have the alias, by the verdict or by force. ``reason`` is
    one line: why the version has the alias, would have it, or was refused.
    """

    version: RegisteredVersion
    champion: RegisteredVersion | None
    verdict: Verdict
    outcome: Outcome
    reason: str

    @property
    def allowed(self) -> bool:
        """True if the version may have the alias, by the verdict or by force."""
        return self.outcome in (Outcome.PROMOTED, Outcome.FORCED) or (
            self.outcome == Outcome.DRY_RUN and self.verdict.passed
        )

    @property
    def moved(self) -> bool:
        """True if the version was given the alias."""
        return self.outcome in (Outcome.PROMOTED, Outcome.FORCED)


@dataclass(frozen=True)
class Rollback:
    """The version that has, or had, the alias, and the one that had it before."""

    champion: RegisteredVersion
    previous: RegisteredVersion


def run_promote(
    run: Run,
    config: Config,
    name: str,
    candidate: str,
    alias: str,
    dry_run: bool = False,
    force: str = "",
) -> Promotion:
    """Compare a version of a registered model with the champion, and move the alias if it may.

    Args:
        run: receives the verdict; missing evaluations are made in runs below it.
        config: the split that decides, and the margins.
        name: the name of the registered model.
        candidate: a version's number or alias, or ``latest``.
        alias: the alias to move; the version that has it is the champion.
        dry_run: only report the verdict.
        force: a reason to move the alias whatever the verdict is; empty: none.

    Returns:
        What came of it; a candidate that may not be promoted, and is not forced, is refused.

    Raises:
        TrackingError: there is no such version, or somebody else moved the alias meanwhile.
    """
    check_reason("force", force)
    version = find_version(name, candidate)
    settle(name, config.promote.lock_timeout_s)
    champion = alias_holder(name, alias)
    run.set_name(Step.PROMOTE, f"{name}/{version.version}", alias)
    run.log_config({"evaluate": _evaluate_config(config), "promote": config.promote})
    record = PromoteRecord(
        run_id=run.id,
        candidate=version.address,
        champion=champion.address if champion else NO_VERSION,
        alias=alias,
        forced=force,
    )
    record.write(run)
    if champion and champion.version == version.version:
        raise AliasHeldError(f"{version.address} is {name}@{alias} already: name another candidate")
    verdict = _verdict(run, config, version, champion)
    run.log_table("promotion", verdict.table)
    for check in verdict.checks:
        answer = "yes" if check.passed else "no"
        log.info("promotion check: %s: %s (%s)", check.condition, answer, check.evidence)
    reason = verdict.reason
    if force and not verdict.passed:
        reason = f"forced ({force}), although {reason}"
    if dry_run:
        outcome = Outcome.DRY_RUN
    elif verdict.passed:
        outcome = Outcome.PROMOTED
    else:
        outcome = Outcome.FORCED if force else Outcome.REFUSED
    # Before the alias moves: whoever reads the run then knows why.
    record = replace(record, passed=verdict.passed, reason=reason)
    record.write(run)
    promotion = Promotion(version, champion, verdict, outcome, reason)
    if promotion.moved:
        _move(run, config, version, champion, alias, reason)
    replace(record, outcome=outcome).write(run)
    run.describe(verdict.table, lead=escape_markdown(f"{outcome}: {reason}"))
    return promotion


def try_promote(
    run: Run, config: Config, name: str, candidate: str, alias: str
) -> tuple[bool, str]:
    """Run :func:`run_promote`; a lost race is not an error.

    Returns:
        Whether the candidate has the alias now, and the reason.
    """
    try:
        promotion = run_promote(run, config, name, candidate, alias)
    except (AliasMovedError, AliasHeldError) as error:
        version, holder = find_version(name, candidate), alias_holder(name, alias)
        if holder and holder.version == version.version:
            reason = "another run gave it the alias meanwhile"
            run.set_tags({"outcome": Outcome.HELD, "reason": reason})
            return True, reason
        run.set_tags({"outcome": Outcome.REFUSED, "reason": str(error)})
        return False, str(error)
    reason = promotion.reason if promotion.moved else f"{promotion.outcome}: {promotion.reason}"
    return promotion.moved, reason


def run_rollback(
    run: Run, config: Config, name: str, alias: str, reason: str, dry_run: bool = False
) -> Rollback:
    """Give an alias back to the version that had it before; with ``dry_run`` only report which.

    Raises:
        TrackingError: no earlier holder is known, or somebody else moved the alias meanwhile.
    """
    check_reason("rollback", reason)
    settle(name, config.promote.lock_timeout_s)
    champion, previous = alias_holder(name, alias), previous_holder(name, alias)
    if champion is None or previous is None:
        raise TrackingError(
            f"{name}@{alias}: no champion before this one is known, so there is nothing to roll "
            "back to: promote a version with force='the reason why'"
        )
    run.set_name(Step.PROMOTE, f"{name}/{previous.version}", alias, "rollback")
    record = PromoteRecord(
        run_id=run.id,
        candidate=previous.address,
        champion=champion.address,
        alias=alias,
        reason=reason,
    )
    record.write(run)
    if not dry_run:
        user, when = user_of(run), now()
        note = (
            f"{when}: {alias} again, rolled back from version {champion.version} by {user}: "
            f"{reason}."
        )
        timeout_s = config.promote.lock_timeout_s
        tags = {"restored_at": when, "restored_by": user}
        left_tags = {
            "rolled_back_at": when,
            "rolled_back_by": user,
            "rolled_back_reason": reason,
        }
        move_alias(alias, previous, champion, tags, note, timeout_s, True, left_tags)
    outcome = Outcome.DRY_RUN if dry_run else Outcome.ROLLED_BACK
    replace(record, outcome=outcome).write(run)
    return Rollback(champion, previous)


def _move(
    run: Run,
    config: Config,
    version: RegisteredVersion,
    champion: RegisteredVersion | None,
    alias: str,
    reason: str,
) -> None:
    user, when = user_of(run), now()
    before = f"version {champion.version}" if champion else "nothing"
    tags = {
        "promoted_at": when,
        "promoted_by": user,
        "promoted_from": champion.version if champion else "",
        "promotion_reason": reason,
        "promotion_run": run.id,
    }
    note = f"{when}: {alias} after {before}, promoted by {user}: {reason}."
    move_alias(alias, version, champion, tags, note, config.promote.lock_timeout_s)


def _verdict(
    run: Run, config: Config, version: RegisteredVersion, champion: RegisteredVersion | None
) -> Verdict:
    model, export = find_model(version.address), _export_record(version)
    candidate = Contender(
        version.address,
        export.dataset_fingerprint if export else "",
        _proof_failures(version, model, export, config),
    )
    if champion is None:
        return judge(candidate, None, config.promote)
    champion_export = _export_record(champion)
    champion_fingerprint = champion_export.dataset_fingerprint if champion_export else ""
    holder = Contender(champion.address, champion_fingerprint)
    if export is None or not candidate.shares_dataset_with(holder):
        return judge(candidate, holder, config.promote)
    data = load_data(export.data_run)
    models = {model.address: model, champion.address: find_model(champion.address)}
    sentences = [sentence.tokens for sentence in data.dataset.corpus[VALIDATION]]
    folders = {address: one.folder for address, one in models.items()}
    timed = time_side_by_side(folders, sentences, config.promote.latency_runs, WARMUP_RUNS)
    run.log_metrics({"latency/other_load": timed.other_load})
    # Where the texts are known as they were written, users' texts decide, not given words.
    kind = text_kind(data.dataset.corpus[config.promote.split])
    scored_on = RAW_TEXTS if kind == RAW else GIVEN_WORDS
    measured = {
        address: _measure(run, config, one, timed.p50_ms[address], data, scored_on)
        for address, one in models.items()
    }
    return judge(
        replace(candidate, measured=measured[model.address]),
        replace(holder, measured=measured[champion.address]),
        config.promote,
        scored_on,
    )


def _measure(
    run: Run,
    config: Config,
    model: FoundModel,
    latency_p50_ms: float,
    data: TrackedDataset,
    scored_on: str,
) -> Measured:
    evaluation = evaluate_once(run, _evaluate_config(config), model, data)
    types = data.dataset.schema.types
    counts = (
        strict_counts(evaluation.answers, types)
        if scored_on == RAW_TEXTS
        else prediction_counts(evaluation.predictions, types)
    )
    return Measured(counts, latency_p50_ms, sum(folder_sizes(model.folder).values()))


def _evaluate_config(config: Config) -> EvaluateConfig:
    """Return how the split that decides is scored."""
    return config.evaluate.model_copy(update={"split": config.promote.split})


def _export_record(version: RegisteredVersion) -> ExportRecord | None:
    run_id = VersionOrigin.from_tags(version.tags).export_run
    return ExportRecord.read(run_id) if run_id else None


def _proof_failures(
    version: RegisteredVersion, model: FoundModel, export: ExportRecord | None, config: Config
) -> tuple[str, ...]:
    """Return what does not hold of a version's proof.

    The proof must be of the very files that are registered, within the tolerances of now.
    """
    if export is None or not export.served_fingerprint:
        return (f"no export run of {version.address} is tracked",)
    failures = []
    if export.served_fingerprint != model.fingerprint:
        failures.append(
            f"the files of {version.address} are not those that export run {export.run_id} proved"
        )
    lost = export.served_metrics["validation_f1_loss"]
    if not lost <= config.export.f1_tolerance:
        failures.append(
            f"{export.served_variant} lost {lost:.4f} validation F1, "
            f"more than {config.export.f1_tolerance:g}"
        )
    if not export.served_metrics["validation_f1"] > 0:
        failures.append("it finds no entity of the validation split (F1 0): train it longer")
    return tuple(failures)
