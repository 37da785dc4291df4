"""The stability index: how far one sample is from another."""

from __future__ import annotations

import numpy as np
import pytest

from mlops_dagster.defs.landing.drift import stability_index

CHANCE = np.random.default_rng(7)
BEFORE = CHANCE.beta(2, 5, 20_000)


def test_samples_of_one_distribution_are_near_nothing() -> None:
    assert stability_index(BEFORE, CHANCE.beta(2, 5, 5_000)) < 0.02


def test_it_is_what_the_formula_says() -> None:
    before = np.repeat(np.arange(10), 10).astype(float)
    after = np.concatenate([before[before != 9], np.zeros(10)])
    # One tenth became two at 0, and none at 9, which counts as a share of 0.0001.
    expected = 0.1 * np.log(2) + (1e-4 - 0.1) * np.log(1e-4 / 0.1)
    assert stability_index(before, after) == pytest.approx(expected, rel=1e-6)


def test_a_shift_is_beyond_what_is_called_large() -> None:
    assert stability_index(BEFORE, BEFORE + 0.2) > 0.25


def test_scores_that_become_missing_are_a_shift_and_scores_that_are_all_alike_are_too() -> None:
    holes = BEFORE.copy()
    holes[::3] = np.nan
    assert stability_index(BEFORE, holes) > 0.25
    assert stability_index(BEFORE, np.full(1_000, 0.5)) > 0.25
    assert stability_index(np.full(1_000, 0.5), np.full(1_000, 0.5)) == pytest.approx(0)
