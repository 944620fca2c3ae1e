"""Declare every setting: its type, limits, default, unit and description."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from ..tagging.policies import Policy


@dataclass(frozen=True)
class Unit:
    """The unit of a setting, as a marker in its type."""

    name: str


def _refuse_bool(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError(f"should be a number, not {value}")
    return value


Integer = Annotated[int, BeforeValidator(_refuse_bool)]
Float = Annotated[float, BeforeValidator(_refuse_bool)]
Fraction = Annotated[Float, Field(ge=0, lt=1)]
Seed = Annotated[Integer, Field(ge=0)]

Bins = Annotated[Integer, Unit("bins")]
Calls = Annotated[Integer, Unit("calls")]
Currency = Annotated[Float, Unit("currency per million tokens")]
Documents = Annotated[Integer, Unit("documents")]
Epochs = Annotated[Integer, Unit("epochs")]
EntityTypes = Annotated[Integer, Unit("entity types")]
F1 = Annotated[Float, Unit("F1")]
Layers = Annotated[Integer, Unit("layers")]
Nats = Annotated[Float, Unit("nats per subword")]
Norm = Annotated[Float, Unit("L2 norm")]
Probability = Annotated[Fraction, Unit("probability")]
Processes = Annotated[Integer, Unit("processes")]
Ratio = Annotated[Float, Unit("ratio")]
Share = Annotated[Fraction, Unit("ratio")]
Resamples = Annotated[Integer, Unit("resamples")]
Texts = Annotated[Integer, Unit("texts")]
Retries = Annotated[Integer, Unit("retries")]
Rows = Annotated[Integer, Unit("rows")]
Seconds = Annotated[Float, Unit("seconds")]
Sentences = Annotated[Integer, Unit("sentences")]
Steps = Annotated[Integer, Unit("steps")]
Subwords = Annotated[Integer, Unit("subwords")]
Threads = Annotated[Integer, Unit("threads")]
TimedRuns = Annotated[Integer, Unit("forward passes")]
Tokens = Annotated[Integer, Unit("tokens of the language model")]
Trials = Annotated[Integer, Unit("trials")]

Split = Literal["train", "validation", "test"]
Variant = Literal["fp32", "fused", "fp16", "int8", "int8_static"]
Engine = Literal["onnxruntime", "openvino"]
SourceFormat = Literal[
    "auto",
    "conll",
    "conllu",
    "token_rows",
    "csv",
    "label_studio",
    "doccano",
    "prodigy",
    "spacy",
    "brat",
    "gliner",
    "entity_rows",
]
OutputFormat = Literal[
    "jsonl", "parquet", "conll", "label_studio", "doccano", "prodigy", "spacy", "gliner"
]
Scheme = Literal["auto", "IOB1", "IOB2", "IO", "BIOES", "BILOU", "BMEWO", "BMES"]
Objective = Literal["validation_f1", "latency", "size", "adapter_size", "trainable_parameters"]
SparkMaster = Annotated[
    str,
    Field(
        min_length=1,
        description="address of the Spark master for engine=spark, such as local[*], "
        "spark://HOST:PORT or yarn",
    ),
]


class Section(BaseModel):
    """A part of the configuration. An unknown key or a value of another type is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class DataConfig(Section):
    """The corpus that `data` reads, and its preparation."""

    dataset: str = Field(
        "sample",
        min_length=1,
        description="corpus: sample (bundled, synthetic), a hub id (owner/name or "
        "owner/name:config), a folder, a file, or several of these paths separated by commas",
    )
    revision: str = Field("main", description="git revision of a dataset from the hub")
    license: str = Field(
        "",
        description="licence of the corpus, for the cards of models made from it; empty: as the "
        "card of a hub dataset names it",
    )
    splits: tuple[str, ...] = Field(
        (),
        description="assigns files, or splits of a hub dataset, to splits, as NAME=SPLIT, such as "
        "train_de=train; all others are left out. Empty: recognised by their names",
    )
    source_format: SourceFormat = Field(
        "auto", description="format of the files; auto: recognised by content"
    )
    token_column: str = Field(
        "",
        description="column that holds the words in CoNLL and CSV files, by name or by number from "
        "1, or field that holds them in rows. Empty: one with a known name, or else the first "
        "column",
    )
    tag_column: str = Field(
        "",
        description="column or field that holds the tags, given like token_column. Empty: one with "
        "a known name, or else the last column",
    )
    text_column: str = Field(
        "",
        description="field that holds the text in formats with spans. Empty: one with a known name",
    )
    tag_names: str = Field(
        "",
        description="names of tags that are numbers: a JSON or YAML file of names and numbers (for "
        "a hub dataset, it may be in its repository, such as dataset/label.json), or names "
        "separated by commas",
    )
    scheme: Scheme = Field(
        "auto",
        description="tagging scheme of the source; auto: recognised from all tags of a split",
    )
    untyped_type: str = Field(
        "", description="type to give to tags that are only B or I; empty: such tags are an error"
    )
    overlaps: Literal["longest", "first", "error"] = Field(
        "longest",
        description="which of several overlapping spans to keep; error refuses the corpus. A "
        "discontinuous span is always left out, or with error refused",
    )
    invalid_spans: Literal["error", "drop"] = Field(
        "error",
        description="what to do about spans that are not within their text, or whose text differs "
        "from the one that the file quotes: refuse the corpus, or leave out the spans",
    )
    offset_unit: Literal["auto", "code_points", "utf16"] = Field(
        "auto",
        description="unit of offsets; auto: the one that fits the spans' texts quoted in the file, "
        "or code points if it quotes none",
    )
    blank_tokens: Literal["error", "drop"] = Field(
        "error",
        description="what to do about tokens of only white space: refuse the corpus, or drop them",
    )
    label_map: str = Field(
        "it5",
        description="label map from source types to target types: it5, keep (the source's own "
        "types), or a YAML file",
    )
    unknown_tags: Literal["error", "outside"] = Field(
        "error",
        description="a source tag that the label map lacks: error refuses the corpus, outside "
        "makes the tag O",
    )
    invalid_tags: Literal["repair", "error"] = Field(
        "repair",
        description="a tag that breaks its scheme, such as an I- tag that continues no entity: "
        "repair corrects and counts it, error refuses the corpus",
    )
    cross_split_duplicates: Literal["drop", "keep"] = Field(
        "drop",
        description="train sentences that are also in validation or test: drop or keep them",
    )
    validation_fraction: Share = Field(
        0.1, description="share of train moved to validation if the source has no validation split"
    )
    test_fraction: Share = Field(
        0.1, description="share of train moved to test if the source has no test split"
    )
    oversample_factor: Ratio = Field(
        1.0,
        ge=1,
        description="size of train after oversampling over its size before; randomly chosen "
        "sentences with an entity are repeated, each no more than once",
    )
    rare_boost: Ratio = Field(
        0.0, ge=0, description="share of the sentences with one of the rarest types to repeat"
    )
    rare_types: EntityTypes = Field(2, ge=1, description="number of types counted as the rarest")
    seed: Seed = Field(13, description="seed of the splits and of oversampling")
    format: Literal["none", OutputFormat] = Field(
        "none",
        description="format in which to write the prepared splits as well, as artifacts "
        "export/SPLIT; none: write the dataset only",
    )


