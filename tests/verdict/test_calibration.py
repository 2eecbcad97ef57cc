"""Temperatures and calibration errors against classifiers whose truth was drawn from known probabilities."""

import numpy as np
import pytest

from autoadapt.verdict.calibration import (
    COLDEST,
    HOTTEST,
    SureRows,
    calibrated,
    calibration_error,
    error_by_chance,
    temperature,
)

ROWS = 20_000


def classifier(true_temperature: float, labels: int = 5, rows: int = ROWS, seed: int = 0) -> SureRows:
    """A classifier whose label is drawn from ``softmax(logits)`` and that states ``softmax(logits * T)``: it is
    calibrated by dividing by T."""
    random = np.random.default_rng(seed)
    logits = 2 * random.standard_normal((rows, labels))
    truth = (logits + random.gumbel(size=logits.shape)).argmax(1)  # a draw from the softmax (Gumbel 1954)
    stated = true_temperature * logits
    log_probs = stated - np.logaddexp.reduce(stated, axis=1, keepdims=True)
    answer = log_probs.argmax(1)
    return SureRows(np.exp(log_probs.max(1)), (answer == truth).astype(float), log_probs, truth, answer)


@pytest.mark.parametrize("true", [0.4, 1.0, 2.5])
def test_temperature_of_a_classifier_that_was_heated_is_found(true: float) -> None:
    assert temperature(classifier(true)) == pytest.approx(true, rel=0.05)


@pytest.mark.parametrize("true", [0.5, 1.0, 3.0])
def test_temperature_is_found_where_only_the_confidence_of_the_answer_is_known(true: float) -> None:
    random = np.random.default_rng(1)
    odds = random.standard_normal(ROWS) * 1.5
    right = (random.random(ROWS) < 1 / (1 + np.exp(-odds))).astype(float)
    rows = SureRows(1 / (1 + np.exp(-true * odds)), right)
    assert temperature(rows) == pytest.approx(true, rel=0.06)
    assert calibration_error(calibrated(rows, temperature(rows)), right) < 0.015


def test_calibration_removes_the_error_of_an_overconfident_classifier_on_other_rows() -> None:
    seen, unseen = classifier(2.5, seed=0), classifier(2.5, seed=1)
    before = calibration_error(unseen.confidence, unseen.score)
    after = calibration_error(calibrated(unseen, temperature(seen)), unseen.score)
    assert before > 0.05
    assert after < 0.01


def test_error_is_the_known_gap_of_a_shifted_confidence() -> None:
    random = np.random.default_rng(2)
    truth = random.uniform(0.2, 0.7, ROWS)
    right = (random.random(ROWS) < truth).astype(float)
    assert calibration_error(truth + 0.2, right) == pytest.approx(0.2, abs=0.01)


def test_error_by_chance_is_what_calibrated_answers_show_on_as_few_rows() -> None:
    random = np.random.default_rng(3)
    errors, expected = [], []
    for _ in range(200):
        confidence = random.uniform(0.5, 1, 100)
        errors.append(calibration_error(confidence, random.random(100) < confidence))
        expected.append(error_by_chance(confidence, seed=7))
    assert np.mean(errors) == pytest.approx(np.mean(expected), rel=0.05)
    assert np.mean(errors) > 0.05, "with 100 rows chance alone shows an error of several points"


def test_answers_that_are_all_right_or_say_nothing_keep_the_temperature_in_its_range() -> None:
    sure = SureRows(np.linspace(0.6, 0.9, 30), np.ones(30))
    assert COLDEST <= temperature(sure) <= HOTTEST
    certain = SureRows(
        np.ones(30),
        np.tile([0.0, 1.0], 15),
        np.log(np.tile([1.0, 1e-300], (30, 1))),
        np.tile([0, 1], 15),
        np.zeros(30, int),
    )
    found = calibrated(certain, temperature(certain))
    assert np.isfinite(found).all()
    assert calibration_error(found, certain.score) < 0.45, "a confidence of 1 at a score of 0.5 is lowered"
