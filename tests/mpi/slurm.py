"""A Slurm cluster of one's own: munge, a controller and two nodes, all on this machine in one folder."""

import os
import pwd
import shutil
import socket
import subprocess
import time

PROGRAMS = ("munged", "salloc", "scancel", "setpriv", "sinfo", "slurmctld", "slurmd", "squeue", "srun")
NODES = ("n1", "n2")
CONFIGURATION = """
ClusterName=lockstep
SlurmctldHost=localhost
SlurmctldPort={ports[0]}
SlurmUser={user}
SlurmdUser={user}
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
SlurmdSpoolDir={folder}/%n
TmpFS={folder}/%n
ProctrackType=proctrack/linuxproc
TaskPlugin=task/affinity
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ReturnToService=2
KillWait=2
NodeName=n1 NodeHostname=localhost NodeAddr=127.0.0.1 Port={ports[1]} CPUs={cpus}
NodeName=n2 NodeHostname=localhost NodeAddr=127.0.0.1 Port={ports[2]} CPUs={cpus}
PartitionName=all Nodes=n1,n2 Default=YES State=UP
"""


def which(program):
    return shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def missing():
    return [program for program in PROGRAMS if not which(program)]


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


class Cluster:
    """While it lives, srun and its like mean it. Whoever can read the folder can start jobs."""

    def __init__(self, folder):
        self.folder = folder
        self.daemons = []
        for name in [name for name in os.environ if name.startswith("SLURM")]:
            del os.environ[name]
        os.environ["SLURM_CONF"] = f"{folder}/slurm.conf"
        user = pwd.getpwuid(os.geteuid()).pw_name
        with open(f"{folder}/slurm.conf", "w") as file:
            file.write(CONFIGURATION.format(folder=folder, user=user, ports=free_ports(3), cpus=os.cpu_count()))
        with open(os.open(f"{folder}/munge.key", os.O_WRONLY | os.O_CREAT, 0o400), "wb") as file:
            file.write(os.urandom(128))
        for name in ("state", *NODES):
            os.mkdir(f"{folder}/{name}")
        try:
            files = {"key-file": "key", "socket": "socket", "pid-file": "pid", "seed-file": "seed"}
            self.start("munged", "--foreground", "--force",
                       *(f"--{option}={folder}/munge.{name}" for option, name in files.items()))  # fmt: skip
            self.wait(lambda: os.path.exists(f"{folder}/munge.socket"))
            self.start("slurmctld", "-D")
            for node in NODES:
                self.start("slurmd", "-D", "-N", node)
            self.wait(lambda: self.ask("sinfo", "-h", "-N", "-o", "%T") == ["idle"] * len(NODES))
        except BaseException:
            self.close()
            raise

    # It ends with this process, however that ends.
    def start(self, program, *arguments):
        with open(f"{self.folder}/log", "a") as log:
            command = [which("setpriv"), "--pdeathsig", "TERM", which(program), *arguments]
            self.daemons.append(
                subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
            )

    def wait(self, condition):
        deadline = time.monotonic() + 20
        while not condition():
            if time.monotonic() > deadline or any(daemon.poll() is not None for daemon in self.daemons):
                with open(f"{self.folder}/log") as log:
                    raise RuntimeError(log.read())
            time.sleep(0.1)

    @staticmethod
    def ask(*command):
        return subprocess.run(command, capture_output=True, text=True, timeout=30).stdout.split()

    def close(self):
        if len(self.daemons) > len(NODES):
            self.ask("scancel", "--full", "--signal=KILL", "--state=RUNNING")
            deadline = time.monotonic() + 10
            while self.ask("squeue", "-h") and time.monotonic() < deadline:
                time.sleep(0.1)
        for daemon in reversed(self.daemons):
            daemon.terminate()
            try:
                daemon.wait(10)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        self.daemons = []
