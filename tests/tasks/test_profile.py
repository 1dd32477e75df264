"""The profile of images, exact sums and digests."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from schemas.image_table import Batch
from schemas.results import PROFILE_TYPES
from tasks.quality.profile import (
    Moments,
    Profile,
    blocks,
    count_ink,
    digest_images,
    gather,
    profile_images,
    sum_of_squares,
    widen,
)

images = arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=20))
quick = settings(deadline=None)


def batch_of(image: npt.NDArray[np.uint8]) -> Batch:
    """A batch with these images and labels 0."""
    return Batch(np.arange(len(image), dtype=np.uint32), np.zeros(len(image), np.uint16), image)


@quick
@given(images)
def test_a_profile_is_what_a_plain_computation_gives(image: npt.NDArray[np.uint8]) -> None:
    """Each column holds what NumPy says of each image, in the type of the Parquet file's column."""
    profile, _ = profile_images(batch_of(image))
    assert {name: str(column.dtype) for name, column in profile._asdict().items()} == PROFILE_TYPES
    wide = image.astype(np.float64)
    np.testing.assert_array_equal(profile.minimum, image.min(axis=1))
    np.testing.assert_array_equal(profile.maximum, image.max(axis=1))
    np.testing.assert_array_equal(profile.mean, (wide.sum(axis=1) / image.shape[1]).astype(np.float32))
    np.testing.assert_array_equal(profile.ink, ((wide > 0).sum(axis=1) / image.shape[1]).astype(np.float32))
    np.testing.assert_array_equal(profile.spread, wide.max(axis=1) - wide.min(axis=1))


@quick
@given(arrays(np.uint8, array_shapes(min_dims=3, max_dims=3, max_side=12)), st.sampled_from([0, 250]))
def test_a_profile_of_colours(lanes: npt.NDArray[np.uint8], dark: int) -> None:
    """Intensities are over all channels; a pixel is ink unless it is black, and the spread is that of a channel."""
    image = np.where(lanes < dark, 0, lanes)[..., np.newaxis] * np.array([1, 0, 1], np.uint8)
    image[:, 0, 0, 1] = lanes[:, 0, 0]
    flat = image.reshape(len(image), -1)
    profile, moments = profile_images(batch_of(flat), channels=3)
    assert {name: str(column.dtype) for name, column in profile._asdict().items()} == PROFILE_TYPES
    np.testing.assert_array_equal(profile.minimum, flat.min(axis=1))
    np.testing.assert_array_equal(profile.maximum, flat.max(axis=1))
    np.testing.assert_array_equal(profile.mean, flat.mean(axis=1, dtype=np.float64).astype(np.float32))
    inked = image.any(axis=3).reshape(len(image), -1)
    np.testing.assert_array_equal(profile.ink, inked.mean(axis=1, dtype=np.float64).astype(np.float32))
    wide = image.reshape(len(image), -1, 3).astype(int)
    np.testing.assert_array_equal(profile.spread, (wide.max(axis=1) - wide.min(axis=1)).max(axis=1))
    assert moments == Moments(int(wide.sum()), int((wide**2).sum()), int(inked.sum()))


@quick
@given(images)
def test_moments_are_exact(image: npt.NDArray[np.uint8]) -> None:
    """The sums are those that Python's integers give."""
    values = [int(value) for value in image.ravel()]
    _, moments = profile_images(batch_of(image))
    assert moments == Moments(sum(values), sum(value**2 for value in values), sum(value > 0 for value in values))


@quick
@given(images, st.integers(0, 20))
def test_moments_of_parts_add_up(image: npt.NDArray[np.uint8], cut: int) -> None:
    """A table cut anywhere has the sums of the whole, in either order."""
    parts = [profile_images(batch_of(part))[1] for part in (image[:cut], image[cut:]) if len(part)]
    whole = profile_images(batch_of(image))[1]
    assert sum(parts, Moments()) == sum(reversed(parts), Moments()) == whole


@pytest.mark.parametrize("shape", [(70_000, 1), (3, 300_000), (66_000, 2), (9, 65_793), (9, 65_794), (5, 2041)])
def test_sums_do_not_overflow(shape: tuple[int, int]) -> None:
    """White images, however many or large, have the sums that they have: each byte, word and float holds its part."""
    white = np.full(shape, 255, np.uint8)
    profile, moments = profile_images(batch_of(white))
    assert moments == Moments(white.size * 255, white.size * 65025, white.size)
    assert set(profile.mean.tolist()) == {255}
    assert set(profile.ink.tolist()) == {1}


