"""Tools that run beside the daemon: benchmarks, evaluations, trials."""
