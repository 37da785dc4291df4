"""Dagster's instance, its runs and its UI, as commands use them."""
