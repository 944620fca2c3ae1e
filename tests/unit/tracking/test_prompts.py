"""Prompts in the registry: shipped ones are registered once, and a user's change is used."""

from collections.abc import Sequence

import mlflow
import pytest

from ner_mlflow.errors import TrackingError
from ner_mlflow.prompting.client import Completion, Message
from ner_mlflow.tracking.lifecycle import open_run
from ner_mlflow.tracking.prompts import find_prompt, flush_traces, trace_calls
from ner_mlflow.tracking.steps import Step

pytestmark = pytest.mark.usefixtures("store")

SHIPPED: list[Message] = [
    {"role": "system", "content": "Find entities."},
    {"role": "user", "content": "{{ sentence }}"},
]


def test_a_shipped_prompt_is_registered_once() -> None:
    first, second = find_prompt("ner-zero", SHIPPED), find_prompt("ner-zero", SHIPPED)
    assert first.uri == second.uri == "prompts:/ner-zero/1"
    assert second.template == SHIPPED


def test_a_newer_release_replaces_the_prompt_that_an_earlier_one_shipped() -> None:
    find_prompt("ner-zero", SHIPPED)
    newer: list[Message] = [{"role": "user", "content": "Entities of {{ sentence }}?"}]
    assert find_prompt("ner-zero", newer).uri == "prompts:/ner-zero/2"
    assert find_prompt("ner-zero", newer).template == newer


def test_the_prompt_that_a_user_registered_is_used() -> None:
    find_prompt("ner-zero", SHIPPED)
    own = [{"role": "user", "content": "Mine: {{ sentence }}"}]
    mlflow.genai.register_prompt("ner-zero", own)
    prompt = find_prompt("ner-zero", SHIPPED)
    assert (prompt.uri, prompt.template) == ("prompts:/ner-zero/2", own)
    assert find_prompt("prompts:/ner-zero/1", None).template == SHIPPED


def test_a_prompt_that_does_not_exist_is_named() -> None:
    with pytest.raises(TrackingError, match="prompt 'prompts:/none/3' is not in the registry"):
        find_prompt("prompts:/none/3", None)


def test_a_prompt_that_is_a_single_text_is_refused() -> None:
    mlflow.genai.register_prompt("text", "Entities of {{ sentence }}?")
    with pytest.raises(TrackingError, match="is a single text: register a list of messages"):
        find_prompt("text", None)


def test_each_call_is_a_trace_of_the_run() -> None:
    def complete(messages: Sequence[Message]) -> Completion:
        if messages[0]["content"] == "fail":
            raise ValueError("no answer")
        return Completion("[]", 100, 10, 0.1)

    with open_run(Step.PROMPT, "prompt") as run:
        call = trace_calls(complete, run.id, "tiny-llm")
        assert call(SHIPPED).text == "[]"
        with pytest.raises(ValueError, match="no answer"):
            call([{"role": "user", "content": "fail"}])
        flush_traces()
    traces = mlflow.search_traces(run_id=run.id, return_type="list")
    assert sorted(str(trace.info.state.value) for trace in traces) == ["ERROR", "OK"]
    (answered,) = [trace for trace in traces if trace.info.state.value == "OK"]
    assert answered.info.token_usage["total_tokens"] == 110
    assert answered.data.spans[0].inputs == {"model": "tiny-llm", "messages": SHIPPED}
