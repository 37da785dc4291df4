"""Inputs and outputs: types, modes, addresses, registration."""

from __future__ import annotations

from tests.aml.language.row import Result, Row, command, pipeline

_CONTRACT = "tests/workspace/contract/test_jobs.py"
_ADDRESSES = "tests/workspace/local/jobs/test_addresses.py"
_MOUNTED = (
    "A read-only tree of links, of the job's own; nothing is mounted. What was put into a datastore's"
    " folder by hand, and can be written, is read where it lies."
)
_MODES: dict[str, tuple[Result, str]] = {
    "ro_mount": ("differs", _MOUNTED),
    "eval_mount": ("differs", _MOUNTED),
    "download": ("honoured", "A copy of the job's own."),
    "eval_download": ("honoured", "A copy of the job's own."),
    "direct": ("differs", "A path as for `ro_mount`, not a URI."),
}


def _job_reading(entry: str, shows: str) -> str:
    return command(f"command: {shows}\ninputs:\n  it: {entry}")


INPUTS = (
    *(
        Row(
            f"input-{kind}",
            f"literal: {kind}",
            _job_reading(value, "python say.py ${{inputs.it}}\ncode: ./src"),
            says=says,
            logs=f"said {shown}",
        )
        for kind, value, shown, says in (
            ("string", "two words", "two words", ""),
            ("integer", "3", "3", ""),
            ("number", "0.5", "0.5", ""),
            ("boolean", "true", "True", "As Python writes it, as on Azure."),
        )
    ),
    Row(
        "input-uri-file",
        "`uri_file`",
        _job_reading("{type: uri_file, path: ./rows.csv}", "wc -l ${{inputs.it}}"),
        logs="3 ",
    ),
    Row(
        "input-uri-folder",
        "`uri_folder`",
        _job_reading("{type: uri_folder, path: ./folder}", "ls ${{inputs.it}}"),
        logs="a.txt",
    ),
    Row(
        "input-mltable",
        "`mltable`",
        _job_reading("{type: mltable, path: ./folder}", "cat ${{inputs.it}}/MLTable"),
        logs="a.txt",
    ),
    *(
        Row(
            f"input-{kind.replace('_', '-')}",
            f"`{kind}`",
            _job_reading(f"{{type: {kind}, path: ./model}}", "ls ${{inputs.it}}"),
            logs="MLmodel",
        )
        for kind in ("mlflow_model", "custom_model", "triton_model")
    ),
    *(
        Row(
            f"mode-{mode.replace('_', '-')}",
            f"`mode: {mode}`",
            _job_reading(
                f"{{type: uri_file, path: ./rows.csv, mode: {mode}}}", "wc -l ${{inputs.it}}"
            ),
            *_MODES[mode],
            logs="3 ",
        )
        for mode in ("ro_mount", "download", "direct")
    ),
    *(
        Row(
            f"mode-{mode.replace('_', '-')}",
            f"`mode: {mode}`",
            _job_reading(f"{{type: mltable, path: ./folder, mode: {mode}}}", "ls ${{inputs.it}}"),
            *_MODES[mode],
            logs="MLTable",
        )
        for mode in ("eval_mount", "eval_download")
    ),
    Row(
        "path-local",
        "`path`: relative or absolute, on this machine",
        _job_reading("{type: uri_file, path: ../row/rows.csv}", "wc -l ${{inputs.it}}"),
        says="Copied once into the workspace, by content.",
        logs="3 ",
    ),
    Row(
        "path-registered",
        "`path`: `azureml:NAME:VERSION`, `azureml:NAME@latest`",
        _job_reading("{type: uri_file, path: 'azureml:rows:1'}", "wc -l ${{inputs.it}}"),
        logs="3 ",
    ),
    Row(
        "path-datastore",
        "`path`: `azureml://datastores/NAME/paths/PATH`",
        _job_reading(
            "{type: uri_file, path: 'azureml://datastores/workspaceblobstore/paths/put/rows.csv'}",
            "wc -l ${{inputs.it}}",
        ),
        logs="3 ",
    ),
    Row(
        "path-datastore-below",
        "`path`: `azureml://datastores/NAME/paths/PATH/**`",
        _job_reading(
            "{type: uri_folder, path: 'azureml://datastores/workspaceblobstore/paths/put/**'}",
            "ls ${{inputs.it}}",
        ),
        says="The folder; any other pattern is refused.",
        logs="rows.csv",
    ),
    Row(
        "path-https",
        "`path`: `https://...`",
        _job_reading(
            "{type: uri_file, path: 'https://example.org/rows.csv'}", "wc -l ${{inputs.it}}"
        ),
        says="Downloaded, and kept.",
        test=f"{_ADDRESSES}::test_a_file_behind_an_address_is_downloaded_once",
    ),
    Row(
        "path-blob",
        "`path`: `wasbs://`, `abfss://`, a file",
        _job_reading(
            "{type: uri_file, path: 'wasbs://c@a.blob.core.windows.net/rows.csv'}",
            "wc -l ${{inputs.it}}",
        ),
        says="Downloaded without a key, as a public container allows; else put a file in its place.",
        test=f"{_ADDRESSES}::test_a_blob_is_asked_for_at_its_public_address",
    ),
    Row(
        "path-elsewhere",
        "`path`: a folder in a storage account, a registry's",
        _job_reading(
            "{type: uri_folder, path: 'wasbs://c@a.blob.core.windows.net/rows'}",
            "ls ${{inputs.it}}",
        ),
        "refused",
        "Put a local file in its place: `--set inputs.NAME.path=PATH` or `--substitutions FILE`.",
        test=f"{_ADDRESSES}::test_all_that_lies_elsewhere_is_refused_at_once_with_its_lines",
    ),
    Row(
        "path-climbs-out",
        "`path` that leads out of its datastore",
        _job_reading(
            "{type: uri_file, path: 'azureml://datastores/workspaceblobstore/paths/../../x'}",
            "cat ${{inputs.it}}",
        ),
        "refused",
        "It would read or write outside of the workspace.",
        refuses="..",
    ),
    Row(
        "path-job-output",
        "`path`: `azureml:JOB:outputs.NAME`",
        _job_reading("{type: uri_file, path: 'azureml:other:outputs.o'}", "cat ${{inputs.it}}"),
        test=f"{_CONTRACT}::test_the_output_of_one_job_is_the_input_of_another",
    ),
    Row(
        "optional",
        "`optional`, and `$[[...]]` in the command",
        pipeline(
            """
            count:
              component: ./count.yml
              type: command
              inputs: {rows: {type: uri_file, path: ./rows.csv}}
            """
        ),
        logs="counted 3 rows\n",
    ),
    Row(
        "default",
        "`default`, `min`, `max`, `enum`",
        pipeline(
            """
            count:
              component: ./count.yml
              type: command
              inputs: {rows: {type: uri_file, path: ./rows.csv}, limit: 4}
            """
        ),
        logs="counted 3 rows at most 4",
    ),
)


