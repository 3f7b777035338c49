"""Grey conversion (tracking.md, section 10.4): integers, so every comparison is exact."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyopenface import _core
from pyopenface.errors import InputError

CASES = [
    "default_f001",
    "v2015_f100",
    "sample4",
    "png16rgb_as16",
    "png16gray_as16",
    "png16rgb_as8",
    "png16gray_as8",
    "bgra8",
    "gray8",
]


def by_formula(image: np.ndarray) -> np.ndarray:
    """The formula of the specification, in plain integers."""
    if image.ndim == 2:
        return image
    b, g, r = (image[..., c].astype(np.int64) for c in range(3))
    return ((3735 * b + 19235 * g + 9798 * r + 16384) >> 15).astype(np.uint8)


@pytest.mark.parametrize("case", CASES)
def test_equals_the_reference(case: str, golden_stage: Callable[[str], Any]) -> None:
    arrays = golden_stage("gray")
    np.testing.assert_array_equal(_core.stages.to_grey(arrays[f"{case}_in"]), arrays[f"{case}_gray"])


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 140), st.integers(1, 4), st.sampled_from([1, 3, 4]), st.integers(0, 2**32 - 1))
def test_any_width_and_channel_count(width: int, height: int, channels: int, seed: int) -> None:
    shape = (height, width) if channels == 1 else (height, width, channels)
    image = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    np.testing.assert_array_equal(_core.stages.to_grey(image), by_formula(image))


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 300),
    st.integers(1, 60),
    st.sampled_from([1, 3, 4]),
    st.lists(st.tuples(*[st.floats(-400, 400)] * 4), min_size=1, max_size=4),
)
def test_pixels_within_bounds_are_converted(
    width: int, height: int, channels: int, places: list[tuple[float, float, float, float]]
) -> None:
    shape = (height, width) if channels == 1 else (height, width, channels)
    rng = np.random.default_rng(width)
    picture = _core.stages.GreyPicture()
    for _ in range(2):  # the second picture finds the first one's pixels
        image = rng.integers(0, 256, shape, dtype=np.uint8)
        picture.begin(image)
        for x, y, further, lower in places:
            right, bottom = x + abs(further), y + abs(lower)
            got = picture.view(x, y, right, bottom)
            rows = slice(max(math.ceil(y), 0), max(math.floor(bottom) + 1, 0))
            columns = slice(max(math.ceil(x), 0), max(math.floor(right) + 1, 0))
            np.testing.assert_array_equal(got[rows, columns], by_formula(image)[rows, columns])


def test_what_nobody_reads_is_not_converted() -> None:
    picture = _core.stages.GreyPicture()
    picture.begin(np.zeros((480, 640, 3), np.uint8))
    picture.view(0, 0, 640, 480)
    picture.begin(np.full((480, 640, 3), 255, np.uint8))
    assert 0 < np.count_nonzero(picture.view(200, 100, 299, 219)) <= (100 + 126) * (120 + 30)


def test_rows_may_be_apart() -> None:
    wide = np.random.default_rng(1).integers(0, 256, (40, 200, 3), dtype=np.uint8)
    np.testing.assert_array_equal(_core.stages.to_grey(wide[3:30, 11:101]), by_formula(wide[3:30, 11:101]))


def test_every_16_bit_value_is_rounded_to_even_and_limited() -> None:
    values = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    expected = np.minimum(np.rint(values / 256), 255).astype(np.uint8)
    np.testing.assert_array_equal(_core.stages.to_grey(values), expected)


def test_every_instruction_set_gives_the_same_bytes() -> None:
    image = np.random.default_rng(2).integers(0, 256, (17, 333, 3), dtype=np.uint8)
    active = _core._instruction_set()
    try:
        for name in _core._available_instruction_sets():
            _core._set_instruction_set(name)
            np.testing.assert_array_equal(_core.stages.to_grey(image), by_formula(image))
    finally:
        _core._set_instruction_set(active)


def test_two_channels_are_refused() -> None:
    with pytest.raises(InputError, match="channels"):
        _core.stages.to_grey(np.zeros((4, 4, 2), np.uint8))
    with pytest.raises(InputError, match="channels"):
        _core.stages.to_grey(np.zeros((4, 4, 2), np.uint16))
