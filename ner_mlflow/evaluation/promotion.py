"""Judge whether a candidate may replace the champion."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..config.schema import PromoteConfig
from .counts import f1
from .significance import PairedTest, paired_permutation_test

GIVEN_WORDS, RAW_TEXTS = "given words", "raw texts"
"""What the F1 of a verdict was measured on."""


@dataclass(frozen=True)
class Measured:
    """The measurements by which two models are compared.

    Attributes:
        counts: shape (sentences or texts, types, 3), from
            :func:`~ner_mlflow.evaluation.counts.entity_counts` or
            :func:`~ner_mlflow.evaluation.text_scores.strict_counts` on the deciding split.
    """

    counts: NDArray[np.int64]
    latency_p50_ms: float
    size_bytes: int


@dataclass(frozen=True)
class Contender:
    """A registered model, as a candidate or as the champion.

    Attributes:
        dataset_fingerprint: empty if unknown.
        proof_failures: the parts of its export's proof that do not hold; empty if all hold.
        measured: None if there is no other model to compare with.
    """

    name: str
    dataset_fingerprint: str
    proof_failures: tuple[str, ...] = ()
    measured: Measured | None = None

    def shares_dataset_with(self, other: "Contender") -> bool:
        """Return whether both are known to be made from the same dataset."""
        return (
            bool(self.dataset_fingerprint) and self.dataset_fingerprint == other.dataset_fingerprint
        )


@dataclass(frozen=True)
class Check:
    """A condition, whether it holds, the evidence, and what to say if it does not hold."""

    condition: str
    passed: bool
    evidence: str
    failure: str = ""


@dataclass(frozen=True)
class Verdict:
    """All checks; ``reason`` is one line: why the candidate is better, or the failed checks."""

    checks: tuple[Check, ...]
    passed: bool
    reason: str

    @property
    def table(self) -> pd.DataFrame:
        """Return one row for each check."""
        return pd.DataFrame(
            [
                {
                    "check": check.condition,
                    "passed": "yes" if check.passed else "no",
                    "found": check.evidence,
                }
                for check in self.checks
            ]
        )


def judge(
    candidate: Contender,
    champion: Contender | None,
    config: PromoteConfig,
    scored_on: str = GIVEN_WORDS,
) -> Verdict:
    """Compare a candidate with the champion by the margins in the settings.

    Without a champion the candidate passes if its proof holds.

    Args:
        candidate: the model that may be promoted.
        champion: the one that it may replace; None: none.
        config: the margins.
        scored_on: what the counts of both were made on, :data:`GIVEN_WORDS` or :data:`RAW_TEXTS`.
    """
    checks = [
        Check(
            "its proof holds",
            not candidate.proof_failures,
            "; ".join(candidate.proof_failures)
            or "the registered files are those that were proven",
            "; ".join(candidate.proof_failures),
        )
    ]
    if champion is None:
        checks.append(Check("there is no champion yet", True, "nothing to compare with"))
        return _verdict(checks, "there was none before")
    fingerprints = [
        contender.dataset_fingerprint[:12] or f"unknown of {contender.name}"
        for contender in (candidate, champion)
    ]
    checks.append(
        Check(
            "both were made from one dataset",
            candidate.shares_dataset_with(champion),
            " and ".join(fingerprints),
            f"it was made from another dataset ({' and '.join(fingerprints)})",
        )
    )
    ours, theirs = candidate.measured, champion.measured
    if ours is None or theirs is None:
        return _verdict(checks, "")
    test = paired_permutation_test(ours.counts, theirs.counts, config.resamples, config.seed)
    worse = test.difference < 0 and test.p_value <= config.significance_level
    f1_ours, f1_theirs = (float(f1(one.counts.sum(axis=(0, 1)))) for one in (ours, theirs))
    compared = f"{f1_ours:.4f} against {f1_theirs:.4f}"
    checks.append(
        Check(
            "F1 is not significantly worse",
            not worse,
            f"on {scored_on} {compared}: {test.difference:+.4f}, p = {test.p_value:.4f}",
            f"F1 is significantly lower on {scored_on}, {compared}, p {test.p_value:.4f}",
        )
    )
    reasons = _reasons(ours, theirs, test.difference, config, scored_on)
    shortfall = f"on {scored_on} {_shortfall(ours, theirs, test, config)}"
    checks.append(
        Check(
            "it is better, or as good and faster or smaller",
            bool(reasons),
            "; ".join(reasons) or shortfall,
            # A lower F1 says it all.
            "" if worse else f"it is no improvement: {shortfall}",
        )
    )
    return _verdict(checks, "; ".join(reasons))


def _verdict(checks: Sequence[Check], reason: str) -> Verdict:
    passed = all(check.passed for check in checks)
    failures = [check.failure for check in checks if not check.passed and check.failure]
    return Verdict(tuple(checks), passed, reason if passed else "; ".join(failures))


def _reasons(
    candidate: Measured,
    champion: Measured,
    difference: float,
    config: PromoteConfig,
    scored_on: str,
) -> list[str]:
    reasons = []
    if difference >= config.min_f1_gain and difference > 0:
        reasons.append(f"F1 is {difference:.4f} higher on {scored_on}")
    if difference >= -config.f1_tolerance:
        latency, size = _ratios(candidate, champion)
        if latency <= config.max_latency_ratio:
            reasons.append(
                f"takes {latency:.2f} of the time at an F1 {difference:+.4f} on {scored_on}"
            )
        if size <= config.max_size_ratio:
            reasons.append(f"has {size:.2f} of the bytes at an F1 {difference:+.4f} on {scored_on}")
    return reasons


def _shortfall(
    candidate: Measured, champion: Measured, test: PairedTest, config: PromoteConfig
) -> str:
    latency, size = _ratios(candidate, champion)
    return (
        f"F1 {test.difference:+.4f}; required is {config.min_f1_gain:+g}, or "
        f"{-config.f1_tolerance:+g} with at most {config.max_latency_ratio:g} of the time "
        f"({latency:.2f}) or {config.max_size_ratio:g} of the bytes ({size:.2f})"
    )


def _ratios(candidate: Measured, champion: Measured) -> tuple[float, float]:
    return (
        candidate.latency_p50_ms / champion.latency_p50_ms,
        candidate.size_bytes / champion.size_bytes,
    )
