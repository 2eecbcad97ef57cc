"""Learning rates that suit a model's size."""

import pytest

from autoadapt.domain.learning_rates import REFERENCE_PARAMETERS, suited_learning_rate
from autoadapt.named_models import NAMED


def test_the_rate_of_models_that_are_not_larger_stays() -> None:
    for parameters in (0, 260_000, NAMED["embedded"].parameters, REFERENCE_PARAMETERS):
        assert suited_learning_rate(3e-4, parameters) == 3e-4


@pytest.mark.parametrize(("rate", "measured_good"), [(3e-4, (3e-5, 3e-4)), (1e-3, (1e-4, 5e-4))])
def test_rates_of_smollm2_lie_among_those_that_were_measured_to_train_it(
    rate: float, measured_good: tuple[float, float]
) -> None:
    low, high = measured_good
    assert low < suited_learning_rate(rate, NAMED["smollm2"].parameters) < high


def test_four_times_the_size_halves_the_rate() -> None:
    assert suited_learning_rate(1e-3, 4 * REFERENCE_PARAMETERS) == pytest.approx(5e-4)
    for parameters in (10**8, 10**9, 7 * 10**10):
        ratio = suited_learning_rate(1e-3, parameters) / suited_learning_rate(1e-3, 4 * parameters)
        assert ratio == pytest.approx(2, rel=0.06), "two digits are kept"


def test_two_digits_are_kept() -> None:
    assert suited_learning_rate(3e-4, 134_515_008) == 1.1e-4