PROMPT_LABELER = "prompt"
"""The value of ``weak.labeler`` that asks the language model of the section ``prompt``."""


class WeakConfig(Section):
    """Weak supervision: texts without gold labels that `data` labels and adds to train."""

    source: str = Field(
        "",
        description="texts to label: a hub id (owner/name or owner/name:config), a folder or a "
        "file of .jsonl, .jsonl.gz, .parquet or .txt, or several of these paths separated by "
        "commas; with weak.engine=spark also addresses such as hdfs://, s3a:// and file:; empty: "
        "none, train is gold alone",
    )
    sample: Documents = Field(
        100_000,
        ge=0,
        description="largest number of documents taken, at random by weak.seed; 0: all. Files are "
        "read whole for that, and a table of the hub only as far as needed, in a shuffled order",
    )
    ratio: Ratio = Field(
        0.3,
        gt=0,
        description="number of weakly labelled sentences to add, divided by the number of train "
        "sentences after oversampling; sentences without an entity are not added",
    )
    labeler: tuple[str, ...] = Field(
        ("rules",),
        min_length=1,
        description="what labels the texts: rules (the rules of this package), a YAML file of "
        "rules, trained models as teachers (run ids, runs:/ID, models:/NAME@ALIAS or folders), or "
        "prompt (the language model of the section prompt, asked by the first of its prompts); "
        "several are combined in the way that scores best on validation",
    )
    min_precision: Share = Field(
        0.5,
        description="entity types that the labelers find with a lower precision, on weak.gold if "
        "it is given or else on validation, are left out",
    )
    gold: str = Field(
        "",
        description="gold corpus of the texts' domain, on which the labelers are scored too; never "
        "trained on; empty: none",
    )
    confidence: Probability = Field(
        0.8, description="lowest probability at which a teacher votes for a tag"
    )
    unsure: Literal["mask", "outside"] = Field(
        "mask",
        description="words that may belong to an entity or not: mask leaves them out of the loss, "
        "outside makes their tag O",
    )
    engine: Literal["local", "spark"] = Field(
        "local",
        description="where documents are read, cleaned and cut: local uses all cores of this "
        "machine, spark a cluster; the sentences are the same",
    )
    spark_master: SparkMaster = "local[*]"
    output: str = Field(
        "",
        description="folder for the labelled sentences as Parquet, for other programs: a path, or "
        "with weak.engine=spark an address on any file system that Spark knows; it must not "
        "exist; empty: none",
    )
    seed: Seed = Field(13, description="seed of the choice of documents and sentences")


