"""A conditional random field over the tags of a sentence, on top of the classifier over its words."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from ..tagging.decoding import Transitions
from ..tagging.encoding import IGNORED
from ..tagging.tagger import TaggerSpec

CRF = "crf"
"""What a network calls its field."""


class LinearChain(nn.Module):
    """Learned scores of tags that begin a sentence and of tags that follow one another; at first all are 0.

    A linear-chain conditional random field (Lafferty, McCallum and Pereira, ICML 2001). It learns which steps are common; that
    some are forbidden is left to the decoder, since a window may begin inside an entity.
    """

    def __init__(self, labels: int) -> None:
        super().__init__()
        self.starts = nn.Parameter(torch.zeros(labels))
        self.steps = nn.Parameter(torch.zeros(labels, labels))

    def forward(self, logits: Tensor, tags: Tensor, lengths: Tensor) -> Tensor:
        """Negative log-likelihood of tag sequences; shape (batch,).

        Args:
            logits: scores of each word's tags, shape (batch, words, labels).
            tags: shape (batch, words); those at ``lengths`` and after are not looked at.
            lengths: words of each sequence, one at least; shape (batch,).
        """
        inside = torch.arange(logits.shape[1], device=logits.device)[None, :] < lengths[:, None]
        chosen = logits.gather(2, tags[:, :, None])[:, :, 0] * inside
        path = (
            self.starts[tags[:, 0]]
            + chosen.sum(1)
            + (self.steps[tags[:, :-1], tags[:, 1:]] * inside[:, 1:]).sum(1)
        )
        total = self.starts + logits[:, 0]
        for word in range(1, logits.shape[1]):
            longer = torch.logsumexp(total[:, :, None] + self.steps, dim=1) + logits[:, word]
            total = torch.where(inside[:, word, None], longer, total)
        return torch.logsumexp(total, dim=1) - path

    def transitions(self) -> Transitions:
        """The scores as the decoder takes them."""
        return Transitions(tuple(self.starts.tolist()), tuple(map(tuple, self.steps.tolist())))


def find_crf(network: nn.Module) -> LinearChain | None:
    """The field of a network that was built with one."""
    found = dict(network.named_children()).get(CRF)
    assert found is None or isinstance(found, LinearChain)
    return found


def with_transitions(spec: TaggerSpec, network: nn.Module) -> TaggerSpec:
    """The specification with what the network's field, if it has one, has learned by now."""
    crf = find_crf(network)
    return replace(spec, transitions=crf.transitions()) if crf else spec


class SequenceLoss:
    """Negative log-likelihood of whole tag sequences, called as :class:`~ner_mlflow.modeling.objective.TaggingLoss` is."""

    def __init__(self, crf: LinearChain) -> None:
        self._crf = crf

    def __call__(
        self,
        outputs: Any,
        labels: Tensor,
        num_items_in_batch: Tensor | None = None,
        teacher: Tensor | None = None,
    ) -> Tensor:
        """The mean over ``num_items_in_batch`` words (of all batches of a step), by default those of ``labels``.

        Args:
            outputs: holds ``logits`` of shape (batch, length, classes).
            labels: shape (batch, length), IGNORED but on the first subword of a word.
            teacher: none; it speaks of words, not of sequences.
        """
        assert teacher is None
        lengths = (labels != IGNORED).sum(1)
        # Subwords that carry a label first, in their order.
        places = torch.argsort((labels == IGNORED).int(), dim=1, stable=True)[
            :, : int(lengths.max())
        ]
        logits = outputs.logits.float().gather(
            1, places[:, :, None].expand(-1, -1, outputs.logits.shape[2])
        )
        losses: Tensor = self._crf(logits, labels.gather(1, places).clamp(min=0), lengths)
        return losses.sum() / (lengths.sum() if num_items_in_batch is None else num_items_in_batch)
