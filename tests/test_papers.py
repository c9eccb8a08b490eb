"""Every shipped recipe trains as its paper or the released code does; a recipe that drifts from this table fails.

Keys are dotted; sources are papers (with the section or table) and files of the authors' repositories. Where a paper
and its code differ, the recipe's header says which one it follows.
"""

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from nlptool.commands.distill_task.recipe import Recipe as DistillTask
from nlptool.commands.finetune.recipe import Recipe as Finetune
from nlptool.commands.pretrain.recipe import Recipe as Pretrain
from nlptool.commands.pretrain_transe.recipe import Recipe as Transe
from nlptool.commands.suite.recipe import Suite
from nlptool.recipe import load

RECIPES = Path(__file__).parents[1] / "recipes"
NAMES = sorted(
    str(path.relative_to(RECIPES))[:-5]
    for folder in (
        "bert",
        "albert",
        "electra",
        "ernie",
        "gpt2",
        "distill",
        "finetune",
        "suites",
        "demo",
        "compare",
    )
    for path in (RECIPES / folder).glob("*.yaml")
)
TRAINED = sorted(  # the others change no weight
    name
    for name in NAMES
    if name != "suites/zero-shot"
    and (
        not name.startswith("demo/")
        or {"train", "prediction"} & set(YAML(typ="safe").load(RECIPES / f"{name}.yaml"))
    )
)

Facts = dict[str, Any]


def under(block: str, facts: Facts) -> Facts:
    return {f"{block}.{key}": value for key, value in facts.items()}


GOOGLE: Facts = {  # AdamWeightDecayOptimizer in optimization.py of google-research/bert, albert and electra
    "optimizer.name": "adamw",
    "optimizer.betas": [0.9, 0.999],
    "optimizer.eps": 1e-6,
    "optimizer.weight_decay": 0.01,
    "optimizer.bias_correction": False,
    "max_grad_norm": 1.0,
    "clip_scope": "global",
    "min_lr_ratio": 0.0,
}
BERT_FALL: Facts = {"schedule": "linear_bert"}  # create_optimizer there (bert, albert): "is_warmup"
BERT_ADAM: Facts = GOOGLE | {"clip_scope": "tensor"}  # TinyBERT/transformer/optimization.py of huawei-noah
TRANSFORMERS_ADAM: Facts = {  # train.py and distiller.py of transformers' research_projects/distillation
    "optimizer.name": "adamw",
    "optimizer.betas": [0.9, 0.98],
    "optimizer.eps": 1e-6,
    "optimizer.weight_decay": 0.0,
    "optimizer.bias_correction": True,
    "max_grad_norm": 5.0,
    "clip_scope": "global",
    "schedule": "linear_from_peak",
    "min_lr_ratio": 0.0,
}
DISTIL: Facts = (
    under("train", TRANSFORMERS_ADAM | {"lr": 5e-4, "warmup": 0.05})
    | {
        "train.budget": "3 epochs",  # README.md there: 3 epochs, alpha_ce 5, alpha_mlm 2, alpha_cos 1, temperature 2
        "objective.kl": 5.0,
        "objective.lm_loss": 2.0,
        "objective.cosine": 1.0,
        "objective.temperature": 2.0,
    }
)
SMALL_MODELS: Facts = {  # no paper's: chosen for models of minutes on a laptop
    "optimizer.name": "adamw",
    "optimizer.weight_decay": 0.01,
    "optimizer.bias_correction": True,
    "optimizer.eps": 1e-6,
    "optimizer.betas": [0.9, 0.98],
    "schedule": "linear",
    "warmup": 0.05,
    "max_grad_norm": 1.0,
    "clip_scope": "global",
    "min_lr_ratio": 0.0,
}


def bert(layers: int, hidden: int, heads: int) -> Facts:
    """Devlin et al. 2019, appendix A.2; sizes from google-research/bert README.md; modeling.py's GELU and dropout."""
    facts = GOOGLE | BERT_FALL | {"steps": 1_000_000, "lr": 1e-4, "warmup": 10_000}
    return under("train", facts) | {
        "train.stages": [
            {"sequence_length": 128, "batch_size": 256, "share": 0.9},
            {"sequence_length": 512, "batch_size": 256, "share": 0.1},
        ],
        "model.layers": layers,
        "model.hidden": hidden,
        "model.heads": heads,
        "model.intermediate": 4 * hidden,
        "model.max_positions": 512,
        "model.activation": "gelu_tanh",
        "model.dropout": 0.1,
        "model.attention_dropout": 0.1,
        "model.init": 0.02,
        "objective.mask_rate": 0.15,
        "objective.whole_word": False,
        "objective.mask_split": [0.8, 0.1, 0.1],
        "objective.next_sentence": True,
    }


