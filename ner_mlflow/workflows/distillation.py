"""Find the teachers of a distillation in the tracking store."""

from ..config.schema import DistillConfig
from ..tracking.models import FoundModel, find_model


def find_teachers(config: DistillConfig) -> list[FoundModel]:
    """Return the models at the addresses of ``distill.teachers``.

    Raises:
        TrackingError: there is no run or model at an address.
        ModelError: the model at an address is not one of this platform.
    """
    return [find_model(address) for address in config.teachers]
