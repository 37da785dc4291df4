"""Pipelines and what runs in them: steps, settings, parallel steps, sweeps, Spark, control flow."""

from __future__ import annotations

from tests.aml.language.row import Row, pipeline

_PIPELINES = "tests/workspace/contract/test_jobs_pipelines.py"
_PARALLEL = "tests/workspace/local/parallel"
_SAMPLING = "tests/workspace/local/kinds/sweep/test_sampling.py"
_SWEEPS = "tests/workspace/local/kinds/sweep/test_sweeps.py"
_TWO = """
first:
  command: echo made > ${{outputs.file}}
  environment: azureml:any@latest
  outputs: {file: {type: uri_file}}
second:
  command: cat ${{inputs.file}}
  environment: azureml:any@latest
  inputs: {file: "${{parent.jobs.first.outputs.file}}"}
"""

_THREE = """
first: {command: "true", environment: azureml:any@latest}
middle: {command: "true", environment: azureml:any@latest}
last: {command: "true", environment: azureml:any@latest}
"""

PIPELINES = (
    Row(
        "pipeline",
        "`jobs`, `${{parent.jobs.STEP.outputs.NAME}}`",
        pipeline(_TWO),
        says="Steps run side by side where nothing forbids it.",
        logs="made",
    ),
    Row(
        "pipeline-inputs",
        "`inputs`, `${{parent.inputs.NAME}}`, also within a text",
        pipeline(
            """
            one:
              command: echo ${{inputs.a}}
              environment: azureml:any@latest
              inputs: {a: "${{parent.inputs.n}}"}
            """,
            "inputs: {n: 3}",
        ),
        logs="3",
    ),
    Row(
        "pipeline-step-inputs",
        "`${{parent.jobs.STEP.inputs.NAME}}`",
        pipeline(
            """
            one:
              command: echo ${{inputs.a}}
              environment: azureml:any@latest
              inputs: {a: first}
            two:
              command: echo also ${{inputs.b}}
              environment: azureml:any@latest
              inputs: {b: "${{parent.jobs.one.inputs.a}}"}
            """
        ),
        logs="also first",
    ),
    Row(
        "pipeline-anchors",
        "YAML's anchors, aliases and `<<`",
        pipeline(
            """
            one: &one
              command: echo ${{inputs.a}}
              environment: azureml:any@latest
              inputs: {a: first}
            two:
              <<: *one
              inputs: {a: second}
            """
        ),
        logs="second",
    ),
    Row(
        "pipeline-outputs",
        "`outputs`, `${{parent.outputs.NAME}}`",
        pipeline(
            """
            one:
              command: echo x > ${{outputs.o}}
              environment: azureml:any@latest
              outputs: {o: "${{parent.outputs.o}}"}
            """,
            "outputs: {o: {type: uri_file}}",
        ),
        test=f"{_PIPELINES}::test_a_pipelines_output_goes_where_the_yaml_says_and_registers_itself",
    ),
    Row(
        "step-component-file",
        "`component`: a file",
        pipeline(
            """
            count:
              type: command
              component: ./count.yml
              inputs: {rows: {type: uri_file, path: ./rows.csv}, unit: lines}
            """
        ),
        logs="counted 3 lines",
    ),
    Row(
        "step-component-registered",
        "`component`: `azureml:NAME:VERSION`, `azureml:NAME@latest`, a registry's, nowhere here",
        pipeline(
            """
            count:
              type: command
              component: azureml:counter:1
              inputs: {rows: {type: uri_file, path: ./rows.csv}}
            """
        ),
        "refused",
        "Name its file, or give one for it with `--substitutions`.",
        refuses="counter",
    ),
    Row(
        "step-component-in-project",
        "`component`: `azureml:NAME`, one of the project's own",
        pipeline(
            """
            count:
              type: command
              component: azureml:count@latest
              inputs: {rows: {type: uri_file, path: ./rows.csv}}
            """
        ),
        says="Found by the name in its file.",
        test="tests/workspace/local/jobs/test_addresses.py"
        "::test_a_registered_component_is_found_among_the_projects_own",
    ),
    Row(
        "pipeline-nested",
        "`type: pipeline` with a `component`: a pipeline in a pipeline",
        pipeline(
            """
            outer:
              type: pipeline
              component: ./twice.yml
              inputs: {rows: {type: uri_file, path: ./rows.csv}}
            """
        ),
        logs="counted 3 rows at most 7",
    ),
    Row(
        "pipeline-of-a-component",
        "a pipeline job with `component`",
        """
        type: pipeline
        component: ./twice.yml
        settings: {default_compute: azureml:cpu, force_rerun: true}
        inputs: {rows: {type: uri_file, path: ./rows.csv}}
        """,
        logs="counted 3 rows at most 7",
    ),
    Row(
        "settings-default-compute",
        "`settings.default_compute`",
        pipeline(_TWO.replace("made", "small"), "settings: {default_compute: azureml:small}"),
        logs="The compute target 'small' stands for this machine.",
    ),
    Row(
        "settings-default-datastore",
        "`settings.default_datastore`",
        pipeline(
            _TWO,
            "settings: {default_compute: azureml:cpu, default_datastore: azureml:workspacefilestore}",
        ),
        test="tests/workspace/local/running/test_outputs.py"
        "::test_outputs_without_a_path_go_to_the_pipelines_default_datastore",
    ),
    Row(
        "settings-continue-on-step-failure",
        "`settings.continue_on_step_failure`",
        pipeline(_TWO, "settings: {default_compute: azureml:cpu, continue_on_step_failure: false}"),
        test=f"{_PIPELINES}::test_where_a_failure_ends_the_pipeline_running_steps_are_canceled",
    ),
    Row(
        "settings-force-rerun",
        "`settings.force_rerun`, `is_deterministic`",
        pipeline(_TWO, "settings: {default_compute: azureml:cpu, force_rerun: true}"),
        says="A deterministic step with the same code, inputs and environment is reused otherwise.",
        test=f"{_PIPELINES}::test_a_step_is_not_reused_where_it_may_differ",
    ),
    Row(
        "settings-optional-input",
        "`settings.continue_run_on_failed_optional_input`",
        pipeline(
            _TWO,
            "settings: {default_compute: azureml:cpu, continue_run_on_failed_optional_input: true}",
        ),
        test=f"{_PIPELINES}::test_a_step_runs_without_an_optional_input_whose_step_failed_where_it_may",
    ),
    Row(
        "settings-on-init",
        "`settings.on_init`, `settings.on_finalize`",
        pipeline(
            _THREE,
            "settings: {default_compute: azureml:cpu, on_init: first, on_finalize: last}",
        ),
        test=f"{_PIPELINES}::test_the_first_and_the_last_step_run_before_and_after_all_others_whatever_fails",
    ),
)

