"""Querying a language model over HTTP: good, bad, late and missing answers."""

import json
import time

import pytest
from llm_server import LlmServer, Request, Response

from ner_mlflow.config.loading import load_config
from ner_mlflow.config.schema import PromptConfig
from ner_mlflow.data.sample import generate_sample
from ner_mlflow.data.sentences import Sentence
from ner_mlflow.errors import ModelError
from ner_mlflow.prompting.answers import answer_schema, render_answer
from ner_mlflow.prompting.baseline import (
    PROMPTS,
    Extraction,
    choose_examples,
    choose_subset,
    extract_entities,
    extraction_metrics,
    extraction_table,
    fill_template,
    has_sentence_slot,
)
from ner_mlflow.prompting.client import connect_endpoint
from ner_mlflow.tagging.iob2 import to_entities

CORPUS = generate_sample(13)
TYPES = ("ERROR", "HARDWARE", "OS", "SOFTWARE", "VERSION")
SENTENCES = CORPUS["test"][:12]
GOLD = {
    " ".join(sentence.tokens): render_answer(sentence.tokens, to_entities(sentence.tags))
    for sentence in CORPUS["test"]
}


def user_message(request: Request) -> str:
    text: str = request["messages"][-1]["content"]
    return text


def answer_correctly(request: Request, number: int) -> Response:
    return Response(GOLD[user_message(request)])


def config_of(server: LlmServer, **overrides: object) -> PromptConfig:
    settings = {"base_url": server.base_url, "timeout_s": 5.0, "max_retries": 2, **overrides}
    return load_config(
        overrides={f"prompt.{name}": value for name, value in settings.items()}
    ).prompt


def extract_from(
    server: LlmServer,
    prompt: str = "zero_shot",
    sentences: list[Sentence] = SENTENCES,
    **overrides: object,
) -> list[Extraction]:
    config = config_of(server, **overrides)
    return extract_entities(
        sentences,
        PROMPTS[prompt],
        CORPUS["train"][:2],
        TYPES,
        connect_endpoint(config, answer_schema(TYPES)),
        config.concurrency,
    )


@pytest.mark.parametrize("prompt", PROMPTS)
def test_correct_answers_give_the_gold_tags_with_every_prompt(prompt: str) -> None:
    with LlmServer(answer_correctly) as server:
        extractions = extract_from(server, prompt)
    assert [extraction.tags for extraction in extractions] == [
        list(sentence.tags) for sentence in SENTENCES
    ]
    metrics = extraction_metrics(extractions, input_price=2.0, output_price=10.0)
    assert (
        metrics["invalid_answer_rate"]
        == metrics["failed_call_rate"]
        == metrics["hallucinated_mention_rate"]
        == 0
    )
    assert metrics["input_tokens"] == 1200
    assert metrics["cost"] == pytest.approx((1200 * 2 + 120 * 10) / 1e6)
    assert 0 < metrics["latency/p50_ms"] <= metrics["latency/p95_ms"] < 5000


def test_requests_carry_the_schema_the_seed_and_the_token_limit() -> None:
    with LlmServer(answer_correctly) as server:
        extract_from(server, model="tiny-llm", max_tokens=77, seed=5)
        body = server.requests[0].body
        extract_from(server, json_schema=False)
    assert body["response_format"]["json_schema"]["strict"] is True
    assert (body["model"], body["max_tokens"], body["seed"], body["temperature"]) == (
        "tiny-llm",
        77,
        5,
        0.0,
    )
    assert "response_format" not in server.requests[-1].body


def test_bad_answers_count_as_no_entity_and_are_reported() -> None:
    answers = [
        "not JSON",
        '{"entities": [{"text": "Windows 3.11", "type": "OS"}]}',
        '{"entities": [{"text": "x", "type": "PLANET"}]}',
        '{"entities": []}',
    ]

    with LlmServer(lambda _, number: Response(answers[number % 4])) as server:
        extractions = extract_from(server, concurrency=1)
    assert all(set(extraction.tags) == {"O"} for extraction in extractions)
    metrics = extraction_metrics(extractions, 0, 0)
    assert metrics["invalid_answer_rate"] == pytest.approx(1 / 4)
    assert metrics["hallucinated_mention_rate"] == pytest.approx(1 / 2)
    assert metrics["foreign_mention_rate"] == pytest.approx(1 / 2)
    faults = extraction_table(SENTENCES, extractions)["wrong"].tolist()
    assert sorted(faults[:9])[0] == "foreign: x"
    assert any(text.startswith("invalid answer: Invalid JSON") for text in faults)
    assert faults[9:] == ["", "", ""]


def test_rate_limits_and_server_errors_are_retried_after_a_wait() -> None:
    def fail_twice(request: Request, number: int) -> Response:
        if number == 0:
            return Response(status=429, headers={"Retry-After": "1"})
        return Response(status=503) if number == 1 else answer_correctly(request, number)

    with LlmServer(fail_twice) as server:
        extractions = extract_from(server, sentences=SENTENCES[:1])
        times = [received.at_s for received in server.requests]
    assert extractions[0].tags == list(SENTENCES[0].tags)
    assert len(times) == 3
    assert times[1] - times[0] >= 0.9  # the endpoint's Retry-After
    assert times[2] - times[1] >= 0.2


