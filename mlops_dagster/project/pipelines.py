"""The pipelines that a project declares, and what feeds each of their inputs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from mlops_dagster.aml import load_job
from mlops_dagster.aml.bound_literals import bound_literal_problems
from mlops_dagster.aml.document import Loc, read_document
from mlops_dagster.aml.graph import PipelineInput, order, upstreams
from mlops_dagster.aml.inputs_outputs import InputValue
from mlops_dagster.aml.job import Job, PipelineComponent
from mlops_dagster.errors import InvalidDocument
from mlops_dagster.project.lineage import latest_asset
from mlops_dagster.project.problems import ProblemCollector
from mlops_dagster.project.project import (
    DataProduct,
    Feed,
    GivenInput,
    Model,
    ModelInput,
    Pipeline,
    ProductInput,
)
from mlops_dagster.project.project_yaml import (
    InputDeclaration,
    PipelineDeclaration,
    ProjectDeclaration,
)

_CONTROL_FLOW = ("if_else", "do_while", "parallel_for")
_FORMAT = re.compile(r"%[A-Za-z]")


def pipeline_jobs(
    declared: ProjectDeclaration, problems: ProblemCollector
) -> Iterator[tuple[str, Job]]:
    """The jobs of the pipelines whose files can be read, by the pipeline's name."""
    for name, pipeline in declared.pipelines.items():
        file = problems.existing_file(("pipelines", name, "file"), pipeline.file)
        if file is None:
            continue
        with problems.collect():
            job = load_job(file)
            kind = job.step.component.type
            if kind != "pipeline":
                message = f"This is a {kind} job; a pipeline is expected."
                remedy = "Make it a step of a pipeline job (type: pipeline, jobs: ...)."
                raise InvalidDocument([read_document(file).problem(("type",), message, remedy)])
            _refuse_control_flow(job)
            yield name, job


def _refuse_control_flow(job: Job) -> None:
    """Branches and loops steer other steps of their pipeline, so they cannot be run alone."""
    component = job.step.component
    if not isinstance(component, PipelineComponent) or job.source is None:
        return
    document = read_document(job.source)
    remedy = "Put it, and the steps that it steers, in a pipeline component: that is one step."
    problems = [
        document.problem(
            ("jobs", name), f"A step of type {step.component.type} cannot be an asset.", remedy
        )
        for name, step in component.jobs.items()
        if step.component.type in _CONTROL_FLOW
    ]
    if problems:
        raise InvalidDocument(problems)