def albert(layers: int, hidden: int, heads: int) -> Facts:
    """Lan et al. 2020, section 4.1 and table 1; google-research/albert run_pretraining.py, lamb_optimizer.py."""
    facts = GOOGLE | BERT_FALL | {"optimizer.name": "lamb", "steps": 125_000, "lr": 1.76e-3, "warmup": 3125}
    return under("train", facts) | {
        "train.batch_size": 4096,
        "train.sequence_length": 512,
        "model.layers": layers,
        "model.hidden": hidden,
        "model.heads": heads,
        "model.intermediate": 4 * hidden,
        "model.embedding_size": 128,
        "model.share": "all",
        "model.activation": "gelu_tanh",
        "model.dropout": 0.1,  # section 4.8: taken away only from the largest model after a million steps
        "model.attention_dropout": 0.1,
        "objective.mask_rate": 0.15,
        "objective.ngram": 3,
        "objective.whole_word": True,
        "objective.pairs": "order",
    }


def electra(layers: int, hidden: int, heads: int, embedding: int, **facts: object) -> Facts:
    """Clark et al. 2020, table 6; google-research/electra configure_pretraining.py, model/optimization.py."""
    return under("train", GOOGLE | {"schedule": "linear", "warmup": 10_000}) | {
        "model.layers": layers,
        "model.hidden": hidden,
        "model.heads": heads,
        "model.intermediate": 4 * hidden,
        "model.embedding_size": embedding,
        "model.activation": "gelu",
        "model.dropout": 0.1,
        "model.attention_dropout": 0.1,
        "objective.loss": "rtd",
        "objective.discriminator_weight": 50.0,
        "objective.tie": "embeddings",
        "objective.generator_layers": 1.0,
        "objective.temperature": 1.0,
        **{key.replace("__", "."): value for key, value in facts.items()},
    }


def gpt2(layers: int, hidden: int, heads: int, lr: float) -> Facts:
    """Radford et al. 2019, table 2 and section 2.3; the optimiser is GPT-3's: Brown et al. 2020, appendix B."""
    return {
        "model.layers": layers,
        "model.hidden": hidden,
        "model.heads": heads,
        "model.dropout": 0.1,
        "train.batch_size": 512,
        "train.sequence_length": 1024,
        "train.budget": "300B tokens",
        "train.lr": lr,  # Brown et al. 2020, table 2.1: of its model nearest in size
        "train.warmup": 715,  # 375 million tokens of 512 * 1,024 a step
        "train.schedule": "cosine",
        "train.min_lr_ratio": 0.1,
        "train.max_grad_norm": 1.0,
        "train.clip_scope": "global",
        "train.optimizer.name": "adamw",
        "train.optimizer.betas": [0.9, 0.95],
        "train.optimizer.eps": 1e-8,
        "train.optimizer.weight_decay": 0.1,
        "train.optimizer.bias_correction": True,
    }


def tuned(block: str, **facts: object) -> Facts:
    """Fine-tuned as BERT: Devlin et al. 2019, appendix A.3; google-research/bert run_classifier.py, run_squad.py."""
    return under(block, GOOGLE | BERT_FALL | {"warmup": 0.1, "layerwise_lr_decay": 1.0} | facts)


# Radford et al. 2018, section 4.1; opt.py and train.py of openai/finetune-transformer-lm
GPT = tuned("train", schedule="linear", epochs=3.0, batch_size=32, lr=6.25e-5, warmup=0.002) | {
    "train.optimizer.eps": 1e-8,
    "train.optimizer.bias_correction": True,
}

