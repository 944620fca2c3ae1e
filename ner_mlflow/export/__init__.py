"""From a fitted model to proven ONNX files: export, fp16, int8, parity, latency, bytes."""