def _job_writing(entry: str, writes: str) -> str:
    return command(f"command: {writes}\noutputs:\n  it: {entry}")


OUTPUTS = (
    Row(
        "output-uri-file",
        "`uri_file`",
        _job_writing("{type: uri_file}", "echo x > ${{outputs.it}} && echo wrote"),
        says="There whole or not at all.",
        logs="wrote",
    ),
    Row(
        "output-uri-folder",
        "`uri_folder`, or no type",
        _job_writing("", "echo x > ${{outputs.it}}/x && echo wrote"),
        logs="wrote",
    ),
    Row(
        "output-mltable",
        "`mltable`",
        _job_writing("{type: mltable}", "echo paths > ${{outputs.it}}/MLTable && echo wrote"),
        logs="wrote",
    ),
    Row(
        "output-artifacts",
        "an output named `artifacts`",
        _job_writing("{type: uri_folder}", "echo x > outputs/x && echo wrote").replace(
            "it:", "artifacts:"
        ),
        says="What the step leaves in `./outputs` and `./logs`.",
        test="tests/workspace/local/running/test_outputs.py"
        "::test_the_output_named_artifacts_is_what_a_step_left_in_outputs_and_logs",
    ),
    Row(
        "output-models",
        "`mlflow_model`, `custom_model`, `triton_model`",
        _job_writing("{type: custom_model}", "echo x > ${{outputs.it}}/x && echo wrote"),
        logs="wrote",
    ),
    Row(
        "output-modes",
        "`mode`: `rw_mount`, `upload`, `direct`",
        _job_writing("{type: uri_file, mode: upload}", "echo x > ${{outputs.it}} && echo wrote"),
        "differs",
        "Written beside its place; when the job has succeeded, its files are added to what lies"
        " there, and replace those of the same names.",
        logs="wrote",
    ),
    Row(
        "output-path",
        "`path`, with `${{name}}` and `${{default_datastore}}`",
        _job_writing(
            "{type: uri_file, path: 'azureml://datastores/${{default_datastore}}/paths/${{name}}/x'}",
            "echo x > ${{outputs.it}} && echo wrote",
        ),
        logs="wrote",
    ),
    Row(
        "output-datastore",
        "`path` in a datastore that nothing declares",
        _job_writing(
            "{type: uri_file, path: 'azureml://datastores/lake/paths/x'}",
            "echo x > ${{outputs.it}} && echo wrote",
        ),
        "differs",
        "With no project at hand it is a folder here; a project declares its datastores.",
        logs="wrote",
    ),
    Row(
        "output-registers",
        "`name`, `version`: the output registers itself",
        _job_writing("{type: uri_file, name: rows}", "echo x > ${{outputs.it}}"),
        test=f"{_CONTRACT}::test_an_output_with_a_name_registers_itself",
    ),
)