PAPERS: dict[str, Facts] = {
    "bert/tiny": bert(2, 128, 2),
    "bert/mini": bert(4, 256, 4),
    "bert/small": bert(4, 512, 8),
    "bert/medium": bert(8, 512, 8),
    "bert/base": bert(12, 768, 12),
    "bert/large": bert(24, 1024, 16),
    # Zhang et al. 2019, section 4.1; run_pretrain.py and create_instances.py of thunlp/ERNIE
    "ernie/base": {
        "model.layers": 12,
        "model.hidden": 768,
        "model.heads": 12,
        "model.entity_size": 100,
        "model.entity_heads": 4,
        "model.layer_types": [*["sim"] * 5, "mix", *["norm"] * 6],
        "model.cls_entity": True,
        "objective.entity_split": [0.8, 0.15, 0.05],
        "objective.mask_rate": 0.15,
        "objective.next_sentence": True,
        "objective.dea_weight": 1.0,
        "objective.links": "first",
    }
    | under(
        "train",
        GOOGLE
        | {
            "schedule": "constant",
            "warmup": 0.1,
            "lr": 5e-5,
            "batch_size": 512,
            "sequence_length": 256,
            "budget": "1 epochs",
        },
    ),
    "albert/base": albert(12, 768, 12),
    "albert/large": albert(24, 1024, 16),
    "albert/xlarge": albert(24, 2048, 16),
    "albert/xxlarge": albert(12, 4096, 64),
    "electra/small": electra(
        12,
        256,
        4,
        128,
        train__steps=1_000_000,
        train__batch_size=128,
        train__sequence_length=128,
        train__lr=5e-4,
        objective__mask_rate=0.15,
        objective__generator_size=0.25,
    ),
    "electra/base": electra(
        12,
        768,
        12,
        768,
        train__steps=766_000,
        train__batch_size=256,
        train__sequence_length=512,
        train__lr=2e-4,
        objective__mask_rate=0.15,
        objective__generator_size=0.33333,
    ),
    "electra/large": electra(
        24,
        1024,
        16,
        1024,
        train__steps=400_000,
        train__batch_size=2048,
        train__sequence_length=512,
        train__lr=2e-4,
        objective__mask_rate=0.25,
        objective__generator_size=0.25,
    ),
    "gpt2/small": gpt2(12, 768, 12, 6e-4),
    "gpt2/medium": gpt2(24, 1024, 16, 3e-4),
    "gpt2/large": gpt2(36, 1280, 20, 2.5e-4),
    "gpt2/xl": gpt2(48, 1600, 25, 2e-4),
    "distill/distilbert": DISTIL
    | {
        "train.batch_size": 2000,
        "train.sequence_length": 512,
        "student.layers": 6,
        "objective.kl_positions": "all",
    },
    "distill/gpt2": DISTIL | {"student.layers": 6},
    # general_distill.py and README.md of huawei-noah's TinyBERT; Jiao et al. 2020, section 4.1
    "distill/tinybert-general": under(
        "train",
        BERT_ADAM
        | {
            "schedule": "linear_from_peak",
            "warmup": 0.1,
            "lr": 5e-5,
            "batch_size": 256,
            "sequence_length": 128,
        }
        | {"budget": "3 epochs"},
    )
    | {
        "model.layers": 4,
        "model.hidden": 312,
        "model.heads": 12,
        "model.intermediate": 1200,
        "objective.kl": 0.0,
        "objective.lm_loss": 0.0,
        "objective.cosine": 0.0,
        "objective.hidden": 1.0,
        "objective.attention": 1.0,
        "objective.embedding": 1.0,
    },
    # task_distill.py (schedule 'none' without --pred_distill) and README.md there; modeling.py: no dropout in the head
    "distill/tinybert-task": under(
        "intermediate",
        BERT_ADAM
        | {
            "schedule": "constant",
            "warmup": 0,
            "lr": 5e-5,
            "batch_size": 32,
            "epochs": 10.0,
            "sequence_length": 64,
        },
    )
    | under(
        "prediction",
        BERT_ADAM
        | {"schedule": "linear_from_peak", "warmup": 0.1, "lr": 3e-5, "batch_size": 32, "epochs": 3.0}
        | {"sequence_length": 64},
    )
    | {
        "dropout.head": 0.0,
        "augment.copies_per_row": 20,
        "augment.probability": 0.4,
        "augment.candidates": 15,
    },
    # no paper's: what its header was measured with
    "distill/thin-task": {
        f"{stage}.{key}": value
        for stage in ("intermediate", "prediction")
        for key, value in {
            "schedule": "linear",
            "optimizer.bias_correction": True,
            "clip_scope": "global",
        }.items()
    },
    "finetune/bert": tuned("train", epochs=3.0, batch_size=32, lr=2e-5, sequence_length=128)
    | {"dropout.head": None},
    # Zhang et al. 2019, sections 4.3 and 4.4; run_typing.py and run_fewrel.py of thunlp/ERNIE
    "finetune/ernie-relations": tuned(
        "train", schedule="constant", epochs=10.0, batch_size=32, lr=2e-5, sequence_length=256
    ),
    "finetune/ernie-typing": tuned(
        "train", schedule="constant", epochs=10.0, batch_size=16, lr=2e-5, sequence_length=128
    ),
    "finetune/squad": tuned("train", epochs=3.0, batch_size=32, lr=5e-5, sequence_length=384)
    | {"dropout.head": 0.0},
    # Lan et al. 2020, table 14; run_glue.sh of google-research/albert
    "finetune/albert": tuned("train", steps=20_935, warmup=1256, batch_size=32, lr=1e-5, sequence_length=512)
    | {"dropout.hidden": 0.0, "dropout.attention": 0.0, "dropout.head": 0.1},
    # Clark et al. 2020, table 7; configure_finetuning.py of google-research/electra, whose weight decay is 0.01
    "finetune/electra-small": tuned(
        "train",
        schedule="linear",
        epochs=3.0,
        batch_size=32,
        lr=3e-4,
        layerwise_lr_decay=0.8,
        sequence_length=128,
    )
    | {"train.optimizer.weight_decay": 0.0},
    "finetune/deca": GPT,
    "finetune/gpt": GPT | {"train.sequence_length": 512},
    "suites/glue": tuned("finetune.train", epochs=3.0, batch_size=32, lr=2e-5, sequence_length=128),
    "suites/glue-small": tuned("finetune.train", epochs=3.0, batch_size=32, lr=3e-4, sequence_length=64),
    "suites/klue": tuned("finetune.train", epochs=3.0, batch_size=32, lr=5e-5, sequence_length=128),
    "suites/korean": tuned("finetune.train", epochs=2.0, batch_size=32, lr=5e-5, sequence_length=64),
    "demo/bert": under("train", SMALL_MODELS | {"lr": 3e-3, "steps": 2400}),
    "demo/albert": under("train", SMALL_MODELS | {"lr": 2e-3, "steps": 3000}),
    "demo/electra": under("train", SMALL_MODELS | {"lr": 1.5e-3, "steps": 2400}),
    "demo/transe": under("objective", {"loss": "self_adversarial", "margin": 4.0, "num_negatives": 16}),
    "demo/ernie": under("train", {"lr": 1e-3, "steps": 400}) | {"objective.entity_split": [0.8, 0.15, 0.05]},
    "demo/kagnet": under("train", {"epochs": 6.0, "batch_size": 16, "lr": 3e-3, "schedule": "linear"}),
    "demo/bert-ko": under("train", SMALL_MODELS | {"lr": 3e-3, "steps": 2400}),
    "demo/distill-task": under("prediction", {"epochs": 1.0, "lr": 1e-3, "schedule": "linear"}),
    "demo/finetune": under("train", {"epochs": 1.0, "batch_size": 64, "lr": 1e-3, "schedule": "linear"}),
    "demo/finetune-ko": under("train", {"epochs": 1.0, "batch_size": 64, "lr": 1e-3, "schedule": "linear"}),
    "demo/distill": under("train", SMALL_MODELS | {"lr": 3e-3, "steps": 1200}),
    "demo/gpt2": under(
        "train",
        SMALL_MODELS
        | {
            "lr": 3e-3,
            "steps": 2400,
            "schedule": "cosine",
            "min_lr_ratio": 0.1,
            "optimizer.betas": [0.9, 0.95],
        }
        | {"optimizer.eps": 1e-8, "optimizer.weight_decay": 0.1},
    ),
    **{name: under("train", SMALL_MODELS | {"lr": 2e-3}) for name in TRAINED if name.startswith("compare/")},
}