class ModelConfig(Section):
    """The encoder and its adaptation."""

    backbone: str = Field(
        "minilm",
        min_length=1,
        description="pretrained encoder: minilm (from a PyPI wheel), a hub id (owner/name), or a "
        "folder",
    )
    revision: str = Field("main", description="git revision of a backbone from the hub")
    layers: Layers = Field(
        0,
        ge=0,
        description="layers of the encoder to keep, for a student that is smaller and faster; "
        "ner_mlflow/modeling/layers.yaml chooses which ones; 0: all",
    )
    kept_layers: Annotated[tuple[Annotated[Integer, Field(ge=0)], ...], Unit("layers")] = Field(
        (),
        description="the layers to keep, counted from 0, instead of those that layers.yaml would "
        "choose; empty: model.layers decides",
    )
    adaptation: Literal["full", "lora"] = Field(
        "full",
        description="full trains all weights; lora trains low-rank adapters and the classifier",
    )
    head: Literal["softmax", "crf"] = Field(
        "softmax",
        description="softmax labels each word on its own; crf is a conditional random field over "
        "the labels of a sentence",
    )
    max_length: Subwords = Field(
        128,
        ge=8,
        description="length of the encoder's window; longer sentences are cut into overlapping "
        "windows",
    )
    hidden_dropout: Probability = Field(0.1, description="dropout of the encoder's hidden layers")
    attention_dropout: Probability = Field(0.1, description="dropout of the attention weights")
    classifier_dropout: Probability = Field(0.1, description="dropout before the classifier")
    lora_rank: Integer = Field(16, ge=1, description="rank of the low-rank adapters")
    lora_alpha_ratio: Ratio = Field(
        2.0, gt=0, description="LoRA alpha over rank, the scale of the adapters' output"
    )
    lora_dropout: Probability = Field(0.05, description="dropout before the adapters")
    lora_targets: tuple[str, ...] = Field(
        ("all",),
        min_length=1,
        description="linear layers that get adapters: all, attention or query_value (looked up by "
        "architecture), or names of layers",
    )
    lora_variant: Literal["plain", "dora", "rslora", "pissa"] = Field(
        "plain",
        description="plain; dora trains magnitude and direction apart; rslora scales by alpha / "
        "sqrt(rank); pissa starts from the principal components",
    )
    context_subwords: Subwords = Field(
        0,
        ge=0,
        description="context from the sentences before, and again from those after, in the same "
        "document; 0: no context",
    )
    passage_sentences: Sentences = Field(
        1,
        ge=1,
        description="neighbouring sentences of a document that the encoder reads and tags at once, "
        "where they fit half of its window",
    )
    code_blocks: Policy = Field(
        "tag",
        description="answers in code blocks (fenced, indented, Jira, HTML): tag keeps all, "
        "errors_only keeps those of error_types, skip keeps none",
    )
    stack_traces: Policy = Field(
        "errors_only", description="answers in stack traces; as code_blocks"
    )
    urls: Policy = Field("errors_only", description="answers in URLs; as code_blocks")
    paths: Policy = Field("errors_only", description="answers in paths of files; as code_blocks")
    mail_addresses: Policy = Field(
        "errors_only", description="answers in mail addresses; as code_blocks"
    )
    error_types: tuple[str, ...] = Field(
        ("ERROR", "Error_Name"), description="entity types that errors_only keeps"
    )
    casing_embeddings: Literal["auto", "always", "never"] = Field(
        "auto",
        description="embeddings of each word's casing (lower, Capitalised, UPPER, miXed) added to "
        "the input; auto: only for encoders with a lower-cased vocabulary that can take them",
    )

    @model_validator(mode="after")
    def _kept_layers_rise(self) -> Self:
        kept = list(self.kept_layers)
        if kept != sorted(set(kept)):
            raise ValueError(f"kept_layers={kept} must rise: sort it, without duplicates")
        if kept and self.layers not in (0, len(kept)):
            raise ValueError(
                f"layers={self.layers}, but kept_layers={kept} are {len(kept)}: leave layers at 0"
            )
        return self


