"""All tables of docs/background/accuracy.md in one run: registration to PSF figures.

    python benchmarks/accuracy.py

Each part is a script of its own, which can be run alone. The same figures of scikit-image's
phase_cross_correlation, where it is installed, and of the old way (brightest pixel, whole pixels)
stand in the tables of the registration.
"""

import subprocess
import sys
from pathlib import Path

PARTS = {
    "Registration": "registration.py",
    "Errors of shifts": "pulls.py",
    "Ranking": "ranking.py",
    "Smoothing": "smoothing.py",
    "Shifting by fractions of a pixel": "kernels.py",
    "Stacking": "stacking.py",
    "PSF figures": "figures.py",
}


def main() -> int:
    folder = Path(__file__).parent
    for title, script in PARTS.items():
        print(f"\n## {title}\n", flush=True)
        if subprocess.run([sys.executable, folder / script], check=False).returncode:
            print(f"{script} failed", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
