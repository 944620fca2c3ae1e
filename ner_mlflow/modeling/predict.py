"""Tag with a PyTorch model."""

from contextlib import nullcontext

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import nn

from ..tagging.encoding import Inputs, WordEncoder
from ..tagging.tagger import Forward, Tagger, TaggerSpec


def torch_forward(network: nn.Module, autocast_dtype: torch.dtype | None = None) -> Forward:
    """Logits of a network in evaluation mode, on the device it is on, in fp32 or autocast to ``autocast_dtype``."""
    device = next(network.parameters()).device

    def forward(inputs: Inputs) -> NDArray[np.float32]:
        training = network.training
        network.eval()
        context = torch.autocast(device.type, autocast_dtype) if autocast_dtype else nullcontext()
        with torch.inference_mode(), context:
            output = network(
                **{name: torch.from_numpy(values).to(device) for name, values in inputs.items()}
            )
        network.train(training)
        logits: NDArray[np.float32] = output.logits.float().cpu().numpy()
        return logits

    return forward


def torch_tagger(
    network: nn.Module,
    tokenizer: Tokenizer,
    spec: TaggerSpec,
    batch_subwords: int = 4096,
    autocast_dtype: torch.dtype | None = None,
    encoder: WordEncoder | None = None,
) -> Tagger:
    """A tagger over a PyTorch model."""
    return Tagger(
        torch_forward(network, autocast_dtype), tokenizer, spec, batch_subwords, encoder=encoder
    )