class TrainConfig(Section):
    """Batches, optimisation, loss and checkpoints of a training."""

    learning_rate: Float = Field(2e-4, gt=0, description="peak learning rate")
    epochs: Epochs = Field(
        5, ge=1, description="passes over train; early stopping may end training before"
    )
    batch_size: Sentences = Field(
        16, ge=1, description="sentences per step; the average if batching is subwords"
    )
    batching: Literal["subwords", "sentences"] = Field(
        "subwords",
        description="subwords groups sentences of similar length into batches of about equal "
        "numbers of subwords; sentences takes batch_size sentences, grouped by length",
    )
    noise_ratio: Ratio = Field(
        0.0,
        ge=0,
        description="sentences with the noise of running text (markup, other casings and names, "
        "versions run together with names) to add, over the sentences of train",
    )
    repeat_factor_threshold: Share = Field(
        0.0,
        description="an entity type in a smaller share of the sentences is drawn more often, by "
        "the factor sqrt(threshold / share); needs batching=subwords; 0: off",
    )
    optimizer: Literal["adamw_torch_fused", "adamw_torch"] = Field(
        "adamw_torch_fused",
        description="AdamW: adamw_torch_fused updates all tensors in one kernel, adamw_torch each "
        "on its own",
    )
    weight_decay: Float = Field(
        0.01, ge=0, description="decoupled weight decay of all weights but biases and norms"
    )
    warmup_ratio: Share = Field(0.06, description="share of the steps with a rising learning rate")
    schedule: Literal["cosine", "linear", "constant_with_warmup"] = Field(
        "cosine", description="course of the learning rate after warm-up"
    )
    layerwise_lr_decay: Ratio = Field(
        1.0,
        gt=0,
        le=1,
        description="learning rate of each encoder layer over that of the next layer above",
    )
    classifier_lr_multiplier: Ratio = Field(
        1.0,
        gt=0,
        description="learning rate of the classifier over that of the encoder's last layer",
    )
    transition_lr_multiplier: Ratio = Field(
        50.0,
        gt=0,
        description="learning rate of the CRF's transitions over that of the encoder's last layer",
    )
    class_weight_power: Float = Field(
        0.0,
        ge=0,
        description="each label is weighted in the loss by its frequency to the power of minus "
        "this number; 0: all labels weigh the same",
    )
    focal_gamma: Float = Field(
        0.0,
        ge=0,
        description="focal loss: a word's loss is scaled by (1 - p) to this power, with p the "
        "probability of its label; 0: cross entropy",
    )
    label_smoothing: Probability = Field(
        0.05,
        description="probability mass spread evenly over all labels of a word; without effect on a "
        "CRF",
    )
    ema_decay: Share = Field(
        0.0,
        description="decay per step of the exponential moving average of the weights, which is "
        "then validated and kept; 0: no average",
    )
    max_grad_norm: Norm = Field(
        1.0, gt=0, description="gradients with a larger norm are scaled down to it"
    )
    precision: Literal["auto", "fp32", "bf16", "fp16"] = Field(
        "auto",
        description="arithmetic of the forward and backward pass; auto: bf16 where the hardware "
        "supports it",
    )
    gradient_checkpointing: bool = Field(
        False, description="recompute activations in the backward pass to save memory"
    )
    processes: Processes = Field(
        0,
        ge=0,
        description="processes that share each batch, one per device of this machine; 0: one per "
        "GPU, or one on the CPU",
    )
    early_stopping_patience: Epochs = Field(
        2, ge=1, description="epochs without a better validation F1 before training stops"
    )
    thresholds: Literal["validation", "none"] = Field(
        "validation",
        description="least confidence of an entity: validation chooses for each type the largest "
        "threshold that costs no validation F1; none: every entity is an answer",
    )
    checkpoint_steps: Steps = Field(
        0,
        ge=0,
        description="steps between two checkpoints, in addition to one per epoch; 0: epochs only",
    )
    seed: Seed = Field(13, description="seed of initialisation, order of sentences and dropout")

    @model_validator(mode="after")
    def _repeat_factors_need_batches_of_subwords(self) -> Self:
        if self.repeat_factor_threshold and self.batching != "subwords":
            raise ValueError(
                f"repeat_factor_threshold={self.repeat_factor_threshold} needs batching=subwords, "
                f"not {self.batching}: set batching=subwords or repeat_factor_threshold=0"
            )
        return self

    @model_validator(mode="after")
    def _processes_share_batches(self) -> Self:
        if self.batching == "sentences" and self.processes > 1 and self.batch_size % self.processes:
            raise ValueError(
                f"batch_size={self.batch_size} cannot be shared by processes={self.processes}: set "
                f"a multiple of {self.processes}"
            )
        return self