_ITEMS = """
all:
  type: parallel
  inputs: {files: {type: uri_folder, path: ./folder}}
  outputs: {rows: {type: uri_file}}
  input_data: ${{inputs.files}}
  mini_batch_size: "1"
  mini_batch_error_threshold: 0
  error_threshold: 0
  max_concurrency_per_instance: 1
  retry_settings: {max_retries: 1, timeout: 60}
  logging_level: INFO
  task:
    type: run_function
    code: ./src
    entry_script: score.py
    environment: azureml:any@latest
    append_row_to: ${{outputs.rows}}
"""

PARALLEL = (
    Row(
        "parallel",
        "`type: parallel`: `input_data`, `task`, `mini_batch_size`, `append_row_to`",
        pipeline(_ITEMS),
        says="`max_concurrency_per_instance` workers, each a process.",
        logs="3/3 mini batches",
    ),
    Row(
        "parallel-thresholds",
        "`error_threshold`, `mini_batch_error_threshold`",
        pipeline(_ITEMS),
        test=f"{_PARALLEL}/test_entry_script.py"
        "::test_a_failed_mini_batch_counts_all_its_items_against_the_thresholds",
    ),
    Row(
        "parallel-retries",
        "`retry_settings`",
        pipeline(_ITEMS),
        test=f"{_PARALLEL}/test_entry_script.py"
        "::test_a_mini_batch_that_raised_is_tried_again_and_delivered_once",
    ),
    Row(
        "parallel-partition-keys",
        "`partition_keys`",
        pipeline(
            """
            all:
              type: parallel
              inputs: {table: {type: mltable, path: ./folder, mode: direct}}
              outputs: {rows: {type: uri_file}}
              input_data: ${{inputs.table}}
              partition_keys: [month]
              task:
                type: run_function
                code: ./src
                entry_script: score.py
                environment: azureml:any@latest
                append_row_to: ${{outputs.rows}}
            """
        ),
        test=f"{_PARALLEL}/test_tables.py::test_partition_keys_gather_the_rows_of_each_combination",
    ),
)


def _sweep(space: str, more: str = "sampling_algorithm: random") -> str:
    return f"""
        type: sweep
        trial: {{command: "echo ${{{{search_space.a}}}}", environment: azureml:any@latest}}
        search_space: {{a: {space}}}
        {more}
        objective: {{goal: minimize, primary_metric: loss}}
        limits: {{max_total_trials: 2, max_concurrent_trials: 1, timeout: 600}}
        compute: azureml:cpu
    """


