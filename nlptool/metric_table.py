"""The declaration of every figure of a run: title, unit, direction and kind.

Charts, tables, the live panel and comparisons use this table, and derive nothing from names. An undeclared figure is
shown as a plain number: it is neither a loss nor a share.
"""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from nlptool.formatting import scientific, significant

Unit = Literal["nats", "share", "bits", "MSE", "points", "rate", "tokens/s", ""]
Direction = Literal["lower", "higher", ""]
Kind = Literal["loss", "score", "baseline", "diagnostic", "course", "cost", "other"]
HELD_OUT = "heldout/"  # prefix of a figure's name in metrics.jsonl


class Metric(NamedTuple):
    """A figure's declaration."""

    key: str
    """Figures with the same key are comparable: `mlm` has one key in BERT, another in ELECTRA's generator."""
    title: str
    unit: Unit
    """share: a number from 0 to 1 (correlations: from -1), shown in per cent."""
    direction: Direction
    """Which values are better; empty if neither."""
    kind: Kind
    """loss: a training loss, or a term of it. score: quality of the result. baseline: compared with a score.
    diagnostic: explains a score. course: progress of training. cost: its cost. other: not declared."""

    @property
    def heading(self) -> str:
        """The title with the unit of its values, for charts."""
        unit = {"share": "%", "bits": "", "points": "", "rate": "", "tokens/s": ""}.get(self.unit, self.unit)
        return f"{self.title} ({unit})" if unit else self.title

    def number(self, value: float) -> str:
        """A value without its unit, a share in per cent."""
        if self.unit == "share":
            return f"{100 * value:.1f}"
        if self.unit in ("nats", "bits"):
            return f"{value:.3f}"
        if self.unit == "rate":
            return scientific(value)
        return significant(value, 4) if abs(value) < 10_000 else f"{value:,.0f}"

    def show(self, value: float, deviation: float | None = None) -> str:
        """A value in a table, with its standard deviation if there is one: `28.1 ± 0.4 %`, `4.628`."""
        spread = "" if deviation is None else f" ± {self.number(deviation)}"
        return self.number(value) + spread + " %" * (self.unit == "share")


