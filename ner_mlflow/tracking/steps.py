"""The names of the steps, as their runs are tagged."""

from enum import StrEnum


class Step(StrEnum):
    """A step of the pipeline, or a part of one that has runs of its own."""

    INSPECT = "inspect"
    DATA = "data"
    TRAIN = "train"
    EVALUATE = "evaluate"
    ROBUSTNESS = "robustness"
    PROMPT = "prompt"
    EXPORT = "export"
    COMPARE = "compare"
    PROMOTE = "promote"
    PREDICT = "predict"
    MAIN = "main"
    SWEEP = "sweep"
    SWEEP_JOIN = "sweep join"
    TRIAL = "trial"
    DEMO = "demo"
