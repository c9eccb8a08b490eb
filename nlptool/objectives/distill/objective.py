"""General distillation: a language model learns from a larger one (Sanh et al. 2019; Jiao et al. 2020)."""

# B batch, T tokens, K slots for masked positions, D width of the student, E of the teacher

from collections.abc import Collection
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from nlptool import flops
from nlptool.data.batches import Batch, Examples
from nlptool.data.pretraining_examples import PackedBatch
from nlptool.data.random_streams import RandomStreams
from nlptool.data.row_view import RowView
from nlptool.data.vocabulary import Vocabulary
from nlptool.distill import losses
from nlptool.distill.kl import LazyLogits, linear_divergence, linear_sparse_divergence, top_k
from nlptool.distill.layer_map import layer_map
from nlptool.models import heads
from nlptool.models.base import Decoder, Encoder
from nlptool.models.config import EncoderConfig, ModelConfig
from nlptool.models.kernels.cross_entropy import IGNORED, linear_cross_entropy, linear_scores
from nlptool.models.layers import HiddenStates, Linear, gather_rows, init_truncated
from nlptool.objectives import causal, masked
from nlptool.objectives.base import ExportSpec, Objective, inputs_of
from nlptool.text.store import Split

if TYPE_CHECKING:
    from nlptool.objectives.distill.config import Config

KEPT = ("teacher_topk_ids", "teacher_topk_logprobs")  # tensors of a batch


class Teacher(nn.Module):
    """A fixed language model: no gradient, and no dropout, as it never trains.

    TinyBERT's scripts leave the teacher's dropout on, which the paper does not mention; here it is off.
    """

    backbone: Encoder | Decoder
    mlm: heads.MaskedLM | None

    def __init__(self, model: ModelConfig, vocab_size: int, *, predicts: bool) -> None:
        """predicts: whether its logits of masked tokens are needed, and so its head."""
        super().__init__()
        self.config = model
        self.backbone = model.build(vocab_size)
        self.mlm = (
            heads.MaskedLM.of(model, vocab_size) if predicts and isinstance(model, EncoderConfig) else None
        )
        self.requires_grad_(False).eval()