TABLE = {
    metric.key: metric
    for metric in (
        # Losses: terms of objectives and of tasks.
        Metric("mlm", "masked LM loss", "nats", "lower", "loss"),
        Metric("generator_mlm", "generator's masked LM loss", "nats", "lower", "loss"),
        Metric("nsp", "next-sentence loss", "nats", "lower", "loss"),
        Metric("dea", "denoising-entity loss", "nats", "lower", "loss"),
        Metric("sop", "sentence-order loss", "nats", "lower", "loss"),
        Metric("rtd", "replaced-token detection loss", "nats", "lower", "loss"),
        Metric("replace_mlm", "replace-MLM loss", "nats", "lower", "loss"),
        Metric("all_tokens", "all-tokens MLM loss", "nats", "lower", "loss"),
        Metric("clm", "causal LM loss", "nats", "lower", "loss"),
        Metric("kl", "distillation loss", "nats", "lower", "loss"),
        Metric("prediction", "prediction-layer loss", "nats", "lower", "loss"),
        Metric("cosine", "cosine loss", "", "lower", "loss"),
        Metric("hidden", "hidden-state loss", "MSE", "lower", "loss"),
        Metric("attention", "attention loss", "MSE", "lower", "loss"),
        Metric("embedding", "embedding loss", "MSE", "lower", "loss"),
        Metric("transe", "TransE loss", "", "lower", "loss"),
        Metric("cross_entropy", "cross-entropy loss", "nats", "lower", "loss"),
        Metric("binary_cross_entropy", "binary cross-entropy loss", "nats", "lower", "loss"),
        Metric("squared_error", "squared error", "MSE", "lower", "loss"),
        # Scores of language models.
        Metric("mlm_accuracy", "masked LM accuracy", "share", "higher", "score"),
        Metric("generator_mlm_accuracy", "generator's masked LM accuracy", "share", "higher", "score"),
        Metric("nsp_accuracy", "next-sentence accuracy", "share", "higher", "score"),
        Metric("dea_accuracy", "denoising-entity accuracy", "share", "higher", "score"),
        Metric("dea_dropped_accuracy", "accuracy on dropped links", "share", "higher", "score"),
        Metric("dea_replaced_accuracy", "accuracy on replaced links", "share", "higher", "score"),
        Metric("sop_accuracy", "sentence-order accuracy", "share", "higher", "score"),
        Metric("rtd_auc", "replaced-token detection AUC", "share", "higher", "score"),
        Metric("rtd_accuracy", "replaced-token detection accuracy", "share", "higher", "score"),
        Metric("replace_mlm_accuracy", "replace-MLM accuracy", "share", "higher", "score"),
        Metric("all_tokens_accuracy", "all-tokens MLM accuracy", "share", "higher", "score"),
        Metric("clm_accuracy", "causal LM accuracy", "share", "higher", "score"),
        Metric("perplexity", "perplexity per token", "", "lower", "score"),
        Metric("bits_per_byte", "bits per byte", "bits", "lower", "score"),
        # Scores of embeddings of a graph: filtered ranks of heads and tails, ties count half.
        Metric("mrr", "mean reciprocal rank", "", "higher", "score"),
        Metric("mean_rank", "mean rank", "", "lower", "score"),
        Metric("hits_at_1", "Hits@1", "share", "higher", "score"),
        Metric("hits_at_3", "Hits@3", "share", "higher", "score"),
        Metric("hits_at_10", "Hits@10", "share", "higher", "score"),
        # Scores of tasks.
        Metric("accuracy", "accuracy", "share", "higher", "score"),
        Metric("f1", "F1", "share", "higher", "score"),
        Metric("accuracy_per_token", "accuracy per token", "share", "higher", "score"),
        Metric("acc_norm", "accuracy per character", "share", "higher", "score"),
        Metric("accuracy_per_byte", "accuracy per byte", "share", "higher", "score"),
        Metric(
            "accuracy_unconditional", "accuracy, by unconditional probability", "share", "higher", "score"
        ),
        Metric("answer_perplexity", "perplexity of the answers", "", "lower", "score"),
        Metric("macro_f1", "macro F1", "share", "higher", "score"),
        Metric("macro_precision", "macro precision", "share", "higher", "score"),
        Metric("macro_recall", "macro recall", "share", "higher", "score"),
        Metric("micro_f1", "micro F1", "share", "higher", "score"),
        Metric("micro_precision", "micro precision", "share", "higher", "score"),
        Metric("micro_recall", "micro recall", "share", "higher", "score"),
        Metric("subset_accuracy", "subset accuracy", "share", "higher", "score"),
        Metric("strict_accuracy", "strict accuracy", "share", "higher", "score"),
        Metric("loose_micro_f1", "loose micro F1", "share", "higher", "score"),
        Metric("loose_micro_precision", "loose micro precision", "share", "higher", "score"),
        Metric("loose_micro_recall", "loose micro recall", "share", "higher", "score"),
        Metric("loose_macro_f1", "loose macro F1", "share", "higher", "score"),
        Metric("loose_macro_precision", "loose macro precision", "share", "higher", "score"),
        Metric("loose_macro_recall", "loose macro recall", "share", "higher", "score"),
        Metric("matthews", "Matthews correlation", "share", "higher", "score"),
        Metric("pearson", "Pearson correlation", "share", "higher", "score"),
        Metric("spearman", "Spearman correlation", "share", "higher", "score"),
        Metric("tag_macro_f1", "tag macro F1", "share", "higher", "score"),
        Metric("entity_f1", "entity F1", "share", "higher", "score"),
        Metric("entity_macro_f1", "entity macro F1", "share", "higher", "score"),
        Metric("character_macro_f1", "character macro F1", "share", "higher", "score"),
        Metric("exact", "exact match", "share", "higher", "score"),
        Metric("squad_exact", "SQuAD exact match", "share", "higher", "score"),
        Metric("squad_f1", "SQuAD F1", "share", "higher", "score"),
        Metric("squad2_exact", "SQuAD 2.0 exact match", "share", "higher", "score"),
        Metric("squad2_f1", "SQuAD 2.0 F1", "share", "higher", "score"),
        Metric("squad2_best_exact", "SQuAD 2.0 exact match, best threshold", "share", "higher", "score"),
        Metric("squad2_best_f1", "SQuAD 2.0 F1, best threshold", "share", "higher", "score"),
        Metric("korquad_exact", "KorQuAD exact match", "share", "higher", "score"),
        Metric("korquad_f1", "KorQuAD F1", "share", "higher", "score"),
        Metric("triviaqa_exact", "TriviaQA exact match", "share", "higher", "score"),
        Metric("triviaqa_f1", "TriviaQA F1", "share", "higher", "score"),
        Metric("coqa_exact", "CoQA exact match", "share", "higher", "score"),
        Metric("coqa_f1", "CoQA F1", "share", "higher", "score"),
        Metric("quac_f1", "QuAC F1", "share", "higher", "score"),
        Metric("quac_heq", "QuAC human equivalence", "share", "higher", "score"),
        Metric("rouge", "mean of ROUGE-1, -2 and -L by summary", "share", "higher", "score"),
        Metric("rouge1", "ROUGE-1", "share", "higher", "score"),
        Metric("rouge2", "ROUGE-2", "share", "higher", "score"),
        Metric("rougeL", "ROUGE-L by sentence", "share", "higher", "score"),
        Metric("rougeLsum", "ROUGE-L by summary", "share", "higher", "score"),
        Metric("bleu", "BLEU", "share", "higher", "score"),
        Metric("bleu_lower", "BLEU, lower case", "share", "higher", "score"),
        Metric("corpus_f1", "corpus F1", "share", "higher", "score"),
        Metric("joint_goal", "joint goal accuracy", "share", "higher", "score"),
        Metric("logical_form", "logical form accuracy", "share", "higher", "score"),
        Metric("sum", "sum of the tasks' scores", "points", "higher", "score"),
        Metric("deca_score", "decaScore", "points", "higher", "score"),
        # What scores are compared with, and what explains them.
        Metric("mlm_majority", "masked LM majority", "share", "", "baseline"),
        Metric("generator_mlm_majority", "generator's masked LM majority", "share", "", "baseline"),
        Metric("nsp_majority", "next-sentence majority", "share", "", "baseline"),
        Metric("dea_majority", "accuracy of each step's most frequent entity", "share", "", "baseline"),
        Metric("sop_majority", "sentence-order majority", "share", "", "baseline"),
        Metric("rtd_majority", "replaced-token detection majority", "share", "", "baseline"),
        Metric("teacher_mlm", "teacher's masked LM loss", "nats", "", "baseline"),
        Metric("teacher_mlm_accuracy", "teacher's masked LM accuracy", "share", "", "baseline"),
        Metric("teacher_clm", "teacher's causal LM loss", "nats", "", "baseline"),
        Metric("teacher_clm_accuracy", "teacher's causal LM accuracy", "share", "", "baseline"),
        Metric("rtd_precision", "replaced-token detection precision", "share", "", "diagnostic"),
        Metric("rtd_recall", "replaced-token detection recall", "share", "", "diagnostic"),
        Metric("generator_accuracy", "generator's samples equal to the original", "share", "", "diagnostic"),
        Metric("replaced", "replaced tokens", "share", "", "diagnostic"),
        Metric("squad2_best_f1_threshold", "SQuAD 2.0 threshold of the best F1", "", "", "diagnostic"),
        Metric("squad2_best_exact_threshold", "SQuAD 2.0 threshold of the best EM", "", "", "diagnostic"),
        Metric("unigram_entropy", "unigram entropy", "nats", "", "baseline"),
        # How training went, and what it took.
        Metric("lr", "learning rate", "rate", "", "course"),
        Metric("grad_norm", "gradient norm", "", "", "course"),
        Metric("tokens_per_second", "tokens per second", "tokens/s", "", "course"),
        Metric("tokens", "tokens", "", "", "cost"),
        Metric("seconds", "seconds", "", "", "cost"),
        Metric("memory", "memory", "", "", "cost"),
        Metric("parameters", "parameters", "", "", "cost"),
        Metric("flops", "FLOPs", "", "", "cost"),
    )
}