def resolved(name: str) -> Facts:
    """A shipped recipe with all its defaults."""
    path = RECIPES / f"{name}.yaml"
    keys = set(YAML(typ="safe").load(path))
    kind = (
        DistillTask
        if {"task", "teacher"} <= keys
        else Finetune
        if "task" in keys
        else Transe
        if "graph" in keys
        else Suite
        if keys <= {"finetune", "prompt"}
        else Pretrain
    )
    return load(path, (), kind).recipe.model_dump(mode="json")  # type: ignore[type-var]


def value(recipe: Facts, path: str) -> Any:
    for key in path.split("."):
        recipe = recipe[key]
    return recipe


def test_every_recipe_that_trains_is_in_the_table():
    assert sorted(PAPERS) == TRAINED


@pytest.mark.parametrize("name", TRAINED)
def test_a_recipe_has_the_values_of_its_paper(name: str):
    recipe = resolved(name)
    found = {path: value(recipe, path) for path in PAPERS[name]}
    assert found == PAPERS[name]


@pytest.mark.parametrize("name", [name for name in TRAINED if name.split("/")[0] not in ("demo", "compare")])
def test_a_recipe_names_its_schedule_and_its_rule_rather_than_taking_the_default(name: str):
    written = (RECIPES / f"{name}.yaml").read_text()
    assert "schedule:" in written
    assert "optimizer:" in written or name == "distill/thin-task"
