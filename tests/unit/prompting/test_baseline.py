"""A language model behind HTTP: what it answers well, badly, late or not at all."""

import json
import time

import pytest
from llm_server import LlmServer, Request, Says

from ner_mlflow.config.loading import load_config
from ner_mlflow.config.schema import PromptConfig
from ner_mlflow.data.sample import generate_sample
from ner_mlflow.data.sentences import Sentence
from ner_mlflow.errors import ModelError
from ner_mlflow.prompting.answers import answer_schema, render_answer
from ner_mlflow.prompting.baseline import (
    PROMPTS,
    Reply,
    ask,
    choose_examples,
    choose_subset,
    fill,
    reply_metrics,
    reply_table,
    shows_sentence,
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


def asked_about(request: Request) -> str:
    text: str = request["messages"][-1]["content"]
    return text


def knows(request: Request, number: int) -> Says:
    return Says(GOLD[asked_about(request)])


def config_of(server: LlmServer, **overrides: object) -> PromptConfig:
    settings = {"base_url": server.base_url, "timeout_s": 5.0, "max_retries": 2, **overrides}
    return load_config(
        overrides={f"prompt.{name}": value for name, value in settings.items()}
    ).prompt


def replies_of(
    server: LlmServer,
    prompt: str = "zero_shot",
    sentences: list[Sentence] = SENTENCES,
    **overrides: object,
) -> list[Reply]:
    config = config_of(server, **overrides)
    return ask(
        sentences,
        PROMPTS[prompt],
        CORPUS["train"][:2],
        TYPES,
        connect_endpoint(config, answer_schema(TYPES)),
        config.concurrency,
    )


@pytest.mark.parametrize("prompt", PROMPTS)
def test_a_model_that_knows_is_right_by_every_prompt(prompt: str) -> None:
    with LlmServer(knows) as server:
        replies = replies_of(server, prompt)
    assert [reply.tags for reply in replies] == [list(sentence.tags) for sentence in SENTENCES]
    metrics = reply_metrics(replies, input_price=2.0, output_price=10.0)
    assert (
        metrics["invalid_answer_rate"]
        == metrics["failed_call_rate"]
        == metrics["hallucinated_mention_rate"]
        == 0
    )
    assert metrics["input_tokens"] == 1200
    assert metrics["cost"] == pytest.approx((1200 * 2 + 120 * 10) / 1e6)
    assert 0 < metrics["latency/p50_ms"] <= metrics["latency/p95_ms"] < 5000


def test_the_endpoint_is_told_the_schema_the_seed_and_no_more_tokens_than_allowed() -> None:
    with LlmServer(knows) as server:
        replies_of(server, model="tiny-llm", max_tokens=77, seed=5)
        body = server.requests[0].body
        replies_of(server, json_schema=False)
    assert body["response_format"]["json_schema"]["strict"] is True
    assert (body["model"], body["max_tokens"], body["seed"], body["temperature"]) == (
        "tiny-llm",
        77,
        5,
        0.0,
    )
    assert "response_format" not in server.requests[-1].body


def test_bad_answers_count_as_no_entity_and_are_told() -> None:
    answers = [
        "not JSON",
        '{"entities": [{"text": "Windows 3.11", "type": "OS"}]}',
        '{"entities": [{"text": "x", "type": "PLANET"}]}',
        '{"entities": []}',
    ]

    with LlmServer(lambda _, number: Says(answers[number % 4])) as server:
        replies = replies_of(server, concurrency=1)
    assert all(set(reply.tags) == {"O"} for reply in replies)
    metrics = reply_metrics(replies, 0, 0)
    assert metrics["invalid_answer_rate"] == pytest.approx(1 / 4)
    assert metrics["hallucinated_mention_rate"] == pytest.approx(1 / 2)
    assert metrics["foreign_mention_rate"] == pytest.approx(1 / 2)
    wrong = reply_table(SENTENCES, replies)["wrong"].tolist()
    assert sorted(wrong[:9])[0] == "foreign: x"
    assert any(text.startswith("invalid answer: Invalid JSON") for text in wrong)
    assert wrong[9:] == ["", "", ""]


def test_rate_limits_and_server_errors_are_tried_again_after_a_while() -> None:
    def moody(request: Request, number: int) -> Says:
        if number == 0:
            return Says(status=429, headers={"Retry-After": "1"})
        return Says(status=503) if number == 1 else knows(request, number)

    with LlmServer(moody) as server:
        replies = replies_of(server, sentences=SENTENCES[:1])
        times = [received.at_s for received in server.requests]
    assert replies[0].tags == list(SENTENCES[0].tags)
    assert len(times) == 3
    assert times[1] - times[0] >= 0.9  # as long as the endpoint said
    assert times[2] - times[1] >= 0.2


def test_an_endpoint_that_fails_now_and_then_does_not_end_the_run() -> None:
    stuck = " ".join(SENTENCES[3].tokens)

    def slow_once(request: Request, number: int) -> Says:
        return Says(delay_s=3) if asked_about(request) == stuck else knows(request, number)

    started = time.monotonic()
    with LlmServer(slow_once) as server:
        replies = replies_of(server, timeout_s=0.3, max_retries=1)
    assert time.monotonic() - started < 20
    assert [reply.failed for reply in replies] == [place == 3 for place in range(12)]
    assert replies[3].problem == "no answer within 0.3 s"
    assert reply_metrics(replies, 0, 0)["failed_call_rate"] == pytest.approx(1 / 12)
    assert [reply.tags for place, reply in enumerate(replies) if place != 3] == [
        list(s.tags) for place, s in enumerate(SENTENCES) if place != 3
    ]


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (401, "refuses the key: put one into the environment variable OPENAI_API_KEY"),
        (404, "model 'llama3.2': .*: check prompt.model"),
        (400, "check prompt.model and prompt.json_schema"),
    ],
)
def test_what_no_retry_can_mend_ends_the_run_at_the_first_call(status: int, message: str) -> None:
    with LlmServer(lambda *_: Says(status=status)) as server:
        with pytest.raises(ModelError, match=message):
            replies_of(server)
        assert len(server.requests) == 1