PROMPTED = "prompt"
PERPLEXITY = "perplexity"  # the one metric of a prompted task that is not a share
OWN = {
    "electra": {name: f"generator_{name}" for name in ("mlm", "mlm_accuracy", "mlm_majority")},
    PROMPTED: {"perplexity": "answer_perplexity"},
}
"""Keys of figures whose name means something else in other runs."""


def describe(name: str, objective: str | None = None) -> Metric:
    """The declaration of a figure, by its name without `heldout/`, in a run of this objective (`objective.name`).

    The part before the last slash is a validation split or a task: `mismatched/accuracy`.
    """
    front, slash, base = name.rpartition("/")
    key = OWN.get(objective or "", {}).get(base, base)
    found = TABLE.get(key, Metric(key, base, "", "", "other"))
    if not slash:
        return found
    return found._replace(key=f"{front}/{key}", title=f"{front}: {found.title}")


def held_out(line: Mapping[str, Any]) -> dict[str, Any]:
    """The held-out figures of a line of metrics.jsonl, by their names without `heldout/`."""
    return {name.removeprefix(HELD_OUT): value for name, value in line.items() if name.startswith(HELD_OUT)}


def listed(figures: Mapping[str, float]) -> str:
    """Figures in one line: `accuracy 56.4 %, F1 72.1 %`."""
    return ", ".join(
        f"{describe(name).title} {describe(name).show(value)}" for name, value in figures.items()
    )


def objective_of(recipe: Mapping[str, Any]) -> str | None:
    """The objective's name in a recipe as plain values; None without one, as in fine-tuning."""
    block = recipe.get("objective")
    name = block.get("name") if isinstance(block, dict) else None
    return name if isinstance(name, str) else None


def metric_title(name: str) -> str:
    """The title of a prompted task's metric, or of a suite's, in a table."""
    return describe(name, PROMPTED).title


def format_score(name: str, value: float | None, error: float | None) -> str:
    """A metric and its standard error, shares in per cent; None: a perplexity that overflows."""
    if value is None:
        return "∞"
    if name == PERPLEXITY:
        return f"{value:,.4g}" + (f" ± {error:,.2g}" if error is not None else "")
    return per_cent(value) + (f" ± {100 * error:.1f}" if error is not None else "")


def per_cent(value: float) -> str:
    """A share, e.g. 61.3."""
    return f"{100 * value:.1f}"
