"""Training a subset of the word embeddings: it computes the same, and the other rows stay."""

from contextlib import suppress

import numpy as np
import torch
from torch import nn
from transformers import BertConfig, BertModel

from ner_mlflow.modeling.embeddings import SubsetEmbedding, subset_embeddings

PAD, VOCABULARY = 0, 50
TRAINED = [np.array([7, 3, 7]), np.array([41, 3])]
ROWS = [PAD, 3, 7, 41]


def small_bert() -> BertModel:
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=VOCABULARY,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    return BertModel(config, add_pooling_layer=False)


def output(network: BertModel, ids: torch.Tensor) -> torch.Tensor:
    hidden: torch.Tensor = network(input_ids=ids).last_hidden_state
    return hidden


def test_a_network_computes_the_same_with_a_subset() -> None:
    network = small_bert()
    trained, every = torch.tensor([[3, 7, 41]]), torch.arange(VOCABULARY)[None]
    expected = output(network, trained), output(network, every)
    with subset_embeddings(network, TRAINED, PAD):
        torch.testing.assert_close(output(network.train(), trained), expected[0])
        torch.testing.assert_close(output(network.eval(), every), expected[1])
        torch.testing.assert_close(output(network, trained), expected[0])


def test_the_trained_rows_are_written_back_and_the_others_stay() -> None:
    network = small_bert().train()
    table = network.get_input_embeddings()
    before = table.weight.detach().clone()
    with subset_embeddings(network, TRAINED, PAD):
        weight = network.get_input_embeddings().weight
        assert weight.shape == (len(ROWS), 16)
        optimizer = torch.optim.SGD(network.parameters(), lr=1.0)
        output(network, torch.tensor([[3, 7, 41, PAD]])).square().sum().backward()
        optimizer.step()
        learned = weight.detach().clone()
    assert network.get_input_embeddings() is table
    torch.testing.assert_close(table.weight[ROWS], learned)
    changed = (table.weight != before).any(dim=1).nonzero()[:, 0].tolist()
    assert changed == [3, 7, 41]  # padding has no gradient


def test_the_table_is_put_back_after_an_error() -> None:
    network = small_bert()
    table = network.get_input_embeddings()
    with suppress(KeyError), subset_embeddings(network, TRAINED, PAD):
        assert isinstance(network.get_input_embeddings(), SubsetEmbedding)
        raise KeyError
    assert network.get_input_embeddings() is table


def test_frozen_embeddings_stay_as_they_are() -> None:
    network = small_bert()
    table = network.get_input_embeddings()
    table.weight.requires_grad = False
    with subset_embeddings(network, TRAINED, PAD):
        assert network.get_input_embeddings() is table
        assert isinstance(table, nn.Embedding)
