"""The ten steps (`chain`) or the hundred trials (`sweep`) in Kubeflow Pipelines' local runner."""

import sys
from pathlib import Path

from kfp import dsl, local

HERE = Path(__file__).parent


@dsl.component(install_kfp_package=False)
def script(file: str, first: str, second: str = "", after: str = "") -> str:  # noqa: ARG001 - orders
    """Run one script."""
    import subprocess

    subprocess.run(["bash", file, first, second], check=True)
    return second


@dsl.pipeline
def chain(folder: str, file: str) -> None:
    """Each step waits for the one before."""
    before = ""
    for number in range(1, 11):
        task = script(
            file=file,
            first=f"{folder}/{number - 1}.txt",
            second=f"{folder}/{number}.txt",
            after=before,
        )
        before = task.output


@dsl.pipeline
def sweep(file: str) -> None:
    """As many trials side by side as the machine is given here."""
    with dsl.ParallelFor(items=[str(number) for number in range(100)], parallelism=2) as value:
        script(file=file, first=value)


if __name__ == "__main__":
    local.init(runner=local.SubprocessRunner(use_venv=False), raise_on_error=True)
    if sys.argv[1] == "chain":
        chain(folder=str(Path.cwd()), file=str(HERE / "step.sh"))
    else:
        sweep(file=str(HERE / "trial.sh"))
