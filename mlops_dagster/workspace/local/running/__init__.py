"""Carrying out a plan: the runner, its crew, and the kinds of work that it knows."""
