"""Prompts in MLflow's registry, and traces of the calls made with them."""

import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass

import mlflow
from mlflow.entities import SpanType
from mlflow.exceptions import MlflowException
from mlflow.tracing.constant import SpanAttributeKey

from ..errors import TrackingError
from ..prompting.client import Complete, Completion, Message

log = logging.getLogger(__name__)

SHIPPED_TAG = "ner.shipped_sha256"
"""On versions that we registered; one that a user wrote has none."""


@dataclass(frozen=True)
class RegisteredPrompt:
    """A prompt as the registry holds it; ``uri`` names the version."""

    uri: str
    template: list[Message]


def registered_prompt(name: str, shipped: Sequence[Message] | None) -> RegisteredPrompt:
    """The latest version of ``name``, or the one that ``prompts:/NAME/VERSION`` or ``prompts:/NAME@ALIAS`` names, linked to the open run.

    Where the registry has none, or its latest is one that an earlier release shipped, ``shipped`` is registered first.

    Raises:
        TrackingError: no such prompt, or one that is not a list of messages.
    """
    address = name if name.startswith("prompts:/") else f"prompts:/{name}@latest"
    try:
        found = mlflow.genai.load_prompt(address, allow_missing=True)
        if shipped is not None:
            digest = hashlib.sha256(json.dumps(list(shipped)).encode()).hexdigest()
            if found is None or found.tags.get(SHIPPED_TAG, digest) != digest:
                mlflow.genai.register_prompt(
                    name,
                    list(shipped),
                    commit_message="shipped with ner_mlflow",
                    tags={SHIPPED_TAG: digest},
                )
                found = mlflow.genai.load_prompt(address)
    except MlflowException as error:
        raise TrackingError(
            f"prompt {name!r} cannot be read from or put into the registry ({' '.join(str(error).split())[:300]})"
        ) from error
    if found is None:
        raise TrackingError(
            f"prompt {name!r} is not in the registry: register it in MLflow, or give the name of a shipped one"
        )
    if isinstance(found.template, str):
        raise TrackingError(
            f"prompt {found.uri} is one text: register a list of messages with role and content"
        )
    return RegisteredPrompt(
        found.uri,
        [{"role": message["role"], "content": message["content"]} for message in found.template],
    )


def traced(complete: Complete, run_id: str, model: str) -> Complete:
    """The same function, each call a trace of the run: messages, answer, tokens, time, or the error."""

    def call(messages: Sequence[Message]) -> Completion:
        with mlflow.start_span("chat", span_type=SpanType.CHAT_MODEL, run_id=run_id) as span:
            span.set_inputs({"model": model, "messages": list(messages)})
            completion = complete(messages)
            span.set_outputs({"text": completion.text})
            tokens = {
                "input_tokens": completion.input_tokens,
                "output_tokens": completion.output_tokens,
            }
            span.set_attribute(
                SpanAttributeKey.CHAT_USAGE, {**tokens, "total_tokens": sum(tokens.values())}
            )
            return completion

    return call


def finish_traces() -> None:
    """Wait until all traces are written."""
    mlflow.flush_trace_async_logging()
