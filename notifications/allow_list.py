"""The hosts and networks an operator opened to notices although they are not public."""

import ipaddress
from dataclasses import dataclass

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True)
class AllowList:
    """Host names (exact, in lower case) and networks."""

    hosts: frozenset[str] = frozenset()
    networks: tuple[Network, ...] = ()

    @classmethod
    def parse(cls, text: str) -> "AllowList":
        """Read a comma list of host names, addresses and networks; raise ValueError naming what is none of them."""
        hosts, networks = set(), []
        for entry in filter(None, (part.strip().lower() for part in text.split(","))):
            if entry[0].isdigit() or ":" in entry or "/" in entry:
                networks.append(_network(entry))
            else:
                hosts.add(entry.rstrip("."))
        return cls(frozenset(hosts), tuple(networks))

    def holds(self, host: str, address: Address) -> bool:
        """Tell whether this address, reached by this host name, was opened."""
        return host.lower().rstrip(".") in self.hosts or any(address in network for network in self.networks)


def _network(entry: str) -> Network:
    try:
        return ipaddress.ip_network(entry)
    except ValueError as error:
        raise ValueError(f"PILOTHOUSE_ALLOWED_ADDRESSES: {entry!r} is no address or network ({error})") from error
