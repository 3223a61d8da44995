"""What a step of the job is: one declaration, from which all else follows.

Every declared step is here by its name, such as `napari_lucky.steps.RemoveOutliers`.
"""

from typing import Any


def __getattr__(name: str) -> Any:
    if name in _step_names():
        return _step_names()[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(_step_names())


def _step_names() -> dict[str, Any]:
    from napari_lucky.steps.registry import load_steps

    return {model.__name__: model for kinds in load_steps().values() for model in kinds.values()}
