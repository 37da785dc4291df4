"""Ports of this machine."""

from __future__ import annotations

import socket

from mlops_dagster.system.loopback import HOST, first_free, free_ports


def test_ports_that_are_chosen_together_differ() -> None:
    assert len(set(free_ports(20))) == 20


def test_a_port_on_which_somebody_listens_is_passed_over() -> None:
    with socket.create_server((HOST, 0)) as server:
        taken = server.getsockname()[1]
        (free,) = free_ports(1)
        assert first_free([taken, free]) == free
        assert first_free([taken]) is None
