"""A real Slurm of one node on this machine, from Debian's packages, which listens on loopback only."""

import contextlib
import os
import platform
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

DAEMONS = ("munged", "slurmctld", "slurmd", "setpriv")
_UNSHARED = "unshared"
COMMANDS = ("sbatch", "squeue", "scancel", "scontrol")
_CONFIG = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
SlurmUser=root
AuthType=auth/munge
# A requeued job waits as long as its credential lives.
AuthInfo=socket={folder}/munge.socket,cred_expire=5
CryptoType=crypto/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=2,bf_interval=2
SlurmdParameters=config_overrides
OverTimeLimit=0
KillWait=20
MinJobAge=300
ReturnToService=2
NodeName=node NodeHostname={host} NodeAddr=127.0.0.1 CPUs=8 RealMemory=4000
PartitionName=test Nodes=node Default=YES MaxTime=INFINITE State=UP
"""


def missing() -> str:
    """Return why Slurm can't run here; empty if it can."""
    needed = [each for each in (*DAEMONS, *COMMANDS) if not shutil.which(each, path=_search())]
    if needed:
        return f"{needed[0]} isn't installed; on Debian, `apt-get install slurm-wlm munge` does it"
    if os.geteuid():
        return "only root can start Slurm's daemons"
    apart = ["unshare", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"]
    if not shutil.which("unshare") or subprocess.call(apart, stderr=subprocess.DEVNULL):
        return "may not hide folders from processes"
    return ""


def _search() -> str:
    return f"{os.environ.get('PATH', '')}:/usr/sbin"


@dataclass(frozen=True)
class Slurm:
    """A Slurm that runs.

    Attributes:
        environment: the environment variables with which commands find it.
        unshared: a folder that the node sees empty.
    """

    environment: dict[str, str]
    unshared: Path

    def say(self, *command: str) -> str:
        """Return what a command of Slurm prints."""
        return _said(self.environment, *command)

    def queue(self, form: str = "%i") -> list[str]:
        """Return a line for each element that waits or runs."""
        return self.say("squeue", "--array", "--noheader", f"--format={form}").split()

    def wait_until_idle(self, seconds: float = 120) -> None:
        """Wait until no job is left."""
        deadline = time.monotonic() + seconds
        while self.queue():
            assert time.monotonic() < deadline, self.say("scontrol", "show", "job")
            time.sleep(0.2)


@contextlib.contextmanager
def running_slurm() -> Iterator[Slurm]:
    """Run a Slurm of one node."""
    with tempfile.TemporaryDirectory(prefix="slurm-") as name:
        folder = Path(name)
        # Munge refuses folders that others can't enter.
        folder.chmod(0o755)
        environment = _configure(folder)
        daemons: list[subprocess.Popen[bytes]] = []
        try:
            _start(folder, environment, daemons)
            yield Slurm(environment, folder / _UNSHARED)
        finally:
            _end_jobs(environment)
            for daemon in reversed(daemons):
                daemon.terminate()
            for daemon in daemons:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    daemon.wait(20)
                daemon.kill()
                daemon.wait()


def _configure(folder: Path) -> dict[str, str]:
    for each in ("state", "spool", _UNSHARED):
        (folder / each).mkdir()
    key = folder / "munge.key"
    key.write_bytes(secrets.token_bytes(64))
    key.chmod(0o600)
    config = folder / "slurm.conf"
    controller_port, node_port = _free_ports(2)
    config.write_text(
        _CONFIG.format(
            host=platform.node().partition(".")[0],
            folder=folder,
            controller_port=controller_port,
            node_port=node_port,
        )
    )
    return {"SLURM_CONF": str(config)}


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as opened:
        found = [opened.enter_context(socket.socket()) for _ in range(count)]
        for each in found:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in found]


def _start(
    folder: Path, environment: dict[str, str], daemons: list[subprocess.Popen[bytes]]
) -> None:
    names = {name: folder / f"munge.{name}" for name in ("socket", "pid", "seed", "log")}
    munged = [
        *("munged", "--foreground", "--force", f"--key-file={folder / 'munge.key'}"),
        *(f"--socket={names['socket']}", f"--pid-file={names['pid']}"),
        *(f"--seed-file={names['seed']}", f"--log-file={names['log']}", "--num-threads=2"),
    ]
    apart = f"mount -t tmpfs none '{folder / _UNSHARED}' && exec slurmd -D -N node"
    for command in (
        munged,
        ["slurmctld", "-D", "-c"],
        ["unshare", "--mount", "sh", "-c", apart],
    ):
        with (folder / f"{command[0]}.out").open("wb") as output:
            daemons.append(
                subprocess.Popen(
                    # No daemon outlives this process, even if it is killed.
                    ["setpriv", "--pdeathsig=TERM", "--", *command],
                    env={**os.environ, **environment, "PATH": _search()},
                    stdout=output,
                    stderr=output,
                )
            )
        if command is munged:
            _wait(names["socket"].exists, folder)
    _wait(lambda: "idle" in _said(environment, "sinfo", "--noheader", "--format=%T"), folder)


def _said(environment: dict[str, str], *command: str) -> str:
    done = subprocess.run(
        command,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return done.stdout


def _wait(is_done: Callable[[], bool], folder: Path, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not is_done():
        if time.monotonic() > deadline:
            logs = [f"{path.name}:\n{path.read_text()[-2000:]}" for path in folder.glob("*.[ol]*")]
            raise AssertionError("Slurm doesn't start here\n" + "\n".join(logs))
        time.sleep(0.1)


def _end_jobs(environment: dict[str, str]) -> None:
    """Cancel all jobs and wait a while until they have ended."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        _said(environment, "scancel", "--user=root")
        deadline = time.monotonic() + 30
        while _said(environment, "squeue", "--noheader") and time.monotonic() < deadline:
            time.sleep(0.2)
