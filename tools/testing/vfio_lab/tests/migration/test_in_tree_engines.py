# SPDX-License-Identifier: GPL-2.0
"""The in-tree variant driver must migrate a guest with each accelerator, on each kernel. It
verifies that the device model does not require more than hardware does."""

import pytest

from lab.core.hardware import ENGINES
from lab.scenario.config import HostConfig
from kernels import EACH


@pytest.mark.long("the in-tree driver")
@pytest.mark.parametrize("version", EACH)
@pytest.mark.parametrize("name", ENGINES)
def test_the_in_tree_driver_migrates_a_guest(new_session, version, name):
    """The in-tree driver must migrate a guest with each accelerator."""
    outcome = new_session().migrate(HostConfig(kernel=version, driver="in-tree", engines=(name,)))
    assert outcome.failures == []
    assert outcome.carried > 0 and outcome.requests["after"] > 0
