"""One run of Hugging Face's Trainer as examples/pytorch/language-modeling/run_clm.py drives it.

Reads rows of token ids (npy, [N, T]) and a tokenizer folder; prints tokens/s as JSON. A peer for train_clm.py,
which starts it.
"""

import argparse
import json
import statistics
import tempfile

import numpy as np
from datasets import Dataset
from peer_hf_mlm import Clock
from transformers import (
    AutoTokenizer,
    GPT2Config,
    GPT2LMHeadModel,
    Trainer,
    TrainingArguments,
    default_data_collator,
)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("rows")
    parser.add_argument("tokenizer")
    for name in ("layers", "hidden", "heads", "steps", "batch"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--dropout", type=float, required=True)
    args = parser.parse_args()
    rows = np.load(args.rows)
    tokenizer = AutoTokenizer.from_pretrained(args.tokenizer)
    ids, mask = rows.tolist(), np.ones_like(rows).tolist()
    data = Dataset.from_dict({"input_ids": ids, "attention_mask": mask, "labels": ids})
    config = GPT2Config(
        vocab_size=len(tokenizer),
        n_positions=rows.shape[1],
        n_layer=args.layers,
        n_embd=args.hidden,
        n_head=args.heads,
        resid_pdrop=args.dropout,
        embd_pdrop=args.dropout,
        attn_pdrop=args.dropout,
        bos_token_id=tokenizer.eos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            GPT2LMHeadModel(config),
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
            data_collator=default_data_collator,
            callbacks=[clock],
        )
        trainer.train()
    seconds = statistics.median(np.diff(clock.times)[2:])
    print(json.dumps({"tokens_per_second": args.batch * rows.shape[1] / seconds}))


if __name__ == "__main__":
    main()
