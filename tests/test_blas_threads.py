import numpy as np

from napari_lucky.blas_threads import _controls, one_blas_thread


def test_products_are_on_one_thread_for_a_while():
    before = [get() for get, _ in _controls()]
    with one_blas_thread():
        assert [get() for get, _ in _controls()] == [1] * len(before)
        a = np.random.default_rng(0).standard_normal((200, 200))
        np.testing.assert_allclose(a @ np.linalg.inv(a), np.eye(200), atol=1e-6)
    assert [get() for get, _ in _controls()] == before


def test_the_openblas_of_the_wheels_is_found():
    config = np.show_config(mode="dicts")["Build Dependencies"]["blas"]["name"]
    assert _controls() or "scipy-openblas" not in config


def test_it_is_set_back_after_an_error():
    before = [get() for get, _ in _controls()]
    try:
        with one_blas_thread():
            raise ValueError
    except ValueError:
        pass
    assert [get() for get, _ in _controls()] == before
