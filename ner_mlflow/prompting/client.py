"""The endpoint: any that speaks OpenAI's chat protocol, Ollama's by default, through the official client."""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import openai
from openai.types.chat import ChatCompletion

from ..config.schema import PromptConfig
from ..errors import ModelError
from ..redaction import one_line, redact_address

Message = dict[str, str]
"""``role`` and ``content``."""


@dataclass(frozen=True)
class Completion:
    """What came back: the text, tokens in and out as the endpoint counts them, and how long it took, retries and their waits included."""

    text: str
    input_tokens: int
    output_tokens: int
    seconds: float


class CallError(Exception):
    """One call failed for good, after all retries."""


Complete = Callable[[Sequence[Message]], Completion]
"""Messages -> completion; raises CallError."""


def connect_endpoint(config: PromptConfig, response_format: dict[str, Any]) -> Complete:
    """A function that asks the endpoint.

    Rate limits, time-outs and server errors are tried again by the client, after waits that grow, or as long as the endpoint says.

    Raises:
        ModelError: the key cannot be one. The function raises it where no call can succeed: wrong key, no such model, nobody there, or
            not this protocol; after a first answer, what one call cannot have is a CallError.
    """
    shown = redact_address(config.base_url)
    key = os.environ.get(config.api_key_variable) or "none"  # Ollama wants some
    if not key.isascii():
        raise ModelError(
            f"the environment variable {config.api_key_variable} holds a key with characters outside ASCII: copy it again"
        )
    client = openai.OpenAI(
        base_url=config.base_url,
        api_key=key,
        timeout=config.timeout_s,
        max_retries=config.max_retries,
    )
    foreign = f"endpoint {shown} answers, but not by OpenAI's protocol: set prompt.base_url, which most often ends in /v1"
    extra: dict[str, Any] = {"response_format": response_format} if config.json_schema else {}

    answered = False

    def complete(messages: Sequence[Message]) -> Completion:
        nonlocal answered
        started = time.perf_counter()
        try:
            answer = client.chat.completions.create(
                model=config.model,
                messages=list(messages),  # type: ignore[arg-type]  # the client's own types name each role
                temperature=config.temperature,
                max_tokens=config.max_tokens,
                seed=config.seed,
                **extra,
            )
        except (openai.AuthenticationError, openai.PermissionDeniedError) as error:
            raise ModelError(
                f"endpoint {shown} refuses the key: put one into the environment variable {config.api_key_variable}"
            ) from error
        except (openai.NotFoundError, openai.BadRequestError) as error:
            if answered:  # a filter of contents, say
                raise CallError(one_line(error)) from error
            raise ModelError(
                f"endpoint {shown}, model {config.model!r}: {one_line(error)}: check prompt.model and prompt.json_schema"
            ) from error
        except openai.APITimeoutError as error:
            raise CallError(f"no answer within {config.timeout_s} s") from error
        except openai.APIConnectionError as error:
            if answered:
                raise CallError(one_line(error)) from error
            raise ModelError(
                f"endpoint {shown} does not answer: start it (ollama serve), or set prompt.base_url"
            ) from error
        except openai.APIError as error:
            raise CallError(one_line(error)) from error
        except ValueError as error:
            raise ModelError(foreign) from error
        if not isinstance(answer, ChatCompletion):  # a page, say
            raise ModelError(foreign)
        if (
            not answer.choices or answer.choices[0].message is None
        ):  # an error under status 200, say
            raise CallError(
                f"no choices in the answer: {one_line(answer.model_dump(exclude_none=True))}"
            )
        answered = True
        text = answer.choices[0].message.content or ""
        usage = answer.usage
        return Completion(
            text,
            usage.prompt_tokens if usage else 0,
            usage.completion_tokens if usage else 0,
            time.perf_counter() - started,
        )

    return complete
