"""A sweep says which trial is the best, in words."""

import pandas as pd

from ner_mlflow.sweeping.trial import BestTrial
from ner_mlflow.workflows.sweep import trial_in_words


def test_the_best_trial_is_described_by_its_objectives_and_settings() -> None:
    chosen = {"train.learning_rate": 0.00031234, "model.lora_rank": 16}
    best = BestTrial(3, chosen, (0.81234, 0.95), "0" * 32)
    states = pd.Series(["complete", "pruned", "complete"]).value_counts()
    assert trial_in_words(best, ("validation_f1", "latency"), states) == (
        "Trial 3 is the best: validation F1 0.8123, latency 0.95, with train.learning_rate "
        "0.0003123, model.lora_rank 16. Trials: 2 complete, 1 pruned."
    )
