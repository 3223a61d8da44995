import numpy as np
import pytest

from napari_lucky import LuckyError
from napari_lucky.optics.zernikes import kolmogorov_covariance, noll_orders, zernike, zernike_name

NOLL_1976 = [1.0299, 0.582, 0.134, 0.111, 0.0880, 0.0648, 0.0587, 0.0525, 0.0463, 0.0401, 0.0377]
"""Table IV: rms² left after the first 1 to 11 modes are taken away, at D/r0 = 1."""


def polar(n=601):
    y, x = np.mgrid[-1 : 1 : n * 1j, -1 : 1 : n * 1j]
    rho = np.hypot(y, x)
    return rho, np.arctan2(y, x), rho <= 1


def test_they_are_orthonormal_on_the_disk():
    rho, theta, inside = polar()
    modes = np.array([zernike(noll, rho, theta)[inside] for noll in range(1, 37)], float)
    np.testing.assert_allclose(modes @ modes.T / inside.sum(), np.eye(36), atol=0.02)


def test_orders_and_orientation():
    assert [noll_orders(j) for j in range(1, 12)] == [
        (0, 0), (1, 1), (1, 1), (2, 0), (2, 2), (2, 2), (3, 1), (3, 1), (3, 3), (3, 3), (4, 0)
    ]  # fmt: skip
    right, down = (np.array([1.0]), np.array([0.0])), (np.array([1.0]), np.array([np.pi / 2]))
    assert zernike(2, *right)[0] == pytest.approx(2)
    assert zernike(3, *down)[0] == pytest.approx(2)
    assert zernike(6, *right)[0] == pytest.approx(np.sqrt(6))
    assert zernike(6, *down)[0] == pytest.approx(-np.sqrt(6))


def test_names():
    assert [zernike_name(j) for j in (4, 5, 8, 11, 12, 16, 22, 37)] == [
        "defocus",
        "astigmatism 45°",
        "coma x",
        "spherical",
        "2nd astigmatism cos",
        "2nd coma cos",
        "2nd spherical",
        "3rd spherical",
    ]
    assert len({zernike_name(j) for j in range(1, 137)}) == 136


def test_kolmogorov_variances_are_nolls():
    variances = np.diag(kolmogorov_covariance(range(2, 12)))
    np.testing.assert_allclose(variances, -np.diff(NOLL_1976), rtol=0.035)
    np.testing.assert_allclose(np.cumsum(variances)[-1], NOLL_1976[0] - NOLL_1976[-1], rtol=0.015)


def test_kolmogorov_cross_terms():
    covariance = kolmogorov_covariance(range(2, 67))
    np.testing.assert_allclose(covariance, covariance.T)
    assert np.linalg.eigvalsh(covariance).min() > 0
    at = {noll: noll - 2 for noll in range(2, 67)}
    assert covariance[at[2], at[8]] == pytest.approx(-0.0142, rel=0.02)  # Noll 1976, eq. 28 on
    assert covariance[at[3], at[7]] == covariance[at[2], at[8]]
    assert covariance[at[4], at[11]] == pytest.approx(-0.0039, rel=0.02)
    assert covariance[at[2], at[7]] == covariance[at[4], at[5]] == covariance[at[5], at[6]] == 0


def test_what_is_no_mode():
    with pytest.raises(LuckyError, match="1 or more"):
        zernike(0, np.zeros(1), np.zeros(1))
    with pytest.raises(LuckyError, match="piston"):
        kolmogorov_covariance([1, 2])
