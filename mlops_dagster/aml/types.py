"""The types of inputs, outputs and assets, by Azure ML's names.

Apart from the models that use them: the process that runs jobs loads no pydantic. Source:
learn.microsoft.com/azure/machine-learning/reference-yaml-job-command
"""

from __future__ import annotations

from typing import Literal, get_args

DataType = Literal["uri_file", "uri_folder", "mltable"]
ModelType = Literal["mlflow_model", "custom_model", "triton_model"]
LiteralType = Literal["string", "number", "integer", "boolean"]
InputType = DataType | ModelType | LiteralType

DATA_TYPES: tuple[DataType, ...] = get_args(DataType)
MODEL_TYPES: tuple[ModelType, ...] = get_args(ModelType)
LITERAL_TYPES: tuple[LiteralType, ...] = get_args(LiteralType)
PATH_TYPES: tuple[DataType | ModelType, ...] = (*DATA_TYPES, *MODEL_TYPES)
# These are always folders; a custom model may be a file or a folder.
FOLDER_TYPES = ("uri_folder", "mltable", "mlflow_model", "triton_model")