class DistillationObjective(Objective):
    """A student, which is a masked or causal language model, and a teacher that reads the same masked rows.

    Rows are packed, so none has padding. hidden and attention add up the errors of the layers (Jiao et al. 2020,
    eq. 6).
    """

    def __init__(
        self,
        config: "Config",
        student: masked.MaskedLM | causal.CausalLM,
        model: ModelConfig,
        teacher: Teacher,
    ) -> None:
        super().__init__()
        self.config = config
        self.learn_from(teacher)
        self._student = (student,)  # in a tuple it is not registered as a child; its parts are, below
        self.backbone = student.backbone
        self.keeps_teacher = config.cache_top_k > 0
        self.causal = isinstance(student, causal.CausalLM)
        self.term = "clm" if self.causal else "mlm"
        self.weights = {
            self.term if name == "lm_loss" else name: weight for name, weight in config.terms.items()
        }
        predicts = config.kl > 0 or config.lm_loss > 0
        self.sees_mask = predicts and not self.causal
        self.architecture = student.architecture if predicts else "Model"
        self.mlm = student.mlm if isinstance(student, masked.MaskedLM) and predicts else None
        wide = teacher.config.hidden
        self.projection = None
        if model.hidden != wide and (config.hidden or config.embedding):
            # One projection for embeddings and all layers, as in TinyBERT's code; the paper has two (eqs. 8 and 9). The
            # code has it for a student of the teacher's width, too.
            self.projection = Linear(model.hidden, wide)
            init_truncated(self.projection)
        looks = config.hidden or config.attention
        teacher_layers = layer_map(teacher.config.layers, model.layers, config.layer_map) if looks else ()
        self.layers = dict(enumerate(teacher_layers, start=1))

    @property
    def student(self) -> masked.MaskedLM | causal.CausalLM:
        """The language model without its teacher."""
        return self._student[0]

    @property
    def teacher(self) -> Teacher:
        """The teacher."""
        (teacher,) = self._teacher
        assert isinstance(teacher, Teacher)
        return teacher

    def examples(self, split: Split, length: int, seed: int) -> Examples:
        """Packed rows, as the language model uses them."""
        return self.student.examples(split, length, seed)

    def segment_types(self, examples: Examples) -> int:
        """Those of the language model's rows."""
        return self.student.segment_types(examples)

    def left_out(self, examples: Examples) -> list[str]:
        """Notes on the language model's masks, if it has any."""
        return self.student.left_out(examples) if self.sees_mask else []

    def tokens(self, examples: PackedBatch) -> int:
        """As the language model counts them."""
        return self.student.tokens(examples)

    def collate(self, examples: PackedBatch, draws: RandomStreams) -> Batch:
        """The language model's batch; without masks and labels where nothing is predicted."""
        if self.causal or self.sees_mask:
            batch = self.student.collate(examples, draws)
        else:
            batch = Batch({"ids": torch.from_numpy(examples.ids)}, {}, self.tokens(examples))
        rows, tokens = batch["ids"].shape
        positions = rows * tokens
        counts = dict.fromkeys(self.weights, positions) | batch.counts
        if "kl" in self.weights and self.config.kl_positions == "masked":
            counts["kl"] = batch.counts[self.term]
        counts["attention"] = rows * (tokens * (tokens + 1) // 2 if self.causal else tokens**2)
        return Batch(batch.tensors, {name: counts[name] for name in self.weights}, batch.tokens)

    def row_views(self, batch: Batch) -> list[RowView]:
        """Those of the language model; if nothing is predicted, the inputs of teacher and student."""
        return self.student.row_views(batch) if self.causal or self.sees_mask else super().row_views(batch)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Sums of the terms."""
        return self._sums(batch, measured=False)

    @torch.no_grad()
    def measure(self, batch: Batch) -> dict[str, Tensor]:
        """The terms; for the language model also the number of correct predictions, and the teacher's where needed."""
        return self._sums(batch, measured=True)

    def summary(self, totals: dict[str, Tensor], counts: dict[str, int]) -> dict[str, float]:
        """Means of the terms; figures of the language model alone, and the teacher's as teacher_TERM."""
        figures = super().summary(totals, counts)
        if self.term in self.weights:
            figures |= self.student.summary(totals, counts)
        if f"teacher_{self.term}" in totals:
            count = max(counts[self.term], 1)
            figures[f"teacher_{self.term}"] = totals[f"teacher_{self.term}"].item() / count
            figures[f"teacher_{self.term}_accuracy"] = totals[f"teacher_{self.term}_correct"].item() / count
        return figures

    def folders(self, model: ModelConfig) -> dict[str, ExportSpec]:
        """The student alone; the projection to the teacher's width stays in the checkpoints."""
        own = {k: t for k, t in self.state_dict().items() if not k.startswith("projection.")}
        return {"": ExportSpec(model, own, self.architecture, template=not self.causal)}

    @torch.no_grad()
    def teacher_outputs(self, batch: Batch) -> dict[str, Tensor]:
        """The teacher's top k for a batch to carry: ids and log-probabilities, [..., K]."""
        state = self._trace(self.teacher.backbone, batch, ()).states[-1]
        if self.config.kl_positions == "masked":
            state = gather_rows(state, batch["at"])
        found = top_k(self._teacher_logits(state), self.config.temperature, self.config.cache_top_k)
        return dict(zip(KEPT, found, strict=True))

    def _sums(self, batch: Batch, *, measured: bool) -> dict[str, Tensor]:
        if KEPT[0] in batch:
            return self._sums_without_teacher(batch)
        with torch.no_grad(), flops.no_backward():
            teacher_states = self._trace(self.teacher.backbone, batch, self.layers.values())
        own = self._trace(self.backbone, batch, self.layers)
        sums = self._on_the_way(own, teacher_states)
        if "cosine" in self.weights:
            sums["cosine"] = losses.cosine_distance(own.states[-1], teacher_states.states[-1])
        last = [own.states[-1], teacher_states.states[-1]]
        at_masked = [gather_rows(state, batch["at"]) for state in last] if "at" in batch else last
        if "kl" in self.weights:
            everywhere = self.config.kl_positions == "all"
            pair = last if everywhere else at_masked
            counted = None if everywhere else batch["labels"] != IGNORED
            scores = _scores(self, pair[0]), self._teacher_logits(pair[1])
            sums["kl"] = linear_divergence(*scores, self.config.temperature, counted)
        if self.term in self.weights:
            sums |= self._lm_measured(at_masked, batch) if measured else self._lm_loss(at_masked, batch)
        return sums

    def _sums_without_teacher(self, batch: Batch) -> dict[str, Tensor]:
        """The sums for a batch that carries the teacher's top k."""
        hidden_BTD = self._trace(self.backbone, batch, ()).states[-1]
        at_masked = gather_rows(hidden_BTD, batch["at"]) if "at" in batch else hidden_BTD
        everywhere = self.config.kl_positions == "all"
        own = _scores(self, hidden_BTD if everywhere else at_masked)
        counted = None if everywhere else batch["labels"] != IGNORED
        ids, log_p = (batch[name] for name in KEPT)
        sums = {"kl": linear_sparse_divergence(own, ids, log_p, self.config.temperature, counted)}
        return sums | (self._lm_loss([at_masked], batch) if self.term in self.weights else {})

    def _trace(self, model: Encoder | Decoder, batch: Batch, layers: Collection[int]) -> HiddenStates:
        scored = layers if "attention" in self.weights else ()
        return model.trace(inputs_of(batch), scored)

    def _on_the_way(self, own: HiddenStates, teacher_states: HiddenStates) -> dict[str, Tensor]:
        """The losses on embeddings, layers and attention."""
        sums = {}
        if "embedding" in self.weights:
            sums["embedding"] = losses.hidden_errors(own, teacher_states, {0: 0}, self.projection)
        if "hidden" in self.weights:
            sums["hidden"] = losses.hidden_errors(own, teacher_states, self.layers, self.projection)
        if "attention" in self.weights:
            sums["attention"] = losses.attention_errors(own, teacher_states, self.layers, causal=self.causal)
        return sums

    def _lm_loss(self, pair: list[Tensor], batch: Batch) -> dict[str, Tensor]:
        """The language model's own loss. pair: hidden states at the labels, the student's and the teacher's."""
        return {self.term: linear_cross_entropy(*_scores(self, pair[0]), batch["labels"])}

    def _lm_measured(self, pair: list[Tensor], batch: Batch) -> dict[str, Tensor]:
        """The same and the number of correct predictions, of the student and of a teacher with a head."""
        scores = {"": _scores(self, pair[0])}
        if "kl" in self.weights:
            scores["teacher_"] = self._teacher_logits(pair[1])
        sums = {"clm_bytes": batch["bytes"].sum()} if "bytes" in batch else {}
        for front, one in scores.items():
            losses, correct = linear_scores(*one, batch["labels"])
            sums |= {f"{front}{self.term}": losses.sum(), f"{front}{self.term}_correct": correct.sum()}
        return sums

    def _teacher_logits(self, state: Tensor) -> LazyLogits:
        with torch.no_grad(), flops.no_backward():
            return _scores(self.teacher, state)


def _scores(model: "DistillationObjective | Teacher", state: Tensor) -> LazyLogits:
    """Lazy logits of a model with its language model's head; a decoder's head is its word embeddings."""
    words_VE = model.backbone.word_embeddings
    if model.mlm is None:
        return LazyLogits(state, words_VE, None)
    return LazyLogits(model.mlm.transform(state), words_VE, model.mlm.bias)


def build(
    config: "Config", model: ModelConfig, vocabulary: Vocabulary, teacher: ModelConfig
) -> DistillationObjective:
    """A student with the config `model` and a teacher with the config `teacher`, both with random weights."""
    outside_teacher = Teacher(teacher, vocabulary.rows, predicts=config.kl > 0)
    if isinstance(model, EncoderConfig):
        return DistillationObjective(
            config, masked.build(config, model, vocabulary, None), model, outside_teacher
        )
    return DistillationObjective(config, causal.build(model, vocabulary), model, outside_teacher)
