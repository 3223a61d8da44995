"""What docks share of a viewer goes with it."""

import gc
import weakref

import numpy as np
from napari.components import ViewerModel

from napari_lucky.docks.made_layers import made_layers
from napari_lucky.docks.window_drawing import window_drawing
from napari_lucky.viewer.to_layers import image_tuple


def test_a_viewer_that_is_closed_is_not_kept_with_its_layers(qapp):
    viewer = ViewerModel()
    made, drawing = made_layers(viewer), window_drawing(viewer)
    assert made_layers(viewer) is made and window_drawing(viewer) is drawing
    layer = made.add(image_tuple(np.ones((4, 5), np.float32), "stack"), replace=True)
    layer.events.data.connect(lambda *_, dock=viewer: dock)  # as docks do
    gone = [weakref.ref(one) for one in (viewer, made, drawing, layer)]
    del viewer, made, drawing, layer
    gc.collect()
    assert [ref() for ref in gone] == [None] * 4
