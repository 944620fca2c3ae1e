"""Everything `evaluate` shows of one model on one split."""

from collections.abc import Sequence

from ..bio import to_entities
from ..config import EvaluateConfig
from ..data.sentences import Sentence
from ..labels import LabelSchema
from ..results import EvalReport
from .errors import entity_confusion, error_pairs, match, sentence_table, sentences_page, token_confusion, worst_sentences
from .plots import plot_confusion, plot_type_scores
from .scores import score


def evaluate(sentences: Sequence[Sentence], predicted: Sequence[Sequence[str]], schema: LabelSchema, config: EvaluateConfig) -> EvalReport:
    """Score predicted tags, one list a sentence, both valid IOB2, and lay out the errors.

    Metric names begin with the split: ``test/f1``, ``test/OS/f1``, ...
    """
    gold = [sentence.tags for sentence in sentences]
    outcomes = [match(to_entities(g), to_entities(p)) for g, p in zip(gold, predicted, strict=True)]
    scores = score(gold, predicted)
    by_word = token_confusion(gold, predicted, schema.types)
    by_entity = entity_confusion(outcomes, schema.types)
    worst = worst_sentences(sentences, outcomes, config.worst_sentences)
    return EvalReport(
        metrics={f"{config.split}/{name}": value for name, value in scores.items()},
        tables={
            "token_confusion": by_word.reset_index(),
            "entity_confusion": by_entity.reset_index(),
            "error_pairs": error_pairs(sentences, outcomes, config.error_pairs),
            "worst_sentences": sentence_table(sentences, outcomes, worst),
        },
        pages={"worst_sentences": sentences_page(f"Worst sentences of {config.split}", sentences, predicted, worst, schema.types)},
        figures={
            "token_confusion": plot_confusion(by_word, f"Words of {config.split}: gold and predicted type"),
            "entity_confusion": plot_confusion(by_entity, f"Entities of {config.split}: gold and predicted type"),
            "type_scores": plot_type_scores(scores, schema.types, f"Strict scores by type on {config.split}"),
        },
    )
