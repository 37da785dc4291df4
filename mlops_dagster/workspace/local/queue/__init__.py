"""Which job runs next, which completed job stands in for another, and following one."""
