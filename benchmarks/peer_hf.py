"""One run of Hugging Face's Trainer as its examples run_mlm.py and run_clm.py drive it; of ELECTRA, two models in one.

Reads rows of token ids (npy, [N, T]) and a tokenizer folder; prints tokens/s, on a GPU also the peak of its memory, as
JSON. A peer for train.py, which starts it.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from transformers import (
    AlbertConfig,
    AlbertForMaskedLM,
    AutoTokenizer,
    BertConfig,
    BertForMaskedLM,
    DataCollatorForLanguageModeling,
    ElectraConfig,
    ElectraForMaskedLM,
    ElectraForPreTraining,
    GPT2Config,
    GPT2LMHeadModel,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    default_data_collator,
)


class Clock(TrainerCallback):
    def __init__(self, gpu: bool) -> None:
        self.gpu = gpu
        self.times: list[float] = []

    def on_step_end(self, args, state, control, **kwargs):
        # A GPU is waited for every tenth step, as often as nlptool does to log.
        if not self.gpu or state.global_step % 10 == 0:
            if self.gpu:
                torch.cuda.synchronize()
            self.times.append(time.perf_counter())

    def seconds(self) -> float:
        """Seconds of a step, without the first ones."""
        gaps = np.diff(self.times)[2:] if not self.gpu else np.diff(self.times)[1:] / 10
        return float(statistics.median(gaps))


class Electra(nn.Module):
    def __init__(self, generator: ElectraConfig, discriminator: ElectraConfig) -> None:
        super().__init__()
        self.generator = ElectraForMaskedLM(generator)
        self.discriminator = ElectraForPreTraining(discriminator)
        self.generator.electra.embeddings = self.discriminator.electra.embeddings
        self.generator.tie_weights()
        assert (
            self.generator.generator_lm_head.weight
            is self.generator.electra.embeddings.word_embeddings.weight
        )

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


def encoder(args: argparse.Namespace, hidden: int, **further: Any) -> dict[str, Any]:
    return {
        "num_hidden_layers": args.layers,
        "hidden_size": hidden,
        "num_attention_heads": max(1, hidden // 64),
        "intermediate_size": 4 * hidden,
        "hidden_dropout_prob": args.dropout,
        "attention_probs_dropout_prob": args.dropout,
        **further,
    }


def model(args: argparse.Namespace, tokenizer: Any, length: int) -> nn.Module:
    size = {"vocab_size": len(tokenizer)}
    if args.kind == "mlm":
        return BertForMaskedLM(BertConfig(**encoder(args, args.hidden, **size)))
    if args.kind == "albert":
        return AlbertForMaskedLM(AlbertConfig(**encoder(args, args.hidden, embedding_size=128, **size)))
    if args.kind == "electra":
        further = size | {"embedding_size": args.hidden // 2}
        return Electra(
            *(ElectraConfig(**encoder(args, h, **further)) for h in (args.hidden // 4, args.hidden))
        )
    return GPT2LMHeadModel(
        GPT2Config(
            n_positions=length,
            n_layer=args.layers,
            n_embd=args.hidden,
            n_head=args.hidden // 64,
            resid_pdrop=args.dropout,
            embd_pdrop=args.dropout,
            attn_pdrop=args.dropout,
            bos_token_id=tokenizer.eos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            **size,
        )
    )


def data(kind: str, rows: np.ndarray, tokenizer: Any) -> tuple[Dataset, Callable[..., Any]]:
    columns = {"input_ids": rows.tolist(), "attention_mask": np.ones_like(rows).tolist()}
    if kind == "clm":
        return Dataset.from_dict(columns | {"labels": columns["input_ids"]}), default_data_collator
    special = np.isin(rows, tokenizer.all_special_ids).astype(int)
    only_masks = {"mask_replace_prob": 1.0, "random_replace_prob": 0.0} if kind == "electra" else {}
    collator = DataCollatorForLanguageModeling(tokenizer, mlm_probability=0.15, **only_masks)
    return Dataset.from_dict(columns | {"special_tokens_mask": special.tolist()}), collator


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=["mlm", "albert", "electra", "clm"])
    parser.add_argument("rows")
    parser.add_argument("tokenizer")
    for name in ("layers", "hidden", "steps", "batch"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--dropout", type=float, required=True)
    parser.add_argument("--gpu", action="store_true")
    parser.add_argument("--compile", action="store_true")
    args = parser.parse_args()
    rows = np.load(args.rows)
    tokenizer = AutoTokenizer.from_pretrained(args.tokenizer)
    dataset, collator = data(args.kind, rows, tokenizer)
    clock = Clock(args.gpu)
    place = (
        {"bf16": True, "torch_compile": args.compile, "dataloader_num_workers": 4}
        if args.gpu
        else {"use_cpu": True}
    )
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
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
            **place,
        )
        trainer = Trainer(
            model(args, tokenizer, rows.shape[1]),
            arguments,
            train_dataset=dataset,
            data_collator=collator,
            callbacks=[clock],
        )
        trainer.train()
    found = {"tokens_per_second": args.batch * rows.shape[1] / clock.seconds()}
    print(json.dumps(found | ({"peak": torch.cuda.max_memory_reserved()} if args.gpu else {})))


if __name__ == "__main__":
    main()
