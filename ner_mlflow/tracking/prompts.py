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
from ..redaction import one_line

log = logging.getLogger(__name__)

SHIPPED_TAG = "ner.shipped_sha256"
"""Tag of versions that this package registered; a version that a user wrote has none."""


@dataclass(frozen=True)
class RegisteredPrompt:
    """A prompt in the registry; ``uri`` names its version."""

    uri: str
    template: list[Message]


def find_prompt(name: str, shipped: Sequence[Message] | None) -> RegisteredPrompt:
    """Return a prompt from the registry, and link it to the active run.

    If the registry has no prompt of that name, or its latest version is one that an earlier release
    shipped, ``shipped`` is registered first.

    Args:
        name: the name of a prompt, whose latest version is returned, or
            ``prompts:/NAME/VERSION`` or ``prompts:/NAME@ALIAS``.
        shipped: the messages that this release ships under that name; None: none.

    Raises:
        TrackingError: there is no such prompt, or it is not a list of messages.
    """
    address = name if name.startswith("prompts:/") else f"prompts:/{name}@latest"
    try:
        prompt = mlflow.genai.load_prompt(address, allow_missing=True)
        if shipped is not None:
            messages = list(shipped)
            digest = hashlib.sha256(json.dumps(messages).encode()).hexdigest()
            if prompt is None or prompt.tags.get(SHIPPED_TAG, digest) != digest:
                note, tags = "shipped with ner_mlflow", {SHIPPED_TAG: digest}
                mlflow.genai.register_prompt(name, messages, commit_message=note, tags=tags)
                prompt = mlflow.genai.load_prompt(address)
    except MlflowException as error:
        raise TrackingError(
            f"prompt {name!r} cannot be read from or written to the registry ({one_line(error)})"
        ) from error
    if prompt is None:
        raise TrackingError(
            f"prompt {name!r} is not in the registry: register it in MLflow, "
            "or give the name of a shipped one"
        )
    if isinstance(prompt.template, str):
        raise TrackingError(
            f"prompt {prompt.uri} is a single text: "
            "register a list of messages with role and content"
        )
    template = [
        {"role": message["role"], "content": message["content"]} for message in prompt.template
    ]
    return RegisteredPrompt(prompt.uri, template)


def trace_calls(complete: Complete, run_id: str, model: str) -> Complete:
    """Return the same function, with each call as a trace of the run.

    A trace holds the messages, the answer, tokens and time, or the error.
    """

    def call(messages: Sequence[Message]) -> Completion:
        with mlflow.start_span("chat", span_type=SpanType.CHAT_MODEL, run_id=run_id) as span:
            span.set_inputs({"model": model, "messages": list(messages)})
            completion = complete(messages)
            span.set_outputs({"text": completion.text})
            tokens = {
                "input_tokens": completion.input_tokens,
                "output_tokens": completion.output_tokens,
            }
            usage = {**tokens, "total_tokens": sum(tokens.values())}
            span.set_attribute(SpanAttributeKey.CHAT_USAGE, usage)
            return completion

    return call


def flush_traces() -> None:
    """Wait until all traces are written."""
    mlflow.flush_trace_async_logging()
