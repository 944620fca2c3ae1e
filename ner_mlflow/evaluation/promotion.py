"""May a candidate take the champion's place? What is asked, what was found, and the answer."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..config.schema import PromoteConfig
from .counts import f1
from .significance import PairedTest, paired_permutation_test


@dataclass(frozen=True)
class Measured:
    """What two models are compared by.

    ``counts`` are those of :func:`~ner_mlflow.evaluation.counts.entity_counts` on the split that decides, shape (sentences, types, 3).
    """

    counts: NDArray[np.int64]
    latency_p50_ms: float
    size_bytes: int


@dataclass(frozen=True)
class Contender:
    """What is known of a registered model.

    ``dataset_fingerprint`` is empty where it is unknown. ``proof_failures`` says what does not hold of its proof; empty: it holds.
    ``measured`` is needed where there is something to compare with.
    """

    name: str
    dataset_fingerprint: str
    proof_failures: tuple[str, ...] = ()
    measured: Measured | None = None

    def shares_dataset_with(self, other: "Contender") -> bool:
        """Whether both are known to be made from one dataset."""
        return (
            bool(self.dataset_fingerprint) and self.dataset_fingerprint == other.dataset_fingerprint
        )


@dataclass(frozen=True)
class Check:
    """One question, whether it was answered with yes, and what was found."""

    question: str
    passed: bool
    found: str


@dataclass(frozen=True)
class Verdict:
    """All checks; ``reason`` says in a line why the candidate is better, or what it failed."""

    checks: tuple[Check, ...]
    passed: bool
    reason: str

    @property
    def table(self) -> pd.DataFrame:
        """One row a check."""
        return pd.DataFrame(
            [
                {
                    "check": check.question,
                    "passed": "yes" if check.passed else "no",
                    "found": check.found,
                }
                for check in self.checks
            ]
        )


def judge(candidate: Contender, champion: Contender | None, config: PromoteConfig) -> Verdict:
    """Compare a candidate with the champion, if there is one, by the settings' margins."""
    checks = [
        Check(
            "its proof holds",
            not candidate.proof_failures,
            "; ".join(candidate.proof_failures)
            or "the registered files are those that were proven",
        )
    ]
    if champion is None:
        checks.append(Check("there is no champion yet", True, "nothing to compare with"))
        return _verdict(checks, "the first")
    fingerprints = [
        contender.dataset_fingerprint[:12] or f"unknown of {contender.name}"
        for contender in (candidate, champion)
    ]
    checks.append(
        Check(
            "both were made from one dataset",
            candidate.shares_dataset_with(champion),
            " and ".join(fingerprints),
        )
    )
    one, two = candidate.measured, champion.measured
    if one is None or two is None:
        return _verdict(checks, "")
    found = paired_permutation_test(one.counts, two.counts, config.resamples, config.seed)
    worse = found.difference < 0 and found.p_value <= config.significance_level
    checks.append(
        Check(
            "F1 is not significantly worse", not worse, _difference(one.counts, two.counts, found)
        )
    )
    reasons = _reasons(one, two, found.difference, config)
    checks.append(
        Check(
            "it is better, or as good and faster or smaller",
            bool(reasons),
            "; ".join(reasons) or _missed(one, two, found, config),
        )
    )
    return _verdict(checks, "; ".join(reasons))


def _verdict(checks: Sequence[Check], reason: str) -> Verdict:
    failed = [f"not so: {check.question} ({check.found})" for check in checks if not check.passed]
    return Verdict(tuple(checks), not failed, "; ".join(failed) or reason)


def _reasons(
    candidate: Measured, champion: Measured, difference: float, config: PromoteConfig
) -> list[str]:
    reasons = []
    if difference >= config.min_f1_gain and difference > 0:
        reasons.append(f"F1 is {difference:.4f} higher")
    if difference >= -config.f1_tolerance:
        latency, size = _ratios(candidate, champion)
        if latency <= config.max_latency_ratio:
            reasons.append(f"takes {latency:.2f} of the time at an F1 {difference:+.4f}")
        if size <= config.max_size_ratio:
            reasons.append(f"has {size:.2f} of the bytes at an F1 {difference:+.4f}")
    return reasons


def _missed(
    candidate: Measured, champion: Measured, found: PairedTest, config: PromoteConfig
) -> str:
    latency, size = _ratios(candidate, champion)
    return (
        f"F1 {found.difference:+.4f} where {config.min_f1_gain:+g} is asked for, or {-config.f1_tolerance:+g} with at most {config.max_latency_ratio:g} "
        f"of the time ({latency:.2f}) or {config.max_size_ratio:g} of the bytes ({size:.2f})"
    )


def _ratios(candidate: Measured, champion: Measured) -> tuple[float, float]:
    return (
        candidate.latency_p50_ms / champion.latency_p50_ms,
        candidate.size_bytes / champion.size_bytes,
    )


def _difference(
    candidate: NDArray[np.int64], champion: NDArray[np.int64], found: PairedTest
) -> str:
    scores = [float(f1(counts.sum(axis=(0, 1)))) for counts in (candidate, champion)]
    return (
        f"{scores[0]:.4f} against {scores[1]:.4f}: {found.difference:+.4f}, p = {found.p_value:.4f}"
    )
