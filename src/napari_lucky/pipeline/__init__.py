"""A whole job: recipe, chain, measurement, stacks and the folder of results."""

from napari_lucky._lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "masters_folder": "make_masters",
        "process": "Result",
        "recipe": "Recipe read_recipe recipe_of_history recipe_to_toml",
        "results_folder": "write_results",
    },
)
