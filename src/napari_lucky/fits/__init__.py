"""FITS files: runs read, images and tables written and read back."""

from napari_lucky._lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "arrays": "as_frames as_image",
        "image_result": "ImageResult",
        "frame_table": "FrameTable table_from_csv table_to_csv",
        "integers": "IntegerFormat",
        "read_back": "read_saved",
        "run": "Run",
        "run_files": "open_run",
        "write": "write_fits",
    },
)
