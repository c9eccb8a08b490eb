"""One run of ELECTRA as its users put it together: transformers' two models, one Trainer.

Reads rows of token ids (npy, [N, T]) and a tokenizer folder; prints tokens/s as JSON. A peer for train_electra.py,
which starts it.
"""

import argparse
import json
import statistics
import tempfile

import numpy as np
import torch
from datasets import Dataset
from peer_hf_mlm import Clock
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from transformers import (
    AutoTokenizer,
    DataCollatorForLanguageModeling,
    ElectraConfig,
    ElectraForMaskedLM,
    ElectraForPreTraining,
    Trainer,
    TrainingArguments,
)


class Electra(nn.Module):
    def __init__(self, generator: ElectraConfig, discriminator: ElectraConfig) -> None:
        super().__init__()
        self.generator = ElectraForMaskedLM(generator)
        self.discriminator = ElectraForPreTraining(discriminator)
        self.generator.electra.embeddings = self.discriminator.electra.embeddings
        self.generator.tie_weights()

    def forward(self, input_ids: Tensor, attention_mask: Tensor, labels: Tensor) -> dict[str, Tensor]:
        logits = self.generator(input_ids, attention_mask=attention_mask).logits
        masked = labels != -100
        logits = logits[masked]
        mlm = F.cross_entropy(logits, labels[masked])
        with torch.no_grad():
            samples = torch.distributions.Categorical(logits=logits).sample()
            corrupted = input_ids.masked_scatter(masked, samples)
            replaced = masked & (corrupted != labels)
        rtd = self.discriminator(corrupted, attention_mask=attention_mask, labels=replaced.float()).loss
        return {"loss": mlm + 50 * rtd}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("rows")
    parser.add_argument("tokenizer")
    for name in ("layers", "hidden", "steps", "batch"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--dropout", type=float, required=True)
    args = parser.parse_args()
    rows = np.load(args.rows)
    tokenizer = AutoTokenizer.from_pretrained(args.tokenizer)
    special = np.isin(rows, tokenizer.all_special_ids).astype(int)
    data = Dataset.from_dict(
        {
            "input_ids": rows.tolist(),
            "attention_mask": np.ones_like(rows).tolist(),
            "special_tokens_mask": special.tolist(),
        }
    )
    generator, discriminator = (
        ElectraConfig(
            vocab_size=len(tokenizer),
            embedding_size=args.hidden // 2,
            num_hidden_layers=args.layers,
            hidden_size=hidden,
            num_attention_heads=max(1, hidden // 64),
            intermediate_size=4 * hidden,
            hidden_dropout_prob=args.dropout,
            attention_probs_dropout_prob=args.dropout,
        )
        for hidden in (args.hidden // 4, args.hidden)
    )
    model = Electra(generator, discriminator)
    words = model.discriminator.electra.embeddings.word_embeddings.weight
    assert model.generator.generator_lm_head.weight is words
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            model,
            TrainingArguments(
                folder,
                per_device_train_batch_size=args.batch,
                max_steps=args.steps,
                learning_rate=5e-4,
                weight_decay=0.01,
                max_grad_norm=1.0,
                logging_steps=10,
                save_strategy="no",
                report_to=[],
                disable_tqdm=True,
                use_cpu=True,
            ),
            train_dataset=data,
            data_collator=DataCollatorForLanguageModeling(
                tokenizer, mlm_probability=0.15, mask_replace_prob=1.0, random_replace_prob=0.0
            ),
            callbacks=[clock],
        )
        trainer.train()
    seconds = statistics.median(np.diff(clock.times)[2:])
    print(json.dumps({"tokens_per_second": args.batch * rows.shape[1] / seconds}))


if __name__ == "__main__":
    main()