class DistillConfig(Section):
    """Distillation: the student learns from teachers in addition to the labels."""

    teachers: tuple[str, ...] = Field(
        (),
        description="models to learn from, averaged: run ids, runs:/ID, models:/NAME@ALIAS or "
        "folders; empty: no distillation",
    )
    weight: Ratio = Field(
        0.5, ge=0, le=1, description="weight of the teachers in the loss; the labels get the rest"
    )
    temperature: Float = Field(
        2.0, gt=0, description="softmax temperature of teachers and student in the loss"
    )
    unlabelled: str = Field(
        "",
        description="texts for the teachers to label: a .txt, .jsonl, .jsonl.gz or .parquet file; "
        "empty: none",
    )
    unlabelled_limit: Sentences = Field(
        20000, ge=1, description="largest number of sentences read from the unlabelled texts"
    )
    confidence: Probability = Field(
        0.9,
        description="an unlabelled sentence is used if the label of each of its words has at least "
        "this probability",
    )

    @model_validator(mode="after")
    def _unlabelled_texts_need_a_teacher(self) -> Self:
        if self.unlabelled and not self.teachers:
            raise ValueError(
                f"unlabelled={self.unlabelled} needs teachers to label it: set teachers, or leave "
                "unlabelled empty"
            )
        return self


class EvaluateConfig(Section):
    """Scores and error analysis of `evaluate`."""

    split: Split = Field("test", description="split to score; its name prefixes the metrics")
    batch_subwords: Subwords = Field(
        4096, ge=128, description="padded size of a batch of a PyTorch model"
    )
    error_pairs: Rows = Field(50, ge=1, description="length of the table of frequent errors")
    worst_sentences: Rows = Field(50, ge=1, description="length of the table of worst sentences")
    shown_texts: Texts = Field(
        50, ge=1, description="texts on the page of answers in running text, the worst first"
    )
    examples: Sentences = Field(
        20, ge=1, description="sentences shown for each entity type and category of error"
    )
    resamples: Resamples = Field(
        10000,
        ge=100,
        description="bootstrap samples of each interval, and permutations of each p-value",
    )
    confidence_level: Share = Field(0.95, description="coverage of the bootstrap intervals")
    calibration_bins: Bins = Field(10, ge=2, description="bins of the reliability curve")
    length_edges: Annotated[tuple[Integer, ...], Unit("words")] = Field(
        (6, 11, 21, 41), description="sentence lengths at which a new slice begins"
    )
    frequency_edges: Annotated[tuple[Integer, ...], Unit("occurrences in train")] = Field(
        (1, 2, 5, 20), description="frequencies of an entity's words at which a new slice begins"
    )
    seed: Seed = Field(13, description="seed of resampling")

    @model_validator(mode="after")
    def _edges_rise(self) -> Self:
        for name, edges, least in (
            ("length_edges", self.length_edges, 2),
            ("frequency_edges", self.frequency_edges, 1),
        ):
            if list(edges) != sorted(set(edges)) or (edges and edges[0] < least):
                raise ValueError(
                    f"{name}={list(edges)} must rise from {least} or more: sort it, without "
                    "duplicates"
                )
        return self


class RobustnessConfig(Section):
    """Perturbations of `robustness`; evaluate.split names the split."""

    kinds: tuple[str, ...] = Field(
        (),
        description="kinds of perturbations, as listed in evaluation/perturbations.yaml; empty: "
        "all",
    )
    sentences: Sentences = Field(
        0, ge=0, description="number of sentences to perturb, the first of the split; 0: all"
    )
    examples: Sentences = Field(5, ge=0, description="perturbed sentences shown for each kind")
    seed: Seed = Field(13, description="seed of the perturbations")


