"""A hundred trials as a Metaflow flow that fans out."""

import subprocess
from pathlib import Path

from metaflow import FlowSpec, step

TRIAL = Path(__file__).with_name("trial.sh")


class Sweep(FlowSpec):
    """One task a trial."""

    @step
    def start(self) -> None:
        self.values = list(range(100))
        self.next(self.trial, foreach="values")

    @step
    def trial(self) -> None:
        subprocess.run(["bash", TRIAL, str(self.input)], check=True)
        self.next(self.join)

    @step
    def join(self, inputs: object) -> None:  # noqa: ARG002 - Metaflow gives them
        self.next(self.end)

    @step
    def end(self) -> None:
        pass


if __name__ == "__main__":
    Sweep()
