"""One run of Hugging Face's Trainer as examples/pytorch/language-modeling/run_mlm.py drives it.

Reads rows of token ids (npy, [N, T]) and a tokenizer folder; prints tokens/s as JSON. A peer for train_mlm.py,
which starts it.
"""

import argparse
import json
import statistics
import tempfile
import time

import numpy as np
from datasets import Dataset
from transformers import (
    AlbertConfig,
    AlbertForMaskedLM,
    AutoTokenizer,
    BertConfig,
    BertForMaskedLM,
    DataCollatorForLanguageModeling,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)


class Clock(TrainerCallback):
    def __init__(self) -> None:
        self.times: list[float] = []

    def on_step_end(self, args, state, control, **kwargs):
        self.times.append(time.perf_counter())


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("rows")
    parser.add_argument("tokenizer")
    parser.add_argument("--family", choices=["bert", "albert"], default="bert")
    for name in ("layers", "hidden", "heads", "steps", "batch"):
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
    shape = {
        "vocab_size": len(tokenizer),
        "num_hidden_layers": args.layers,
        "hidden_size": args.hidden,
        "num_attention_heads": args.heads,
        "intermediate_size": 4 * args.hidden,
        "hidden_dropout_prob": args.dropout,
        "attention_probs_dropout_prob": args.dropout,
    }
    if args.family == "albert":
        model = AlbertForMaskedLM(AlbertConfig(embedding_size=128, **shape))
    else:
        model = BertForMaskedLM(BertConfig(**shape))
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
            data_collator=DataCollatorForLanguageModeling(tokenizer, mlm_probability=0.15),
            callbacks=[clock],
        )
        trainer.train()
    seconds = statistics.median(np.diff(clock.times)[2:])
    print(json.dumps({"tokens_per_second": args.batch * rows.shape[1] / seconds}))


if __name__ == "__main__":
    main()
