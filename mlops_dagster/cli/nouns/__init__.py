"""A module for each noun of the command line; `creation`, `registry` and `updates` are shared."""
