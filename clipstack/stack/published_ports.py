"""Where the published ports of a stack are: on the machine that Docker runs on."""

from __future__ import annotations

from collections.abc import Mapping

from clipstack import net
from clipstack.settings.stack_variables import BIND_ADDRESS, DOCKER, ENGINE_ID, HOST
from clipstack.stack import containers, endpoint, ports
from clipstack.stack.services import stack_services


def located(values: Mapping[str, str]) -> dict[str, str]:
    """The variables of a stack with the other machine that Docker runs on, "" for this one."""
    return {**values, HOST: endpoint.current().remote_host}


def with_engine(client: containers.DockerClient, values: Mapping[str, str]) -> dict[str, str]:
    """The variables of a stack as `located` returns them, and with the Docker engine itself."""
    identity = {DOCKER: endpoint.current().host, ENGINE_ID: containers.engine_id(client)}
    return {**located(values), **identity}


def is_elsewhere(values: Mapping[str, str]) -> bool:
    """Whether `up` started the stack in another Docker engine than the one that is used now."""
    if values.get(DOCKER, "") in ("", endpoint.current().host):
        return False
    return values.get(ENGINE_ID) != containers.engine_id(containers.client())


def tunnel_hint(values: Mapping[str, str]) -> str:
    """How to reach services that only another machine reaches; "" if this one does.

    Args:
        values: what `located` returned.
    """
    host, address = values.get(HOST, ""), values[BIND_ADDRESS]
    if not host or not net.is_loopback(address):
        return ""
    return (
        f"The services listen on {address} of {host} alone. `{_tunnel(values)}` brings their "
        "ports here as long as it runs; CLIPSTACK_BIND_ADDRESS=0.0.0.0 lets others reach them."
    )


def firewall_hint(values: Mapping[str, str]) -> str:
    """What to do about a firewall before services of another machine; "" for this one's."""
    host = values.get(HOST, "")
    if not host or net.is_loopback(values[BIND_ADDRESS]):
        return ""
    return (
        f"The services run on {host}, whose ports this machine has to reach. Where a firewall "
        f"forbids that: `CLIPSTACK_BIND_ADDRESS=127.0.0.1 clipstack up`, then `{_tunnel(values)}`."
    )


def has_tunnel(values: Mapping[str, str]) -> bool:
    """Whether ssh forwards Milvus' and the encoder's ports of this machine."""
    variables = ("CLIPSTACK_MILVUS_PORT", "CLIPSTACK_BENTOML_PORT")
    return all(ports.program(int(values[name])).startswith("ssh ") for name in variables)


def _tunnel(values: Mapping[str, str]) -> str:
    address = values[BIND_ADDRESS] if net.is_loopback(values[BIND_ADDRESS]) else "127.0.0.1"
    services = stack_services(values)
    numbers = [values[port.variable] for service in services for port in service.ports]
    forwards = " ".join(f"-L {number}:{net.host_and_port(address, number)}" for number in numbers)
    return f"ssh -N {forwards} {endpoint.current().ssh_target}"
