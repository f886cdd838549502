// SPDX-License-Identifier: GPL-2.0
/*
 * Migration of a VFIO device: any device, any driver.
 *
 * usage: vfio_pci_migration_test [options of the harness] DEVICE
 */
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "migration_fixture.h"

#include "vfio_pci_migration_features.h"
#include "vfio_pci_migration_states.h"
#include "vfio_pci_migration_save.h"
#include "vfio_pci_migration_resume.h"
#include "vfio_pci_migration_precopy.h"
#include "vfio_pci_migration_life.h"
#include "vfio_pci_migration_threads.h"

int main(int argc, char *argv[])
{
	return migration_test_run(argc, argv);
}
