"""Telescopes, pupils, Zernike polynomials, turbulence and diffraction."""