def test_occasional_failures_do_not_end_the_run() -> None:
    stuck = " ".join(SENTENCES[3].tokens)

    def slow_once(request: Request, number: int) -> Response:
        return (
            Response(delay_s=6)
            if user_message(request) == stuck
            else answer_correctly(request, number)
        )

    started = time.monotonic()
    with LlmServer(slow_once) as server:
        extractions = extract_from(server, timeout_s=1.5, max_retries=1)
    assert time.monotonic() - started < 60
    assert [extraction.failed for extraction in extractions] == [index == 3 for index in range(12)]
    assert extractions[3].problem == "no answer within 1.5 s"
    assert extraction_metrics(extractions, 0, 0)["failed_call_rate"] == pytest.approx(1 / 12)
    assert [extraction.tags for index, extraction in enumerate(extractions) if index != 3] == [
        list(s.tags) for index, s in enumerate(SENTENCES) if index != 3
    ]


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (401, "refuses the key: set the environment variable OPENAI_API_KEY"),
        (404, "model 'llama3.2': .*: check prompt.model"),
        (400, "check prompt.model and prompt.json_schema"),
    ],
)
def test_an_error_that_no_retry_can_fix_ends_the_run_at_the_first_call(
    status: int, message: str
) -> None:
    with LlmServer(lambda *_: Response(status=status)) as server:
        with pytest.raises(ModelError, match=message):
            extract_from(server)
        assert len(server.requests) == 1


@pytest.mark.parametrize("status", [400, 404])
def test_a_refusal_after_a_successful_call_does_not_end_the_run(
    status: int,
) -> None:
    stuck = " ".join(SENTENCES[3].tokens)
    with LlmServer(
        lambda request, number: (
            Response("content filter", status=status)
            if user_message(request) == stuck
            else answer_correctly(request, number)
        )
    ) as server:
        extractions = extract_from(server, concurrency=1)
    assert [extraction.failed for extraction in extractions] == [index == 3 for index in range(12)]
    assert "content filter" in extractions[3].problem


@pytest.mark.parametrize("content_type", ["text/html", "application/json"])
def test_an_endpoint_of_another_protocol_is_recognised(content_type: str) -> None:
    with (
        LlmServer(
            lambda *_: Response(
                raw=b"<!doctype html><title>Chat</title>", headers={"Content-Type": content_type}
            )
        ) as server,
        pytest.raises(
            ModelError,
            match=r"answers, but not in OpenAI's protocol: set prompt\.base_url",
        ),
    ):
        extract_from(server)


def test_an_error_with_status_200_is_a_failed_call() -> None:
    with LlmServer(lambda *_: Response(raw=b'{"error": {"message": "overloaded"}}')) as server:
        extractions = extract_from(server, sentences=SENTENCES[:2])
    assert [extraction.failed for extraction in extractions] == [True, True]
    assert "overloaded" in extractions[0].problem


def test_a_key_that_cannot_be_sent_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-ключ")
    with (
        LlmServer(answer_correctly) as server,
        pytest.raises(ModelError, match="OPENAI_API_KEY holds a key with characters outside ASCII"),
    ):
        extract_from(server)


def test_a_template_without_a_slot_for_the_sentence_is_recognised() -> None:
    assert all(has_sentence_slot(template) for template in PROMPTS.values())
    assert not has_sentence_slot(
        [{"role": "user", "content": "Find {{ types }} in {{sentences}}, { sentence }"}]
    )


def test_a_missing_endpoint_is_named() -> None:
    with LlmServer(answer_correctly) as server:
        config = config_of(server, max_retries=0)
    with pytest.raises(
        ModelError, match=r"endpoint http://127.0.0.1:\d+/v1 does not answer: start it"
    ):
        extract_entities(
            SENTENCES,
            PROMPTS["zero_shot"],
            [],
            TYPES,
            connect_endpoint(config, answer_schema(TYPES)),
            2,
        )


def test_examples_show_every_type_and_come_from_train() -> None:
    examples = choose_examples(CORPUS["train"], TYPES, 8, seed=1)
    assert len(examples) == 8
    assert all(example in CORPUS["train"] for example in examples)
    assert {entity.type for example in examples for entity in to_entities(example.tags)} == set(
        TYPES
    )
    assert sum(all(tag == "O" for tag in example.tags) for example in examples) >= 2
    assert (
        examples
        == choose_examples(CORPUS["train"], TYPES, 8, seed=1)
        != choose_examples(CORPUS["train"], TYPES, 8, seed=2)
    )
    prompt = fill_template(PROMPTS["few_shot"], SENTENCES[0], TYPES, examples)[0]["content"]
    assert all(" ".join(example.tokens) in prompt for example in examples)
    assert "- OS: names of operating systems" in prompt


def test_slots_inside_a_sentence_are_not_filled() -> None:
    sentence = Sentence(("{{", "types", "}}", "{{", "x"), ("O",) * 5)
    assert (
        fill_template(PROMPTS["zero_shot"], sentence, TYPES, [])[-1]["content"]
        == "{{ types }} {{ x"
    )


def test_the_seed_determines_the_subset() -> None:
    subset = choose_subset(CORPUS["test"], 50, seed=3)
    assert len(subset) == 50
    assert (
        subset
        == choose_subset(CORPUS["test"], 50, seed=3)
        != choose_subset(CORPUS["test"], 50, seed=4)
    )
    indices = [CORPUS["test"].index(sentence) for sentence in subset]
    assert indices == sorted(indices)
    assert choose_subset(CORPUS["test"], 10**6, seed=3) == CORPUS["test"]


def test_types_without_a_definition_appear_by_name() -> None:
    text = fill_template(PROMPTS["guided"], SENTENCES[0], ("OS", "Planet"), [])[0]["content"]
    assert "- Planet\n" in text
    assert json.dumps({"entities": []}) in text
