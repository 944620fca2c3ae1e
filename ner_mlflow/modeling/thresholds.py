"""Choose the least confidence that an entity of each type needs to be an answer."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from ..evaluation.calibration import span_confidences
from ..evaluation.counts import f1
from ..tagging.iob2 import to_entities
from ..tagging.tagger import Tagged

THRESHOLDS = np.arange(0.3, 0.91, 0.05)
"""Thresholds that are tried."""


def choose_thresholds(
    gold: Sequence[Sequence[str]], predicted: Sequence[Tagged], types: Sequence[str]
) -> dict[str, float]:
    """Return for each type the largest threshold that costs no F1.

    Text of another kind than the sentences has more names that the model has never seen, and there
    doubtful answers are wrong more often. So the largest threshold is taken, not the best.

    Args:
        gold: valid IOB2 tags of each sentence.
        predicted: tags and probabilities of each sentence, predicted without thresholds.
        types: the entity types.

    Returns:
        Threshold by type; a type without one is left out.
    """
    confidences, correct = span_confidences(gold, predicted)
    found = np.array(
        [entity.type for tagged in predicted for entity in to_entities(tagged.tags)], dtype=np.str_
    )
    golden = Counter(entity.type for tags in gold for entity in to_entities(tags))
    chosen = {}
    for type_ in types:
        of_type = found == type_
        kept = of_type & (confidences >= np.array([0.0, *THRESHOLDS])[:, None])
        without, *f1_by_threshold = f1(
            np.stack(
                [
                    (kept & correct).sum(axis=1),
                    kept.sum(axis=1),
                    np.full(len(kept), golden[type_]),
                ],
                axis=-1,
            )
        )
        costless = THRESHOLDS[np.array(f1_by_threshold) >= without]
        if without and len(costless):
            chosen[type_] = round(float(costless.max()), 2)
    return chosen
