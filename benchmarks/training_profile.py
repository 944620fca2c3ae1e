"""Show where the processor time of a training goes: phases of a step, operators, evaluation.

Trains as the `train` step does, and stops after some steps. Phases are measured in processor time
of the process, so other processes disturb them little; operators are those of PyTorch's profiler,
by its clock, as shares.

usage: python -m benchmarks.training_profile DATASET [--preset minilm_full] [--steps 40]
"""

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from torch.profiler import ProfilerActivity, profile
from transformers import TrainerCallback

from benchmarks.training import train_ours
from ner_mlflow.config.loading import load_config
from ner_mlflow.data.prepare import prepare
from ner_mlflow.data.sources import read_corpus
from ner_mlflow.logs import show_progress
from ner_mlflow.modeling import dropout, fit
from ner_mlflow.modeling.arguments import training_arguments
from ner_mlflow.modeling.averaging import WeightAverage
from ner_mlflow.modeling.dataset import Collator
from ner_mlflow.modeling.trainer import NerTrainer
from ner_mlflow.provenance import hardware

WARM_UP_STEPS = 10
PROFILED_STEPS = 10
"""The last steps, which the profiler watches; the phases are those of the steps before."""
SHOWN_OPERATORS = 25
PHASES = {
    "batch": (Collator, "__call__"),
    "forward": (NerTrainer, "compute_loss"),
    "forward: dropout": (dropout, "_drop"),
    "forward and backward": (NerTrainer, "training_step"),
    "optimizer": (torch.optim.AdamW, "step"),
    "clipping": (torch.nn.utils, "clip_grad_norm_"),
    "average of weights": (WeightAverage, "update"),
    "evaluation": (NerTrainer, "evaluate"),
}
"""Phase -> the owner and the name of the function that does it."""


class Clock(TrainerCallback):  # type: ignore[misc]  # untyped in transformers
    """Adds up the processor time of phases in the measured steps, and profiles the last ones."""

    def __init__(self, steps: int) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.subwords = 0
        self.profiler = profile(activities=[ProfilerActivity.CPU])
        self._last_measured = steps - PROFILED_STEPS
        self._is_measuring = False
        self._started = 0.0

    def timed(self, phase: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function whose processor time counts for a phase."""

        def call(*args: Any, **kwargs: Any) -> Any:
            started = time.process_time()
            try:
                return function(*args, **kwargs)
            finally:
                if self._is_measuring or phase == "evaluation":
                    self.seconds[phase] += time.process_time() - started

        return call

    def on_step_end(self, args: Any, state: Any, *_: Any, **__: Any) -> None:
        """Begin and end measuring and profiling."""
        if state.global_step == WARM_UP_STEPS:
            self._is_measuring, self._started = True, time.process_time()
            self.subwords = -state.num_input_tokens_seen
        if state.global_step == self._last_measured:
            self._is_measuring = False
            self.seconds["all"] = time.process_time() - self._started
            self.subwords += state.num_input_tokens_seen
            self.profiler.start()
        if state.global_step == args.max_steps:
            self.profiler.stop()


@contextmanager
def measuring(steps: int) -> Iterator[Clock]:
    """Measure the training within the context, and end it after some steps."""
    clock = Clock(steps)

    def short(*args: Any) -> Any:
        arguments = training_arguments(*args)
        arguments.max_steps = steps
        return arguments

    def trainer(*, callbacks: list[Any], **settings: Any) -> NerTrainer:
        return NerTrainer(callbacks=[*callbacks, clock], **settings)

    with patch.object(fit, "training_arguments", short), patch.object(fit, "NerTrainer", trainer):
        patches = [
            patch.object(owner, name, _function(clock.timed(phase, getattr(owner, name))))
            for phase, (owner, name) in PHASES.items()
        ]
        for each in patches:
            each.start()
        try:
            yield clock
        finally:
            for each in patches:
                each.stop()


def main() -> None:
    """Measure and print; the last line is one JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--preset", default="minilm_full")
    parser.add_argument("--steps", type=int, default=40)
    arguments = parser.parse_args()
    show_progress()
    config = load_config(arguments.preset, {"data.dataset": str(arguments.dataset)})
    preparation = prepare(read_corpus(config.data).corpus, config.data)
    with measuring(arguments.steps) as clock:
        train_ours(config, preparation)
    measured = arguments.steps - PROFILED_STEPS - WARM_UP_STEPS
    events = clock.profiler.key_averages()
    total = sum(event.self_cpu_time_total for event in events)
    operators = {event.key: event.self_cpu_time_total / total for event in events}
    result = {
        "ms_a_step": {
            phase: 1000 * clock.seconds[phase] / measured
            for phase in ("all", *PHASES)
            if phase != "evaluation"
        },
        "evaluation_s": clock.seconds["evaluation"],
        "subwords_a_step": clock.subwords / measured,
        "operators": dict(sorted(operators.items(), key=lambda pair: -pair[1])[:SHOWN_OPERATORS]),
        "hardware": hardware(),
    }
    print(json.dumps(result))


def _function(call: Callable[..., Any]) -> Callable[..., Any]:
    """Return a plain function, which a class binds as a method."""
    return lambda *args, **kwargs: call(*args, **kwargs)


if __name__ == "__main__":
    main()