class PromptConfig(Section):
    """The language model of `prompt`, its prompts and limits; evaluate.split names the split."""

    base_url: str = Field(
        "http://localhost:11434/v1",
        min_length=1,
        description="address of an OpenAI-compatible endpoint",
    )
    model: str = Field("llama3.2", min_length=1, description="name of the model at the endpoint")
    api_key_variable: str = Field(
        "OPENAI_API_KEY",
        description="environment variable with the API key; the key is never logged",
    )
    prompts: tuple[str, ...] = Field(
        ("zero_shot", "guided", "few_shot"),
        min_length=1,
        description="prompts to compare: zero_shot, guided, few_shot, prompts:/NAME/VERSION or "
        "prompts:/NAME@ALIAS",
    )
    json_schema: bool = Field(
        True,
        description="let the endpoint enforce a JSON schema on answers; false: for endpoints that "
        "do not support it",
    )
    sentences: Sentences = Field(200, ge=1, description="sentences drawn from the split")
    examples: Sentences = Field(
        8, ge=0, description="train sentences shown in a prompt with examples"
    )
    temperature: Float = Field(
        0.0, ge=0, description="sampling temperature; 0: the most likely answer"
    )
    max_tokens: Tokens = Field(512, ge=16, description="largest length of an answer")
    timeout_s: Seconds = Field(60.0, gt=0, description="time limit of a call")
    max_retries: Retries = Field(
        4,
        ge=0,
        description="retries after a rate limit, a time-out or a server error, with growing waits",
    )
    concurrency: Calls = Field(4, ge=1, description="calls in flight at the same time")
    input_price: Currency = Field(0.0, ge=0, description="price of input tokens, in your currency")
    output_price: Currency = Field(
        0.0, ge=0, description="price of output tokens, in your currency"
    )
    seed: Seed = Field(
        13,
        description="seed of the drawn sentences and examples, and of the language model if it "
        "takes one",
    )


class ExportConfig(Section):
    """The ONNX files of `export`, their proof and their measurement."""

    variants: tuple[Variant, ...] = Field(
        ("fp32", "fp16", "int8"),
        min_length=1,
        description="ONNX files to write: fp32; fused: fp32 with nodes fused by ONNX Runtime; "
        "fp16; int8: activations quantised at run time; int8_static: by scales measured on train "
        "sentences",
    )
    served: tuple[Variant, ...] = Field(
        ("int8", "fp32"),
        min_length=1,
        description="variants to register, in order of preference; the first that passes its proof "
        "is taken",
    )
    engines: tuple[Engine, ...] = Field(
        ("onnxruntime",),
        description="libraries that may compute the served model: onnxruntime; openvino: fp32, in "
        "bf16 where the processor has it (an optional package). With several, the fastest of the "
        "proven variants and engines is registered",
    )
    engine_f1_tolerance: F1 = Field(
        0.002,
        ge=0,
        description="with several engines: largest loss of validation F1 against fp32 at which a "
        "faster variant or engine is registered",
    )
    logit_tolerance: Float = Field(
        1e-3, gt=0, description="largest difference between a logit of fp32 and of PyTorch"
    )
    f1_tolerance: F1 = Field(
        0.01, ge=0, description="largest loss of validation F1 against PyTorch"
    )
    served_loss_limit: F1 = Field(
        0.05,
        ge=0,
        description="largest loss of validation F1 from given words to running text at which the "
        "model is registered without a warning",
    )
    resamples: Resamples = Field(
        2000, ge=100, description="bootstrap samples of the intervals of a variant's validation F1"
    )
    int8_damage_limit: Nats = Field(
        5e-4,
        ge=0,
        description="largest divergence of int8's tag distributions from those of fp32; while it "
        "is exceeded, int8 rescales the inputs of the most damaged layers, and then leaves layers "
        "in fp32",
    )
    int8_damage_sentences: Sentences = Field(
        256, ge=1, description="validation sentences on which int8 measures its damage"
    )
    calibration_sentences: Sentences = Field(
        128,
        ge=8,
        description="train sentences from which int8_static takes its scales, and int8 the factors "
        "of rescaled inputs",
    )
    static_damage_ratio: Ratio = Field(
        2.5,
        gt=0,
        description="int8_static keeps a layer in fp32 if quantising it does more damage than this "
        "multiple of the median",
    )
    latency_length: Subwords = Field(
        128, ge=8, description="length of the input for measuring latency"
    )
    latency_runs: TimedRuns = Field(200, ge=1, description="timed forward passes")
    latency_warmup_runs: TimedRuns = Field(
        20, ge=0, description="forward passes before the timed ones"
    )
    throughput_sentences: Sentences = Field(
        1000, ge=1, description="validation sentences tagged in one go to measure throughput"
    )
    seed: Seed = Field(13, description="seed of resampling")

    @model_validator(mode="after")
    def _fp32_is_written(self) -> Self:
        if "fp32" not in self.variants:
            raise ValueError(
                f"variants {list(self.variants)} lack fp32, from which the others are made: add it"
            )
        if missing := set(self.served) - set(self.variants):
            raise ValueError(
                f"served {sorted(missing)} is not among variants {list(self.variants)}: add it "
                "there, or serve another"
            )
        if "onnxruntime" not in self.engines:
            raise ValueError(
                f"engines {list(self.engines)} lack onnxruntime, with which the others are "
                "compared: add it"
            )
        return self


