"""The machine of a run: memory, memory in use, disk, versions."""

import os
import platform
import re
import shutil
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from nlptool import __version__
from nlptool.atomic_files import read_text
from nlptool.errors import DataError
from nlptool.formatting import counted, quantity
from nlptool.launch import ALONE
from nlptool.train import distributed
from nlptool.train.distributed import DistributedContext

CGROUPS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
MEASURED = Path("/proc/self/statm")


@dataclass(frozen=True)
class DeviceInfo:
    """Memory and disk available to a run."""

    name: str
    memory: int
    """Bytes of the GPU, or of main memory available to this process."""
    taken: int
    """Bytes used by Python and torch before a model is built; on a GPU unknown, and 0."""
    disk: int
    """Free bytes at the run folder's place."""


def device() -> torch.device:
    """The device for inference: a GPU if there is one."""
    return distributed.join(ALONE).device


def device_name(device: torch.device) -> str:
    """The device in the form of environment.json."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"


def processor() -> str:
    """The name of the processor, if the system reports it."""
    try:
        text = read_text(Path("/proc/cpuinfo"))
    except (FileNotFoundError, DataError):
        text = ""
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found[1].strip() if found else platform.processor() or platform.machine()


def device_info(out: Path) -> DeviceInfo:
    """This machine, for a run folder at `out`."""
    device = distributed.join(ALONE).device
    place = out.absolute()
    while not place.exists():
        place = place.parent
    disk = shutil.disk_usage(place).free
    if device.type == "cuda":
        facts = torch.cuda.get_device_properties(device)
        return DeviceInfo(facts.name, facts.total_memory, 0, disk)
    memory = _main()
    for path in CGROUPS:
        limit = path.read_text().strip() if path.exists() else "max"
        memory = min(memory, int(limit)) if limit.isdigit() else memory
    return DeviceInfo(counted(os.cpu_count() or 1, "CPU cores"), memory, memory_used(device), disk)


def require_room(parameters: int, device: torch.device) -> None:
    """Raise DataError where a model of this size cannot be trained on this machine, whatever the batch size.

    Weights, gradients and Adam's two moments are 16 bytes for each.
    """
    here = device_info(Path())
    if 16 * parameters > here.memory:
        where = "the GPU" if device.type == "cuda" else "this machine"
        raise DataError(
            f"not enough memory: the model has at least {quantity(parameters, 'parameters')}, which take "
            f"{quantity(16 * parameters, 'B')} while they are trained; {where} has {quantity(here.memory, 'B')}",
            hint="nlptool plan RECIPE estimates the memory of a run; use a smaller model",
        )


def memory_used(device: torch.device) -> int:
    """Bytes of memory that this process has now: on a GPU those of tensors."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return torch.cuda.memory_allocated(device)
    if MEASURED.exists():
        return int(MEASURED.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return peak_memory_used(device)


def peak_memory_used(device: torch.device) -> int:
    """Peak memory of this process in bytes: on a GPU that of tensors. 0 where the system does not report it."""
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else _most_resident()


def peak_memory_reserved(device: torch.device) -> int:
    """Peak memory of this process in bytes: on a GPU with torch's cache.

    0 where the system does not report it.
    """
    return torch.cuda.max_memory_reserved(device) if device.type == "cuda" else _most_resident()


def _main() -> int:
    """Bytes of main memory."""
    if sys.platform == "win32":
        from ctypes import byref, c_ulonglong, windll

        kib = c_ulonglong()
        windll.kernel32.GetPhysicallyInstalledSystemMemory(byref(kib))
        return 1024 * kib.value
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _most_resident() -> int:
    try:
        import resource
    except ImportError:  # Windows
        return 0
    unit = 1 if sys.platform == "darwin" else 1024  # macOS counts bytes, Linux KiB
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


@cache
def _installed(package: str) -> str | None:
    """The version of a package, cached, since a lookup searches all folders of Python's path."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def environment(packages: Iterable[str], world: DistributedContext) -> dict[str, Any]:
    """environment.json: what a result may depend on besides the recipe."""
    return {
        "nlptool": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: _installed(name) for name in packages},
        "device": device_name(world.device),
        "ranks": world.size,
        "cpus": os.cpu_count(),
        "threads": torch.get_num_threads(),
    }


def headline(facts: Mapping[str, Any], precision: str, parameters: int) -> str:
    """A line at the head of a log: model size, device, precision, versions. facts: from `environment`."""
    world = "" if facts["ranks"] == 1 else counted(facts["ranks"], "ranks") + ", "
    threads = counted(facts["threads"], "threads")
    versions = f"nlptool {facts['nlptool']}, torch {facts['packages']['torch']}"
    return (
        f"{quantity(parameters, 'parameters')}, {world}{facts['device']}, {threads}, {precision}; {versions}"
    )
