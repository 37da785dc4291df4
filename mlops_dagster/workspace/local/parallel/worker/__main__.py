"""Start of a worker process: ``python .../worker/__main__.py FD``.

FD is the socket to the driver. This folder is loaded as a package under a name of its own, so that
no module of an entry script can be mistaken for one of these, or these for one of its.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location

# The children of a script that uses multiprocessing import this file again, under another name.
if __name__ == "__main__":
    here = sys.path.pop(0)
    spec = spec_from_file_location(
        "mlops_parallel_worker", f"{here}/__init__.py", submodule_search_locations=[here]
    )
    assert spec is not None and spec.loader is not None  # noqa: S101, PT018 - the file is next to this
    sys.modules[spec.name] = package = module_from_spec(spec)
    spec.loader.exec_module(package)
    import_module("mlops_parallel_worker.serve").main(int(sys.argv[1]))
