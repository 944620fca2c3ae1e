"""Translate the train settings into the Trainer's arguments."""

from pathlib import Path

import torch
from transformers import TrainingArguments

from ..config.schema import TrainConfig
from .build import BuiltModel
from .crf import find_crf
from .processes import world_size

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": None}
"""Precision -> the dtype of autocast."""
LOGS_PER_EPOCH = 10


def resolve_precision(precision: str) -> str:
    """Return the precision that ``auto`` means on this machine: bf16, fp16 or fp32.

    It is bf16 where the processor or GPU has instructions for it. Otherwise it is fp32 on a
    processor and fp16 on a GPU.
    """
    if precision != "auto":
        return precision
    if torch.cuda.is_available():
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    capabilities = torch.cpu.get_capabilities()
    return "bf16" if capabilities.get("avx512_bf16") or capabilities.get("bf16") else "fp32"


def training_arguments(
    model: BuiltModel, config: TrainConfig, precision: str, folder: Path, windows: int
) -> TrainingArguments:
    """Return the Trainer's arguments.

    Args:
        model: the model to train.
        config: the settings.
        precision: bf16, fp16 or fp32.
        folder: where checkpoints are written.
        windows: the number of windows in the training data.
    """
    return TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=config.epochs,
        per_device_train_batch_size=max(1, config.batch_size // world_size()),
        learning_rate=config.learning_rate,
        optim=config.optimizer,
        weight_decay=config.weight_decay,
        warmup_steps=config.warmup_ratio,
        lr_scheduler_type=config.schedule,
        max_grad_norm=config.max_grad_norm,
        bf16=precision == "bf16",
        fp16=precision == "fp16",
        activation_checkpointing=config.gradient_checkpointing,
        use_cpu=not torch.cuda.is_available(),
        seed=config.seed,
        train_sampling_strategy="group_by_length",
        remove_unused_columns=False,
        include_num_input_tokens_seen="non_padding",
        eval_strategy="epoch",
        save_strategy="no",  # CheckpointCallback decides when
        save_total_limit=2,  # while one is being written, the one before it is complete
        restore_callback_states_from_checkpoint=True,
        metric_for_best_model="eval_f1",
        greater_is_better=True,
        logging_steps=max(1, windows // config.batch_size // LOGS_PER_EPOCH),
        disable_tqdm=True,
        report_to=[],
        # Only the loss uses a conditional random field, which DDP's search for unused parameters
        # takes for a second use.
        ddp_find_unused_parameters=find_crf(model.network) is None,
        dataloader_pin_memory=torch.cuda.is_available(),
    )