@dataclass(frozen=True)
class PipelineReader:
    """Joins one pipeline's job with what the project declares about it."""

    name: str
    job: Job
    declared: PipelineDeclaration
    products: Mapping[str, DataProduct]
    models: Mapping[str, Model]
    project: ProjectDeclaration
    problems: ProblemCollector

    def pipeline(self) -> Pipeline:
        """The pipeline, with a feed for every input that is given anything."""
        component = self.job.step.component
        assert isinstance(component, PipelineComponent)  # noqa: S101 - pipeline_jobs sees to it
        source = self.job.source or self.problems.document.path
        document = read_document(source)
        found = upstreams(component)
        return Pipeline(
            name=self.name,
            file=source,
            job=self.job,
            upstreams={step: found[step] for step in order(component)},
            feeds=self._feeds(),
            lines={step: document.line(("jobs", step)) for step in component.jobs},
            description=self.declared.description or self.job.description,
            owners=self.declared.owners or self.project.owners,
            partitions=self.declared.partitions,
            automation=self.declared.automation,
        )

    def _feeds(self) -> dict[str, Feed]:
        feeds = {key: self._by_yaml(value) for key, value in self.job.step.inputs.items()}
        accepted = {*self.job.step.inputs, *self.job.step.component.inputs}
        for key, given in self.declared.inputs.items():
            loc: Loc = ("pipelines", self.name, "inputs", key)
            if key not in accepted:
                self.problems.add_unknown(loc, f"The pipeline has no input {key!r}.", key, accepted)
                continue
            feed = self._by_name(loc, given.name) if given.name else self._declared(loc, key, given)
            if feed is not None:
                feeds[key] = feed
        for key, feed in feeds.items():
            if isinstance(feed, ProductInput) and feed.product in self.products:
                self._check_partitions(key, self.products[feed.product])
                self._check_type(key, feed, self.products[feed.product])
            elif isinstance(feed, GivenInput) and key in self.declared.inputs:
                self._check_literal(key, feed)
        return feeds

    def _by_yaml(self, value: InputValue) -> Feed:
        """``azureml:NAME@latest`` of a product or model of this project is that asset."""
        asset = latest_asset(value.path)
        if asset is None:
            return GivenInput(value)
        for product in self.products.values():
            if product.asset == asset:
                return ProductInput(product.name)
        return ModelInput(asset) if asset in self.models else GivenInput(value)

    def _by_name(self, loc: Loc, name: str) -> Feed | None:
        if name in self.project.data_products:
            return ProductInput(name)
        if name in self.project.models:
            return ModelInput(name)
        known = {*self.project.data_products, *self.project.models}
        self.problems.add_unknown(loc, f"There is no data product or model {name!r}.", name, known)
        return None

    def _declared(self, loc: Loc, key: str, given: InputDeclaration) -> Feed | None:
        template = given.value if given.path is None else given.path
        templated = isinstance(template, str) and bool(_FORMAT.search(template))
        if given.path is not None and templated and self.declared.partitions is None:
            message = f"Found {given.path!r}, but the pipeline has no partitions to fill it from."
            remedy = "Add partitions: to the pipeline, or write a fixed path."
            self.problems.add((*loc, "path"), message, remedy)
        if given.product is not None:
            if given.product in self.project.data_products:
                return ProductInput(given.product, given.path)
            message = f"There is no data product {given.product!r}."
            known = self.project.data_products
            self.problems.add_unknown((*loc, "product"), message, given.product, known)
            return None
        if given.model is not None:
            if given.model in self.project.models:
                return ModelInput(given.model)
            message = f"There is no model {given.model!r}."
            self.problems.add_unknown((*loc, "model"), message, given.model, self.project.models)
            return None
        return GivenInput(
            self._literal(key, given), templated and self.declared.partitions is not None
        )

    def _literal(self, key: str, given: InputDeclaration) -> InputValue:
        """The value as the pipeline's own YAML would give it: data by its path."""
        spec = self.job.step.component.inputs.get(key)
        before = self.job.step.inputs.get(key)
        kind = spec.type if spec else before.type if before else None
        is_data = spec.is_data if spec else before is not None and before.path is not None
        if is_data:
            mode = before.mode if before else None
            return InputValue(type=kind, path=str(given.value), mode=mode)
        return InputValue(type=kind, value=given.value)

    def _check_partitions(self, key: str, product: DataProduct) -> None:
        if product.partitions in (None, self.declared.partitions):
            return
        message = f"Input {key!r} reads {product.name!r}, which is made in other partitions."
        self.problems.add(
            ("pipelines", self.name), message, "Give both pipelines the same partitions:."
        )

    def _check_type(self, key: str, feed: ProductInput, product: DataProduct) -> None:
        """A file cannot be read as a folder, nor a folder as a file."""
        for reader, type in self._readers(key):
            if feed.path is not None and product.type == "uri_file":
                message = (
                    f"The data product {product.name!r} is a uri_file; it has no paths below it."
                )
                loc: Loc = ("pipelines", self.name, "inputs", key, "path")
                self.problems.add(loc, message, "Take path: away.")
                return
            if feed.path is None and (type == "uri_file") != (product.type == "uri_file"):
                message = (
                    f"{reader} is declared {type}, and the data product {product.name!r} is a"
                    f" {product.type}."
                )
                self._add_at_input(key, message, "Declare the same type in both places.")
                return

    def _readers(self, key: str) -> Iterator[tuple[str, str]]:
        """The pipeline's input, and the inputs of steps that are bound to it, with their types."""
        component = self.job.step.component
        assert isinstance(component, PipelineComponent)  # noqa: S101 - pipeline_jobs sees to it
        if key in component.inputs:
            yield f"The input {key!r}", component.inputs[key].type
        for step, sources in upstreams(component).items():
            for name, source in sources.items():
                spec = component.jobs[step].component.inputs.get(name)
                if source == PipelineInput(key) and spec is not None:
                    yield f"The input {name!r} of step {step!r}", spec.type

    def _check_literal(self, key: str, feed: GivenInput) -> None:
        """A literal fits every input of a step that it reaches."""
        if feed.templated:
            return
        inputs = {**self.job.step.inputs, key: feed.value}
        step = self.job.step.model_copy(update={"inputs": inputs})
        for problem in bound_literal_problems(self.job.model_copy(update={"step": step})):
            message = f"At {problem.field} of {problem.file.name}: {problem.message}"
            self._add_at_input(key, message, problem.remedy)

    def _add_at_input(self, key: str, message: str, remedy: str) -> None:
        """Add a mistake where the input is given: in project.yaml, or in the pipeline's file."""
        if key in self.declared.inputs or self.job.source is None:
            self.problems.add(("pipelines", self.name, "inputs", key), message, remedy)
            return
        document = read_document(self.job.source)
        self.problems.problems.append(document.problem(("inputs", key), message, remedy))
