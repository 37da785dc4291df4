"""Data-science projects on Azure Machine Learning, orchestrated by Dagster."""
