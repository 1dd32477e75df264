"""
Hosts on a network of their own: network namespaces of this machine, each with an address, and with files hidden.

It needs root and Linux. Nothing of it is seen outside, and all of it goes with the block.
"""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

SUBNET = f"10.213.{1 + os.getpid() % 250}"
"""Of the hosts; 1 is this process's own address. Tests that run at the same time have, mostly, one each."""


def usable() -> bool:
    """Tell whether this process may make hosts."""
    if not (shutil.which("ip") and shutil.which("unshare")) or os.geteuid() != 0:
        return False
    return not subprocess.run(["unshare", "--net", "--mount", "true"], capture_output=True, check=False).returncode


HIDE = 'while [ "$1" != -- ]; do mount -t tmpfs none "$1"; shift; done; shift; exec "$@"'
needs_hosts = pytest.mark.skipif(not usable(), reason="network namespaces need root and iproute2")


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, timeout=30)


def _processes(namespace: str) -> list[int]:
    command = ["ip", "netns", "pids", namespace]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=30)
    return [int(pid) for pid in done.stdout.split()]


@dataclass(frozen=True)
class Host:
    """A host: its namespace, its address, what of this machine's files it does not see, and where its cable ends."""

    namespace: str
    address: str
    hidden: tuple[Path, ...]
    switch: str
    port: str

    @contextmanager
    def running(
        self, name: str, *arguments: str, folder: Path, environment: Mapping[str, str]
    ) -> Iterator[subprocess.Popen[bytes]]:
        """Run a Python program there for the block. Args: folder: where it works, and what it says goes to."""
        apart = ("ip", "netns", "exec", self.namespace, "unshare", "--mount", "sh", "-ec", HIDE, "host")
        command = (*apart, *map(str, self.hidden), "--", sys.executable, *arguments)
        with (folder / f"{name}.log").open("wb") as said:
            process = subprocess.Popen(
                command,
                cwd=folder,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                start_new_session=True,
            )
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def cut(self) -> None:
        """Take its cable out of the switch: what is sent is lost, and nobody says so."""
        _ip("-n", self.switch, "link", "set", self.port, "down")

    def mend(self) -> None:
        """Put its cable back."""
        _ip("-n", self.switch, "link", "set", self.port, "up")

    def power_off(self) -> None:
        """Kill every process there at once."""
        for _ in range(100):  # one that was being forked is seen the next time
            if not (left := _processes(self.namespace)):
                return
            for pid in left:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.05)
        raise AssertionError(f"{self.namespace}: processes that do not die: {left}")


@dataclass
class Network:
    """A network: a switch, this process, and hosts."""

    name: str
    stack: ExitStack
    count: int = 1

    @property
    def address(self) -> str:
        """This process's address in it."""
        return f"{SUBNET}.1"

    def host(self, *hidden: Path) -> Host:
        """Add a host. Args: hidden: folders of this machine that are empty there."""
        self.count += 1
        port = f"port{self.count}"
        host = Host(f"{self.name}-{self.count}", f"{SUBNET}.{self.count}", hidden, f"{self.name}-0", port)
        _ip("netns", "add", host.namespace)
        self.stack.callback(_ip, "netns", "delete", host.namespace)
        self.stack.callback(host.power_off)
        self._cable(port, "cable", host.namespace)
        for each in (["addr", "add", f"{host.address}/24", "dev", "cable"], ["link", "set", "cable", "up"]):
            _ip("-n", host.namespace, *each)
        _ip("-n", host.namespace, "link", "set", "lo", "up")
        return host

    def _cable(self, port: str, end: str, namespace: str | None) -> None:
        """Lay a cable from a port of the switch to a namespace; None: this process's own."""
        switch = f"{self.name}-0"
        to = ["netns", namespace] if namespace else []
        _ip(
            "-n", switch, "link", "add", port, "type", "veth", "peer", "name", end, *(to or ["netns", str(os.getpid())])
        )
        _ip("-n", switch, "link", "set", port, "master", "switch", "up")

    def plug_in(self) -> None:
        """Make the switch, and put this process on it."""
        switch, own = f"{self.name}-0", f"{self.name[:8]}c"
        _ip("netns", "add", switch)
        self.stack.callback(_ip, "netns", "delete", switch)
        _ip("-n", switch, "link", "add", "switch", "type", "bridge")
        _ip("-n", switch, "link", "set", "switch", "up")
        self._cable("port1", own, None)
        _ip("addr", "add", f"{self.address}/24", "dev", own)
        _ip("link", "set", own, "up")


@contextmanager
def network() -> Iterator[Network]:
    """Make a network for the block."""
    with ExitStack() as stack:
        made = Network(f"i{secrets.token_hex(3)}", stack)
        made.plug_in()
        yield made


@contextmanager
def bucket(network: Network) -> Iterator[dict[str, str]]:
    """A bucket on the network. Yields: what names it in the environment."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
    server = ThreadedMotoServer(ip_address=network.address, port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    requests.put(f"http://{host}:{port}/team", timeout=10).raise_for_status()
    try:
        yield {
            "IDXFLOW_REMOTE__URL": f"s3://team/{secrets.token_hex(4)}",  # buckets outlive their server in this process
            "IDXFLOW_REMOTE__ENDPOINT": f"http://{host}:{port}",
            "IDXFLOW_REMOTE__REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "AKIATEST",
            "AWS_SECRET_ACCESS_KEY": "not-a-secret-of-anybody",
        }
    finally:
        server.stop()
