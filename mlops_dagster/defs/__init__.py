"""Everything that Dagster sees of a project, a module for each kind of thing.

::

    steps.py          a pipeline's steps: an asset each, an Azure ML job a materialization
    products.py       data products, and the checks of their rows
    models.py         registered models, and the gate in front of the champion
    jobs.py           jobs and schedules that project.yaml declares
    schedules.py      the workspace's own schedules
    landing/          files that land: the sensor, the runs of batches, and what they leave

    materializing.py  an asset that asks the workspace
    resource.py       the workspace, as a Dagster resource
    keys.py           asset keys, and the names of ops
    declared.py       what an asset shows before it is materialized
    newest.py         what the newest materialization of an upstream asset left
    running.py        one job of the workspace for one step of a run
    streaming.py      its log lines in Dagster
    observed.py       what a materialization shows of its job
    tables.py         reading a product's rows
    gate.py           the rules that a model must pass
"""
