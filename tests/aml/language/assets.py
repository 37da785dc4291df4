"""What is registered rather than run: components, data, models, environments, compute, schedules."""

from __future__ import annotations

from tests.aml.language.row import Row

COMPONENTS = (
    Row(
        "component-command",
        "command component",
        """
        type: command
        name: greet
        version: "1"
        display_name: Greet
        description: Says hello.
        is_deterministic: false
        tags: {team: a}
        inputs: {who: {type: string, default: world}}
        outputs: {said: {type: uri_file}}
        command: echo hello ${{inputs.who}} > ${{outputs.said}}
        environment: azureml:any@latest
        """,
        kind="component",
        loads={"name": "greet", "is_deterministic": False},
    ),
    Row(
        "component-pipeline",
        "pipeline component",
        """
        type: pipeline
        name: outer
        inputs: {rows: {type: uri_file}}
        jobs:
          count:
            type: command
            component: ./count.yml
            inputs: {rows: "${{parent.inputs.rows}}"}
        """,
        kind="component",
        loads={"type": "pipeline", "jobs.count.component.version": "2"},
    ),
    Row(
        "component-parallel",
        "parallel component",
        """
        type: parallel
        name: score
        inputs: {files: {type: uri_folder}}
        outputs: {rows: {type: uri_file}}
        input_data: ${{inputs.files}}
        mini_batch_size: "10"
        task:
          type: run_function
          code: ./src
          entry_script: score.py
          environment: azureml:any@latest
          append_row_to: ${{outputs.rows}}
        """,
        kind="component",
        loads={"type": "parallel", "mini_batch_size": "10"},
    ),
)

ASSETS = (
    *(
        Row(
            f"data-{kind.replace('_', '-')}",
            f"data asset: `{kind}`",
            f"name: flights\nversion: '1'\ntype: {kind}\npath: {path}\n",
            kind="data",
            loads={"name": "flights", "type": kind},
        )
        for kind, path in (
            ("uri_file", "./rows.csv"),
            ("uri_folder", "./folder"),
            ("mltable", "./folder"),
        )
    ),
    *(
        Row(
            f"model-{kind.replace('_', '-')}",
            f"model: `{kind}`",
            f"name: delays\nversion: '1'\ntype: {kind}\npath: ./model\n",
            kind="model",
            loads={"name": "delays", "type": kind},
        )
        for kind in ("mlflow_model", "custom_model", "triton_model")
    ),
    Row(
        "environment-asset",
        "environment",
        "name: steps\nversion: '1'\nimage: python:3.11\nconda_file: ./conda.yml\n",
        kind="environment",
        loads={"name": "steps", "image": "python:3.11"},
    ),
    Row(
        "compute-amlcompute",
        "compute: `amlcompute`",
        """
        name: cpu
        type: amlcompute
        size: Standard_DS3_v2
        min_instances: 0
        max_instances: 2
        idle_time_before_scale_down: 120
        """,
        "differs",
        "`max_instances` is how many single-node jobs run at once; the rest is for who provisions it.",
        kind="compute",
        loads={"max_instances": 2},
    ),
    *(
        Row(
            f"compute-{kind}",
            f"compute: `{kind}`",
            f"name: it\ntype: {kind}\n{rest}",
            "differs",
            "One node of this machine.",
            kind="compute",
            loads={"max_instances": 1},
        )
        for kind, rest in (
            ("computeinstance", "size: Standard_DS3_v2\n"),
            ("kubernetes", "namespace: default\nresource_id: /subscriptions/s/resourceGroups/g\n"),
        )
    ),
)


def _schedule(trigger: str, job: str = "./pipeline.yml") -> str:
    return f"name: nightly\ntrigger: {{{trigger}}}\ncreate_job: {job}\n"


_TICK = "Carried out by Dagster while `mlops ui` runs, with the code as it is at that time."

SCHEDULES = (
    Row(
        "schedule-cron",
        "`trigger.type: cron`: `expression`, `start_time`, `end_time`, `time_zone`",
        _schedule(
            "type: cron, expression: '0 3 * * *', start_time: '2026-01-01T03:00:00',"
            " time_zone: W. Europe Standard Time"
        ),
        "differs",
        f"{_TICK} Days and months of the expression count; Azure ignores them. An expression"
        " without any date is refused.",
        kind="schedule",
        test="tests/workspace/contract/test_schedules.py::test_the_job_of_one_moment_runs_once",
    ),
    Row(
        "schedule-recurrence",
        "`trigger.type: recurrence`: `frequency`, `interval`, `schedule`",
        _schedule(
            "type: recurrence, frequency: week, interval: 2,"
            " schedule: {hours: [4], minutes: [30], week_days: [monday]}"
        ),
        "differs",
        f"{_TICK} Minutes and hours are counted as they pass, days, weeks and months by the clock"
        " and calendar of `time_zone`. What of `hours`, `minutes`, `week_days` and `month_days` adds"
        " times to a frequency, and what restricts them, follows RFC 5545.",
        kind="schedule",
        test="tests/aml/test_timing.py"
        "::test_days_weeks_and_months_follow_the_calendar_and_clock_of_the_zone",
    ),
    Row(
        "schedule-start",
        "`trigger.start_time`, `end_time`",
        _schedule(
            "type: recurrence, frequency: hour, interval: 6, start_time: '2026-01-01T03:00:00',"
            " end_time: '2027-01-01T00:00:00', time_zone: W. Europe Standard Time"
        ),
        "differs",
        "A recurrence without a start counts from when it was created, one that the project declares"
        " from 1 January 2024. Azure then runs the job once at the creation, too.",
        kind="schedule",
        test="tests/aml/test_timing.py::test_nothing_is_due_before_the_start_and_after_the_end",
    ),
    Row(
        "schedule-disabled",
        "`is_enabled: false`",
        _schedule("type: cron, expression: '0 3 * * *'") + "is_enabled: false\n",
        kind="schedule",
        loads={"is_enabled": False},
        official=False,
    ),
    Row(
        "schedule-job-changed",
        "`create_job` with `job: FILE` and what it sets anew",
        """
        name: nightly
        trigger: {type: cron, expression: "0 3 * * *"}
        create_job:
          type: pipeline
          job: ./pipeline.yml
          tags: {by: schedule}
        """,
        kind="schedule",
        loads={"job.tags": {"by": "schedule"}},
    ),
    Row(
        "schedule-trigger-time",
        "`${{creation_context.trigger_time}}` (or `create_context`) and `${{name}}` in what the job is"
        " given",
        """
        name: nightly
        trigger: {type: cron, expression: "0 3 * * *"}
        create_job:
          type: pipeline
          job: ./told.yml
          inputs: {when: "${{creation_context.trigger_time}}"}
        """,
        says="In UTC, as `2026-01-31T03:00:00Z`.",
        kind="schedule",
        test="tests/workspace/contract/test_schedules.py"
        "::test_a_job_is_told_its_time_and_its_name_and_keeps_its_own_tags",
    ),
    Row(
        "schedule-job-registered",
        "`create_job: azureml:NAME`",
        _schedule("type: cron, expression: '0 3 * * *'", "azureml:train:1"),
        "refused",
        "Name the job's file.",
        kind="schedule",
        test="tests/workspace/contract/test_schedules.py"
        "::test_a_job_by_its_name_is_refused_with_what_to_write",
    ),
)
