"""Learning rates of full fine-tuning that suit a model's size."""

import math

REFERENCE_PARAMETERS = 17_000_000
"""Size of the model for which the first learning rates of the search spaces were chosen (the embedded one)."""


def suited_learning_rate(rate: float, parameters: int) -> float:
    """A known-good learning rate of full fine-tuning, carried over to a larger model.

    It falls with the square root of the size: ``rate * sqrt(REFERENCE_PARAMETERS / parameters)``. Adam's best rate of
    hidden weights falls with the width (Yang et al. 2022, arXiv 2203.03466, table 3), and at a fixed depth parameters
    grow with the square of the width. Rates of adapters do not follow it: the same ones are best at 17 and at 135
    million parameters (benchmarks/learning_rate).

    Args:
        rate: good for a model of `REFERENCE_PARAMETERS`.
        parameters: of the model to be tuned; 0: not known.

    Returns:
        The rate, rounded to two digits; `rate` itself for a model that is not larger.
    """
    if parameters <= REFERENCE_PARAMETERS:
        return rate
    suited = rate * math.sqrt(REFERENCE_PARAMETERS / parameters)
    return round(suited, 1 - math.floor(math.log10(suited)))
