"""Compare latencies of exported models: measured in turns, in one process, on one machine."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from tokenizers import Tokenizer

from ..tagging.recognizer import MODEL_FILE, TOKENIZER_FILE
from ..tagging.tagger import TaggerSpec
from .latency import interleaved_latency_ms, onnx_loader, sentence_inputs, summarize_ms


def time_side_by_side(
    folders: Mapping[str, Path],
    sentences: Sequence[Sequence[str]],
    runs: int,
    warmup_runs: int,
) -> dict[str, float]:
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
        contenders[name] = (onnx_loader(folder / MODEL_FILE), sentence_inputs(windows))
    times = interleaved_latency_ms(contenders, runs, warmup_runs)
    return {name: summarize_ms(values)["p50_ms"] for name, values in times.items()}
