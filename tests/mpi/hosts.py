"""Hosts of their own for the ranks of a job: network namespaces, and between them a link with a delay
and a bandwidth, which can be cut. Not every kernel has netem, so the link is a relay of packets here.
"""

import collections
import fcntl
import os
import shutil
import struct
import subprocess
import threading
import time

TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000
NETWORK = "10.77.0."
DEVICE = "link0"


def why_not():
    """Why there can be no hosts here, or an empty text."""
    if os.geteuid() != 0:
        return "only root can make network namespaces"
    if not shutil.which("ip") or not shutil.which("unshare"):
        return "ip or unshare is not installed (Debian's packages: iproute2, util-linux)"
    try:
        os.close(open_tun(f"ls{os.getpid() % 100000}"))
    except OSError as error:
        return f"no device of packets can be made: {error}"
    made = subprocess.run(["ip", "netns", "add", f"ls{os.getpid()}"], capture_output=True)
    subprocess.run(["ip", "netns", "del", f"ls{os.getpid()}"], capture_output=True)
    return "" if made.returncode == 0 else "network namespaces cannot be made here"


def open_tun(name):
    tun = os.open("/dev/net/tun", os.O_RDWR)
    try:
        fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH", name.encode(), IFF_TUN | IFF_NO_PI))
    except OSError:
        os.close(tun)
        raise
    return tun


def run(*command):
    subprocess.run(command, check=True, capture_output=True)


class Link:
    """One direction to a host: packets arrive in turn, each after its time on the wire and the delay."""

    def __init__(self, tun, delay, bytes_per_second):
        self.tun, self.delay, self.bytes_per_second = tun, delay, bytes_per_second
        self.packets = collections.deque()
        self.changed = threading.Condition()
        self.free_at = 0.0
        threading.Thread(target=self.deliver, daemon=True).start()

    def send(self, packet):
        now = time.monotonic()
        self.free_at = max(now, self.free_at) + len(packet) / self.bytes_per_second
        with self.changed:
            self.packets.append((self.free_at + self.delay, packet))
            self.changed.notify()

    def deliver(self):
        while True:
            with self.changed:
                while not self.packets:
                    self.changed.wait()
                due, packet = self.packets.popleft()
            left = due - time.monotonic()
            if left > 0:
                time.sleep(left)
            try:
                os.write(self.tun, packet)
            except OSError:
                return


class Hosts:
    """`count` hosts, 10.77.0.1 and so on. `delay`: seconds of one way."""

    made = 0

    def __init__(self, count, folder, delay=0.0005, bytes_per_second=125e6):
        self.count = count
        Hosts.made += 1
        self.prefix = f"ls{os.getpid()}-{Hosts.made}-"
        self.cut_hosts = set()
        self.tuns = []
        self.bytes_relayed = 0
        self.agent = f"{folder}/agent"
        self.links = {}
        try:
            for host in range(1, count + 1):
                self.add(host, delay, bytes_per_second)
        except BaseException:
            self.close()
            raise
        for host, tun in enumerate(self.tuns, 1):
            threading.Thread(target=self.relay, args=(host, tun), daemon=True).start()
        self.write_agent()

    def add(self, host, delay, bytes_per_second):
        space = f"{self.prefix}{host}"
        device = f"ls{os.getpid() % 100000}t{host}"
        tun = open_tun(device)
        self.tuns.append(tun)
        run("ip", "netns", "add", space)
        run("ip", "link", "set", device, "netns", space)
        run("ip", "-n", space, "link", "set", device, "name", DEVICE)
        device = DEVICE
        run("ip", "-n", space, "addr", "add", f"{NETWORK}{host}/24", "dev", device)
        run("ip", "-n", space, "link", "set", device, "mtu", "9000", "up")
        run("ip", "-n", space, "link", "set", "lo", "up")
        self.links[host] = Link(tun, delay, bytes_per_second)

    def relay(self, host, tun):
        while True:
            try:
                packet = os.read(tun, 65536)
            except OSError:
                return
            if packet[0] >> 4 != 4:
                continue
            to = packet[19]
            if to in self.links and not self.cut_hosts & {host, to}:
                self.bytes_relayed += len(packet)
                self.links[to].send(packet)

    # What a launcher takes for a remote shell: AGENT [-OPTION...] HOST COMMAND...
    def write_agent(self):
        with open(self.agent, "w") as file:
            file.write(
                "#!/bin/sh\n"
                'while case $1 in -*) true ;; *) false ;; esac; do shift; done\n'
                "host=${1##*.}\nshift\n"
                f'exec ip netns exec {self.prefix}"$host" unshare --uts sh -c "hostname host$host; $*"\n'
            )
        os.chmod(self.agent, 0o755)

    def inside(self, host, *command):
        """A command that runs on a host."""
        return [self.agent, f"{NETWORK}{host}", *command]

    def names(self, ranks):
        """Of the hosts, for a launcher: ranks in turn."""
        return ",".join(f"{NETWORK}{1 + rank % self.count}" for rank in range(ranks))

    def cut(self, host):
        self.cut_hosts.add(host)

    def close(self):
        for host in range(1, self.count + 1):
            space = f"{self.prefix}{host}"
            for process in subprocess.run(
                ["ip", "netns", "pids", space], capture_output=True, text=True
            ).stdout.split():
                subprocess.run(["kill", "-9", process], capture_output=True)
            subprocess.run(["ip", "netns", "del", space], capture_output=True)
        # The threads still read what was the tuns: numbers of closed files would be used again.
