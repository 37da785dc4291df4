"""Conda packages that go by another name on PyPI, or that PyPI does not have.

A conda package that is in neither table has the same name on PyPI, as by far the most do.
Sources: the recipes of conda-forge (conda-forge.org/packages) and the projects' own install pages.
"""

from __future__ import annotations

# Add a renamed package here: conda's name, PyPI's name.
RENAMED = {
    "py-opencv": "opencv-python-headless",
    "opencv": "opencv-python-headless",
    "libopencv": "opencv-python-headless",
    "pytorch": "torch",
    "pytorch-cpu": "torch",
    "pytorch-gpu": "torch",
    "torchtext": "torchtext",
    "tensorflow-gpu": "tensorflow",
    "tensorflow-base": "tensorflow",
    "keras-gpu": "keras",
    "matplotlib-base": "matplotlib",
    "seaborn-base": "seaborn",
    "pytables": "tables",
    "py-xgboost": "xgboost",
    "py-xgboost-cpu": "xgboost",
    "py-xgboost-gpu": "xgboost",
    "libxgboost": "xgboost",
    "dask-core": "dask",
    "msgpack-python": "msgpack",
    "ruamel_yaml": "ruamel.yaml",
    "python-graphviz": "graphviz",
    "pyqt": "PyQt5",
    "brotlipy": "brotlipy",
    "python-lmdb": "lmdb",
    "python-levenshtein": "Levenshtein",
    "python-blosc": "blosc",
    "lightning": "lightning",
    "spacy-model-en_core_web_sm": "en-core-web-sm",
    "huggingface_hub": "huggingface-hub",
    "umap": "umap-learn",
    "pymc3": "pymc3",
    "faiss": "faiss-cpu",
    "pysocks": "PySocks",
    "attrs": "attrs",
    "tabulate": "tabulate",
    "pyarrow-core": "pyarrow",
    "ipython_genutils": "ipython-genutils",
    "typing_extensions": "typing-extensions",
}

# What belongs to the interpreter, or only pins a platform: nothing to install.
NOTHING_TO_INSTALL = {
    "_libgcc_mutex", "_openmp_mutex", "ca-certificates", "certifi-win32", "conda", "intel-openmp",
    "libffi", "libgcc", "libgcc-ng", "libgomp", "libstdcxx-ng", "mkl", "mkl-service", "ncurses",
    "nomkl", "openssl", "pip", "python", "python_abi", "readline", "setuptools", "sqlite", "tk",
    "tzdata", "vs2015_runtime", "wheel", "xz", "zlib",
}  # fmt: skip

# Programs and libraries that no Python package carries.
NOT_ON_PYPI = {
    "compilers", "cuda", "cuda-toolkit", "cudatoolkit", "cudnn", "cxx-compiler", "ffmpeg", "gcc",
    "gcc_linux-64", "git", "git-lfs", "graphviz", "gxx_linux-64", "libgdal", "make", "mpich",
    "nccl", "openjdk", "openmpi", "pytorch-cuda", "r-base", "r-essentials",
}  # fmt: skip
