"""`mlops demo`: the sample project from raw data to scored files."""
