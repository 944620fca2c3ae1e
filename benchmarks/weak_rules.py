"""Hold the labeler ``rules`` against gold sentences: strict spans over pieces.

Prints precision, recall and counts of each type, and the precision of each rule; the last line is
one JSON object. A test split is not read into the figures: rules are chosen by them.

usage: python -m benchmarks.weak_rules DATASET [--rules it5] [--label-map it5] [--errors 0]
"""

import argparse
import json
from collections import Counter
from collections.abc import Sequence

from ner_mlflow.config.schema import DataConfig
from ner_mlflow.data.label_map import load_label_map
from ner_mlflow.data.pieces import cut_sentence
from ner_mlflow.data.sentences import TEST, Sentence
from ner_mlflow.data.sources import read_corpus
from ner_mlflow.tagging.iob2 import to_entities
from ner_mlflow.weak.rules import RulesLabeler, load_rules

Votes = list[tuple[int, int, str, str]]
"""Start, end, type and rule of the spans of a sentence."""


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(usage=(__doc__ or "").split("usage: ")[1])
    parser.add_argument("dataset", help="files or a folder, as the setting `dataset` takes them")
    parser.add_argument("--rules", default="it5", help="a name in weak_rules/ or a YAML file")
    parser.add_argument("--label-map", default="it5")
    parser.add_argument("--errors", type=int, default=0, help="most examples shown of each rule")
    arguments = parser.parse_args()
    corpus = read_corpus(DataConfig(dataset=arguments.dataset)).corpus
    relabel = load_label_map(arguments.label_map).relabel
    sentences = [
        cut_sentence(sentence)
        for split, rows in corpus.items()
        if split != TEST
        for sentence in rows.rename_tags(relabel)
    ]
    labeler = RulesLabeler(load_rules(arguments.rules))
    votes: list[Votes] = [
        [(span.start, span.end, span.type, span.rule) for span in spans]
        for spans in labeler.label(sentences)
    ]
    types, rules, wrong = count(sentences, votes)
    for title, table in (("type", types), ("rule", rules)):
        print(f"{title:24}{'right':>8}{'wrong':>8}{'missed':>8}{'precision':>11}{'recall':>8}")
        for name, row in sorted(table.items()):
            precision, recall = row["precision"], row["recall"] if title == "type" else float("nan")
            print(
                f"{name:24}{row['right']:8.0f}{row['wrong']:8.0f}{row['missed']:8.0f}"
                f"{precision:11.3f}{recall:8.3f}"
            )
    for (rule, text), number in wrong.most_common() if arguments.errors else ():
        if number >= arguments.errors:
            print(f"{rule}: {text}: {number}")
    print(json.dumps({"sentences": len(sentences), "types": types, "rules": rules}))


Table = dict[str, dict[str, float]]


def count(
    sentences: Sequence[Sentence], votes: Sequence[Votes]
) -> tuple[Table, Table, Counter[tuple[str, str]]]:
    """Return the figures by type, those by rule, and the texts of wrong spans by rule."""
    right: dict[str, Counter[str]] = {"type": Counter(), "rule": Counter()}
    wrong: dict[str, Counter[str]] = {"type": Counter(), "rule": Counter()}
    gold: Counter[str] = Counter()
    texts: Counter[tuple[str, str]] = Counter()
    for sentence, spans in zip(sentences, votes, strict=True):
        entities = {
            (entity.start, entity.end, entity.type) for entity in to_entities(sentence.tags)
        }
        gold.update(type_ for _, _, type_ in entities)
        for start, end, type_, rule in spans:
            is_right = (start, end, type_) in entities
            counters = right if is_right else wrong
            counters["type"][type_] += 1
            counters["rule"][rule] += 1
            if not is_right:
                texts[rule, " ".join(sentence.tokens[start:end])] += 1

    def table(kind: str, totals: Counter[str]) -> Table:
        names = sorted(right[kind] | wrong[kind] | totals)
        return {
            name: {
                "right": right[kind][name],
                "wrong": wrong[kind][name],
                "missed": max(0, totals[name] - right[kind][name]),
                "precision": right[kind][name] / max(1, right[kind][name] + wrong[kind][name]),
                "recall": right[kind][name] / max(1, totals[name]),
            }
            for name in names
        }

    return table("type", gold), table("rule", Counter()), texts


if __name__ == "__main__":
    main()
