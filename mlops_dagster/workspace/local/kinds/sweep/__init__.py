"""A sweep: one command tried over a search space, its best trial known to what follows."""
