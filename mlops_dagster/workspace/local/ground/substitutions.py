"""What stands in on this machine for what a job names and only Azure has; the YAML stays as it is.

::

    inputs:                      # an address, or the beginning of one: a local file or folder
      https://example.com/data/: ../data
    data:                        # a registered asset: a local path, or a data asset's YAML file
      azureml:rates@latest: rates.csv
    models:                      # the same for models
      azureml://registries/azureml/models/t5-small: models/t5.yml
    components:                  # a registered component: its YAML file
      azureml:train:3: ../components/train.yml
    environments:                # a name, an image: an interpreter, or a file of requirements
      azureml:gpu-training: {python: /opt/envs/training/bin/python}
      mcr.microsoft.com/azureml/curated/sklearn: {requirements: requirements.txt}

A name without a version stands for every version; the most exact entry counts. Relative paths
start from the file.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote

from pydantic import model_validator

from mlops_dagster.aml.base import Value
from mlops_dagster.aml.document import Document, parse_model, read_document
from mlops_dagster.aml.environment import Environment
from mlops_dagster.aml.references import LocalPath, Registered, RegistryAsset, parse_reference
from mlops_dagster.aml.types import MODEL_TYPES
from mlops_dagster.errors import InvalidDocument, InvalidRequest, Problem

Entry = TypeVar("Entry")


@dataclass(frozen=True)
class Software:
    """What an environment stands for here: an interpreter, or a file of requirements."""

    python: Path | None = None
    requirements: Path | None = None


@dataclass(frozen=True)
class Substitutions:
    """What stands in for what; by default nothing does."""

    inputs: Mapping[str, Path] = field(default_factory=dict)
    data: Mapping[str, Path] = field(default_factory=dict)
    models: Mapping[str, Path] = field(default_factory=dict)
    components: Mapping[str, Path] = field(default_factory=dict)
    environments: Mapping[str, Software] = field(default_factory=dict)

    def address(self, text: str, type: str | None = None) -> str:
        """The path or address to read in place of ``text``, which is that where nothing stands in.

        Args:
            type: the input's; where both have an entry it tells a model from data.

        Raises InvalidDocument for a data or model YAML file that is wrong, InvalidRequest for an
        address that climbs out of the folder that stands in for its beginning.
        """
        if isinstance(parse_reference(text), LocalPath):
            return text
        if (below := self._below(text)) is not None:
            return str(below)
        sections = (self.models, self.data) if type in MODEL_TYPES else (self.data, self.models)
        for section in sections:
            for form in _forms(text):
                if form in section:
                    return _content(section[form], model=section is self.models)
        return text

    def component(self, reference: str) -> Path | None:
        """The YAML file of a registered component."""
        return _first(self.components, _forms(reference))

    def environment(self, environment: Environment) -> Software | None:
        """What an environment stands for: by its reference, its own name, or its image.

        The image counts where it is all that the environment says; with a conda file on top, the
        job's Python is not the image's.
        """
        forms: list[str] = []
        if environment.reference:
            forms += _forms(environment.reference)
        if environment.name:
            forms += [f"{environment.name}:{environment.version}"] if environment.version else []
            forms.append(environment.name)
        if environment.image and environment.conda is None:
            forms += _image_forms(environment.image)
        return _first(self.environments, forms)

    def _below(self, text: str) -> Path | None:
        """The path that stands in for an address or, the longest counts, for its beginning."""
        address = text.partition("?")[0]
        for key in sorted(self.inputs, key=len, reverse=True):
            start = key.rstrip("/")
            if text == key or address.rstrip("/") == start:
                return self.inputs[key]
            if address.startswith(f"{start}/"):
                steps = [unquote(step) for step in address.removeprefix(start).split("/") if step]
                if any(step == ".." or "/" in step or "\0" in step for step in steps):
                    raise InvalidRequest(f"{address} climbs out of what stands in for {key}.")
                return self.inputs[key].joinpath(*steps)
        return None


def read_substitutions(*files: Path) -> Substitutions:
    """Read substitutions; where files name the same thing, the first one counts.

    Raises InvalidDocument with every mistake in a file, paths that lead nowhere among them.
    """
    found = [_read(file) for file in files]
    names = Substitutions.__dataclass_fields__
    merged: dict[str, Any] = {
        name: {key: value for each in reversed(found) for key, value in getattr(each, name).items()}
        for name in names
    }
    return Substitutions(**merged)


class _Software(Value):
    python: str | None = None
    requirements: str | None = None

    @model_validator(mode="after")
    def _is_one(self) -> _Software:
        if (self.python is None) == (self.requirements is None):
            message = "Expected either `python:` (an interpreter) or `requirements:` (a file)."
            raise ValueError(message)
        return self


class _File(Value):
    inputs: dict[str, str] = {}
    data: dict[str, str] = {}
    models: dict[str, str] = {}
    components: dict[str, str] = {}
    environments: dict[str, _Software] = {}


def _read(path: Path) -> Substitutions:
    document = read_document(path)
    given = {name: section for name, section in document.data.items() if section is not None}
    file = parse_model(_File, document, given)
    problems: list[Problem] = []
    paths: dict[str, dict[str, Path]] = {
        section: {
            _key(key) if section != "inputs" else key: found
            for key, text in getattr(file, section).items()
            if (found := _existing(document, (section, key), text, problems)) is not None
        }
        for section in ("inputs", "data", "models", "components")
    }
    environments = {
        _key(key): _software(document, key, entry, problems)
        for key, entry in file.environments.items()
    }
    if problems:
        raise InvalidDocument(problems)
    return Substitutions(**paths, environments=environments)


def _software(document: Document, key: str, entry: _Software, problems: list[Problem]) -> Software:
    where = ("environments", key)
    if entry.requirements is not None:
        place = (*where, "requirements")
        return Software(requirements=_existing(document, place, entry.requirements, problems))
    text = entry.python or ""
    command = shutil.which(text) if "/" not in text else None
    if command is not None:
        return Software(python=Path(command))
    python = _existing(document, (*where, "python"), text, problems)
    if python is not None and not (python.is_file() and os.access(python, os.X_OK)):
        remedy = "Name the program itself, such as /opt/env/bin/python."
        problems.append(
            document.problem((*where, "python"), f"{python} is no interpreter.", remedy)
        )
    return Software(python=python)


def _existing(
    document: Document, where: tuple[str, ...], text: str, problems: list[Problem]
) -> Path | None:
    # `..` is folded by name, and a link is left as it is: an interpreter knows itself by its path.
    path = Path(os.path.abspath(document.path.parent / Path(text).expanduser()))  # noqa: PTH100
    if os.path.exists(path):  # noqa: PTH110  # Path.exists raises for an overlong name
        return path
    remedy = f"The path starts from {document.path.name}."
    problems.append(document.problem(where, f"There is no file or folder {path}.", remedy))
    return None


def _content(path: Path, *, model: bool) -> str:
    """Where the content of what stands in lies: the path itself, or what its asset file names."""
    if path.suffix in (".yml", ".yaml") and path.is_file():
        from mlops_dagster.aml import kind_of, load_data, load_model

        try:
            kind = kind_of(path)
        except InvalidDocument:  # data that happens to be YAML, or is called so
            return str(path)
        if kind == ("model" if model else "data"):
            return load_model(path).path if model else load_data(path).path
    return str(path)


def _first(section: Mapping[str, Entry], forms: list[str]) -> Entry | None:
    return next((section[form] for form in forms if form in section), None)


def _key(text: str) -> str:
    """How an entry is known: what ``_forms`` calls the same thing."""
    exact, *general = _forms(text)
    reference = parse_reference(text)
    versioned = getattr(reference, "version", None) or getattr(reference, "label", None)
    return exact if versioned or not general else general[0]


def _forms(text: str) -> list[str]:
    """The names by which a reference may have an entry, the most exact first."""
    match parse_reference(text):
        case Registered(name, version, label):
            return [*_exact(name, version, label, ":", "@"), name]
        case RegistryAsset(registry, kind, name, version, label):
            base = f"azureml://registries/{registry}/{kind}/{name}"
            return [*_exact(base, version, label, "/versions/", "/labels/"), base]
        case _:
            return [text.strip()]


def _exact(
    name: str, version: str | None, label: str | None, versioned: str, labelled: str
) -> Iterator[str]:
    if version is not None:
        yield f"{name}{versioned}{version}"
    else:
        yield f"{name}{labelled}{label or 'latest'}"


def _image_forms(image: str) -> list[str]:
    folder, _, name = image.rpartition("/")
    bare = name.partition("@")[0].partition(":")[0]
    return [image, f"{folder}/{bare}" if folder else bare]
