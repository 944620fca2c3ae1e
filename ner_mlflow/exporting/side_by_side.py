"""Compare latencies of exported models: measured in turns, in one process, on one machine."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer

from ..tagging.recognizer import TOKENIZER_FILE
from ..tagging.tagger import TaggerSpec
from .latency import interleaved_latency_ms, model_loader, sentence_inputs, summarize_ms
from .machine_load import watch_other_load

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SideBySide:
    """Latencies that were measured side by side.

    Attributes:
        p50_ms: the median milliseconds of one sentence, by model.
        other_load: the share of the machine's CPU time that other processes used meanwhile.
    """

    p50_ms: Mapping[str, float]
    other_load: float = 0.0


def time_side_by_side(
    folders: Mapping[str, Path],
    sentences: Sequence[Sequence[str]],
    runs: int,
    warmup_runs: int,
) -> SideBySide:
    """Return the median milliseconds of one sentence for each exported model.

    The models take turns, so that other work on the machine slows all of them alike and the ratios
    between them hold; see :func:`~ner_mlflow.exporting.latency.interleaved_latency_ms`.

    Args:
        folders: the folder of each model, by name.
        sentences: the words of at least one sentence. All models are timed on the first ``runs``
            of them, on the first window of each, since models may cut long sentences differently.
        runs: timed runs of each model.
        warmup_runs: runs before the timed ones.
    """
    contenders = {}
    for name, folder in folders.items():
        tokenizer = Tokenizer.from_file(str(folder / TOKENIZER_FILE))
        encoder = TaggerSpec.load(folder).encoder(tokenizer)
        windows = [window for window in encoder.windows(sentences[:runs]) if window.first_word == 0]
        contenders[name] = (model_loader(folder), sentence_inputs(windows))
    log.info("timing %d files in turns", len(contenders))
    with watch_other_load("models were timed") as load:
        times = interleaved_latency_ms(contenders, runs, warmup_runs)
    p50_ms = {name: summarize_ms(values)["p50_ms"] for name, values in times.items()}
    return SideBySide(p50_ms, load.share)
