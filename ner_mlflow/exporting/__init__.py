"""Export a trained model to ONNX variants, prove each against PyTorch, and measure its cost."""
