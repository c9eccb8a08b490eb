import pytest

from nlptool.models.layerwise import layer_lr_factors


def test_each_layer_has_its_share_of_the_rate_above_it():
    names = {
        "classifier.out.weight": 1.0,
        "pooler.dense.weight": 1.0,
        "backbone.layers.attention.1.qkv.weight": 0.5,
        "backbone.layers.mlp.1.up.bias": 0.5,
        "backbone.layers.attention.0.norm.weight": 0.25,
        "backbone.layers.mlp.0.down.weight": 0.25,
        "backbone.layers.projection.weight": 0.125,
        "backbone.embeddings.tokens.weight": 0.125,
    }
    assert layer_lr_factors(names, 2, 0.5) == pytest.approx(names)


def test_the_tenth_layer_is_not_the_first():
    name = "backbone.layers.mlp.11.up.weight"
    assert layer_lr_factors([name], 12, 0.8) == pytest.approx({name: 0.8})
