import numpy as np
import pytest

from napari_lucky import LuckyError
from napari_lucky.psf import surface_of


@pytest.fixture
def image():
    y, x = np.mgrid[:50, :70]
    return (500 * np.exp(-((y - 20) ** 2 + (x - 44) ** 2) / 30) + 100).astype(np.float32)


def test_vertices_are_the_pixels_around_the_peak_at_the_height_of_their_intensity(image):
    made = surface_of(image, 16, 0.25)
    assert made.vertices.shape == (256, 3)
    height, y, x = made.vertices.T
    assert (y.min(), y.max(), x.min(), x.max()) == (12, 27, 36, 51)
    pixels = image[y.astype(int), x.astype(int)]
    np.testing.assert_array_equal(made.values, pixels)
    low, high = pixels.min(), pixels.max()
    np.testing.assert_allclose(height, 0.25 * 16 * (pixels - low) / (high - low), rtol=1e-5)
    assert tuple(made.vertices[height.argmax()]) == (4, 20, 44)


def test_triangles_cover_the_square_once(image):
    made = surface_of(image, 16)
    assert made.faces.shape == (2 * 15 * 15, 3)
    a, b, c = (made.vertices[made.faces[:, k], 1:] for k in range(3))
    (y1, x1), (y2, x2) = (b - a).T, (c - a).T
    area = 0.5 * (y1 * x2 - x1 * y2)
    np.testing.assert_allclose(area, area[0])  # all turn the same way
    assert abs(area[0]) == 0.5


def test_a_masked_pixel_leaves_a_hole(image):
    image[18, 40] = np.nan
    made = surface_of(image, 16)
    assert np.isfinite(made.vertices).all()
    assert len(made.vertices) == 255
    assert len(made.faces) == 2 * 15 * 15 - 6
    assert [18, 40] not in made.vertices[made.faces.ravel(), 1:].tolist()


def test_the_surface_ends_at_the_edge_of_the_image(image):
    made = surface_of(image, 100)
    assert len(made.vertices) == image.size
    assert len(made.faces) == 2 * 49 * 69
    assert surface_of(image).vertices[:, 0].max() == pytest.approx(100)  # half of 200


def test_a_flat_image_is_a_flat_surface():
    assert (surface_of(np.full((20, 20), 7.0), 8).vertices[:, 0] == 0).all()


def test_too_few_pixels_are_reported(image):
    with pytest.raises(LuckyError, match="masked"):
        surface_of(np.full((20, 20), np.nan))
    lone = np.full((20, 20), np.nan)
    lone[::2, ::2] = 1
    with pytest.raises(LuckyError, match="surface"):
        surface_of(lone)
