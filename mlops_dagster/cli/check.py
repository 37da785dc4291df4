"""`mlops check`: every mistake in Azure ML YAML and project.yaml, before anything runs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mlops_dagster.cli.command import show
from mlops_dagster.cli.output import note, visible
from mlops_dagster.cli.session import session
from mlops_dagster.errors import InvalidDocument, InvalidRequest, NotFound, Problem
from mlops_dagster.home import PROJECT_FILE, ROOT_FILE, find_home, find_project, find_projects

if TYPE_CHECKING:
    from mlops_dagster.aml import Job, Schedule

# Folders that hold what others wrote, what a machine made, or what is wrong on purpose.
_LEFT_OUT = frozenset(
    {".git", ".mlops", ".venv", "venv", "node_modules", "__pycache__", ".tox", "tests"}
)
_SUFFIXES = (".yml", ".yaml")

# What tells an Azure ML file that names no $schema from the YAML of other tools.
_JOBS = {"command", "pipeline", "sweep", "parallel", "spark", "automl", "import", "finetuning"}
_COMPUTE = {"amlcompute", "computeinstance", "synapsespark", "virtualmachine", "kubernetes"}
_TYPE = re.compile(r"^type:\s*[\"']?(\w+)", re.MULTILINE)
_SHAPES = ({"trial", "search_space"}, {"create_job", "trigger"}, {"command", "environment"})


def check(
    context: typer.Context,
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="PATH...",
            help="Files and folders; by default the current folder, or in the repository's root "
            "the projects of workspace.yaml.",
            show_default=False,
        ),
    ] = None,
    official: Annotated[
        bool,
        typer.Option("--official", help="Ask Azure ML's own loader as well (needs azure-ai-ml)."),
    ] = False,
) -> None:
    """Check Azure ML YAML and project.yaml.

    Every mistake below the paths is printed with its file and line, and so is every place that
    the workspace cannot run; the exit status is then 2. Folders named tests are left out unless
    they are named themselves.
    """
    from mlops_dagster.workspace import workspace_names

    files = list(_files(paths or _places()))
    problems = [problem for file in files for problem in _problems(file)]
    problems += _similar_schedule_names(files, problems)
    chosen = session(context).chosen
    if chosen in workspace_names():
        problems += _unsupported_problems(files, problems, chosen)
        problems += _problems_of_schedules(files, chosen)
    if official:
        problems += _problems_of_official_loader(files, problems)
    problems = list(dict.fromkeys(sorted(problems)))

    def table() -> None:
        for problem in problems:
            print(visible(str(problem), lines=True))
        for warning in _warnings(files, problems):
            note(f"Warning: {visible(str(warning), lines=True)}")
        note(_summary(files, problems))

    show(context, problems, table)
    if problems:
        raise typer.Exit(2)


def _places() -> list[Path]:
    """The current folder; in a repository's root the projects that its workspace.yaml lists."""
    here = Path.cwd()
    if not (here / ROOT_FILE).is_file() or not (projects := find_projects()):
        return [Path()]
    return [project.relative_to(here) for project in projects if project.is_relative_to(here)]


def _files(paths: list[Path]) -> Iterator[Path]:
    """The files that were named, and those in folders that are Azure ML's or a project's."""
    for path in paths:
        if not path.exists():
            raise NotFound("file or folder", str(path), remedy="Check the path.")
        if path.is_file():
            yield path
            continue
        for file in _walk(path):
            if file.name == PROJECT_FILE or _is_azure_ml(file):
                yield file


def _walk(folder: Path) -> Iterator[Path]:
    for item in sorted(folder.iterdir()):
        if item.is_dir():
            if item.name not in _LEFT_OUT and not item.is_symlink():
                yield from _walk(item)
        elif item.suffix in _SUFFIXES:
            yield item


def _is_azure_ml(file: Path) -> bool:
    from mlops_dagster.aml.document import read_document

    try:
        data = read_document(file).data
    except InvalidDocument:
        # Templates of other tools are not YAML either; only a file that says so is Azure ML's.
        return _says_so(file)
    # Also http://azureml/sdk-2-0/..., which parallel components and imports have.
    if "azureml" in str(data.get("$schema", "")):
        return True
    if "$schema" in data:
        return False
    type_name = str(data.get("type")).lower()
    return type_name in _types() or any(shape <= data.keys() for shape in _SHAPES)


def _types() -> set[str]:
    """The values of ``type`` in a file of Azure ML."""
    from mlops_dagster.aml.types import PATH_TYPES

    return _JOBS | {*PATH_TYPES} | _COMPUTE | {"data_transfer"}


def _says_so(file: Path) -> bool:
    """Whether the text of a file that is no valid YAML names Azure ML's schema or a type of it."""
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return "azuremlschemas" in text or any(found in _types() for found in _TYPE.findall(text))


def _problems(file: Path) -> list[Problem]:
    try:
        if file.name == PROJECT_FILE:
            from mlops_dagster.project import read_project

            read_project(file.parent)
            return []
        from mlops_dagster.aml import check as problems_of

        return problems_of(file)
    except InvalidDocument as error:
        return list(error.problems)


