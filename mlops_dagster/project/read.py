"""From a project's folder to a Project, or to every mistake in it at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from mlops_dagster.aml import load_data
from mlops_dagster.aml.document import Document, Loc, parse_model, read_document
from mlops_dagster.aml.names import identifier
from mlops_dagster.errors import InvalidDocument, Problem, suggest
from mlops_dagster.project.landing import read_landing
from mlops_dagster.project.lineage import cycle, outputs
from mlops_dagster.project.pipelines import PipelineReader, pipeline_jobs
from mlops_dagster.project.problems import ProblemCollector
from mlops_dagster.project.project import (
    DataProduct,
    Landing,
    Model,
    Origin,
    Pipeline,
    Project,
    RunnableJob,
    TableSchema,
)
from mlops_dagster.project.project_yaml import (
    DataProductDeclaration,
    ModelDeclaration,
    ProjectDeclaration,
)
from mlops_dagster.project.schema import read_table_schema

FILE_NAME = "project.yaml"

Origins = Mapping[str, Mapping[str, Origin]]


def read_project(folder: Path) -> Project:
    """Read ``project.yaml`` in ``folder`` and the Azure ML YAML that it points at.

    Raises InvalidDocument with the mistakes of all these files, where there are any.
    """
    file = folder.absolute() / FILE_NAME
    if folder.is_dir() and not file.exists():
        message = f"The folder {file.parent.name!r} holds no project: it has no {FILE_NAME}."
        remedy = "Write one with at least a name (name: my_project), or check the path."
        raise InvalidDocument([Problem(file, 0, "", message, remedy)])
    document = read_document(file)
    # `pipelines:` with nothing below it is an empty section, as people leave them.
    data = {key: value for key, value in document.data.items() if value is not None}
    problems = ProblemCollector(document)
    project = _ProjectReader(
        parse_model(ProjectDeclaration, document, data), document, problems
    ).project()
    if problems.problems:
        raise InvalidDocument(problems.problems)
    return project


@dataclass(frozen=True)
class _ProjectReader:
    """One reading of a project; mistakes gather while it goes on."""

    declared: ProjectDeclaration
    document: Document
    problems: ProblemCollector

    def project(self) -> Project:
        declared = self.declared
        loaded = dict(pipeline_jobs(declared, self.problems))
        origins = {name: outputs(name, job) for name, job in loaded.items()}
        products = dict(self._products(origins))
        models = dict(self._models(origins))
        pipelines = {
            name: PipelineReader(
                name, job, declared.pipelines[name], products, models, declared, self.problems
            ).pipeline()
            for name, job in loaded.items()
        }
        self._check_names()
        self._check_cycle(pipelines, products, models)
        return Project(
            folder=self.document.path.parent,
            name=declared.name,
            description=declared.description,
            owners=declared.owners,
            products=products,
            pipelines=pipelines,
            models=models,
            jobs=self._jobs(),
            landing=self._landing(pipelines, products, origins),
        )

    def _landing(
        self,
        pipelines: Mapping[str, Pipeline],
        products: Mapping[str, DataProduct],
        origins: Origins,
    ) -> Landing | None:
        declared = self.declared.landing
        if declared is None:
            return None
        self._check_landing_names()
        line = self.document.line(("landing",))
        owners = self.declared.owners
        return read_landing(declared, pipelines, products, origins, owners, self.problems, line)

    def _check_landing_names(self) -> None:
        """`landing` is its group of assets; its jobs, and every pipeline's, share one namespace."""
        reserved = [("data_products", n) for n in self.declared.data_products if n == "landing"]
        for section, names in (
            ("pipelines", self.declared.pipelines),
            ("jobs", self.declared.jobs),
        ):
            reserved += [(section, n) for n in names if n == "landing" or n.startswith("landing_")]
        for section, name in reserved:
            message = f"{name!r} is the name of a part of the landing."
            remedy = "Choose a name that does not begin with landing."
            self.problems.add((section, name), message, remedy)

    def _products(self, origins: Origins) -> Iterator[tuple[str, DataProduct]]:
        for name, declared in self.declared.data_products.items():
            schema = self._schema(("data_products", name), declared)
            product = self._product(name, declared, schema, origins)
            if product is not None:
                yield name, product

    def _schema(self, loc: Loc, declared: DataProductDeclaration) -> TableSchema | None:
        if declared.schema_file is None:
            return None
        file = self.problems.existing_file((*loc, "schema"), declared.schema_file)
        schemas = []
        if file is not None:
            with self.problems.collect():
                schemas.append(read_table_schema(file))
        for schema in schemas:
            known = [column.name for column in schema.columns]
            for column in declared.nulls:
                if column not in known:
                    message = f"The schema has no column {column!r}."
                    self.problems.add_unknown((*loc, "nulls", column), message, column, known)
        return schemas[0] if schemas else None

    def _product(
        self,
        name: str,
        declared: DataProductDeclaration,
        schema: TableSchema | None,
        origins: Origins,
    ) -> DataProduct | None:
        loc: Loc = ("data_products", name)
        origin = provided = None
        kind, asset, description = "uri_folder", name, ""
        if declared.data is not None:
            provided = self.problems.existing_file((*loc, "data"), declared.data)
            if provided is None:
                return None
            with self.problems.collect():
                data = load_data(provided)
                kind, asset, description = data.type, data.name or name, data.description
        else:
            remedy = "Or name an Azure ML data YAML with data: data/NAME.yml."
            origin = self._origin(loc, name, declared.source, origins, remedy)
            if origin is None:
                return None
            kind, asset = origin.type, origin.asset or name
        return DataProduct(
            name=name,
            origin=origin,
            provided=provided,
            type=kind,
            asset=asset,
            line=self.document.line(loc),
            schema=schema,
            description=declared.description or description,
            owners=declared.owners or self.declared.owners,
            kinds=declared.kinds,
            rows=declared.rows,
            nulls=declared.nulls,
            fresh_within=declared.fresh_within,
            partitions=self.declared.pipelines[origin.pipeline].partitions if origin else None,
            automation=declared.automation,
        )

    def _models(self, origins: Origins) -> Iterator[tuple[str, Model]]:
        for name, declared in self.declared.models.items():
            loc: Loc = ("models", name)
            origin = self._origin(loc, name, declared.source, origins)
            if origin is not None and self._registers(loc, name, declared, origin):
                yield (
                    name,
                    Model(
                        name=name,
                        origin=origin,
                        metric=declared.metric,
                        maximize=declared.goal == "maximize",
                        bound=declared.bound,
                        baseline=declared.baseline,
                        tolerance=declared.tolerance,
                        line=self.document.line(loc),
                        description=declared.description,
                        owners=declared.owners or self.declared.owners,
                        automation=declared.automation,
                    ),
                )

    def _registers(self, loc: Loc, name: str, declared: ModelDeclaration, origin: Origin) -> bool:
        """Whether the output that ``from`` names registers itself as the model."""
        if self.declared.pipelines[origin.pipeline].partitions is not None:
            message = f"{origin.pipeline!r}, which makes it, has partitions; a model has none."
            self.problems.add(loc, message, "Train it in a pipeline without partitions:.")
            return False
        if origin.asset == name:
            return True
        found = f"registers itself as {origin.asset!r}" if origin.asset else "does not register"
        message = f"The output {declared.source} {found}."
        self.problems.add((*loc, "from"), message, f"Write name: {name} at it in the pipeline.")
        return False

    def _origin(
        self, loc: Loc, name: str, source: str | None, origins: Origins, remedy: str = ""
    ) -> Origin | None:
        """The output that ``from`` names, or the one that a pipeline registers as ``name``."""
        unread = set(self.declared.pipelines) - set(origins)  # their problems are collected already
        if source is not None:
            pipeline, _, output = source.partition(".")
            if pipeline not in unread and output not in origins.get(pipeline, {}):
                every = [f"{one}.{each}" for one, made in origins.items() for each in made]
                message = f"There is no pipeline output {source!r}."
                self.problems.add_unknown((*loc, "from"), message, source, every)
            return origins.get(pipeline, {}).get(output)
        made = [each for each in _all_origins(origins) if each.asset == name]
        if len(made) > 1:
            places = " and ".join(f"{each.pipeline}/{each.step}" for each in made)
            message = f"{places} both register {name!r}."
            self.problems.add(loc, message, "Say which one with from: PIPELINE.OUTPUT.")
        elif not made and not unread:
            near = suggest(name, {each.asset for each in _all_origins(origins) if each.asset})
            how = near or f"Write name: {name} at the output, or from: PIPELINE.OUTPUT here."
            message = f"No pipeline registers an output as {name!r}."
            self.problems.add(loc, message, f"{how} {remedy}".strip())
        return made[0] if len(made) == 1 else None

    def _jobs(self) -> dict[str, RunnableJob]:
        pipelines = self.declared.pipelines
        jobs = {
            name: RunnableJob(name, (name,), description=declared.description)
            for name, declared in pipelines.items()
        }
        for name, job in self.declared.jobs.items():
            loc: Loc = ("jobs", name)
            for position, pipeline in enumerate(job.pipelines):
                if pipeline not in pipelines:
                    where = (*loc, "pipelines", position)
                    message = f"There is no pipeline {pipeline!r}."
                    self.problems.add_unknown(where, message, pipeline, pipelines)
            if name in jobs and job.pipelines != (name,):
                message = f"{name!r} is a pipeline, and its own job has this name."
                self.problems.add(loc, message, "Choose another name.")
            used = [pipelines[each].partitions for each in job.pipelines if each in pipelines]
            windows = [each for each in used if each is not None]
            if any(each != windows[0] for each in windows):
                message = "These pipelines have different partitions; one run cannot cover both."
                self.problems.add((*loc, "pipelines"), message, "Make a job for each.")
            jobs[name] = RunnableJob(name, job.pipelines, job.cron, job.timezone, job.description)
        return jobs

    def _check_names(self) -> None:
        """Refuse names that would become one asset, or one op, in Dagster."""
        seen: dict[str, str] = {}
        for section in ("data_products", "models"):
            for name in getattr(self.declared, section):
                plain = identifier(name)
                if plain in seen:
                    message = f"{name!r} and {seen[plain]!r} are too alike to be told apart."
                    self.problems.add((section, name), message, "Rename one of them.")
                seen[plain] = name
        if "models" in self.declared.pipelines:
            message = "'models' is where the models' own assets are."
            self.problems.add(("pipelines", "models"), message, "Choose another name.")

    def _check_cycle(
        self,
        pipelines: Mapping[str, Pipeline],
        products: Mapping[str, DataProduct],
        models: Mapping[str, Model],
    ) -> None:
        trail = cycle(pipelines, products, models)
        if trail:
            circle = " needs ".join("/".join(node) for node in trail)
            pipeline = next(node[0] for node in trail if node[0] in pipelines)
            remedy = "Take one of these from outside: inputs: {NAME: {value: 'azureml:NAME:1'}}."
            self.problems.add(("pipelines", pipeline), f"A circle: {circle}.", remedy)


def _all_origins(origins: Origins) -> Iterator[Origin]:
    for made in origins.values():
        yield from made.values()
