"""Lets an entry script ``from azureml_user.parallel_run import EntryScript`` here as on Azure ML."""
