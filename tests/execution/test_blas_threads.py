import pytest
import scipy.linalg  # noqa: F401  # brings a BLAS of its own
from threadpoolctl import threadpool_info

from napari_lucky.execution.blas_threads import one_blas_thread


def threads():
    return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]


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
