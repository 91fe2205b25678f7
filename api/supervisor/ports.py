"""Hosts, ports and the addresses people and programs use."""

import errno
import ipaddress
import socket

import psutil


class PortTaken(RuntimeError):
    """Something else listens where a part should."""


def reachable_host(host: str) -> str:
    """Return the host to connect to for a host that is listened on, bracketed for a URL when it is IPv6.

    A wildcard listens everywhere and is reached on loopback.
    """
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if address.is_unspecified:
        return "127.0.0.1" if address.version == 4 else "[::1]"
    return str(address) if address.version == 4 else f"[{address}]"


def is_loopback(host: str) -> bool:
    """Say whether only this machine can reach what listens on this host."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def require_free(host: str, port: int, *, part: str, setting: str) -> None:
    """Raise PortTaken, naming the port, its holder where known, and the setting, unless we could listen there."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except socket.gaierror as error:
        raise PortTaken(f"The {part} cannot listen on host {host!r}: {error.strerror}") from error
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise PortTaken(f"The {part} cannot listen on {host}:{port}: {error.strerror}") from error
        raise PortTaken(
            f"Port {port} on {host}, meant for the {part}, is taken{_holder(port)}. Choose another with {setting}"
        ) from error


def _holder(port: int) -> str:
    try:
        listening = [c for c in psutil.net_connections("tcp") if c.status == psutil.CONN_LISTEN and c.pid]
        pid = next(c.pid for c in listening if c.laddr.port == port)
        return f" by {psutil.Process(pid).name()} (pid {pid})"
    except (psutil.Error, OSError, StopIteration):
        return ""
