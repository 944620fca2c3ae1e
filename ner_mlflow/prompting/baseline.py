"""Extract the entities of many sentences with a language model."""

import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pandas as pd
import yaml

from ..data.sentences import Sentence
from ..tagging.iob2 import OUTSIDE, UNSURE, to_entities
from .answers import LocatedMentions, locate_mentions, parse_answer, render_answer
from .client import CallError, Complete, Completion, Message

log = logging.getLogger(__name__)

HERE = Path(__file__).parent
PROMPTS: dict[str, list[Message]] = yaml.safe_load(
    (HERE / "prompts.yaml").read_text(encoding="utf-8")
)
DEFINITIONS: dict[str, str] = yaml.safe_load(
    (HERE / "definitions.yaml").read_text(encoding="utf-8")
)
PROGRESS_EVERY = 50
"""Sentences between two progress lines."""
REJECTION_REASONS = ("hallucinated", "foreign", "overlapping")


@dataclass(frozen=True)
class Extraction:
    """The result of one sentence's call.

    Attributes:
        tags: IOB2 tags; all ``O`` after a failed call or an invalid answer.
        text: the raw answer, empty after a failed call.
        problem: why the call failed or the answer is invalid; empty for a valid answer.
        failed: the call failed.
        mentions: the located mentions of a valid answer.
        completion: the completion of a call that did not fail.
    """

    tags: list[str]
    text: str
    problem: str
    failed: bool
    mentions: LocatedMentions | None
    completion: Completion | None


def choose_subset(sentences: Sequence[Sentence], count: int, seed: int) -> list[Sentence]:
    """Return ``count`` random sentences in source order, or all if there are no more."""
    indices = sorted(Random(seed).sample(range(len(sentences)), min(count, len(sentences))))
    return [sentences[index] for index in indices]