class PromoteConfig(Section):
    """The conditions under which `promote` replaces the champion by a candidate."""

    split: Split = Field(
        "validation",
        description="split whose F1 decides; deciding on test biases the champion's test F1 upward",
    )
    min_f1_gain: F1 = Field(
        0.002, ge=0, description="F1 by which a better candidate must exceed the champion"
    )
    f1_tolerance: F1 = Field(
        0.005,
        ge=0,
        description="F1 by which a faster or smaller candidate may fall below the champion",
    )
    max_latency_ratio: Ratio = Field(
        0.75,
        gt=0,
        lt=1,
        description="largest latency of a faster candidate over the champion's",
    )
    max_size_ratio: Ratio = Field(
        0.8, gt=0, lt=1, description="largest size of a smaller candidate over the champion's"
    )
    significance_level: Annotated[Fraction, Unit("p-value")] = Field(
        0.05, description="a lower F1 with at most this p-value counts as significantly lower"
    )
    latency_runs: Sentences = Field(
        200, ge=1, description="timed sentences; the two models take turns"
    )
    resamples: Resamples = Field(10000, ge=100, description="permutations behind the p-value")
    lock_timeout_s: Seconds = Field(
        60.0,
        gt=0,
        description="time to wait for another process that changes the same registered model",
    )
    seed: Seed = Field(13, description="seed of the permutations")


class PredictConfig(Section):
    """Tagging of a corpus by `predict`."""

    text_column: str = Field(
        "text", min_length=1, description="column, or key of the JSON objects, with the texts"
    )
    engine: Literal["local", "spark"] = Field(
        "local",
        description="local streams through this process; spark runs mlflow.pyfunc.spark_udf on a "
        "cluster",
    )
    spark_master: SparkMaster = "local[*]"
    batch_rows: Rows = Field(
        2000,
        ge=1,
        description="largest number of rows read, tagged and written at a time; fewer if they are "
        "long",
    )
    threads: Threads = Field(
        0, ge=0, description="threads per tagging process; 0: one per core, or one on Spark"
    )
    format: Literal["auto", OutputFormat] = Field(
        "auto",
        description="format of the output; jsonl and parquet keep the columns of the input, the "
        "other formats hold texts, ids and entities. auto: jsonl or parquet, by the output's name",
    )

    @model_validator(mode="after")
    def _spark_writes_rows(self) -> Self:
        if self.engine == "spark" and self.format not in ("auto", "parquet"):
            raise ValueError(
                f"engine=spark writes Parquet, but format={self.format}: leave format at its "
                "default, or set engine=local"
            )
        return self


