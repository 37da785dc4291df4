"""Command jobs: header, command, code, environment, compute, resources."""

from __future__ import annotations

from tests.aml.language.row import Row, command

_CONTRACT = "tests/workspace/contract/test_jobs.py"
_NOTED = "Without effect; the head of the log says so in one line."

HEADER = (
    Row(
        "header",
        "`name`, `display_name`, `description`, `experiment_name`, `tags`, `properties`",
        command("""
            name: header-row
            display_name: Delays
            description: Of flights.
            experiment_name: delays
            tags: {team: a}
            properties: {cost: low}
            command: echo in $AZUREML_EXPERIMENT_NAME as $AZUREML_RUN_ID
        """),
        logs="in delays as header-row",
    ),
    Row(
        "schema",
        "`$schema`, `type`",
        "$schema: https://azuremlschemas.azureedge.net/latest/commandJob.schema.json\n"
        + command("command: echo typed"),
        logs="typed",
    ),
    Row(
        "type-left-out",
        "no `type`",
        "command: echo typed\nenvironment: azureml:any@latest\n",
        says="The fields tell; a job without any is a command.",
        logs="typed",
    ),
)

COMMAND = (
    Row("command", "`command`", command("command: echo done"), logs="done"),
    Row(
        "command-shell",
        "`command`: pipes, `&&`, quotes, `$`, line continuations",
        command(r"""
            command: |
              set -- one "two three" && echo $# \
                | sed 's/^/words: /'
        """),
        says="Run by bash; the exit status of the last part decides, as on Azure.",
        logs="words: 2",
    ),
    Row(
        "command-bindings",
        "`${{inputs.x}}`, `${{outputs.x}}`",
        command("""
            command: echo ${{inputs.text}} > ${{outputs.out}} && cat ${{outputs.out}}
            inputs: {text: "a; echo $HOME"}
            outputs: {out: {type: uri_file}}
        """),
        "differs",
        "To bash a value is one argument, or a part of one. What is evaluated once more (`[[ ... -eq ... ]]`, `eval`, `bash -c`) is out of reach.",
        logs="a; echo $HOME",
    ),
    Row(
        "command-single-braces",
        "`{inputs.x}`, the older spelling of `${{inputs.x}}`",
        command("""
            command: echo rate={inputs.rate} {other}
            inputs: {rate: 0.5}
        """),
        says="In a command or sweep that stands alone, as with the Azure tools.",
        logs="rate=0.5 {other}",
    ),
    Row(
        "command-search-space",
        "`${{search_space.x}}`",
        """
        type: sweep
        trial: {command: "echo ${{search_space.a}}", environment: azureml:any@latest}
        search_space: {a: {type: choice, values: [1]}}
        objective: {goal: minimize, primary_metric: loss}
        limits: {max_total_trials: 1}
        compute: azureml:cpu
        """,
        loads={"step.sweep.search_space": {"a": {"type": "choice", "values": [1]}}},
    ),
    Row(
        "environment-variables",
        "`environment_variables`",
        command("command: echo $MODE\nenvironment_variables: {MODE: fast}"),
        logs="fast",
    ),
    Row(
        "limits-timeout",
        "`limits.timeout`",
        command("command: sleep 100\nlimits: {timeout: 60}"),
        test=f"{_CONTRACT}::test_a_job_that_runs_longer_than_its_limit_has_failed",
    ),
    Row(
        "code",
        "`code`: a folder",
        command("command: python say.py hello\ncode: ./src"),
        says="A snapshot without what `.amlignore` names, or else `.gitignore`.",
        logs="said hello",
    ),
    Row(
        "code-file",
        "`code`: a file",
        command("command: python say.py file\ncode: ./src/say.py"),
        logs="said file",
    ),
    Row(
        "code-git",
        "`code`: a git address",
        command("command: ls\ncode: git+https://example.org/a/b.git"),
        "refused",
        "Check it out, and name the folder.",
        refuses="is not on this machine",
    ),
    Row(
        "code-registered",
        "`code`: `azureml:NAME:VERSION`",
        command("command: ls\ncode: azureml:trainer:1"),
        "refused",
        "Name the folder.",
        refuses="azureml:trainer:1 is not on this machine",
    ),
    Row(
        "outputs-and-logs-folders",
        "`./outputs`, `./logs`",
        command("command: echo kept > outputs/kept"),
        test=f"{_CONTRACT}::test_what_ends_up_in_outputs_and_logs_is_kept",
    ),
)

_ENVIRONMENTS = "tests/workspace/local/running/test_environments.py"
_HERE = "Runs in the interpreter at hand."

