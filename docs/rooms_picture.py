"""Draw the rooms of the program, floor by floor, from the code: docs/images/rooms.png.

    python docs/rooms_picture.py

Floors are those of the contract in pyproject.toml, which import-linter holds. An arrow goes from a
room to each room that its modules import, unless that is reached through another room already.
"""

import ast
import tomllib
from pathlib import Path

from matplotlib.figure import Figure

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "napari_lucky"


def floors() -> list[list[str]]:
    """Return the rooms of each floor, the highest first."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    layers = contracts["contracts"][0]["layers"]
    return [[room.strip() for room in layer.split("|")] for layer in layers]


def imports(room: str) -> set[str]:
    """Return the rooms that a room imports."""
    path = SOURCE / room
    files = path.glob("*.py") if path.is_dir() else [path.with_suffix(".py")]
    found = set()
    for file in files:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("napari_lucky."):
                found.add(str(node.module).split(".")[1])
    return found - {room}


def lines(room: str) -> int:
    """Return how many lines a room has."""
    path = SOURCE / room
    files = path.glob("*.py") if path.is_dir() else [path.with_suffix(".py")]
    return sum(len(file.read_text(encoding="utf-8").splitlines()) for file in files)


def needed(room: str, known: dict[str, set[str]]) -> set[str]:
    """Return the imported rooms that are not reached through other imported rooms."""
    return {
        other
        for other in known[room]
        if not any(other in reached(via, known) for via in known[room] - {other})
    }


def reached(room: str, known: dict[str, set[str]]) -> set[str]:
    """Return all rooms that a room imports, directly or through others."""
    found = set(known[room])
    for other in known[room]:
        found |= reached(other, known)
    return found


def draw() -> Figure:
    """Return the picture."""
    levels = floors()
    figure = Figure(figsize=(9, 8), layout="constrained")
    axes = figure.add_subplot()
    place = {}
    for y, rooms in enumerate(levels):
        for x, room in enumerate(rooms):
            place[room] = ((x + 0.5) / len(rooms) + 0.03 * (y % 2), -float(y))
    known = {room: imports(room) & place.keys() for room in place}
    for room, (x, y) in place.items():
        for other in needed(room, known):
            to = place[other]
            how = {"arrowstyle": "->", "color": "#6f93ad", "lw": 1}
            axes.annotate("", (to[0], to[1] + 0.27), (x, y - 0.27), arrowprops=how)
    for room, (x, y) in place.items():
        axes.text(
            x,
            y,
            f"{room}\n{lines(room):,} lines",
            ha="center",
            va="center",
            fontsize=9,
            bbox={"boxstyle": "round,pad=0.35", "fc": "#f4f7fa", "ec": "#35607d"},
        )
    axes.set(xlim=(0, 1.03), ylim=(-len(levels) + 0.4, 0.6))
    axes.axis("off")
    return figure


if __name__ == "__main__":
    draw().savefig(ROOT / "docs" / "images" / "rooms.png", dpi=110, metadata={"Software": None})
