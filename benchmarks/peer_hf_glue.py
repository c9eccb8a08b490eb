"""What Hugging Face's Trainer reaches on a pair or sentence task, as its run_glue.py example does; prints JSON.

    python benchmarks/peer_hf_glue.py MODEL TRAIN VALIDATION COLUMN[,COLUMN] [--seeds 0 1 2] [--pad] [--gpu]

TRAIN and VALIDATION are JSON lines, gzipped or not, with a column `label`: a class, or a number that is to be told.
"""

import argparse
import json
import tempfile
import time

import numpy as np
from datasets import load_dataset
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import f1_score, matthews_corrcoef
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    Trainer,
    TrainingArguments,
)

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("model")
parser.add_argument("train")
parser.add_argument("validation")
parser.add_argument("columns")
parser.add_argument("--seeds", type=int, nargs="+", default=[0])
parser.add_argument("--epochs", type=float, default=3.0)
parser.add_argument("--lr", type=float, default=5e-5)
parser.add_argument("--warmup", type=float, default=0.0, help="share of the run; run_glue.py has none")
parser.add_argument("--length", type=int, default=128)
parser.add_argument("--steps", type=int, default=-1)
parser.add_argument("--pad", action="store_true", help="every row to the whole length, run_glue.py's default")
parser.add_argument("--gpu", action="store_true")
options = parser.parse_args()

tokenizer = AutoTokenizer.from_pretrained(options.model)
rows = load_dataset("json", data_files={"train": options.train, "validation": options.validation})
columns = options.columns.split(",")
numbers = any(label != int(label) for label in rows["train"]["label"])
labels = 1 if numbers else len(set(rows["train"]["label"]))
if numbers:
    rows = rows.map(lambda row: {"label": float(row["label"])})
rows = rows.map(
    lambda some: tokenizer(
        *(some[c] for c in columns),
        truncation=True,
        max_length=options.length,
        padding="max_length" if options.pad else False,
    ),
    batched=True,
)


def figures(predictions: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    if numbers:
        said = predictions[:, 0]
        return {"pearson": pearsonr(said, truth).statistic, "spearman": spearmanr(said, truth).statistic}
    said = predictions.argmax(1)
    found = {"accuracy": np.mean(said == truth), "matthews": matthews_corrcoef(truth, said)}
    return found | ({"f1": f1_score(truth, said)} if labels == 2 else {})


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
            warmup_steps=options.warmup,
            seed=seed,
            save_strategy="no",
            report_to="none",
            use_cpu=not options.gpu,
            disable_tqdm=True,
            logging_strategy="no",
        )

        def start():
            return AutoModelForSequenceClassification.from_pretrained(
                options.model, num_labels=labels, dtype="float32"
            )

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
            found |= {name: float(value) for name, value in figures(said.predictions, said.label_ids).items()}
        print(json.dumps(found), flush=True)
