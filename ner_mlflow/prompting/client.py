"""Call an endpoint of OpenAI's chat protocol (Ollama by default) with the official client."""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import openai
from openai.types.chat import ChatCompletion

from ..config.schema import PromptConfig
from ..errors import ModelError
from ..redaction import keep_secret, one_line, redact_address

NO_KEY = "none"
"""The client requires a key, Ollama ignores it."""
Message = dict[str, str]
"""``role`` and ``content``."""


@dataclass(frozen=True)
class Completion:
    """The result of a call.

    Attributes:
        text: the answer.
        input_tokens: as the endpoint counts them.
        output_tokens: as the endpoint counts them.
        seconds: duration of the call with all retries and waits.
    """

    text: str
    input_tokens: int
    output_tokens: int
    seconds: float


class CallError(Exception):
    """A call that failed after all retries."""


Complete = Callable[[Sequence[Message]], Completion]
"""Messages -> completion; raises :class:`CallError`."""


def connect_endpoint(config: PromptConfig, response_format: dict[str, Any]) -> Complete:
    """Return a function that calls the endpoint.

    The client retries after rate limits, time-outs and server errors; it waits as long as the
    endpoint requests, or longer each time.

    Args:
        config: the endpoint, the model and its generation settings.
        response_format: the JSON schema of answers; sent only with ``config.json_schema``.

    Raises:
        ModelError: the key is not ASCII. The returned function raises it where no call can succeed:
            wrong key, unknown model, no endpoint at the address, or another protocol. After a first
            successful call, errors that concern one call are :class:`CallError`.
    """
    shown = redact_address(config.base_url)
    key = os.environ.get(config.api_key_variable) or NO_KEY
    if not key.isascii():
        raise ModelError(
            f"the environment variable {config.api_key_variable} holds a key with characters "
            "outside ASCII: copy it again"
        )
    if key != NO_KEY:
        keep_secret(key)  # the endpoint may quote it in an error
    client = openai.OpenAI(
        base_url=config.base_url,
        api_key=key,
        timeout=config.timeout_s,
        max_retries=config.max_retries,
    )
    wrong_protocol = (
        f"endpoint {shown} answers, but not in OpenAI's protocol: set prompt.base_url, which "
        "usually ends in /v1"
    )
    extra: dict[str, Any] = {"response_format": response_format} if config.json_schema else {}

    answered = False

    # Errors go on without their cause: a trace would hold what the endpoint said, key and all.
    def complete(messages: Sequence[Message]) -> Completion:
        nonlocal answered
        started = time.perf_counter()
        try:
            answer = client.chat.completions.create(
                model=config.model,
                messages=list(messages),  # type: ignore[arg-type]  # a type for each role
                temperature=config.temperature,
                max_tokens=config.max_tokens,
                seed=config.seed,
                **extra,
            )
        except (openai.AuthenticationError, openai.PermissionDeniedError):
            raise ModelError(
                f"endpoint {shown} refuses the key: set the environment variable "
                f"{config.api_key_variable}"
            ) from None
        except (openai.NotFoundError, openai.BadRequestError) as error:
            if answered:  # for example, a content filter
                raise CallError(one_line(error)) from None
            raise ModelError(
                f"endpoint {shown}, model {config.model!r}: {one_line(error)}: check prompt.model "
                "and prompt.json_schema"
            ) from None
        except openai.APITimeoutError:
            raise CallError(f"no answer within {config.timeout_s} s") from None
        except openai.APIConnectionError as error:
            if answered:
                raise CallError(one_line(error)) from None
            raise ModelError(
                f"endpoint {shown} does not answer: start it (ollama serve), or set prompt.base_url"
            ) from None
        except openai.APIError as error:
            raise CallError(one_line(error)) from None
        except ValueError:
            raise ModelError(wrong_protocol) from None
        if not isinstance(answer, ChatCompletion):  # for example, a web page
            raise ModelError(wrong_protocol)
        if not answer.choices or answer.choices[0].message is None:  # an error with status 200
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
