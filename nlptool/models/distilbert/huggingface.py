"""DistilBERT's names and settings in Hugging Face's `transformers`.

sinusoidal_pos_embds describes the initialisation of positions, whose values are among the weights.
"""

from nlptool.models.hf_family import ENCODER_FIXED, EncoderFamily, encoder_modules, query_key_value

LAYER = "distilbert.transformer.layer.{i}"


FAMILY = EncoderFamily(
    title="DistilBERT",
    model_type="distilbert",
    class_prefix="DistilBert",
    base_model_prefix="distilbert",
    activation=("activation", "gelu"),
    settings={
        "layers": ("n_layers", 6),
        "hidden": ("dim", 768),
        "heads": ("n_heads", 12),
        "intermediate": ("hidden_dim", 3072),
        "max_positions": ("max_position_embeddings", 512),
        "dropout": ("dropout", 0.1),
        "attention_dropout": ("attention_dropout", 0.1),
        "init": ("initializer_range", 0.02),
    },
    fixed=ENCODER_FIXED,
    written={"sinusoidal_pos_embds": False},
    modules=encoder_modules(
        "distilbert",
        LAYER,
        {
            "attention.out": "attention.out_lin",
            "attention.norm": "sa_layer_norm",
            "mlp.up": "ffn.lin1",
            "mlp.down": "ffn.lin2",
            "mlp.norm": "output_layer_norm",
        },
        {
            "mlm.dense": "vocab_transform",
            "mlm.norm": "vocab_layer_norm",
            "mlm": "vocab_projector",
            "chooser.dense": "pre_classifier",
            "classifier.dense": "pre_classifier",  # both have this name there; it is read as this one
        },
    ),
    split=query_key_value(*(f"{LAYER}.attention.{name}" for name in ("q_lin", "k_lin", "v_lin"))),
    tied={"vocab_projector.weight": "distilbert.embeddings.word_embeddings.weight"},
)