@pytest.mark.parametrize(("shape", "wide"), [((65_793, 1), np.float32), ((2, 65_794), np.float64)])
def test_floats_hold_sums_exactly(shape: tuple[int, int], wide: type) -> None:
    """A block becomes the narrowest float that holds the sum of its longest row or column, to the last unit."""
    image = np.full(shape, 255, np.uint8)
    image[0, 0] = 254
    block = widen(image)
    assert block.dtype == wide
    assert (np.ones(shape[0], block.dtype) @ block)[0] == image[:, 0].sum(dtype=np.int64)
    assert (block @ np.ones(shape[1], block.dtype))[0] == image[0].sum(dtype=np.int64)
    assert sum_of_squares(block) == int((image.astype(np.int64) ** 2).sum())


@pytest.mark.parametrize("pixels", [1, 8, 2040, 2041, 5000])
def test_ink_is_counted_at_any_width(pixels: int) -> None:
    """The pixels that are not 0 are counted, up to all of them, where a byte's count would run over too."""
    image = np.triu(np.full((pixels, pixels), 7, np.uint8))[:: max(1, pixels // 50)]
    np.testing.assert_array_equal(count_ink(image), np.count_nonzero(image, axis=1))


@pytest.mark.parametrize("rows", [1, 3, 4, 100])
def test_gathered_profiles_are_the_same_rows(rows: int) -> None:
    """Profiles are joined in their order, each time as soon as there are so many rows, and the sums with them."""
    image = np.random.default_rng(4).integers(0, 256, (10, 6), np.uint8)
    parts = [profile_images(batch_of(image[start : start + 2])) for start in range(0, 10, 2)]
    joined = list(gather(parts, rows))
    assert [len(profile.digest) for profile, _ in joined] == {1: [2] * 5, 3: [4, 4, 2], 4: [4, 4, 2], 100: [10]}[rows]
    assert sum((sums for _, sums in joined), Moments()) == profile_images(batch_of(image))[1]
    for name in Profile._fields:
        column = [getattr(profile, name) for profile, _ in joined]
        np.testing.assert_array_equal(np.concatenate(column), np.concatenate([getattr(one, name) for one, _ in parts]))


@given(images)
def test_blocks_cover_every_row_once(image: npt.NDArray[np.uint8]) -> None:
    """The blocks put together are the array."""
    np.testing.assert_array_equal(np.concatenate(list(blocks(image))), image)


def test_equal_images_have_equal_digests_wherever_they_stand() -> None:
    """A digest depends on the pixels alone, not on the image's place or on the memory behind the array."""
    image = np.random.default_rng(1).integers(0, 256, (50, 13), np.uint8)
    shuffled = np.random.default_rng(2).permutation(50)
    np.testing.assert_array_equal(digest_images(image)[shuffled], digest_images(np.asfortranarray(image[shuffled])))


def test_a_digest_is_the_same_for_ever() -> None:
    """Digests stand in stored profiles, so their values may not change with NumPy or the machine."""
    assert digest_images(np.arange(20, dtype=np.uint8).reshape(2, 10)).tolist() == [
        8103083659918046627,
        3226728538658861656,
    ]


@pytest.mark.parametrize("pixels", [1, 7, 8, 9, 64, 784])
def test_images_that_differ_in_few_pixels_have_different_digests(pixels: int) -> None:
    """Every image with one or two pixels of any value, all others black, has a digest of its own."""
    single = np.zeros((pixels, 255, pixels), np.uint8) if pixels < 100 else np.zeros((8, 255, pixels), np.uint8)
    for place in range(len(single)):
        single[place, :, place] = np.arange(1, 256)
    flat = single.reshape(-1, pixels)
    both = np.maximum(flat, np.roll(flat, 300, axis=0))
    every = np.unique(np.concatenate([flat, both]), axis=0)
    assert len(np.unique(digest_images(every))) == len(every)


def test_high_bytes_alone_tell_images_apart() -> None:
    """Images that differ only in the eighth byte of each word do not collide, as a plain sum of products would."""
    image = np.zeros((5000, 64), np.uint8)
    image[:, 7::8] = np.random.default_rng(3).integers(0, 256, (5000, 8), np.uint8)
    assert len(np.unique(digest_images(image))) == len(np.unique(image, axis=0))
