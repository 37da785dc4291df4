"""Running a plan: the runner's process, the executor of its steps, pipelines and sweeps."""
