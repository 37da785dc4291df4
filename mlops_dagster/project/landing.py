"""``landing:`` of ``project.yaml``, joined with the pipeline that scores what lands."""

from __future__ import annotations

from collections.abc import Mapping

from mlops_dagster.aml.document import Loc, parse_model, read_document
from mlops_dagster.project.landing_yaml import LandingDeclaration, PlaceDeclaration
from mlops_dagster.project.problems import ProblemCollector
from mlops_dagster.project.project import (
    DataProduct,
    GivenInput,
    Landing,
    LandingPlace,
    Origin,
    Pipeline,
    ProductInput,
)


def read_landing(
    declared: LandingDeclaration,
    pipelines: Mapping[str, Pipeline],
    products: Mapping[str, DataProduct],
    origins: Mapping[str, Mapping[str, Origin]],
    owners: tuple[str, ...],
    problems: ProblemCollector,
    line: int,
) -> Landing | None:
    """Join the declaration with its pipeline; None, and mistakes, where they do not fit."""
    loc: Loc = ("landing",)
    pipeline = pipelines.get(declared.pipeline)
    if pipeline is None:
        # The problems of a pipeline that is declared and cannot be read are collected already.
        if declared.pipeline not in problems.document.data.get("pipelines", {}):
            message = f"There is no pipeline {declared.pipeline!r}."
            problems.add_unknown((*loc, "pipeline"), message, declared.pipeline, pipelines)
        return None
    _check_pipeline(declared, pipeline, products, origins, problems)
    reference = _reference(declared, origins, problems)
    example = None
    if declared.example is not None:
        example = problems.existing_file((*loc, "example"), declared.example)
    return Landing(
        declared=declared,
        places=_places(declared, problems),
        pipeline=pipeline,
        reference=reference,
        example=example,
        owners=declared.owners or pipeline.owners or owners,
        line=line,
    )


def _places(declared: LandingDeclaration, problems: ProblemCollector) -> dict[str, LandingPlace]:
    """Where the landing is in each workspace: as ``.cloud/<workspace>/landing.yml`` says, or not."""
    usual = LandingPlace(declared.source, declared.tables, declared.journal)
    places = {"local": usual}
    for folder in sorted((problems.document.path.parent / ".cloud").glob("*/")):
        file = folder / "landing.yml"
        places.setdefault(folder.name, usual)
        if file.is_file():
            with problems.collect():
                document = read_document(file)
                given = parse_model(PlaceDeclaration, document, document.data)
                places[folder.name] = LandingPlace(
                    given.source or usual.source,
                    given.tables or usual.tables,
                    given.journal or usual.journal,
                )
    return places


def _check_pipeline(
    declared: LandingDeclaration,
    pipeline: Pipeline,
    products: Mapping[str, DataProduct],
    origins: Mapping[str, Mapping[str, Origin]],
    problems: ProblemCollector,
) -> None:
    """A batch is no partition: only its own input may differ from one run to the next."""
    loc: Loc = ("landing", "pipeline")
    accepted = {*pipeline.job.step.inputs, *pipeline.component.inputs}
    if declared.input not in accepted:
        message = f"The pipeline {pipeline.name!r} has no input {declared.input!r}."
        where: Loc = ("landing", "input") if "input" in declared.model_fields_set else loc
        problems.add_unknown(where, message, declared.input, accepted)
    if "scores" not in origins.get(pipeline.name, {}):
        message = f"The pipeline {pipeline.name!r} has no output 'scores'."
        remedy = "Name its output scores; and rejected, where it sets rows aside."
        problems.add(loc, message, remedy)
    for name, feed in pipeline.feeds.items():
        product = products.get(feed.product) if isinstance(feed, ProductInput) else None
        is_dated = isinstance(feed, GivenInput) and feed.templated
        is_part = isinstance(feed, ProductInput) and feed.path is not None
        if name == declared.input:
            continue
        if is_dated or is_part or (product is not None and product.partitions is not None):
            message = f"Its input {name!r} is filled from a partition, and a batch has none."
            problems.add(loc, message, "Give the landing a pipeline without partitions there.")


def _reference(
    declared: LandingDeclaration,
    origins: Mapping[str, Mapping[str, Origin]],
    problems: ProblemCollector,
) -> Origin | None:
    if declared.drift is None:
        return None
    output = declared.drift.reference.partition("/")[0]
    pipeline, _, name = output.partition(".")
    found = origins.get(pipeline, {}).get(name)
    if found is None:
        every = [f"{one}.{each}" for one, made in origins.items() for each in made]
        message = f"There is no pipeline output {output!r}."
        problems.add_unknown(("landing", "drift", "reference"), message, output, every)
    return found
