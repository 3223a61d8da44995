"""The wavefront from the focused and the defocused star."""

from napari_lucky._lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "from_stacks": "StackWavefront measure_wavefront_stacks",
        "job": "MeasuredWavefront measure_wavefront_run measure_wavefront_stack_files "
        "wavefront_parameters",
        "measure": "measure_wavefront",
        "observe": "noise_from_header",
        "output": "write_wavefront",
        "request": "WavefrontRequest",
        "result": "Wavefront",
        "task": "WavefrontParameters defocus_waves",
    },
)
