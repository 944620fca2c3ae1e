"""Lock a registered model, so that one process at a time registers versions and moves aliases.

A registry has no compare-and-set. But a process that first writes a tag of its own, and then reads
that no other process's tag says "held", is alone. Of processes that write at the same time, the one
with the earliest ticket stays and the others withdraw. The tags of processes that died are removed.
"""

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import mlflow
from mlflow.entities.model_registry import RegisteredModel

from ..errors import TrackingError
from ..liveness import is_dead, is_known, liveness_name

LOCK_TAG = "ner.lock."
"""Start of the name of a registered model's tag that a process sets to lock the model."""
STALE_S = 60
"""Age from which a lock of another machine counts as left by a process that died. A lock is
normally held for a second; this machine knows its dead processes at once."""
POLL_S = 0.2
RENEW_S = 10
"""Seconds after which a waiting process writes its tag again, so that it does not look dead."""
HELD, WAITING = "held", "waiting"


@dataclass(frozen=True)
class _Claim:
    """What the tag of a process says.

    Attributes:
        state: :data:`HELD` or :data:`WAITING`.
        ticket: when the process first asked, in seconds since 1970.
        since: when it wrote the tag.
        process: its name, see :mod:`~ner_mlflow.liveness`.
    """

    state: str
    ticket: float
    since: float
    process: str

    @classmethod
    def parse(cls, text: str) -> "_Claim | None":
        """Return what a tag says, None if it is no claim."""
        try:
            state, ticket, since, process = text.split()
            return cls(state, float(ticket), float(since), process)
        except ValueError:
            return None

    def __str__(self) -> str:
        return f"{self.state} {self.ticket:.6f} {self.since:.3f} {self.process}"


@contextmanager
def lock_model(name: str, timeout_s: float) -> Iterator[None]:
    """Hold the lock of a registered model while the block runs.

    Args:
        name: the registered model, which exists.
        timeout_s: seconds to wait for any one process that holds it.

    Raises:
        TrackingError: a process holds the lock for longer.
    """
    client = mlflow.MlflowClient()
    key, ticket = f"{LOCK_TAG}{uuid.uuid4().hex}", time.time()
    holders, deadline = None, 0.0
    state, written = "", 0.0

    def claim(new_state: str) -> None:
        nonlocal state, written
        text = str(_Claim(new_state, ticket, time.time(), liveness_name()))
        client.set_registered_model_tag(name, key, text)
        state, written = new_state, time.monotonic()

    try:
        claim(HELD)
        while True:
            others = _claims(name, key)
            held = {other for other, claim_ in others.items() if claim_.state == HELD}
            first = all((ticket, key) < (claim_.ticket, other) for other, claim_ in others.items())
            if state == HELD and not held:
                break
            if state == WAITING and first and not held:
                claim(HELD)
                continue
            if held != holders:
                holders, deadline = held, time.monotonic() + timeout_s
            if time.monotonic() >= deadline:
                raise TrackingError(
                    f"another registration or promotion of {name!r} has not ended in "
                    f"{timeout_s:g} s: look at its run, then try again"
                )
            if (state == HELD and not first) or time.monotonic() - written > RENEW_S:
                claim(state if first else WAITING)
            time.sleep(POLL_S)
        yield
    finally:
        client.delete_registered_model_tag(name, key)


def remove_dead_claims(model: RegisteredModel) -> None:
    """Remove what processes that died left of their locks."""
    for key, value in model.tags.items():
        if key.startswith(LOCK_TAG) and _is_dead(_Claim.parse(value)):
            mlflow.MlflowClient().delete_registered_model_tag(model.name, key)


def _claims(name: str, own: str) -> dict[str, _Claim]:
    """Return what the other processes claim, by tag; the claims of dead processes are removed."""
    model = mlflow.MlflowClient().get_registered_model(name)
    remove_dead_claims(model)
    claims = {
        key: _Claim.parse(value)
        for key, value in model.tags.items()
        if key.startswith(LOCK_TAG) and key != own
    }
    return {key: claim for key, claim in claims.items() if claim and not _is_dead(claim)}


def _is_dead(claim: _Claim | None) -> bool:
    if claim is None or is_dead(claim.process):
        return True
    return not is_known(claim.process) and time.time() - claim.since > STALE_S
