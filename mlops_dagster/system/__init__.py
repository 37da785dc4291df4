"""This machine: files, processes and ports, for every room."""
