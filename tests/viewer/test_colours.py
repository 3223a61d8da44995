import numpy as np
from napari.layers import Image, Layer

from napari_lucky.viewer.to_layers import image_tuple


def test_masked_pixels_are_black_on_any_canvas():
    image = np.array([[np.nan, 0.0], [1.0, 2.0]], np.float32)
    for name in ("gray", "inferno"):
        layer = Layer.create(*image_tuple(image, "image", colormap=name))
        masked, darkest, *_, brightest = layer.colormap.map([np.nan, 0.0, 0.5, 1.0])
        assert masked.tolist() == [0, 0, 0, 1]
        np.testing.assert_array_equal(darkest, Image(image, colormap=name).colormap.map([0.0])[0])
        assert brightest[:3].sum() > 2
    again = Layer.create(*image_tuple(image, "image"))
    assert again.colormap.name == "gray, masked black"  # one of that name, not one a layer
