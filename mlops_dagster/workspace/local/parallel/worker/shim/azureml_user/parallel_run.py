"""``EntryScript``: the logger and the folders of a worker process.

Source: "Troubleshooting the ParallelRunStep"
(learn.microsoft.com/azure/machine-learning/how-to-debug-parallel-run-step).
"""

from __future__ import annotations

import json
import logging
import os
from functools import lru_cache
from pathlib import Path
from typing import Any


class EntryScript:
    """What an entry script may ask of the process that runs it; the same object every time.

    Attributes:
        logger: writes to ``logs/user/entry_script_log/NODE/processNNN.log.txt``.
        log_dir: the folder of that file.
        agent_name: the worker process, ``processNNN``.
        output_dir: the step's output folder; None where it has none.
        working_dir: the worker's working directory.
    """

    _only: EntryScript | None = None

    def __new__(cls) -> EntryScript:  # noqa: PYI034
        if cls._only is None:
            cls._only = super().__new__(cls)
        return cls._only

    @property
    def agent_name(self) -> str:
        return str(_facts()["process"])

    @property
    def log_dir(self) -> str:
        return str(_facts()["log_dir"])

    @property
    def output_dir(self) -> str | None:
        return os.environ.get("AZUREML_BI_OUTPUT_PATH")

    @property
    def working_dir(self) -> str:
        return str(_facts()["working_dir"])

    @property
    def logger(self) -> logging.Logger:
        return _logger()


@lru_cache(maxsize=None)  # noqa: UP033 - functools.cache came with Python 3.9
def _logger() -> logging.Logger:
    logger = logging.getLogger("azureml_user.parallel_run")
    folder = Path(EntryScript().log_dir)
    folder.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(folder / f"{EntryScript().agent_name}.log.txt")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(process)d: %(message)s"))
    logger.addHandler(handler)
    logger.setLevel(_facts()["logging_level"])
    logger.propagate = False
    return logger


@lru_cache(maxsize=None)  # noqa: UP033
def _facts() -> dict[str, Any]:
    facts: dict[str, Any] = json.loads(os.environ["MLOPS_PARALLEL_WORKER"])
    return facts
