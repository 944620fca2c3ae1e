"""Time bootstrap intervals and a paired permutation test.

Both use 10,000 resamples of 3,108 sentences (the size of the StackOverflow NER corpus's test split)
with five types. The reference is a loop that draws and scores one sample at a time; it is timed for
a hundredth of the resamples, and scaled.

usage: python -m benchmarks.significance [--resamples 10000] [--sentences 3108]
"""

import argparse
import json
import time

import numpy as np
from numpy.typing import NDArray

from ner_mlflow.evaluation.counts import f1, prepend_total
from ner_mlflow.evaluation.significance import bootstrap_intervals, paired_permutation_test
from ner_mlflow.provenance import hardware

TYPES = 5
LOOP_SHARE = 100
"""The loop draws one in this many resamples."""


def main() -> None:
    """Time both and print the result as JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--resamples", type=int, default=10_000)
    parser.add_argument("--sentences", type=int, default=3108)
    arguments = parser.parse_args()
    random = np.random.default_rng(13)
    gold = random.poisson(0.07, (arguments.sentences, TYPES))
    first, second = (
        np.stack([correct := random.binomial(gold, recall), correct, gold], axis=-1)
        for recall in (0.8, 0.79)
    )
    started = time.perf_counter()
    bootstrap_intervals(prepend_total(first), arguments.resamples, 0.95, 13)
    bootstrapped = time.perf_counter()
    paired_permutation_test(first, second, arguments.resamples, 13)
    tested = time.perf_counter()
    _loop(first, arguments.resamples // LOOP_SHARE, random)
    looped = (time.perf_counter() - tested) * LOOP_SHARE
    result = {
        "bootstrap_s": bootstrapped - started,
        "permutation_s": tested - bootstrapped,
        "ratio_to_loop": looped / (bootstrapped - started),
        "resamples": arguments.resamples,
        "sentences": arguments.sentences,
        "hardware": hardware(),
    }
    print(json.dumps(result))


def _loop(counts: NDArray[np.int64], resamples: int, random: np.random.Generator) -> list[float]:
    return [
        float(f1(counts[random.integers(0, len(counts), len(counts))].sum(axis=(0, 1))))
        for _ in range(resamples)
    ]


if __name__ == "__main__":
    main()
