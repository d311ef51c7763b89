"""A real Slurm of one node: started from a folder, stopped without a trace."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import psutil

PACKAGES = ("slurmctld", "slurmd", "munge", "slurm-client")
COMMANDS = ("slurmctld", "slurmd", "munged", "sbatch", "srun", "scontrol")
GPUS = ("/dev/null", "/dev/zero")
"""Devices that stand for GPUs: Slurm counts them, nothing computes on them."""
CONFIGURATION = """\
ClusterName=proof
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/filetxt
JobCompLoc={folder}/finished.txt
ReturnToService=2
KillWait=5
SlurmdTimeout=30
# More CPUs and memory than the machine has: nothing is confined, jobs only wait in turn.
SlurmdParameters=config_overrides
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs=4 RealMemory=64000 Gres=gpu:{n_gpus}
PartitionName=main Nodes=ALL Default=YES State=UP
"""


def what_is_missing() -> str:
    """Return why no Slurm can be started here; empty when it can. Root installs packages."""
    if os.geteuid() != 0:
        return "slurmd and the private /etc/slurm need root"
    if all(map(shutil.which, COMMANDS)):
        return ""
    install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *PACKAGES]
    if shutil.which("apt-get") is None:
        return f"not installed: {' '.join(PACKAGES)}"
    print(f"installing {' '.join(PACKAGES)} from Debian", flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["apt-get", "update", "-qq"], install):
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)
    return ""


class SlurmNode:
    """A controller and a node with four declared CPUs and two made-up GPUs.

    The executor plugin drops `SLURM_CONF` before it calls srun, so the configuration has
    to lie in /etc/slurm. Every command sees the folder there, in a mount namespace of its
    own: the machine's /etc/slurm stays as it is.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.daemons: dict[str, subprocess.Popen] = {}
        self.namespaces: set[str] = set()
        self.host = socket.gethostname().split(".")[0]

    def __enter__(self) -> SlurmNode:
        for name in ("state", "spool"):
            (self.folder / name).mkdir(parents=True)
        self._write("munge.key", os.urandom(1024))
        (self.folder / "munge.key").chmod(0o400)
        controller_port, node_port = _free_ports()
        configuration = CONFIGURATION.format(
            host=self.host,
            controller_port=controller_port,
            node_port=node_port,
            folder=self.folder,
            n_gpus=len(GPUS),
        )
        self._write("slurm.conf", configuration.encode())
        self._write("gres.conf", "".join(f"Name=gpu File={path}\n" for path in GPUS).encode())
        for name in ("munged", "slurmctld", "slurmd"):
            self.start(name)
        self.wait_for_controller(("idle",))
        return self

    def __exit__(self, *_) -> None:
        for step in self._steps():
            with suppress(psutil.NoSuchProcess):
                for process in [*step.children(recursive=True), step]:
                    process.kill()
        for name in reversed(list(self.daemons)):
            self.stop(name, signal.SIGKILL)

    def inside(self, *words: str) -> list[str]:
        """Return a command that sees this Slurm's configuration in /etc/slurm."""
        script = 'mount --bind "$1" /etc/slurm && shift && exec "$@"'
        return ["unshare", "--mount", "sh", "-c", script, "sh", str(self.folder), *words]

    def call(self, *words: str) -> str:
        """Run a Slurm command and return what it prints."""
        return subprocess.run(
            self.inside(*words), check=True, capture_output=True, text=True
        ).stdout

    def start(self, name: str) -> None:
        """Start a daemon in the foreground."""
        at = self.folder
        options = {
            "munged": [
                "--foreground", "--force", f"--key-file={at}/munge.key",
                f"--socket={at}/munge.socket", f"--pid-file={at}/munged.pid",
                f"--log-file={at}/munged.log", f"--seed-file={at}/munged.seed",
            ],
            "slurmctld": ["-D"],
            "slurmd": ["-D"],
        }  # fmt: skip
        with (at / f"{name}.out").open("ab") as out:
            self.daemons[name] = subprocess.Popen(
                self.inside(name, *options[name]), stdout=out, stderr=out, start_new_session=True
            )
        if name == "munged":
            _wait(lambda: (at / "munge.socket").exists(), f"{name} does not start: see {at}")
        if name == "slurmd":
            # The command that enters the namespace becomes the daemon.
            _wait(lambda: psutil.Process(self.daemons[name].pid).name() == name, "no slurmd")
            self.namespaces.add(_mount_namespace(self.daemons[name].pid))

    def stop(self, name: str, number: int = signal.SIGTERM) -> None:
        """End a daemon."""
        process = self.daemons.pop(name)
        process.send_signal(number)
        process.wait(timeout=30)

    def jobs(self) -> dict[str, tuple[str, str]]:
        """Return state and comment of every job that the controller remembers."""
        printed = self.call("squeue", "--states=all", "--noheader", "--format=%i|%T|%k")
        rows = [line.split("|", 2) for line in printed.splitlines()]
        return {number: (state, comment) for number, state, comment in rows}

    def finished(self) -> list[dict[str, str]]:
        """Return what Slurm noted of each job that ended."""
        path = self.folder / "finished.txt"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        return [dict(word.partition("=")[::2] for word in line.split()) for line in lines]

    def processes(self, job: str) -> list[psutil.Process]:
        """Return the processes of a job, without Slurm's own daemons of its steps.

        A job whose daemon is killed runs on in the eyes of Slurm 22.05 until the node registers
        again, which takes longer than a proof has.
        """
        found = []
        for step in self._steps():
            with suppress(psutil.NoSuchProcess):
                if f"[{job}." in " ".join(step.cmdline()):
                    found += step.children(recursive=True)
        return found

    def _steps(self) -> list[psutil.Process]:
        """Return the step daemons that this node started: they share its mount namespace."""
        return [
            process
            for process in psutil.process_iter(["name"])
            if process.info["name"] == "slurmstepd"
            and _mount_namespace(process.pid) in self.namespaces
        ]

    def wait_for_controller(self, states: tuple[str, ...] = ("idle", "mixed", "allocated")) -> None:
        """Wait until the controller answers and the node is in one of the states."""

        def answers() -> bool:
            done = subprocess.run(
                self.inside("sinfo", "-h", "-o", "%T"), capture_output=True, text=True
            )
            return done.stdout.strip() in states

        _wait(answers, f"the node does not answer: see {self.folder}/*.log")

    def _write(self, name: str, content: bytes) -> None:
        (self.folder / name).write_bytes(content)


def _mount_namespace(pid: int) -> str | None:
    """Return the mount namespace of a process; None once it has ended."""
    try:
        return os.readlink(f"/proc/{pid}/ns/mnt")
    except OSError:
        return None


def _free_ports() -> tuple[int, int]:
    """Return two ports that nobody listens on."""
    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        return one.getsockname()[1], other.getsockname()[1]


def _wait(ready, message: str, seconds: float = 60) -> None:
    """Wait until `ready()`."""
    give_up = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > give_up:
            raise SystemExit(message)
        time.sleep(0.2)