def choose_examples(
    train: Sequence[Sentence], types: Sequence[str], count: int, seed: int, longest: int = 40
) -> list[Sentence]:
    """Return random training sentences as a prompt's examples.

    Types take turns, and every fourth example holds no entity. Sentences of more than ``longest``
    words are used only if all are that long, and those with words of unknown tag never.
    """
    random = Random(seed)
    train = [sentence for sentence in train if UNSURE not in sentence.tags]
    pool = [sentence for sentence in train if len(sentence.tokens) <= longest] or train
    pool = random.sample(pool, len(pool))
    by_type = {
        type_: [s for s in pool if any(entity.type == type_ for entity in to_entities(s.tags))]
        for type_ in types
    }
    without_entity = [sentence for sentence in pool if all(tag == OUTSIDE for tag in sentence.tags)]
    chosen: dict[tuple[str, ...], Sentence] = {}
    sources = [
        without_entity if index % 4 == 3 else by_type[types[(index - index // 4) % len(types)]]
        for index in range(count)
    ]
    for source in sources:
        unused = next((sentence for sentence in source if sentence.tokens not in chosen), None)
        if unused:
            chosen[unused.tokens] = unused
    return list(chosen.values())


def fill_template(
    template: Sequence[Message],
    sentence: Sentence,
    types: Sequence[str],
    examples: Sequence[Sentence],
) -> list[Message]:
    """Return the messages of a prompt for one sentence."""
    rendered_examples = "\n\n".join(
        f"{' '.join(example.tokens)}\n{render_answer(example.tokens, to_entities(example.tags))}"
        for example in examples
    )
    values = {
        "types": ", ".join(types),
        "definitions": "\n".join(
            f"- {type_}: {DEFINITIONS[type_]}" if type_ in DEFINITIONS else f"- {type_}"
            for type_ in types
        ),
        "examples": rendered_examples,
        "sentence": " ".join(sentence.tokens),
    }
    return [
        {"role": message["role"], "content": _fill_text(message["content"], values)}
        for message in template
    ]


def has_sentence_slot(template: Sequence[Message]) -> bool:
    """Return whether :func:`fill_template` puts the sentence into the template."""
    return any(
        _fill_text(message["content"], {"sentence": ""}) != message["content"]
        for message in template
    )


def extract_entities(
    sentences: Sequence[Sentence],
    template: Sequence[Message],
    examples: Sequence[Sentence],
    types: Sequence[str],
    complete: Complete,
    threads: int,
) -> list[Extraction]:
    """Query the model about each sentence; return the results in order.

    The first call is made alone, so that an endpoint that cannot answer fails at once.

    Args:
        sentences: gold tags are not used.
        template: messages with slots, see :func:`fill_template`.
        examples: sentences with tags, for the slot ``examples``.
        types: the entity types.
        complete: makes one call, from several threads.
        threads: calls at a time.

    Raises:
        ModelError: no call can succeed.
    """

    def extract(sentence: Sentence) -> Extraction:
        outside = [OUTSIDE] * len(sentence.tokens)
        try:
            completion = complete(fill_template(template, sentence, types, examples))
        except CallError as error:
            return Extraction(outside, "", str(error), True, None, None)
        try:
            answer = parse_answer(completion.text)
        except ValueError as error:
            problem = f"invalid answer: {error}"
            return Extraction(outside, completion.text, problem, False, None, completion)
        mentions = locate_mentions(answer, sentence.tokens, types)
        return Extraction(mentions.tags, completion.text, "", False, mentions, completion)

    extractions = [extract(sentence) for sentence in sentences[:1]]
    with ThreadPoolExecutor(threads) as pool:
        for extraction in pool.map(extract, sentences[1:]):
            extractions.append(extraction)
            if len(extractions) % PROGRESS_EVERY == 0:
                log.info("%d of %d sentences queried", len(extractions), len(sentences))
    return extractions


def extraction_metrics(
    extractions: Sequence[Extraction], input_price: float, output_price: float
) -> dict[str, float]:
    """Return rates over sentences and mentions, latencies, language model tokens and their cost.

    Args:
        extractions: one or more.
        input_price: per million input tokens.
        output_price: per million output tokens.
    """
    completions = [extraction.completion for extraction in extractions if extraction.completion]
    located = [extraction.mentions for extraction in extractions if extraction.mentions]
    rejected = {
        reason: sum(len(getattr(mentions, reason)) for mentions in located)
        for reason in REJECTION_REASONS
    }
    accepted = sum(len(to_entities(mentions.tags)) for mentions in located)
    total = max(accepted + sum(rejected.values()), 1)
    seconds = pd.Series([completion.seconds for completion in completions] or [0.0])
    input_tokens = sum(completion.input_tokens for completion in completions)
    output_tokens = sum(completion.output_tokens for completion in completions)
    invalid = sum(bool(extraction.problem) and not extraction.failed for extraction in extractions)
    failed = sum(extraction.failed for extraction in extractions)
    return {
        "invalid_answer_rate": invalid / len(extractions),
        "failed_call_rate": failed / len(extractions),
        **{f"{reason}_mention_rate": count / total for reason, count in rejected.items()},
        "latency/p50_ms": float(seconds.quantile(0.5)) * 1000,
        "latency/p95_ms": float(seconds.quantile(0.95)) * 1000,
        "input_tokens": float(input_tokens),
        "output_tokens": float(output_tokens),
        "cost": (input_tokens * input_price + output_tokens * output_price) / 1e6,
    }


def extraction_table(
    sentences: Sequence[Sentence], extractions: Sequence[Extraction]
) -> pd.DataFrame:
    """Return one row for each sentence: text, answer, faults and origin; rows with faults first."""
    rows = []
    for sentence, extraction in zip(sentences, extractions, strict=True):
        faults = [extraction.problem] if extraction.problem else []
        for reason in REJECTION_REASONS:
            if extraction.mentions and (texts := getattr(extraction.mentions, reason)):
                faults.append(f"{reason}: {', '.join(texts)}")
        rows.append(
            {
                "sentence": " ".join(sentence.tokens),
                "answer": extraction.text,
                "wrong": "; ".join(faults),
                "origin": sentence.origin,
            }
        )
    table = pd.DataFrame(rows, columns=["sentence", "answer", "wrong", "origin"])
    return table.sort_values(
        "wrong", key=lambda column: column == "", kind="stable", ignore_index=True
    )


def _fill_text(text: str, values: Mapping[str, str]) -> str:
    # One pass over the text: slots inside an inserted value stay as they are.
    parts = text.split("{{")
    filled = [parts[0]]
    for part in parts[1:]:
        name, closed, rest = part.partition("}}")
        filled.append(
            values[name.strip()] + rest if closed and name.strip() in values else "{{" + part
        )
    return "".join(filled)
