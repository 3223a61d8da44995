"""How a long job runs: blocks, processes, a cluster, checkpoints."""
