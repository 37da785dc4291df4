"""Jobs as people see them: submitted, listed, followed, canceled, run again, on a schedule."""
