"""Ten steps, one after the other, as a Metaflow flow."""

import subprocess
from pathlib import Path

from metaflow import FlowSpec, step

STEP = Path(__file__).with_name("step.sh")


def link(number: int) -> None:
    """Run one step's script."""
    subprocess.run(["bash", STEP, f"{number - 1}.txt", f"{number}.txt"], check=True)


class Chain(FlowSpec):
    """The flow; Metaflow reads its steps from the source, so that each is written out."""

    @step
    def start(self) -> None:
        link(1)
        self.next(self.s2)

    @step
    def s2(self) -> None:
        link(2)
        self.next(self.s3)

    @step
    def s3(self) -> None:
        link(3)
        self.next(self.s4)

    @step
    def s4(self) -> None:
        link(4)
        self.next(self.s5)

    @step
    def s5(self) -> None:
        link(5)
        self.next(self.s6)

    @step
    def s6(self) -> None:
        link(6)
        self.next(self.s7)

    @step
    def s7(self) -> None:
        link(7)
        self.next(self.s8)

    @step
    def s8(self) -> None:
        link(8)
        self.next(self.s9)

    @step
    def s9(self) -> None:
        link(9)
        self.next(self.end)

    @step
    def end(self) -> None:
        link(10)


if __name__ == "__main__":
    Chain()