class SweepConfig(Section):
    """The search of `sweep`: its space, its sampler, and where trials run."""

    space: str = Field(
        "lora",
        min_length=1,
        description="search space: lora, full, distill, or a YAML file like "
        "ner_mlflow/spaces/lora.yaml",
    )
    objectives: tuple[Objective, ...] = Field(
        ("validation_f1",),
        min_length=1,
        description="objectives, the most important first: validation_f1, latency, size, "
        "adapter_size, trainable_parameters",
    )
    sampler: Literal["tpe", "random", "grid", "gp", "nsgaii"] = Field(
        "tpe", description="Optuna's sampler that chooses the settings of a trial"
    )
    pruner: Literal["hyperband", "median", "none"] = Field(
        "hyperband",
        description="rule that ends a trial after an epoch with a poor validation F1; none: no "
        "trial is ended",
    )
    trials: Trials = Field(
        20, ge=1, description="trials of the study, including those of earlier calls"
    )
    timeout_s: Seconds = Field(
        0.0, ge=0, description="time after which no trial begins; 0: no limit"
    )
    trial_epochs: Epochs = Field(
        4,
        ge=0,
        description="largest number of epochs of a trial, unless the space has train.epochs; 0: "
        "train.epochs, as in the final trainings",
    )
    jobs: Processes = Field(
        2,
        ge=1,
        description="processes of this machine that run trials; they share its cores",
    )
    engine: Literal["processes", "spark"] = Field(
        "processes",
        description="processes runs trials on this machine and on those that join; spark runs each "
        "trial as a task of a cluster and keeps the study in the tracking store",
    )
    spark_master: SparkMaster = "local[*]"
    storage: str = Field(
        "sqlite",
        min_length=1,
        description="store of the study for engine=processes: sqlite (a file in NER_MLFLOW_CACHE "
        "on this machine), or an address such as postgresql://USER@HOST/DB",
    )
    study: str = Field(
        "",
        pattern="^[^'\"`]*$",
        description="name of the study; a study with this name resumes; empty: one study for each "
        "combination of space, dataset and settings",
    )
    heartbeat_s: Annotated[Integer, Unit("seconds")] = Field(
        15,
        ge=1,
        description="interval between heartbeats of a trial; after four missed ones the trial is "
        "run again",
    )
    retries: Retries = Field(
        3, ge=0, description="times a trial is run again after its process died"
    )
    try_preset: bool = Field(
        True, description="run the preset's own values as the first trial if the space has them"
    )
    log_models: bool = Field(
        True,
        description="log the model of every trial that is not pruned; false: only the final models",
    )
    final_seeds: tuple[Seed, ...] = Field(
        (13,),
        description="seeds of the final trainings with the best settings; each model is exported, "
        "the best is registered; empty: no final training",
    )
    seed: Seed = Field(13, description="seed of the sampler")

    @model_validator(mode="after")
    def _pruning_has_one_objective(self) -> Self:
        if len(set(self.objectives)) < len(self.objectives):
            raise ValueError(
                f"objectives {list(self.objectives)} name one twice: name each objective once"
            )
        if self.pruner != "none" and self.objectives != ("validation_f1",):
            raise ValueError(
                f"pruner={self.pruner} compares trials by validation F1 alone, but objectives are "
                f"{list(self.objectives)}: set pruner=none"
            )
        return self

    @model_validator(mode="after")
    def _spark_has_its_storage(self) -> Self:
        if self.engine == "spark" and self.storage != "sqlite":
            raise ValueError(
                f"engine=spark keeps the study in the tracking store, not in "
                f"storage={self.storage}: leave storage as it is, or set engine=processes"
            )
        return self


class Config(Section):
    """The whole configuration. Core functions take only the section that they need."""

    data: DataConfig = DataConfig()
    weak: WeakConfig = WeakConfig()
    model: ModelConfig = ModelConfig()
    train: TrainConfig = TrainConfig()
    distill: DistillConfig = DistillConfig()
    evaluate: EvaluateConfig = EvaluateConfig()
    robustness: RobustnessConfig = RobustnessConfig()
    prompt: PromptConfig = PromptConfig()
    export: ExportConfig = ExportConfig()
    promote: PromoteConfig = PromoteConfig()
    predict: PredictConfig = PredictConfig()
    sweep: SweepConfig = SweepConfig()

    @model_validator(mode="after")
    def _crf_has_no_loss_by_word(self) -> Self:
        settings_by_word = {
            "train.class_weight_power": self.train.class_weight_power,
            "train.focal_gamma": self.train.focal_gamma,
            "distill.teachers": self.distill.teachers,
        }
        conflicts = [f"{name}={value}" for name, value in settings_by_word.items() if value]
        if self.model.head == "crf" and conflicts:
            raise ValueError(
                f"model.head=crf learns from whole sentences, but {', '.join(conflicts)} needs a "
                "loss per word: leave it at its default, or set model.head=softmax"
            )
        return self

    def to_yaml(self) -> str:
        """Return YAML that, used as a preset, reruns the experiment."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False)
