"""Optional steps that clean frames: dust, outliers, background, noise cut, low-pass."""
