"""Jobs, steps and components as plain values: a job is a header and one step.

A **component** says what can be run; a **step** is a component, what it is given and where it
runs; a **job** is a step that somebody submits. A pipeline is a component whose steps are steps
again, so that a nested pipeline, a step and a job that is no step are all run by the same rule.

Sources: the job and component YAML schemas of Azure Machine Learning
(learn.microsoft.com/azure/machine-learning/reference-yaml-overview).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from mlops_dagster.aml.base import Value
from mlops_dagster.aml.environment import Environment
from mlops_dagster.aml.inputs_outputs import InputSpec, InputValue, OutputSpec, OutputValue, Scalar
from mlops_dagster.errors import Problem


class Resources(Value):
    """What a job asks of its compute: nodes, and sizes that only a cluster can honour."""

    instance_count: int | str = 1
    instance_type: str | None = None
    shm_size: str | None = None
    docker_args: str | tuple[str, ...] | None = None
    properties: dict[str, Any] = {}
    locations: tuple[str, ...] = ()
    max_instance_count: int | None = None
    runtime_version: str | None = None


class Distribution(Value):
    """How many processes run the command, and for which framework."""

    type: Literal["pytorch", "mpi", "tensorflow", "ray"]
    process_count_per_instance: int | str | None = None
    worker_count: int | str | None = None
    parameter_server_count: int | str | None = None
    settings: dict[str, Any] = {}


class Limits(Value):
    """Bounds of a command job; ``timeout`` in seconds, or a binding that becomes them."""

    timeout: int | str | None = None


class RetrySettings(Value):
    """How a parallel step treats a mini batch that fails; ``timeout`` in seconds."""

    max_retries: int | str | None = None
    timeout: int | str | None = None


class ParallelTask(Value):
    """What a parallel step runs on each mini batch.

    Attributes:
        type: ``run_function`` (or its older name ``function``, or ``model``).
        code: the folder that holds the entry script.
        entry_script: a file in ``code`` with ``init()`` and ``run(mini_batch)``.
        program_arguments: passed to the entry script; may hold bindings.
        append_row_to: the output file that takes what ``run`` returns, a binding.
    """

    type: str = "run_function"
    code: str | None = None
    entry_script: str | None = None
    program_arguments: str | None = None
    append_row_to: str | None = None
    environment: Environment | None = None
    model: Any = None


class ComponentBase(Value):
    """What every component has.

    Attributes:
        source: the file that describes it; None for one written inside a job.
    """

    name: str | None = None
    version: str | None = None
    display_name: str | None = None
    description: str = ""
    tags: dict[str, str | None] = {}
    properties: dict[str, str | None] = {}
    inputs: dict[str, InputSpec] = {}
    outputs: dict[str, OutputSpec] = {}
    is_deterministic: bool = True
    source: Path | None = None


class CommandComponent(ComponentBase):
    """A shell command; its text may hold ``${{inputs.x}}``, ``${{outputs.y}}`` and ``$[[...]]``.

    ``code`` is an absolute folder or file on this machine, or a reference to registered or remote
    code; None for a job that brings none. ``additional_includes`` are absolute paths of files and
    folders that are laid beside it.
    """

    type: Literal["command"] = "command"
    command: str
    code: str | None = None
    additional_includes: tuple[str, ...] = ()
    environment: Environment | None = None
    environment_variables: dict[str, str] = {}
    distribution: Distribution | None = None
    resources: Resources | None = None
    limits: Limits | None = None


class ParallelComponent(ComponentBase):
    """An entry script that is fed mini batches of an input's files or rows.

    Attributes:
        input_data: the input that is cut into mini batches, a binding (``${{inputs.files}}``).
        mini_batch_size: a number of files, or bytes (``10kb``, ``100mb``) of a table.
        partition_keys: cuts by the values of these columns instead.
        error_threshold: how many items may fail; -1 for any number.
        mini_batch_error_threshold: how many mini batches may fail; -1 for any number.
    """

    type: Literal["parallel"] = "parallel"
    task: ParallelTask
    input_data: str | None = None
    mini_batch_size: str | None = None
    partition_keys: tuple[str, ...] = ()
    mini_batch_error_threshold: int | str = -1
    error_threshold: int | str = -1
    max_concurrency_per_instance: int | str = 1
    retry_settings: RetrySettings | None = None
    logging_level: str = "INFO"
    environment_variables: dict[str, str] = {}
    resources: Resources | None = None


class SparkComponent(ComponentBase):
    """A Spark application: an entry script or class and the configuration it runs under."""

    type: Literal["spark"] = "spark"
    code: str | None = None
    entry: dict[str, str] = {}
    args: str | None = None
    py_files: tuple[str, ...] = ()
    jars: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    archives: tuple[str, ...] = ()
    conf: dict[str, Scalar] = {}
    environment: Environment | None = None
    environment_variables: dict[str, str] = {}
    resources: Resources | None = None


class PipelineSettings(Value):
    """Settings of a pipeline; a step's own compute and outputs' own paths come first.

    Attributes:
        on_init, on_finalize: the step that runs before all others, and the one that runs when all
            others have ended, however they did.
    """

    default_compute: str | None = None
    default_datastore: str | None = None
    continue_on_step_failure: bool = True
    force_rerun: bool = False
    continue_run_on_failed_optional_input: bool = True
    on_init: str | None = None
    on_finalize: str | None = None


class PipelineComponent(ComponentBase):
    """Steps that feed one another, in the order in which the YAML names them."""

    type: Literal["pipeline"] = "pipeline"
    jobs: dict[str, Step] = {}
    settings: PipelineSettings = PipelineSettings()


class ComponentReference(ComponentBase):
    """A component that is registered elsewhere (``azureml:name:1``, ``azureml:name@latest``, a
    registry's address); the workspace resolves it when the job is submitted.
    """

    type: Literal["reference"] = "reference"
    reference: str


class IfElse(ComponentBase):
    """Runs the steps of one block and leaves out those of the other.

    Attributes:
        condition: true, false, or a binding to a step's boolean output.
        true_block, false_block: names of steps of the same pipeline.
    """

    type: Literal["if_else"] = "if_else"
    condition: bool | str
    true_block: tuple[str, ...] = ()
    false_block: tuple[str, ...] = ()


class DoWhile(ComponentBase):
    """Runs a step again as long as one of its outputs is true.

    Attributes:
        body: a step of the same pipeline.
        condition: the body's boolean output that asks for another round.
        mapping: each of the body's outputs to the inputs that take it in the next round.
    """

    type: Literal["do_while"] = "do_while"
    body: str
    condition: str
    mapping: dict[str, tuple[str, ...]] = {}
    max_iteration_count: int


class ParallelFor(ComponentBase):
    """Runs a step once for each item.

    Attributes:
        body: a step of the same pipeline.
        items: what each run is given, by a name or in order; a binding where a step decides.
    """

    type: Literal["parallel_for"] = "parallel_for"
    body: str
    items: dict[str, dict[str, InputValue]] | tuple[dict[str, InputValue], ...] | str
    max_concurrency: int | None = None


class UnsupportedComponent(ComponentBase):
    """A kind of job that only Azure can run (AutoML, data transfer, import, fine-tuning ...)."""

    type: Literal["unsupported"] = "unsupported"
    kind: str
    body: dict[str, Any] = {}


Component = Annotated[
    CommandComponent
    | ParallelComponent
    | SparkComponent
    | PipelineComponent
    | ComponentReference
    | IfElse
    | DoWhile
    | ParallelFor
    | UnsupportedComponent,
    Field(discriminator="type"),
]


class SweepLimits(Value):
    """Bounds of a sweep; times in seconds."""

    max_total_trials: int | None = None
    max_concurrent_trials: int | None = None
    timeout: int | None = None
    trial_timeout: int | None = None


class Sweep(Value):
    """How a step's command is tried over a search space.

    Attributes:
        search_space: input name to its distribution: ``{"type": "choice", "values": [...]}``,
            ``uniform``, ``loguniform``, ``normal``, ``lognormal``, their ``q`` forms, ``randint``.
        sampling: ``{"type": "random" | "grid" | "bayesian", ...}`` with ``rule`` and ``seed``.
        goal: ``minimize`` or ``maximize`` of ``primary_metric``.
        early_termination: ``{"type": "bandit" | "median_stopping" | "truncation_selection", ...}``.
    """

    search_space: dict[str, dict[str, Any]]
    sampling: dict[str, Any] = {"type": "random"}
    goal: Literal["minimize", "maximize"]
    primary_metric: str
    limits: SweepLimits = SweepLimits()
    early_termination: dict[str, Any] | None = None


class Step(Value):
    """A component, what it is given, and where it runs.

    Attributes:
        name: its key in the pipeline; empty for a job that is no step.
        inputs, outputs: what is given to the component's inputs and outputs, by name.
        compute: a compute target's name without ``azureml:``; None leaves it to the pipeline.
        sweep: set where the component is the trial of a sweep.

    What is set here wins over the component's own environment, resources, limits ...
    """

    name: str = ""
    component: Component
    inputs: dict[str, InputValue] = {}
    outputs: dict[str, OutputValue] = {}
    compute: str | None = None
    display_name: str | None = None
    description: str = ""
    environment: Environment | None = None
    environment_variables: dict[str, str] = {}
    distribution: Distribution | None = None
    resources: Resources | None = None
    limits: Limits | None = None
    sweep: Sweep | None = None
    identity: dict[str, Any] | None = None
    queue_settings: dict[str, Any] | None = None
    services: dict[str, dict[str, Any]] = {}
    tags: dict[str, str | None] = {}
    properties: dict[str, str | None] = {}


class Job(Value):
    """A step that somebody submits, and what it is filed under.

    Attributes:
        name: the name asked for in the YAML; None where the submitter chooses.
        experiment_name: None for the folder's name, as the Azure tools choose it.
        source: the YAML file; relative paths in it were resolved against its folder.
        warnings: what in its files is passed over, as Azure ML's own tools do.
    """

    step: Step
    name: str | None = None
    display_name: str | None = None
    description: str = ""
    experiment_name: str | None = None
    tags: dict[str, str | None] = {}
    properties: dict[str, str | None] = {}
    source: Path | None = None
    # Nothing of what the job is: it is neither stored nor compared with another submission.
    warnings: tuple[Problem, ...] = Field(default=(), exclude=True, repr=False)


PipelineComponent.model_rebuild()
