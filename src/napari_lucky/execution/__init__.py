"""How a long job runs: blocks, processes, a cluster, checkpoints."""

from napari_lucky._lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "checkpoint": "Checkpoint",
        "cluster": "ClusterExecutor cluster_executor",
        "job": "Cancelled Job",
        "processes": "ForkExecutor fork_executor",
    },
)