@pytest.mark.parametrize("status", [400, 404])
def test_one_sentence_that_is_refused_after_others_were_answered_does_not_end_the_run(
    status: int,
) -> None:
    stuck = " ".join(SENTENCES[3].tokens)
    with LlmServer(
        lambda request, number: (
            Says("content filter", status=status)
            if asked_about(request) == stuck
            else knows(request, number)
        )
    ) as server:
        replies = replies_of(server, concurrency=1)
    assert [reply.failed for reply in replies] == [place == 3 for place in range(12)]
    assert "content filter" in replies[3].problem


@pytest.mark.parametrize("content_type", ["text/html", "application/json"])
def test_an_endpoint_of_another_kind_is_told_apart(content_type: str) -> None:
    with (
        LlmServer(
            lambda *_: Says(
                raw=b"<!doctype html><title>Chat</title>", headers={"Content-Type": content_type}
            )
        ) as server,
        pytest.raises(
            ModelError,
            match=r"answers, but not by OpenAI's protocol: set prompt\.base_url, which most often ends in /v1",
        ),
    ):
        replies_of(server)


def test_an_error_under_status_200_is_a_failed_call() -> None:
    with LlmServer(lambda *_: Says(raw=b'{"error": {"message": "overloaded"}}')) as server:
        replies = replies_of(server, sentences=SENTENCES[:2])
    assert [reply.failed for reply in replies] == [True, True]
    assert "overloaded" in replies[0].problem


def test_a_key_that_cannot_be_sent_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-ключ")
    with (
        LlmServer(knows) as server,
        pytest.raises(ModelError, match="OPENAI_API_KEY holds a key with characters outside ASCII"),
    ):
        replies_of(server)


def test_a_template_shows_the_sentence_or_does_not() -> None:
    assert all(shows_sentence(template) for template in PROMPTS.values())
    assert not shows_sentence(
        [{"role": "user", "content": "Find {{ types }} in {{sentences}}, { sentence }"}]
    )


def test_an_endpoint_that_is_not_there_is_named() -> None:
    with LlmServer(knows) as server:
        config = config_of(server, max_retries=0)
    with pytest.raises(
        ModelError, match=r"endpoint http://127.0.0.1:\d+/v1 does not answer: start it"
    ):
        ask(
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
    shown = fill(PROMPTS["few_shot"], SENTENCES[0], TYPES, examples)[0]["content"]
    assert all(" ".join(example.tokens) in shown for example in examples)
    assert "- OS: names of operating systems" in shown


def test_what_a_sentence_holds_is_not_filled_in() -> None:
    sentence = Sentence(("{{", "types", "}}", "{{", "x"), ("O",) * 5)
    assert fill(PROMPTS["zero_shot"], sentence, TYPES, [])[-1]["content"] == "{{ types }} {{ x"


def test_the_subset_is_that_of_the_seed() -> None:
    subset = choose_subset(CORPUS["test"], 50, seed=3)
    assert len(subset) == 50
    assert (
        subset
        == choose_subset(CORPUS["test"], 50, seed=3)
        != choose_subset(CORPUS["test"], 50, seed=4)
    )
    places = [CORPUS["test"].index(sentence) for sentence in subset]
    assert places == sorted(places)
    assert choose_subset(CORPUS["test"], 10**6, seed=3) == CORPUS["test"]


def test_types_without_a_definition_stand_by_their_names() -> None:
    text = fill(PROMPTS["guided"], SENTENCES[0], ("OS", "Planet"), [])[0]["content"]
    assert "- Planet\n" in text
    assert json.dumps({"entities": []}) in text
