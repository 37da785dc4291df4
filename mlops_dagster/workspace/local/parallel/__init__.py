"""A parallel step of an Azure ML pipeline on this machine.

``python -m mlops_dagster.workspace.local.parallel PLAN.json`` is the command that runs one step: it
cuts the step's input into mini batches, keeps worker processes warm, feeds them, and writes what
they return. It exits with 0 when the step succeeded, 1 when it failed, 2 when the plan or its input
is wrong (nothing was run), 143 after SIGTERM; the last line on stderr then says why. No worker
outlives it, however it ends.

PLAN.json is one object. Paths are absolute; a field marked * is required, any other may be left out::

    {
      "code": "/.../code",                  * folder of the code snapshot; on the workers' sys.path
      "entry_script": "score.py",           * a file below it, with run() and, if need be, init(), shutdown()
      "arguments": ["--model", "/..."],     sys.argv[1:] of the entry script: program_arguments, rendered
                                            and split into words. Predefined options among them (below) win
                                            over the fields here, and stay visible to the script
      "input": {                            * what is cut into mini batches
        "path": "/...",                     * the file or folder
        "type": "uri_folder"                uri_folder, uri_file, or mltable (a folder with an MLTable file)
      },
      "mini_batch_size": "10",              files (default 1); for a table approximate bytes: "4096", "100kb"
                                            (default 1mb)
                                            The types of its columns are inferred once, for all of it
      "partition_keys": [],                 cut by the values of these columns instead (of a table), or by
                                            these key=value folders (of files)
      "instance_count": 1,
      "max_concurrency_per_instance": 2,    null (the default): the cores at hand
      "mini_batch_error_threshold": -1,     mini batches that may fail; -1: any number
      "error_threshold": -1,                items that may fail; -1: any number
      "max_retries": 2,                     of a mini batch that raises, times out or kills its worker
      "timeout": 60,                        seconds of one run(); retry_settings.timeout
      "task_overhead_timeout": 600,         seconds to load one mini batch
      "first_task_creation_timeout": 600,   seconds from the start of a worker to the end of its init()
      "progress_update_timeout": null,      seconds in which at least one mini batch must end
      "allowed_failed_percent": 100,        mini batches that may fail, in percent
      "append_row_to": "/.../scores.txt",   takes all that run() returned; a folder that exists takes
                                            parallel_run_step.txt. null (the default): nothing is kept
      "output_folder": "/.../out",          given to the script as AZUREML_BI_OUTPUT_PATH and as
                                            EntryScript().output_dir; null (the default): neither
      "logging_level": "INFO",              of EntryScript().logger: DEBUG, INFO or WARNING
      "python": "/.../bin/python",          the workers' interpreter, 3.8 or newer (default: the driver's own);
                                            it needs pandas where the input is a table, else only the script's needs
      "logs": "/.../logs",                  * where the logs below are written
      "state": "/.../progress",             * where progress and returned rows are kept; a driver started
                                            again with the same folder runs the mini batches that it lacks,
                                            and takes over the rows of the others
      "worker_memory_limit": 2000000000     bytes; a worker that holds more after a mini batch is replaced
                                            (default: its share of the machine's memory)
    }

Predefined options that are read from ``arguments``: ``--error_threshold``,
``--mini_batch_error_threshold``, ``--allowed_failed_percent``, ``--task_overhead_timeout``,
``--progress_update_timeout``, ``--first_task_creation_timeout``.

Files below ``logs``, named as Azure ML names them::

    job_progress_overview.txt                        progress, and at the end the result
    user/stdout/NODE/processNNN.stdout.txt           what a worker printed; user/stderr likewise
    user/entry_script_log/NODE/processNNN.log.txt    what it logged through EntryScript().logger
    user/error.txt, user/error/NODE/processNNN.txt   one line an error, and whole stack traces
    sys/job_report/processed_mini-batches.csv        every try of every mini batch, with its durations

The driver's own stdout has the progress. A driver that is started again runs failed mini batches
again as well. What the script itself wrote to an output is not kept in the state folder: whoever
starts the driver again gives it the same outputs.

Sources: "CLI (v2) parallel job YAML schema" and "Use parallel jobs in pipelines"
(learn.microsoft.com/azure/machine-learning/reference-yaml-job-parallel,
.../how-to-use-parallel-job-in-pipeline), "Troubleshooting the ParallelRunStep"
(.../how-to-debug-parallel-run-step).
"""

from __future__ import annotations

from mlops_dagster.workspace.local.parallel.plan import InputData, Plan, read_plan

__all__ = ["InputData", "Plan", "read_plan"]
