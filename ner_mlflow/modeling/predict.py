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
    """Return a function that computes a network's logits in evaluation mode.

    It runs on the network's device, in fp32 or with autocast to ``autocast_dtype``.
    """
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
    """Return a tagger over a PyTorch model.

    Args:
        network: the model.
        tokenizer: the model's tokenizer.
        spec: the model's specification.
        batch_subwords: the number of padded subwords in a batch, padding included.
        autocast_dtype: the dtype of matrix products; None: fp32.
        encoder: the model's encoder; None: a new one.
    """
    return Tagger(
        torch_forward(network, autocast_dtype), tokenizer, spec, batch_subwords, encoder=encoder
    )
