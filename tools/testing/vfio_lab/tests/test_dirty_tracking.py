# SPDX-License-Identifier: GPL-2.0
"""What only the device writes travels too: by dirty tracking in the SMMU (HTTU),
with nothing forced on QEMU; and without it the loss is seen."""

import dataclasses

import pytest

from lab.errors import LabError
from lab.session import Choice

IOMMUFD = Choice(backend="iommufd")


def test_qemus_own_defaults_suffice_with_httu(new_session):
    outcome = new_session().migrate(IOMMUFD, IOMMUFD)
    assert outcome.complaints == []
    assert outcome.carried > 0 and outcome.requests["after"] > 0


def test_iommufd_forced_without_httu_is_seen_to_lose_pages(new_session):
    blind = dataclasses.replace(IOMMUFD, httu=False)
    outcome = new_session().migrate(blind, blind)
    assert outcome.complaints, "pages that only the device wrote were not missed"


def test_a_dirty_cache_without_httu_is_refused(new_session):
    session = new_session()
    spec = session.spec("host", dataclasses.replace(IOMMUFD, httu=False), guest=False)
    spec.extra = ("-global", "arm-smmuv3.httu-cache-dirty=on")
    with pytest.raises(LabError, match="httu-cache-dirty needs httu=on"):
        session.boot([spec])
