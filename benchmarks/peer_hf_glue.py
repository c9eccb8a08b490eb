"""What Hugging Face's Trainer reaches on a pair or sentence task, as its run_glue.py example does; prints JSON.

python benchmarks/peer_hf_glue.py MODEL TRAIN.jsonl VALIDATION.jsonl COLUMN[,COLUMN] --seeds 0 1 2 --epochs 1 [--pad]
"""

import argparse
import json
import tempfile
import time

import numpy as np
from datasets import load_dataset
from sklearn.metrics import f1_score
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    Trainer,
    TrainingArguments,
)

parser = argparse.ArgumentParser()
parser.add_argument("model")
parser.add_argument("train")
parser.add_argument("validation")
parser.add_argument("columns")
parser.add_argument("--seeds", type=int, nargs="+", default=[0])
parser.add_argument("--epochs", type=float, default=1.0)
parser.add_argument("--lr", type=float, default=5e-5)
parser.add_argument("--length", type=int, default=128)
parser.add_argument("--steps", type=int, default=-1)
parser.add_argument("--pad", action="store_true", help="every row to the whole length, run_glue.py's default")
options = parser.parse_args()

tokenizer = AutoTokenizer.from_pretrained(options.model)
rows = load_dataset("json", data_files={"train": options.train, "validation": options.validation})
columns = options.columns.split(",")
labels = len(set(rows["train"]["label"]))
padding = "max_length" if options.pad else False
rows = rows.map(
    lambda some: tokenizer(
        *(some[c] for c in columns), truncation=True, max_length=options.length, padding=padding
    ),
    batched=True,
)
for seed in options.seeds:
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            folder,
            per_device_train_batch_size=32,
            per_device_eval_batch_size=32,
            num_train_epochs=options.epochs,
            max_steps=options.steps,
            learning_rate=options.lr,
            weight_decay=0.01,
            adam_epsilon=1e-6,
            warmup_steps=0.1,
            seed=seed,
            save_strategy="no",
            report_to="none",
            use_cpu=True,
            disable_tqdm=True,
            logging_strategy="no",
        )

        def start():
            return AutoModelForSequenceClassification.from_pretrained(options.model, num_labels=labels)

        trainer = Trainer(
            args=arguments,
            model_init=start,
            train_dataset=rows["train"],
            eval_dataset=rows["validation"],
            data_collator=DataCollatorWithPadding(tokenizer),
        )
        began = time.perf_counter()
        trained = trainer.train()
        seconds = time.perf_counter() - began
        found = {"seed": seed, "seconds": seconds, "examples_per_second": trained.global_step * 32 / seconds}
        if options.steps < 0:
            said = trainer.predict(rows["validation"])
            decided = said.predictions.argmax(1)
            found["accuracy"] = float(np.mean(decided == said.label_ids))
            found["f1"] = float(f1_score(said.label_ids, decided))
        print(json.dumps(found), flush=True)
