"""Marks for tests of what one system has and another has not."""

import os
import sys

import pytest

on_posix = pytest.mark.skipif(sys.platform == "win32", reason="needs signals, links or pipes")
not_as_root = pytest.mark.skipif(
    getattr(os, "geteuid", lambda: 1)() == 0, reason="root reads everything"
)
