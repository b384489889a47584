"""Programs in processes of their own, alone or two together on this computer."""

import os
import socket
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def start(module, devices, *arguments):
    """Starts `python -m module` with some CPU devices."""
    flags = f"--xla_force_host_platform_device_count={devices}"
    return subprocess.Popen(
        [sys.executable, "-m", module, *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "XLA_FLAGS": flags, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(*processes):
    """What each process printed, and what it wrote to the other stream."""
    try:
        return [process.communicate(timeout=120) for process in processes]
    finally:
        for process in processes:
            process.kill()


def finished(*processes):
    """The same of processes that must succeed."""
    said = ended(*processes)
    for process, (_, err) in zip(processes, said, strict=True):
        assert process.returncode == 0, err
    return said


def free_port():
    """A port of this computer at which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]
