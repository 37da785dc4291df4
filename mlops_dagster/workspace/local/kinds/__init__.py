"""The kinds of job: what a plan keeps of each, and the processes that carry it out."""
