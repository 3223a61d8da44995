"""Compressed tiles whose bytes may come to more than they should."""

import gzip

from napari_lucky.fits.tiles import _unpacks_to


def test_a_large_gzipped_tile_is_looked_at_for_more_bytes_than_it_may_have():
    """One of less than 64 KiB cannot come to more than memory holds."""
    large, small = (gzip.compress(bytes(size << 20)) for size in (70, 1))
    assert not _unpacks_to(large, 69 << 20)
    assert _unpacks_to(large, 70 << 20)
    assert _unpacks_to(small, 0)