def _problems_of_schedules(files: list[Path], chosen: str) -> list[Problem]:
    """Why schedules of the projects at hand are missing in Dagster, those kept in the state too."""
    from mlops_dagster.aml import load_schedules
    from mlops_dagster.workspace import connect, workspace_type

    if workspace_type(chosen).runs_schedules:
        return []
    problems: list[Problem] = []
    for file in files:
        if file.name != PROJECT_FILE:
            continue
        folder = file.absolute().parent
        if not find_home(folder).is_dir():
            problems += load_schedules(folder / ".cloud" / chosen / "schedules")[1]
            continue
        workspace = connect(chosen, project=folder)
        try:
            problems += workspace.schedules.problems()
        finally:
            workspace.close()
    return problems


def _similar_schedule_names(files: list[Path], problems: list[Problem]) -> list[Problem]:
    """Schedules of one project whose names differ only in characters like ``-`` and ``_``."""
    from mlops_dagster.aml import kind_of, load_schedule
    from mlops_dagster.aml.load import same_name_problem
    from mlops_dagster.aml.names import identifier

    wrong = {problem.file.absolute() for problem in problems}
    seen: dict[tuple[Path | None, str], Schedule] = {}
    found: list[Problem] = []
    for file in files:
        if file.name == PROJECT_FILE or file.absolute() in wrong or kind_of(file) != "schedule":
            continue
        schedule = load_schedule(file)
        key = (find_project(file.absolute().parent), identifier(schedule.name))
        other = seen.setdefault(key, schedule)
        if other.name != schedule.name:
            found.append(same_name_problem(schedule, other))
    return found


def _unsupported_problems(files: list[Path], problems: list[Problem], chosen: str) -> list[Problem]:
    """What the workspace cannot run, of the jobs, components and schedules without a mistake."""
    from mlops_dagster.aml import kind_of, load_component, load_job, load_schedule
    from mlops_dagster.workspace import workspace_type

    wrong = {problem.file.absolute() for problem in problems}
    found: list[Problem] = []
    for file in files:
        if file.name == PROJECT_FILE or file.absolute() in wrong:
            continue
        match kind_of(file):
            case "job":
                found += _job_problems(load_job(file), file, chosen)
            case "component":
                found += workspace_type(chosen).unsupported_problems(load_component(file))
            case "schedule" if (job := load_schedule(file).job) is not None:
                found += _job_problems(job, file, chosen)
            case _:
                pass
    return found


def _job_problems(job: Job, file: Path, chosen: str) -> list[Problem]:
    from mlops_dagster.project.compute import undeclared_compute
    from mlops_dagster.workspace import workspace_type

    project = find_project(file.absolute().parent)
    undeclared = [] if project is None else list(undeclared_compute(job, project, chosen))
    return [*workspace_type(chosen).unsupported_problems(job), *undeclared]


def _warnings(files: list[Path], problems: list[Problem]) -> list[Problem]:
    """What Azure ML's own tools pass over in the jobs in which nothing is wrong."""
    from mlops_dagster.aml import kind_of, load_job

    wrong = {problem.file.absolute() for problem in problems}
    found: dict[Problem, None] = {}
    for file in files:
        if file.name != PROJECT_FILE and file.absolute() not in wrong and kind_of(file) == "job":
            found |= dict.fromkeys(load_job(file).warnings)
    return list(found)


def _summary(files: list[Path], problems: list[Problem]) -> str:
    looked_at = f"{len(files)} file{'' if len(files) == 1 else 's'} checked"
    if not files:
        return "There is no Azure ML YAML here."
    unread = _unread(files, {problem.file.absolute() for problem in problems})
    if unread:
        looked_at += (
            f" ({', '.join(file.name for file in unread)} only as YAML: --official says more)"
        )
    if not problems:
        return f"{looked_at}: no mistake found."
    wrong = len({problem.file for problem in problems})
    mistakes = f"{len(problems)} mistake{'' if len(problems) == 1 else 's'}"
    return f"{looked_at}: {mistakes} in {wrong} file{'' if wrong == 1 else 's'}."


def _unread(files: list[Path], wrong: set[Path]) -> list[Path]:
    """Endpoints, deployments, datastores and the like, whose fields nothing here reads."""
    from mlops_dagster.aml import kind_of

    return [
        file
        for file in files
        if file.name != PROJECT_FILE and file.absolute() not in wrong and kind_of(file) == "other"
    ]


def _problems_of_official_loader(files: list[Path], ours: list[Problem]) -> list[Problem]:
    """What Azure ML's own loader says of the files in which nothing was found before."""
    from mlops_dagster.cli.official import is_installed, official_problems

    if not is_installed():
        raise InvalidRequest(
            "Azure ML's own loader is not installed.",
            remedy="Install it: pip install 'mlops_dagster[azure]'",
        )
    wrong = {problem.file.absolute() for problem in ours}
    return [
        problem
        for file in files
        if file.name != PROJECT_FILE and file.absolute() not in wrong
        for problem in official_problems(file)
    ]
