"""What is kept of jobs and compute targets: rows, logs and names."""