_CHOICE = "{type: choice, values: [1, 2]}"
_BOUNDS = f"{_SAMPLING}::test_every_distribution_keeps_within_its_bounds"

SWEEPS = (
    Row(
        "sweep",
        "`type: sweep`: `trial`, `objective`, `outputs` of the best trial",
        _sweep(_CHOICE, "sampling_algorithm: grid"),
        test=f"{_SWEEPS}::test_the_best_trial_of_a_grid_is_known_and_its_outputs_are_the_sweeps",
    ),
    Row(
        "sweep-step",
        "`type: sweep` as a step",
        pipeline(
            """
            tune:
              type: sweep
              trial: ./count.yml
              inputs: {rows: {type: uri_file, path: ./rows.csv}}
              search_space: {limit: {type: choice, values: [1, 2]}}
              sampling_algorithm: grid
              objective: {goal: minimize, primary_metric: loss}
              limits: {max_total_trials: 2}
            """
        ),
        test=f"{_SWEEPS}"
        "::test_a_sweep_in_a_pipeline_takes_what_is_made_before_and_passes_its_best_model_on",
    ),
    Row(
        "sweep-limits",
        "`limits`: `max_total_trials`, `max_concurrent_trials`, `timeout`, `trial_timeout`",
        _sweep(_CHOICE),
        says="No more trials at once than the compute has nodes.",
        test=f"{_SWEEPS}::test_trials_run_side_by_side_up_to_the_limit_and_the_nodes",
    ),
    Row(
        "sampling-grid",
        "`sampling_algorithm: grid`",
        _sweep(_CHOICE, "sampling_algorithm: grid"),
        test=f"{_SAMPLING}::test_a_grid_draws_every_combination_once_and_ends",
    ),
    Row(
        "sampling-random",
        "`sampling_algorithm: random`, `seed`",
        _sweep(_CHOICE, "sampling_algorithm: {type: random, seed: 1}"),
        says="Drawn by Optuna, so that a seed gives other trials than on Azure.",
        result="differs",
        test=f"{_SAMPLING}::test_the_same_seed_draws_the_same_trials",
    ),
    Row(
        "sampling-sobol",
        "`sampling_algorithm: random`, `rule: sobol`",
        _sweep(
            "{type: uniform, min_value: 0, max_value: 1}",
            "sampling_algorithm: {type: random, rule: sobol}",
        ),
        test=f"{_SAMPLING}::test_a_sobol_sequence_fills_the_space_evenly",
    ),
    Row(
        "sampling-bayesian",
        "`sampling_algorithm: bayesian`",
        _sweep(_CHOICE, "sampling_algorithm: bayesian"),
        "differs",
        "Optuna's tree-structured Parzen estimator.",
        test=f"{_SAMPLING}::test_bayesian_sampling_goes_where_the_metric_is_best",
    ),
    *(
        Row(
            f"space-{kind}",
            f"`search_space`: `{kind}`",
            _sweep(f"{{type: {kind}, {rest}}}"),
            test=_BOUNDS,
        )
        for kind, rest in (
            ("choice", "values: [1, 2.5, big]"),
            ("randint", "upper: 10"),
            ("uniform", "min_value: 0, max_value: 1"),
            ("quniform", "min_value: 0, max_value: 10, q: 2"),
            ("loguniform", "min_value: -6, max_value: -1"),
            ("qloguniform", "min_value: 0, max_value: 2, q: 0.5"),
            ("normal", "mu: 0, sigma: 1"),
            ("qnormal", "mu: 10, sigma: 3, q: 1"),
            ("lognormal", "mu: 0, sigma: 1"),
            ("qlognormal", "mu: 1, sigma: 1, q: 1"),
        )
    ),
    *(
        Row(
            f"early-termination-{kind.replace('_', '-')}",
            f"`early_termination: {kind}`",
            _sweep(_CHOICE, f"early_termination: {{type: {kind}, evaluation_interval: 1{rest}}}"),
            test=f"{_SAMPLING}::test_a_policy_ends_the_trials_that_fall_behind",
        )
        for kind, rest in (
            ("bandit", ", slack_factor: 0.2"),
            ("median_stopping", ""),
            ("truncation_selection", ", truncation_percentage: 20"),
        )
    ),
)

