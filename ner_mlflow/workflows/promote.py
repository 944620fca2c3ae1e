"""The `promote` step: a candidate takes the champion's place, if it may; or the champion before takes it back."""

import logging
from dataclasses import dataclass

from tokenizers import Tokenizer

from ..config import Config
from ..data.sentences import VALIDATION
from ..errors import ModelError, TrackingError
from ..evaluation.counts import entity_counts
from ..evaluation.promotion import Contender, Verdict, judge
from ..export.latency import interleaved_latency_ms, onnx_loader, sentence_inputs, summarize_ms
from ..provenance import folder_sizes
from ..serving.recognizer import MODEL_FILE, TOKENIZER_FILE
from ..tagger import TaggerSpec
from ..tracking.models import FoundModel, find_model
from ..tracking.registry import RegisteredVersion, alias_holder, find_version, mark, move_alias, now, user_of
from ..tracking.runs import Run, read_metrics, read_tags
from .evaluate import evaluated, read_predictions
from .prepare import DataRef, load_data

log = logging.getLogger(__name__)

STEP = "promote"
PROMOTED_FROM = "promoted_from"
WARMUP_RUNS = 10


@dataclass(frozen=True)
class Promotion:
    """What came out; ``moved`` says whether the alias was given to ``version``."""

    version: RegisteredVersion
    champion: RegisteredVersion | None
    verdict: Verdict
    moved: bool


