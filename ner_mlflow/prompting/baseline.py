"""Ask a language model for the entities of many sentences."""

import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pandas as pd
import yaml

from ..data.sentences import Sentence
from ..tagging.iob2 import OUTSIDE, to_entities
from .answers import Answer, Located, locate, parse_answer, render_answer
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


@dataclass(frozen=True)
class Reply:
    """What became of one sentence: ``problem`` is empty where the answer was valid, else why it counts as no entity."""

    tags: list[str]
    text: str
    problem: str
    failed: bool
    located: Located | None
    completion: Completion | None


def choose_subset(sentences: Sequence[Sentence], count: int, seed: int) -> list[Sentence]:
    """``count`` sentences drawn without replacement, in source order; all where there are no more."""
    places = sorted(Random(seed).sample(range(len(sentences)), min(count, len(sentences))))
    return [sentences[place] for place in places]


def choose_examples(
    train: Sequence[Sentence], types: Sequence[str], count: int, seed: int, longest: int = 40
) -> list[Sentence]:
    """Sentences of train for a prompt: drawn so that each type is shown before one is shown again, and one of four without entity.

    Sentences over ``longest`` words are left out where others remain.
    """
    random = Random(seed)
    pool = [sentence for sentence in train if len(sentence.tokens) <= longest] or list(train)
    pool = random.sample(pool, len(pool))
    holding = {
        type_: [s for s in pool if any(entity.type == type_ for entity in to_entities(s.tags))]
        for type_ in types
    }
    plain = [sentence for sentence in pool if all(tag == OUTSIDE for tag in sentence.tags)]
    chosen: dict[tuple[str, ...], Sentence] = {}
    sources = [
        plain if place % 4 == 3 else holding[types[(place - place // 4) % len(types)]]
        for place in range(count)
    ]
    for source in sources:
        found = next((sentence for sentence in source if sentence.tokens not in chosen), None)
        if found:
            chosen[found.tokens] = found
    return list(chosen.values())


def fill(
    template: Sequence[Message],
    sentence: Sentence,
    types: Sequence[str],
    examples: Sequence[Sentence],
) -> list[Message]:
    """The messages for one sentence."""
    shown = "\n\n".join(
        f"{' '.join(example.tokens)}\n{render_answer(example.tokens, to_entities(example.tags))}"
        for example in examples
    )
    values = {
        "types": ", ".join(types),
        "definitions": "\n".join(
            f"- {type_}: {DEFINITIONS[type_]}" if type_ in DEFINITIONS else f"- {type_}"
            for type_ in types
        ),
        "examples": shown,
        "sentence": " ".join(sentence.tokens),
    }
    return [
        {"role": message["role"], "content": _filled(message["content"], values)}
        for message in template
    ]


def shows_sentence(template: Sequence[Message]) -> bool:
    """Whether :func:`fill` puts the sentence anywhere."""
    return any(
        _filled(message["content"], {"sentence": ""}) != message["content"] for message in template
    )


def ask(
    sentences: Sequence[Sentence],
    template: Sequence[Message],
    examples: Sequence[Sentence],
    types: Sequence[str],
    complete: Complete,
    threads: int,
) -> list[Reply]:
    """The reply to each sentence, in order; the first is awaited alone, so that an endpoint that cannot answer is found out at once.

    Raises:
        ModelError: no call can succeed.
    """

    def one(sentence: Sentence) -> Reply:
        try:
            completion = complete(fill(template, sentence, types, examples))
        except CallError as error:
            return Reply([OUTSIDE] * len(sentence.tokens), "", str(error), True, None, None)
        try:
            answer: Answer = parse_answer(completion.text)
        except ValueError as error:
            return Reply(
                [OUTSIDE] * len(sentence.tokens),
                completion.text,
                f"invalid answer: {error}",
                False,
                None,
                completion,
            )
        located = locate(answer, sentence.tokens, types)
        return Reply(located.tags, completion.text, "", False, located, completion)

    replies = [one(sentence) for sentence in sentences[:1]]
    with ThreadPoolExecutor(threads) as pool:
        for reply in pool.map(one, sentences[1:]):
            replies.append(reply)
            if len(replies) % PROGRESS_EVERY == 0:
                log.info("%d of %d sentences asked", len(replies), len(sentences))
    return replies


def reply_metrics(
    replies: Sequence[Reply], input_price: float, output_price: float
) -> dict[str, float]:
    """Rates over sentences and mentions, latencies, tokens and what they cost.

    Args:
        replies: one at least.
        input_price: of a million tokens in.
        output_price: of a million tokens out.
    """
    answered = [reply.completion for reply in replies if reply.completion]
    located = [reply.located for reply in replies if reply.located]
    kept = sum(len(to_entities(one.tags)) for one in located)
    wrong = {
        name: sum(len(getattr(one, name)) for one in located)
        for name in ("hallucinated", "foreign", "overlapping")
    }
    mentions = max(kept + sum(wrong.values()), 1)
    seconds = pd.Series([one.seconds for one in answered] or [0.0])
    tokens_in, tokens_out = (
        sum(one.input_tokens for one in answered),
        sum(one.output_tokens for one in answered),
    )
    return {
        "invalid_answer_rate": sum(bool(reply.problem) and not reply.failed for reply in replies)
        / len(replies),
        "failed_call_rate": sum(reply.failed for reply in replies) / len(replies),
        **{f"{name}_mention_rate": count / mentions for name, count in wrong.items()},
        "latency/p50_ms": float(seconds.quantile(0.5)) * 1000,
        "latency/p95_ms": float(seconds.quantile(0.95)) * 1000,
        "input_tokens": float(tokens_in),
        "output_tokens": float(tokens_out),
        "cost": (tokens_in * input_price + tokens_out * output_price) / 1e6,
    }


def reply_table(sentences: Sequence[Sentence], replies: Sequence[Reply]) -> pd.DataFrame:
    """Sentence, answer, and what was wrong with it; the wrong ones first."""
    rows = []
    for sentence, reply in zip(sentences, replies, strict=True):
        located = reply.located
        notes = [reply.problem] if reply.problem else []
        for name in ("hallucinated", "foreign", "overlapping"):
            if located and (texts := getattr(located, name)):
                notes.append(f"{name}: {', '.join(texts)}")
        rows.append(
            {
                "sentence": " ".join(sentence.tokens),
                "answer": reply.text,
                "wrong": "; ".join(notes),
                "origin": sentence.origin,
            }
        )
    table = pd.DataFrame(rows, columns=["sentence", "answer", "wrong", "origin"])
    return table.sort_values(
        "wrong", key=lambda column: column == "", kind="stable", ignore_index=True
    )


def _filled(text: str, values: Mapping[str, str]) -> str:
    # Once through the text: what a sentence holds is not filled in again.
    parts = text.split("{{")
    filled = [parts[0]]
    for part in parts[1:]:
        name, closed, rest = part.partition("}}")
        filled.append(
            values[name.strip()] + rest if closed and name.strip() in values else "{{" + part
        )
    return "".join(filled)
