# shellcheck shell=bash
# Sourced: puts the CUDA libraries on the loader's path. Where the system has none, PyTorch's wheels carry them, each in a
# folder of its own that no loader knows. PYTHON names a Python that has PyTorch (default python3).

wheels=$("${PYTHON:-python3}" - 2>/dev/null <<'P' || true
import pathlib, sysconfig, sys
roots = {pathlib.Path(path) / "nvidia" for path in [*sys.path, sysconfig.get_paths()["purelib"]] if path}
found = {str(lib.parent) for root in roots if root.is_dir() for lib in root.glob("**/lib/lib*.so*")}
print(":".join(sorted(found)))
P
)
export LD_LIBRARY_PATH="${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}${wheels:+$wheels:}/usr/local/cuda/lib64:/usr/local/nvidia/lib64"
