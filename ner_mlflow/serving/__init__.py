"""The registered model: text in, entities with character offsets out; onnxruntime and tokenizers, no torch."""
