import os
import subprocess
import sys

import numpy as np
import pytest
import scipy.linalg  # noqa: F401  # brings a BLAS of its own
from threadpoolctl import threadpool_info

from napari_lucky.execution.blas_threads import (
    ONE_THREAD,
    begin_with_one_blas_thread,
    one_blas_thread,
)


def threads():
    return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]


def test_the_openblas_of_numpy_is_seen():
    """Where it is not, it is not limited either, and the tests below compare nothing."""
    name = np.show_config(mode="dicts")["Build Dependencies"]["blas"]["name"]
    if "openblas" not in name:
        pytest.skip(f"this numpy has {name}")
    assert threads()


def test_products_are_on_one_thread_for_a_while():
    before = threads()
    with one_blas_thread():
        assert threads() == [1] * len(before)
    assert threads() == before


def test_it_is_set_back_after_an_error():
    before = threads()
    with pytest.raises(ZeroDivisionError), one_blas_thread():
        raise ZeroDivisionError
    assert threads() == before


COUNT = """
from contextlib import suppress
from napari_lucky.cli.main import main
with suppress(SystemExit):
    main()
import scipy.linalg
from threadpoolctl import threadpool_info
print(*(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"))
"""


def test_the_command_line_has_one_blas_thread():
    environment = {name: value for name, value in os.environ.items() if name not in ONE_THREAD}
    command = [sys.executable, "-c", COUNT, "--version"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[1].split() == ["1"] * len(threads())


def test_more_blas_threads_stay_if_the_user_asks_for_them(monkeypatch):
    for name in ONE_THREAD:
        monkeypatch.setenv(name, "3")
    begin_with_one_blas_thread()
    assert {os.environ[name] for name in ONE_THREAD} == {"3"}
