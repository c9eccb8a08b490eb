"""The rank of this process among those started by a launcher (torchrun, or srun with its variables)."""

import os
import shlex
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from types import FrameType

from nlptool.errors import UsageError

SRUN = (
    "srun bash -c 'RANK=$SLURM_PROCID LOCAL_RANK=$SLURM_LOCALID WORLD_SIZE=$SLURM_NTASKS "
    'LOCAL_WORLD_SIZE=$SLURM_NTASKS_PER_NODE exec "$0" "$@"\' '
)


@dataclass(frozen=True)
class Launch:
    """This process's rank, and how many there are; rank 0 of 1 without a launcher."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    """Its rank on this host."""
    address: str = ""
    port: int = 0
    """Address of the rendezvous of all ranks."""
    hosted: bool = False
    """Whether the launcher hosts the rendezvous; otherwise rank 0 does."""
    attempt: int = 0
    """Number of earlier starts of the ranks by the launcher."""
    threads: int | None = None
    """Threads of this rank on a CPU; None: torch's default."""

    def __str__(self) -> str:
        import socket  # imported here, since single processes do not need it

        return f"rank {self.rank} of {self.size} on {socket.gethostname()}"


ALONE = Launch()
LATER = 0.02  # seconds
raised_signals: list[BaseException] = []
"""Exceptions raised by signals in this command. C code, such as torch's, may replace one by its own."""
VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")


def read(environment: Mapping[str, str]) -> Launch:
    """Read torchrun's variables: RANK, WORLD_SIZE, LOCAL_RANK, LOCAL_WORLD_SIZE, MASTER_ADDR, MASTER_PORT.

    Raises UsageError where they are not numbers, are inconsistent, or some are missing.
    """
    size = _number(environment, "WORLD_SIZE", 1)
    if size == 1 and environment.get("RANK", "0") == "0":
        return ALONE
    for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
        if name not in environment:
            raise UsageError(
                f"{name} is not set, though other variables say that this is one of several ranks",
                hint="start the ranks with torchrun, which sets all of them, or unset RANK and WORLD_SIZE",
            )
    rank = _number(environment, "RANK", 0)
    if rank >= size:
        raise UsageError(f"RANK={rank}: with WORLD_SIZE={size} ranks go from 0 to {size - 1}")
    return Launch(
        rank,
        size,
        local_rank=_number(environment, "LOCAL_RANK", 0),
        address=environment["MASTER_ADDR"],
        port=_number(environment, "MASTER_PORT", 0),
        hosted=environment.get("TORCHELASTIC_USE_AGENT_STORE") == "True",
        attempt=_number(environment, "TORCHELASTIC_RESTART_COUNT", 0),
        threads=_threads(environment, max(1, _number(environment, "LOCAL_WORLD_SIZE", 1))),
    )


def alone(environment: MutableMapping[str, str]) -> None:
    """Let this process run without the other ranks from now on."""
    for name in VARIABLES:
        environment.pop(name, None)


def importing(frame: FrameType | None) -> bool:
    """Whether a signal arrived during an import."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def require_launcher(environment: Mapping[str, str], arguments: Sequence[str]) -> None:
    """Raise UsageError where Slurm has started several tasks without ranks, which would all train the same.

    arguments: of the command line, for the suggestion.
    """
    tasks = environment.get("SLURM_NTASKS", "1")
    if "WORLD_SIZE" in environment or not tasks.isdigit() or int(tasks) == 1:
        return
    line = shlex.join(["nlptool", *arguments])
    if environment.get("SLURM_NNODES", environment.get("SLURM_JOB_NUM_NODES", "1")) == "1":
        line = f"torchrun --standalone --nproc-per-node={tasks} -m {line}"
    else:
        line = (
            "export MASTER_ADDR=$(scontrol show hostnames $SLURM_JOB_NODELIST | head -n 1) "
            f"MASTER_PORT=29500; {SRUN}{line}"
        )
    raise UsageError(
        f"SLURM_NTASKS={tasks}, but no launcher has said which of {tasks} ranks this process is",
        hint=f"{line}\nhint: or, for a single rank, WORLD_SIZE=1 in front of the command",
    )


def _threads(environment: Mapping[str, str], ranks: int) -> int | None:
    """The CPUs of this process, shared among the `ranks` of its host; None: torch's default.

    OMP_NUM_THREADS is kept if the user has set it, but not if torchrun set it to 1 by default.
    """
    if "OMP_NUM_THREADS" in environment and not _set_by_launcher(environment):
        return None
    return max(1, cpus() // ranks)


def cpus() -> int:
    """CPUs available to this process: by its affinity, and the quota of its control group."""
    affinity = getattr(os, "sched_getaffinity", None)
    count = len(affinity(0)) if affinity else os.cpu_count() or 1
    try:
        with open("/sys/fs/cgroup/cpu.max", encoding="ascii") as file:
            quota, period = file.read().split()
    except (OSError, ValueError):
        return count
    return max(1, min(count, int(quota) // int(period))) if quota.isdigit() else count


def _set_by_launcher(environment: Mapping[str, str]) -> bool:
    """Whether OMP_NUM_THREADS=1 was set by torchrun: it is not in torchrun's own environment."""
    if environment["OMP_NUM_THREADS"] != "1" or "TORCHELASTIC_RUN_ID" not in environment:
        return False
    try:
        with open(f"/proc/{os.getppid()}/environ", "rb") as file:
            return not any(line.startswith(b"OMP_NUM_THREADS=") for line in file.read().split(b"\0"))
    except OSError:
        return False


def _number(environment: Mapping[str, str], name: str, default: int) -> int:
    value = environment.get(name, str(default))
    if not value.isdecimal() or (name == "WORLD_SIZE" and not int(value)):
        raise UsageError(f"{name}={value}: expected a whole number", hint="torchrun sets it")
    return int(value)


def send_again(number: int) -> None:
    """Send this process a signal again, a moment later, since Python ignores exceptions in finalisers."""
    import threading

    timer = threading.Timer(LATER, os.kill, (os.getpid(), number))
    timer.daemon = True
    timer.start()