ENVIRONMENT = (
    Row(
        "environment-registered",
        "`environment`: `azureml:NAME:VERSION`, `azureml:NAME@latest`",
        command("command: echo ran"),
        "differs",
        _HERE,
        logs="ran",
    ),
    Row(
        "environment-registry",
        "`environment`: `azureml://registries/...`",
        """
        type: command
        command: echo ran
        environment: azureml://registries/azureml/environments/sklearn-1.5/labels/latest
        """,
        "differs",
        _HERE,
        logs="ran",
    ),
    Row(
        "environment-image",
        "`environment.image`",
        "type: command\ncommand: echo ran\nenvironment: {image: 'python:3.11'}\n",
        "differs",
        f"{_HERE} No container is started.",
        logs="ran",
    ),
    Row(
        "environment-conda",
        "`environment.conda_file`: a file or written out",
        """
        type: command
        command: echo ran
        environment: {image: "python:3.11", conda_file: ./conda.yml}
        """,
        "differs",
        f"{_HERE} What is missing there is reported before it runs.",
        logs="ran",
    ),
    Row(
        "environment-isolated",
        "`environment.conda_file` with `--isolate`",
        """
        type: command
        command: echo ran
        environment: {image: "python:3.11", conda_file: ./conda.yml}
        """,
        "differs",
        "Built by uv from PyPI, once for each content.",
        test=f"{_ENVIRONMENTS}"
        "::test_isolated_a_job_runs_in_an_environment_of_its_own_and_the_next_finds_it_offline",
    ),
    Row(
        "environment-build",
        "`environment.build`",
        "type: command\ncommand: echo ran\nenvironment: {build: {path: ./docker}}\n",
        "differs",
        f"{_HERE} No image is built.",
        logs="ran",
    ),
)

COMPUTE = (
    Row(
        "compute",
        "`compute`: `azureml:NAME`, `serverless`, `local`",
        command("command: echo ran\ncompute: azureml:gpu-cluster"),
        "differs",
        "This machine; in a project only a name that `.cloud/local/compute` declares, with its"
        " `max_instances` as the number of nodes.",
        logs="The compute target 'gpu-cluster' stands for this machine.",
    ),
    Row(
        "instance-count",
        "`resources.instance_count`",
        command("command: echo of $AZUREML_NODE_COUNT\nresources: {instance_count: 1}"),
        says="Nodes of the target; others wait.",
        logs="of 1",
    ),
    Row(
        "resources-sizes",
        "`resources.instance_type`, `shm_size`, `docker_args`, `locations`",
        command("command: echo ran\nresources: {instance_type: Standard_E4s_v3, shm_size: 2g}"),
        "differs",
        _NOTED,
        logs="without effect: resources.instance_type, resources.shm_size",
    ),
    Row(
        "gpus",
        "`resources.docker_args: --gpus ...`",
        command("command: echo ran\nresources: {docker_args: --gpus all}"),
        "refused",
        "Where the machine has no GPU.",
        test="tests/cli/test_check.py::test_every_place_that_only_azure_can_run_is_told_with_its_line",
    ),
    Row(
        "distribution-pytorch",
        "`distribution`: `pytorch`",
        command("""
            command: echo rank $RANK of $WORLD_SIZE
            distribution: {type: pytorch, process_count_per_instance: 2}
        """),
        "differs",
        "All processes of all nodes run on this machine.",
        logs="rank 1 of 2",
    ),
    Row(
        "distribution-mpi",
        "`distribution`: `mpi`",
        command("""
            command: echo rank $OMPI_COMM_WORLD_RANK
            distribution: {type: mpi, process_count_per_instance: 2}
        """),
        "differs",
        "As above, with Open MPI's variables; `mpirun` is not used.",
        logs="rank 1",
    ),
    Row(
        "distribution-tensorflow",
        "`distribution`: `tensorflow`",
        command("""
            command: echo $TF_CONFIG
            distribution: {type: tensorflow, worker_count: 1}
        """),
        "differs",
        "As above, with `TF_CONFIG`.",
        logs='"worker"',
    ),
    Row(
        "distribution-ray",
        "`distribution`: `ray`",
        command("command: echo ran\ndistribution: {type: ray}"),
        "refused",
        "It brings its own launcher.",
        refuses="ray does not run on this machine",
    ),
    Row(
        "queue-settings",
        "`queue_settings`",
        command("command: echo ran\nqueue_settings: {job_tier: spot}\ncompute: serverless"),
        "differs",
        _NOTED,
        logs="without effect: queue_settings",
    ),
    Row(
        "identity",
        "`identity`",
        command("command: echo ran\nidentity: {type: user_identity}"),
        "differs",
        "Jobs run as the user who submits them. " + _NOTED,
        logs="without effect: identity",
    ),
    Row(
        "services",
        "`services`",
        command("command: echo ran\nservices: {board: {type: tensor_board, log_dir: logs}}"),
        "differs",
        "They are not started; the head of the log says so.",
        logs="not started: the service board",
    ),
    Row(
        "mlflow",
        "MLflow: `mlflow.log_*` and autologging in the script",
        command("command: python say.py\ncode: ./src"),
        says="Filed under the job's own name.",
        test="tests/workspace/local/tracking/test_tracking.py::test_what_a_script_logs_is_found_from_its_job",
    ),
)
