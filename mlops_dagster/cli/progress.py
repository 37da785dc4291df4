"""A Dagster run on the terminal while it goes on, and what is kept of it for the summary."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from mlops_dagster.cli.output import console, duration, is_interactive, visible

if TYPE_CHECKING:
    from dagster import DagsterEvent, EventLogEntry
    from rich.status import Status


@dataclass(frozen=True)
class CheckResult:
    """The result of one asset check.

    Attributes:
        values: the numbers among its metadata.
    """

    asset: str
    check: str
    passed: bool
    severity: str
    description: str
    values: Mapping[str, float]


@dataclass
class Outcome:
    """How one run ended, and what it reported.

    Attributes:
        seconds: from its start to its end.
        failures: why, by step.
    """

    job: str
    partition: str | None
    run_id: str
    succeeded: bool = False
    seconds: float = 0.0
    checks: list[CheckResult] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """The job, with its partition."""
        return f"{self.job} [{self.partition}]" if self.partition else self.job

    def failure_message(self) -> str:
        """Why the run failed: every failed step, with the end of its log."""
        if not self.failures:
            return f"{self.title} did not succeed, and no step gives a reason."
        steps = "\n".join(f"{step}: {reason}" for step, reason in self.failures.items())
        return f"{self.title} failed.\n{steps}"


class Progress:
    """Prints each step of a run as it starts and ends; on a terminal, one line says what runs now.

    Args:
        project: the first part of every asset key, which is left out.
        quiet: prints on stderr, where stdout is kept for JSON.
    """

    def __init__(self, outcome: Outcome, project: str, *, quiet: bool = False) -> None:
        self._outcome = outcome
        self._project = project
        self._console = console(stderr=quiet)
        self._live = is_interactive(stderr=quiet)
        self._names: dict[str, list[str]] = {}
        self._running: dict[str, float] = {}
        self._started = time.monotonic()
        self._status: Status | None = None

    def __enter__(self) -> Self:
        self._print(f"\n{self._outcome.title}  (run {self._outcome.run_id[:8]})")
        if self._live:
            self._status = self._console.status("starting")
            self._status.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._outcome.seconds = time.monotonic() - self._started
        if self._status is not None:
            self._status.stop()

    def take(self, entry: EventLogEntry | None) -> None:
        """Show one entry of the run's log; None only lets the time go on."""
        event = entry.dagster_event if entry is not None else None
        if event is not None:
            self._take_event(event)
        if self._status is not None:
            now = time.monotonic()
            running = (f"{name} {duration(now - since)}" for name, since in self._running.items())
            self._status.update(visible(", ".join(running) or "starting"))

    def _take_event(self, event: DagsterEvent) -> None:
        from dagster import DagsterEventType

        match event.event_type:
            case DagsterEventType.ASSET_MATERIALIZATION_PLANNED:
                planned = event.asset_materialization_planned_data
                self._names.setdefault(event.step_key or "", []).append(
                    self._short(planned.asset_key.path)
                )
            case DagsterEventType.STEP_START:
                name = self._name(event)
                self._running[name] = time.monotonic()
                if not self._live:
                    self._print(f"  {name} started")
            case DagsterEventType.STEP_SUCCESS:
                seconds = event.step_success_data.duration_ms / 1000
                self._ended(event, f"done in {duration(seconds)}")
            case DagsterEventType.STEP_FAILURE:
                self._outcome.failures[self._name(event)] = _reason(event)
                self._ended(event, "failed")
            case DagsterEventType.STEP_SKIPPED:
                self._ended(event, "skipped")
            case DagsterEventType.ASSET_CHECK_EVALUATION:
                self._check(event)
            case DagsterEventType.RUN_FAILURE | DagsterEventType.RUN_CANCELED:
                if not self._outcome.failures:
                    self._outcome.failures["run"] = event.message or "it was ended"
            case _:
                pass

    def _check(self, event: DagsterEvent) -> None:
        found = event.asset_check_evaluation_data
        result = CheckResult(
            asset=self._short(found.asset_key.path),
            check=found.check_name,
            passed=found.passed,
            severity=found.severity.value,
            description=found.description or "",
            values=_numbers(found.metadata),
        )
        self._outcome.checks.append(result)
        if not result.passed:
            reason = f": {result.description}" if result.description else ""
            self._print(f"  {result.asset} check {result.check} failed{reason}")

    def _ended(self, event: DagsterEvent, how: str) -> None:
        name = self._name(event)
        self._running.pop(name, None)
        self._print(f"  {name} {how}")

    def _name(self, event: DagsterEvent) -> str:
        step = event.step_key or ""
        return ", ".join(self._names.get(step, [step]))

    def _short(self, path: Sequence[str]) -> str:
        shown = path[1:] if len(path) > 1 and path[0] == self._project else path
        return "/".join(shown)

    def _print(self, text: str) -> None:
        self._console.print(visible(text, lines=True), soft_wrap=True)


def _reason(event: DagsterEvent) -> str:
    data = event.step_failure_data
    if data.user_failure_data is not None and data.user_failure_data.description:
        return str(data.user_failure_data.description)
    error = data.error
    while error is not None and error.cause is not None:
        error = error.cause
    return error.message.strip() if error is not None else "it gives no reason"


def _numbers(metadata: Mapping[str, Any]) -> dict[str, float]:
    values = {name: getattr(item, "value", None) for name, item in metadata.items()}
    return {
        name: float(value)
        for name, value in values.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
