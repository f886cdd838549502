# SPDX-License-Identifier: GPL-2.0
"""Advanced error reporting of PF and VFs: behind a root port only, enabled by the PF for all."""

from __future__ import annotations

import pytest

from registers import Model

#: the capability's place, PCI Express' device control, and what enables all messages in it
AER, CONTROL, MESSAGES = 0x140, 0x88, 0xF
# in the root port: its PCI Express capability and the one of AER, root error status, source of an uncorrectable error
PORT_EXP, PORT_AER, STATUS, SOURCE = 0x54, 0x100, 0x30, 0x36
NONFATAL = 1 << 5


@pytest.fixture
def port(outer, tmp_path):
    """A device behind a root port that passes messages on."""
    with Model(outer, tmp_path, port=True) as model:
        model.bring_up()
        model.write(model.port + PORT_EXP + 8, MESSAGES, 2)
        model.write(model.port + 0x3E, 2, 2)
        yield model


def inject(model: Model, device: str) -> str:
    """Let the PF or a VF report a poisoned TLP; the monitor's answer."""
    return model.qmp("human-monitor-command", **{"command-line": f"pcie_aer_inject_error {device} POISON_TLP"})["return"]


def test_there_is_none_on_the_root_bus(start):
    """An endpoint of the root complex must have no such capability: no root port receives its messages."""
    vf = start()
    for number in range(2):
        assert vf.model.read(vf.model.config(number) + AER) == 0
    assert vf.model.qmp("human-monitor-command", **{"command-line": "pcie_aer_inject_error sec0.vf1 POISON_TLP"})["return"] \
        == "Error: device 'sec0.vf1' not found\r\n"


@pytest.mark.parametrize("number, device", [(0, "sec0"), (1, "sec0.vf1"), (2, "sec0.vf2")])
def test_the_pf_enables_the_messages_of_all(port, number, device):
    """Without the PF's bits a PF or VF must report nothing; with them the root port must have its number."""
    where = port.config(number)
    assert port.read(where + AER, 2) == 1
    for step, enabled in enumerate((0, MESSAGES)):
        port.write(port.config(0) + CONTROL, enabled, 2)
        assert inject(port, device).startswith("OK ")
        status = port.read(port.port + PORT_AER + STATUS)
        assert bool(status & NONFATAL) == bool(enabled), (step, hex(status))
        port.write(where + AER + 4, 0xFFFFFFFF)         # clears the error
        assert port.read(where + AER + 4) == 0
    assert port.read(port.port + PORT_AER + SOURCE, 2) == 0x100 + number


def test_the_bits_of_a_vf_are_reserved(port):
    """A VF's own enable bits must read as zero, and writes must not change what it reports, whatever
    the PF's are."""
    vf = port.config(1)
    for enabled in (0, MESSAGES):
        port.write(port.config(0) + CONTROL, enabled, 2)
        assert port.read(port.config(0) + CONTROL, 2) & MESSAGES == enabled
        for value in (MESSAGES, 0):
            port.write(vf + CONTROL, value, 2)
            for size in (1, 2, 4):
                assert port.read(vf + CONTROL, size) & MESSAGES == 0
            assert inject(port, "sec0.vf1").startswith("OK ")
            assert bool(port.read(port.port + PORT_AER + STATUS) & NONFATAL) == bool(enabled)
            port.write(port.port + PORT_AER + STATUS, 0xFFFFFFFF)
            port.write(vf + AER + 4, 0xFFFFFFFF)


def test_a_reset_of_the_pf_disables_them(port):
    """After a function-level reset of the PF nothing may be reported."""
    port.write(port.config(0) + CONTROL, MESSAGES, 2)
    port.write(port.config(0) + CONTROL + 1, 0x80, 1)
    port.run_due()
    assert port.read(port.config(0) + CONTROL, 2) & MESSAGES == 0
    assert inject(port, "sec0").startswith("OK ")
    assert port.read(port.port + PORT_AER + STATUS) == 0
