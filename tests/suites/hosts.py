"""
Hosts on a network of their own: network namespaces of this machine, each with an address, and with files hidden.

It needs root and Linux. Nothing of it is seen outside, and all of it goes with the block.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

SUBNET = "10.213.7"
"""Of the hosts; 1 is this process's own address."""


def usable() -> bool:
    """Tell whether this process may make hosts."""
    if not (shutil.which("ip") and shutil.which("unshare")) or os.geteuid() != 0:
        return False
    return not subprocess.run(["unshare", "--net", "--mount", "true"], capture_output=True, check=False).returncode


needs_hosts = pytest.mark.skipif(not usable(), reason="network namespaces need root and iproute2")


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, timeout=30)


@dataclass(frozen=True)
class Host:
    """A host: its namespace, its address, and what of this machine's files it does not see."""

    namespace: str
    address: str
    hidden: Path

    @contextmanager
    def running(
        self, name: str, *arguments: str, folder: Path, environment: Mapping[str, str]
    ) -> Iterator[subprocess.Popen[bytes]]:
        """Run a Python program there for the block. Args: folder: where it works, and what it says goes to."""
        apart = ("ip", "netns", "exec", self.namespace, "unshare", "--mount", "sh", "-c")
        command = (*apart, 'mount -t tmpfs none "$0" && exec "$@"', str(self.hidden), sys.executable, *arguments)
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
        """Take its cable out."""
        _ip("-n", self.namespace, "link", "set", "cable", "down")

    def mend(self) -> None:
        """Put its cable back."""
        _ip("-n", self.namespace, "link", "set", "cable", "up")


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

    def host(self, hidden: Path) -> Host:
        """Add a host. Args: hidden: a folder of this machine, which is empty there."""
        self.count += 1
        host = Host(f"{self.name}-{self.count}", f"{SUBNET}.{self.count}", hidden)
        _ip("netns", "add", host.namespace)
        self.stack.callback(_ip, "netns", "delete", host.namespace)
        self._cable(f"port{self.count}", "cable", host.namespace)
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