def run_promote(run: Run, config: Config, name: str, candidate: str, alias: str, dry_run: bool = False, force: str = "") -> Promotion:
    """Judge a version of a registered model against the one that has the alias, and move the alias if it may.

    Args:
        run: receives the verdict; runs of evaluations that are missing are opened below it.
        config: margins, and the split that decides.
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
    run.log_config(evaluate=config.evaluate, promote=config.promote)
    run.set_tags({"candidate": version.address, "champion": champion.address if champion else "none", "alias": alias})
    if champion and champion.version == version.version:
        raise TrackingError(f"{version.address} is {name}@{alias} already: name another candidate")
    verdict = _verdict(run, config, version, champion)
    run.log_table("promotion", verdict.table)
    run.describe(verdict.table)
    for check in verdict.checks:
        log.info("%s: %s (%s)", check.question, "yes" if check.passed else "no", check.found)
    moved = not dry_run and (verdict.passed or bool(force))
    run.set_tags({"passed": verdict.passed, "reason": verdict.reason, "promoted": moved, "forced": force})
    if moved:
        reason = verdict.reason if verdict.passed else f"forced ({force}), although {verdict.reason}"
        _move(run, config, version, champion, alias, reason)
    elif not dry_run:
        raise ModelError(f"{version.address} does not become {name}@{alias}, {verdict.reason}; to promote it all the same: force='the reason why'")
    return Promotion(version, champion, verdict, moved)


def attempt(run: Run, config: Config, name: str, candidate: str, alias: str) -> str:
    """:func:`run_promote` where it is no failure that the candidate is refused; the reason, empty where it was promoted."""
    try:
        run_promote(run, config, name, candidate, alias)
    except ModelError as error:
        return str(error)
    return ""


def run_rollback(run: Run, config: Config, name: str, alias: str, reason: str) -> tuple[RegisteredVersion, RegisteredVersion]:
    """Give an alias back to the version that had it before.

    Returns:
        The version that had the alias, and the one that has it now.

    Raises:
        TrackingError: nothing is known to have had it before, or somebody else moved it meanwhile.
    """
    champion = alias_holder(name, alias)
    if champion is None or not champion.tags.get(PROMOTED_FROM):
        raise TrackingError(f"{name}@{alias}: no champion before this one is known, so nothing to roll back to: promote a version with force='the reason why'")
    previous = find_version(name, champion.tags[PROMOTED_FROM])
    run.set_tags({"candidate": previous.address, "champion": champion.address, "alias": alias, "reason": reason})
    who, when = user_of(run), now()
    note = f"{when}: {alias} again, rolled back from version {champion.version} by {who}: {reason}."
    move_alias(alias, previous, champion, {"restored_at": when, "restored_by": who}, note, config.promote.lock_timeout_s)
    mark(champion, {"rolled_back_at": when, "rolled_back_by": who, "rolled_back_reason": reason})
    return champion, previous


def _move(run: Run, config: Config, version: RegisteredVersion, champion: RegisteredVersion | None, alias: str, reason: str) -> None:
    who, when = user_of(run), now()
    before = f"version {champion.version}" if champion else "nothing"
    tags = {
        "promoted_at": when,
        "promoted_by": who,
        PROMOTED_FROM: champion.version if champion else "",
        "promotion_reason": reason,
        "promotion_run": run.id,
    }
    note = f"{when}: {alias} after {before}, promoted by {who}: {reason}."
    move_alias(alias, version, champion, tags, note, config.promote.lock_timeout_s)


def _verdict(run: Run, config: Config, version: RegisteredVersion, champion: RegisteredVersion | None) -> Verdict:
    found = find_model(version.address)
    export = _export_tags(version)
    failures = _proof_failures(version, found, export, config)
    if champion is None:
        return judge(Contender(version.address, "", None, 1.0, 1, failures), None, config.promote)
    other = find_model(champion.address)
    fingerprints = [tags.get("dataset_fingerprint", f"unknown of {one.address}") for one, tags in ((version, export), (champion, _export_tags(champion)))]
    if fingerprints[0] != fingerprints[1]:
        contenders = [Contender(one.address, print_, None, 1.0, 1) for one, print_ in zip((version, champion), fingerprints, strict=True)]
        return judge(Contender(version.address, fingerprints[0], None, 1.0, 1, failures), contenders[1], config.promote)
    data = load_data(export["data_run"])
    latencies = _latencies_ms(found, other, data, config.promote.latency_runs)
    one, two = (
        _contender(run, config, model, latency, data, reasons) for model, latency, reasons in ((found, latencies[0], failures), (other, latencies[1], ()))
    )
    return judge(one, two, config.promote)


def _contender(run: Run, config: Config, model: FoundModel, latency_p50_ms: float, data: DataRef, failures: tuple[str, ...]) -> Contender:
    predictions = read_predictions(evaluated(run, config.evaluate, model, data))
    counts = entity_counts(predictions["gold"].tolist(), predictions["predicted"].tolist(), data.dataset.schema.types)
    return Contender(model.address, data.dataset.fingerprint, counts, latency_p50_ms, sum(folder_sizes(model.folder).values()), failures)


def _export_tags(version: RegisteredVersion) -> dict[str, str]:
    run_id = version.tags.get("export_run")
    return read_tags(run_id) if run_id else {}


def _proof_failures(version: RegisteredVersion, model: FoundModel, export: dict[str, str], config: Config) -> tuple[str, ...]:
    """What does not hold of a version's proof: that of the very files that are registered, within the tolerances of now."""
    if "served_fingerprint" not in export:
        return (f"no export run of {version.address} is tracked",)
    failures = []
    if export["served_fingerprint"] != model.fingerprint:
        failures.append(f"the files of {version.address} are not those that export run {version.tags['export_run']} proved")
    variant = export["served_variant"]
    lost = read_metrics(version.tags["export_run"])[f"{variant}/validation_f1_loss"]
    if not lost <= config.export.f1_tolerance:
        failures.append(f"{variant} lost {lost:.4f} validation F1, more than {config.export.f1_tolerance:g}")
    return tuple(failures)


def _latencies_ms(candidate: FoundModel, champion: FoundModel, data: DataRef, runs: int) -> tuple[float, float]:
    """Median milliseconds of both on validation sentences, measured here and now, in turns."""
    sentences = [sentence.tokens for sentence in data.dataset.corpus[VALIDATION]][:runs]
    contenders = {}
    for model in (candidate, champion):
        encoder = TaggerSpec.load(model.folder).encoder(Tokenizer.from_file(str(model.folder / TOKENIZER_FILE)))
        contenders[model.address] = (onnx_loader(model.folder / MODEL_FILE), sentence_inputs(encoder.windows(sentences)))
    times = interleaved_latency_ms(contenders, runs, WARMUP_RUNS)
    return summarize_ms(times[candidate.address])["p50_ms"], summarize_ms(times[champion.address])["p50_ms"]
