"""Everything that Dagster sees of a project, a module for each kind of thing.

::

    steps.py                 a pipeline's steps: an asset each, an Azure ML job a materialization
    products.py              data products, and the checks of their rows
    models.py                registered models, with the quality gate as their check
    jobs.py                  jobs and schedules that project.yaml declares
    schedules.py             the workspace's own schedules
    alerts/                  alerts of failed runs and checks, by webhook or e-mail
    landing/                 files that land: the sensor, the runs of batches, and what they leave

    workspace_asset.py       an asset that asks the workspace
    workspace_resource.py    the workspace, as a Dagster resource
    running/                 a job of the workspace inside a run: submitted, followed, canceled
    keys.py                  asset keys, groups, pools, and the names of ops
    asset_specs.py           schema, partitions and version of an asset
    automation.py            assets that follow what they are made from, and their sensor
    code_links.py            links from an asset to the code that defines it
    materialized_outputs.py  the outputs of the newest materialization of an upstream asset
    job_metadata.py          what a materialization shows of its job
    tables.py                the rows of a product
"""
