"""Compare the cost of a merged LoRA model with that of a full model, and of int8 with fp32.

Takes the exported files of two export runs (by default the latest of the presets minilm_full and
minilm_lora) and times them in turns in one process. Prints ratios: latency of merged LoRA to full
fp32, latency of fp32 to int8, bytes of int8 to fp32; and the F1 that int8 loses.

usage: python -m benchmarks.variant_cost [FULL_EXPORT_RUN LORA_EXPORT_RUN]
"""

import argparse
import json

import numpy as np
from tokenizers import Tokenizer

from ner_mlflow.data.sample import generate_sample
from ner_mlflow.exporting.latency import interleaved_latency_ms, latency_inputs, model_loader
from ner_mlflow.provenance import hardware
from ner_mlflow.tagging.recognizer import TOKENIZER_FILE
from ner_mlflow.tagging.tagger import TaggerSpec
from ner_mlflow.tracking.queries import download, latest_run
from ner_mlflow.tracking.records import ExportRecord
from ner_mlflow.tracking.steps import Step

RUNS = 400
WARMUP_RUNS = 20
LENGTH = 128
DEFAULT_EXPERIMENT = "0"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("export_runs", nargs="*", metavar="EXPORT_RUN")
    arguments = parser.parse_args()
    if len(arguments.export_runs) == 2:
        full, lora = arguments.export_runs
    elif arguments.export_runs:
        parser.error("name two export runs, or none")
    else:
        run_ids = [
            latest_run(Step.EXPORT, DEFAULT_EXPERIMENT, preset)
            for preset in ("minilm_full", "minilm_lora")
        ]
        if None in run_ids:
            raise SystemExit(
                "no export runs of minilm_full and minilm_lora here: "
                "run main first, or name two export runs"
            )
        full, lora = (str(run_id) for run_id in run_ids)
    paths = {
        "full_fp32": download(f"runs:/{full}/onnx/fp32"),
        "lora_fp32": download(f"runs:/{lora}/onnx/fp32"),
        "full_int8": download(f"runs:/{full}/onnx/int8"),
    }
    encoder = TaggerSpec.load(paths["full_fp32"]).encoder(
        Tokenizer.from_file(str(paths["full_fp32"] / TOKENIZER_FILE))
    )
    windows = encoder.windows([sentence.tokens for sentence in generate_sample(0)["test"]])
    inputs = latency_inputs(windows, LENGTH)[f"length_{LENGTH}"]
    times = interleaved_latency_ms(
        {name: (model_loader(path), inputs) for name, path in paths.items()},
        RUNS,
        WARMUP_RUNS,
    )
    p50_ms = {name: float(np.median(values)) for name, values in times.items()}
    metrics = ExportRecord.read(full).metrics
    for name, value in p50_ms.items():
        print(f"{name}: p50 {value:.2f} ms at length {LENGTH}")
    print(
        json.dumps(
            {
                "ratio_lora_to_full_latency": p50_ms["lora_fp32"] / p50_ms["full_fp32"],
                "ratio_fp32_to_int8_latency": p50_ms["full_fp32"] / p50_ms["full_int8"],
                "ratio_int8_to_fp32_bytes": metrics["int8/size_bytes"] / metrics["fp32/size_bytes"],
                "int8_validation_f1_loss": metrics["int8/validation_f1_loss"],
                "p50_ms": p50_ms,
                "hardware": hardware(),
            }
        )
    )


if __name__ == "__main__":
    main()