_SPARK = "tests/workspace/local/kinds/test_spark.py"
_APPLICATION = """
    type: spark
    code: ./src
    entry: {file: say.py}
    args: --rows ${{inputs.rows}}
    inputs: {rows: {type: uri_file, path: ./rows.csv, mode: direct}}
    conf:
      spark.driver.cores: 1
      spark.driver.memory: 1g
      spark.executor.cores: 1
      spark.executor.memory: 1g
      spark.executor.instances: 1
    resources: {instance_type: standard_e4s_v3, runtime_version: "3.4"}
"""

SPARK = (
    Row(
        "spark",
        "`type: spark`: `entry`, `args`, `conf`, `py_files`, `jars`, `files`, `archives`",
        _APPLICATION,
        "differs",
        "`spark-submit --master local[*]`, where pyspark and Java are installed.",
        test=f"{_SPARK}::test_a_spark_job_is_submitted_with_all_that_it_says",
    ),
    Row(
        "spark-missing",
        "`type: spark` without pyspark or Java",
        _APPLICATION,
        "refused",
        "Install `mlops_dagster[spark]` and Java 17.",
        test=f"{_SPARK}::test_where_spark_is_missing_the_place_is_told_with_what_to_install",
    ),
)

ONLY_ON_AZURE = (
    Row(
        "automl",
        "`type: automl`",
        """
        type: automl
        task: regression
        primary_metric: r2_score
        target_column_name: delay
        training_data: {type: mltable, path: ./folder}
        compute: azureml:cpu
        """,
        "refused",
        "AutoML.",
        refuses="An AutoML job runs only on Azure",
    ),
    Row(
        "automl-step",
        "a step of `type: automl`",
        pipeline(
            """
            best:
              type: automl
              task: regression
              primary_metric: r2_score
              target_column_name: delay
              training_data: {type: mltable, path: ./folder}
              outputs: {best_model: {type: mlflow_model}}
            """
        ),
        "refused",
        "AutoML.",
        refuses="jobs.best.type: An AutoML job runs only on Azure",
    ),
    Row(
        "data-transfer",
        "`type: data_transfer`",
        pipeline(
            """
            merge:
              type: data_transfer
              task: copy_data
              inputs: {a: {type: uri_folder, path: ./folder}}
              outputs: {b: {type: uri_folder}}
              data_copy_mode: merge_with_overwrite
            """
        ),
        "refused",
        "Data Factory.",
        refuses="jobs.merge.type: A data transfer (Data Factory) runs only on Azure",
    ),
)

CONTROL = (
    Row(
        "if-else",
        "`type: if_else` on true, false, or a literal input of the pipeline",
        pipeline(
            """
            choose:
              type: if_else
              condition: ${{parent.inputs.big}}
              true_block: ${{parent.jobs.much}}
              false_block: ${{parent.jobs.little}}
            much:
              command: echo much was chosen
              environment: azureml:any@latest
            little:
              command: echo little was chosen
              environment: azureml:any@latest
            """,
            "inputs: {big: false}",
        ),
        says="A preview on Azure; decided before anything runs.",
        logs="little was chosen",
        official=False,
    ),
    Row(
        "parallel-for",
        "`type: parallel_for` over items in the YAML",
        pipeline(
            """
            each:
              type: parallel_for
              body: ${{parent.jobs.body}}
              items: [{unit: lines}, {unit: items}]
              max_concurrency: 2
            body:
              type: command
              component: ./count.yml
              inputs: {rows: {type: uri_file, path: ./rows.csv}}
            """
        ),
        "differs",
        "A preview on Azure. Each item is a step; as many run at once as the compute has nodes,"
        " whatever `max_concurrency` says. Its gathered outputs cannot be read by another step.",
        logs="counted 3 items",
        official=False,
    ),
    Row(
        "if-else-of-a-step",
        "`type: if_else` on a step's output",
        pipeline(
            """
            choose:
              type: if_else
              condition: ${{parent.jobs.ask.outputs.big}}
              true_block: ${{parent.jobs.body}}
            ask:
              command: echo
              environment: azureml:any@latest
              outputs: {big: {type: boolean}}
            body:
              command: echo
              environment: azureml:any@latest
            """
        ),
        "refused",
        "A preview on Azure.",
        refuses="jobs.choose.type: The control flow node if_else",
        official=False,
    ),
    Row(
        "do-while",
        "`type: do_while`",
        pipeline(
            """
            again:
              type: do_while
              body: ${{parent.jobs.body}}
              condition: ${{parent.jobs.body.outputs.more}}
              mapping: {}
              limits: {max_iteration_count: 3}
            body:
              type: command
              component: ./count.yml
              inputs: {rows: {type: uri_file, path: ./rows.csv}}
            """
        ),
        "refused",
        "A preview on Azure.",
        refuses="The control flow node do_while",
        official=False,
    ),
)
