"""The environment variables that a job gets from its submitter: what it needs to run, and no other.

``.mlops/variables.yml`` names further ones::

    pass_on: [WANDB_MODE, TEAM_*]        # of the shell that submits; * stands for any ending
    set: {OMP_NUM_THREADS: "2"}       # for every job
"""

from __future__ import annotations

import fnmatch
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator

from mlops_dagster.aml.base import Value
from mlops_dagster.aml.document import parse_model, read_document

FILE = "variables.yml"

# What programs need to be found, to start, and to reach the network as everybody on this machine does.
_PASSED = (
    *("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH"),
    *("JAVA_HOME", "SPARK_HOME"),
    *("HOME", "USER", "LOGNAME", "SHELL", "XDG_*", "TMPDIR", "TEMP", "TMP"),
    *("LANG", "LANGUAGE", "LC_*", "TZ"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
    *("http_proxy", "https_proxy", "all_proxy", "no_proxy"),
    # Where packages are installed from.
    *("PIP_*", "UV_*"),
    # Read by the services that a runner starts.
    "MLOPS_TRACKING_IDLE_SECONDS",
)


@dataclass(frozen=True)
class JobVariables:
    """The environment variables that a job gets from its submitter.

    Attributes:
        needed: those that every job gets, which change nothing of what it does.
        named: those that ``variables.yml`` names: a part of what the job does.
    """

    needed: Mapping[str, str] = field(default_factory=dict)
    named: Mapping[str, str] = field(default_factory=dict)

    @property
    def all(self) -> dict[str, str]:
        """All of them."""
        return {**self.needed, **self.named}

    @property
    def digest(self) -> str | None:
        """Tells the named ones from others, without saying them; None where there are none."""
        if not self.named:
            return None
        text = json.dumps(dict(self.named), sort_keys=True)
        return f"sha256:{hashlib.sha256(text.encode(errors='surrogateescape')).hexdigest()}"


def job_variables(home: Path, environment: Mapping[str, str]) -> JobVariables:
    """Those of ``environment`` that reach a job, and those that the home's file sets.

    Raises InvalidDocument for a file that is wrong.
    """
    file = home / FILE
    passed, settings = _read(file) if file.exists() else ((), {})
    named = {name: value for name, value in environment.items() if _matches(name, passed)}
    needed = {name: value for name, value in environment.items() if _matches(name, _PASSED)}
    return JobVariables(needed, {**named, **settings})


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def _checked(text: str) -> str:
    if "\0" in text:
        raise ValueError("it holds a NUL character, which no process can be given")
    return text


class _File(Value):
    pass_on: tuple[str, ...] = ()
    set: dict[str, Annotated[str, AfterValidator(_checked)]] = {}


def _read(file: Path) -> tuple[tuple[str, ...], Mapping[str, str]]:
    document = read_document(file)
    settings = parse_model(_File, document, document.data)
    return settings.pass_on, settings.set
