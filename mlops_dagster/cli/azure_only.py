"""What `az ml` has and this command has not: why, and what to do instead.

The commands and options are those of learn.microsoft.com/cli/azure/ml.
"""

from __future__ import annotations

_COMPUTE = (
    "A compute target of this machine is a file: .cloud/local/compute/NAME.yml of the project."
)
_VIRTUAL_MACHINE = "There are no virtual machines here; every compute target is this machine."
_ENDPOINT = "Endpoints cannot be deployed to this machine yet."
_REGISTRY = "There are no registries here. Name what stands in for an asset of one in .mlops/substitutions.yml."
_NO_ARCHIVE = "Only jobs can be archived here; a version that nobody names does no harm."
_COMPONENT = "A component is found in the project by its name and version: code/**/component.yml, components/."
_ENVIRONMENT = (
    "An environment is described where a job names it; .mlops/substitutions.yml says what stands in "
    "for one by its name."
)
_WORKSPACE = (
    "The workspace of this machine needs no making; infrastructure as code makes those on Azure."
)
_FEATURES = "There is no feature store here; register what it would give as a data asset."

# By the command's path without `mlops`, and by option.
COMMANDS = {
    "job connect-ssh": "A job runs on this machine; what it writes is shown by: mlops job logs NAME",
    "job show-services": "A job has no services here but MLflow: mlops job show NAME --web",
    "model archive": _NO_ARCHIVE,
    "model restore": _NO_ARCHIVE,
    "data archive": _NO_ARCHIVE,
    "data restore": _NO_ARCHIVE,
    "data update": "A version is immutable; register the next one with: mlops data create",
    "schedule update": "Change the schedule's file, and create it again: mlops schedule create",
    "component": _COMPONENT,
    "environment": _ENVIRONMENT,
    "model package": _ENDPOINT,
    "model share": _REGISTRY,
    "data share": _REGISTRY,
    "data import": "Imports from databases run on Azure only.",
    "data list-materialization-status": "Imports from databases run on Azure only.",
    "data mount": "Data lies on this machine; its path is shown by: mlops data show NAME",
    "data delete": "A version is kept for the jobs that it came from or fed.",
    "compute attach": _COMPUTE,
    "compute create": _COMPUTE,
    "compute update": _COMPUTE,
    "compute delete": _COMPUTE,
    "compute detach": _COMPUTE,
    "compute start": _VIRTUAL_MACHINE,
    "compute stop": _VIRTUAL_MACHINE,
    "compute restart": _VIRTUAL_MACHINE,
    "compute resize": _VIRTUAL_MACHINE,
    "compute connect-ssh": _VIRTUAL_MACHINE,
    "compute enable-sso": _VIRTUAL_MACHINE,
    "compute list-nodes": _VIRTUAL_MACHINE,
    "compute list-sizes": _VIRTUAL_MACHINE,
    "compute list-usage": _VIRTUAL_MACHINE,
    "online-endpoint": _ENDPOINT,
    "online-deployment": _ENDPOINT,
    "batch-endpoint": "Files that land are scored by the project's landing: mlops landing status",
    "batch-deployment": "Files that land are scored by the project's landing: mlops landing status",
    "serverless-endpoint": _ENDPOINT,
    "marketplace-subscription": _ENDPOINT,
    "registry": _REGISTRY,
    "workspace": _WORKSPACE,
    "workspace-hub": _WORKSPACE,
    "datastore": "A datastore of this machine is a file: .cloud/local/datastores/NAME.yml of the project.",
    "connection": "Connections to other services are kept by Azure only.",
    "capability-host": "Agents run on Azure only.",
    "feature-set": _FEATURES,
    "feature-store": _FEATURES,
    "feature-store-entity": _FEATURES,
}
OPTIONS = {
    "--registry-name": _REGISTRY,
    "--skip-validation": "A job is always checked before it is submitted. Leave the option out.",
    "--datastore": "Files are copied into the state folder; there is nothing to choose. Leave it out.",
}
