"""Score tag sequences with a conditional random field (CRF) on top of the classifier."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from ..tagging.decoding import Transitions
from ..tagging.encoding import IGNORED
from ..tagging.tagger import TaggerSpec

CRF = "crf"
"""The name of the network's submodule."""


class LinearChain(nn.Module):
    """A linear-chain CRF: learned scores of first tags and of transitions between tags.

    Lafferty, McCallum and Pereira, ICML 2001. All scores are 0 at first. The CRF learns which
    transitions are common. The decoder excludes the invalid ones, because a window may begin
    inside an entity.
    """

    def __init__(self, labels: int) -> None:
        super().__init__()
        self.starts = nn.Parameter(torch.zeros(labels))
        self.steps = nn.Parameter(torch.zeros(labels, labels))

    def forward(self, logits: Tensor, tags: Tensor, lengths: Tensor) -> Tensor:
        """Return the negative log-likelihood of tag sequences, shape (batch,).

        Args:
            logits: scores of each word's tags, shape (batch, words, labels).
            tags: label ids, shape (batch, words); ids after the end of a sequence are ignored.
            lengths: the number of words of each sequence, 1 or more, shape (batch,).
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
        """Return the scores in the decoder's form."""
        return Transitions(tuple(self.starts.tolist()), tuple(map(tuple, self.steps.tolist())))


def find_crf(network: nn.Module) -> LinearChain | None:
    """Return a network's CRF, or None."""
    crf = dict(network.named_children()).get(CRF)
    assert crf is None or isinstance(crf, LinearChain)
    return crf


def with_transitions(spec: TaggerSpec, network: nn.Module) -> TaggerSpec:
    """Return the specification with the transitions that the network's CRF, if any, has learned."""
    crf = find_crf(network)
    return replace(spec, transitions=crf.transitions()) if crf else spec


class SequenceLoss:
    """The negative log-likelihood of tag sequences.

    It is called like :class:`~ner_mlflow.modeling.objective.TaggingLoss`.
    """

    def __init__(self, crf: LinearChain) -> None:
        self._crf = crf

    def __call__(
        self,
        outputs: Any,
        labels: Tensor,
        num_items_in_batch: Tensor | None = None,
        teacher: Tensor | None = None,
    ) -> Tensor:
        """Return the loss, a scalar: the sum over sequences divided by the number of words.

        Args:
            outputs: holds ``logits`` of shape (batch, length, labels).
            labels: label ids on the first subword of each word, and IGNORED on all others, shape
                (batch, length).
            num_items_in_batch: the number of words to divide by, of all batches of a step; None:
                those of ``labels``.
            teacher: must be None: teachers score single words, not sequences.
        """
        assert teacher is None
        lengths = (labels != IGNORED).sum(1)
        # The positions of labelled subwords, in order, then of the others.
        positions = torch.argsort((labels == IGNORED).int(), dim=1, stable=True)
        positions = positions[:, : int(lengths.max())]
        logits = outputs.logits.float().gather(
            1, positions[:, :, None].expand(-1, -1, outputs.logits.shape[2])
        )
        losses: Tensor = self._crf(logits, labels.gather(1, positions).clamp(min=0), lengths)
        return losses.sum() / (lengths.sum() if num_items_in_batch is None else num_items_in_batch)
