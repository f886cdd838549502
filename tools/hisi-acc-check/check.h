/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Internal interfaces of hisi-acc-check: whether VFs of HiSilicon's accelerators can be
 * migrated on this host.
 */
#ifndef HISI_ACC_CHECK_H
#define HISI_ACC_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#define ARRAY_SIZE(array)	(sizeof(array) / sizeof((array)[0]))
#ifndef __printf
#define __printf(at, first)	__attribute__((__format__(__printf__, at, first)))
#endif

#define NAME_SIZE		64	/* of names from the kernel, and of versions */
#define TEXT_SIZE		320	/* of a sentence */
#define MAX_CHECKS		24	/* of a host or a VF */

/* Hardware version, which is also the PCI revision up to this one */
#define HW_V3			0x30

/* Of the JSON; see FORMAT in the man page */
#define FORMAT_NAME		"hisi-acc-check"
#define FORMAT_VERSION		1

enum status {
	STATUS_OK,
	STATUS_UNKNOWN,
	STATUS_NO,
};

/**
 * struct check - one line of the report
 * @name: of what was checked, part of the JSON format
 * @status: the result
 * @counts: whether the verdict follows from it
 * @reason: what was found
 * @remedy: what to do, or empty
 */
struct check {
	const char *name;
	enum status status;
	bool counts;
	char reason[TEXT_SIZE];
	char remedy[TEXT_SIZE];
};

struct checks {
	struct check list[MAX_CHECKS];
	unsigned int count;
};

/**
 * struct match - what migration data of a VF must agree with on the destination
 * @device_id: PCI device id; 0 if it is not known, as are the others
 * @queues: queues that the VF owns
 * @hw_version: of the hardware
 * @bar_layout: 1 if the guest has the lower half of BAR2, 2 if all of it
 * @isolation: doorbell isolation
 * @isolation_known: whether that is known; 0 is a value of it
 */
struct match {
	uint32_t device_id;
	uint32_t queues;
	uint32_t hw_version;
	uint32_t bar_layout;
	uint32_t isolation;
	bool isolation_known;
};

/* A kind of accelerator */
struct engine {
	const char *name;
	const char *pf_driver;
	uint32_t pf_id;
	uint32_t vf_id;
};

enum driver {
	DRIVER_NONE,
	DRIVER_OTHER,
	DRIVER_VFIO_PCI,
	DRIVER_VARIANT,		/* hisi_acc_vfio_pci, in-tree or not */
};

/* What is known of a property that only an open VF has */
enum known {
	KNOWN_NOT,
	KNOWN_NO,
	KNOWN_YES,
};

/**
 * struct user - a process that has a VF open
 * @pid: its number; 0 if there is none
 * @name: its program
 * @group: whether it has the VF by its group, for the container backend
 */
struct user {
	int pid;
	char name[NAME_SIZE];
	bool group;
};

/**
 * struct vf - a VF that is checked
 * @address: its PCI address
 * @engine: its kind; NULL if it is no VF of these accelerators
 * @pf: address of its PF, or empty
 * @driver_name: what it is bound to, or empty
 * @driver: the same, as far as it matters
 * @iommu: name of its IOMMU, or empty
 * @cdev: name of its character device, such as vfio0, or empty
 * @group: number of its IOMMU group; -1 if it has none
 * @user: who has it open
 * @in_use: whether a process has it open
 * @dirty: whether its IOMMU tracks dirty pages
 * @migration: whether it supports migration
 * @p2p: whether it supports the P2P states
 * @features: the same in words, as the VFIO core has them in debugfs
 * @match: match data
 * @trouble: why it could not be opened, or empty
 * @checks: the report
 */
struct vf {
	char address[NAME_SIZE];
	const struct engine *engine;
	char pf[NAME_SIZE];
	char driver_name[NAME_SIZE];
	enum driver driver;
	char iommu[NAME_SIZE];
	char cdev[NAME_SIZE];
	int group;
	struct user user;
	enum known in_use;
	enum known dirty;
	enum known migration;
	enum known p2p;
	char features[NAME_SIZE];
	struct match match;
	char trouble[TEXT_SIZE];
	struct checks checks;
};

/**
 * struct host - the host
 * @kernel: its release
 * @machine: its architecture
 * @page_size: of its kernel
 * @processor: MIDR_EL1 of its first CPU in hexadecimal, or empty
 * @iommufd: whether /dev/iommu exists
 * @this_driver: whether the loaded hisi_acc_vfio_pci is this project's
 * @qemu: version of QEMU, or empty
 * @libvirt: version of libvirt, or empty
 * @has_libvirt: whether it was found
 * @checks: the report
 */
struct host {
	char kernel[NAME_SIZE];
	char machine[NAME_SIZE];
	uint32_t page_size;
	char processor[NAME_SIZE];
	bool iommufd;
	enum known this_driver;
	char qemu[NAME_SIZE];
	char libvirt[NAME_SIZE];
	bool has_libvirt;
	struct checks checks;
};

/**
 * struct move - whether a guest can move with a VF to another host
 * @to: the VF there, or empty
 * @check: the result
 */
struct move {
	char to[NAME_SIZE];
	struct check check;
};

/**
 * struct report - all that is reported
 * @host: this host
 * @vfs: its VFs that were checked
 * @count: how many there are
 * @peer: whether the other host fits, if there is one
 * @moves: the same for each VF
 */
struct report {
	struct host host;
	struct vf *vfs;
	size_t count;
	struct checks *peer;
	struct move *moves;
};

/* files.c: files of this machine, or of a copy of another one's */
extern const char *files_root;

__printf(3, 4)
int files_read(char *text, size_t size, const char *format, ...);
__printf(2, 3)
int files_number(uint32_t *number, const char *format, ...);
__printf(3, 4)
int files_link(char *name, size_t size, const char *format, ...);
__printf(1, 2)
bool files_exist(const char *format, ...);
__printf(1, 2)
FILE *files_open(const char *format, ...);
__printf(3, 4)
int files_list(char ***names, size_t *count, const char *format, ...);
void files_list_free(char **names, size_t count);

/* text.c: the report */
void checks_add(struct checks *checks, const char *name, enum status status);
__printf(2, 3)
void checks_reason(struct checks *checks, const char *format, ...);
__printf(2, 3)
void checks_remedy(struct checks *checks, const char *format, ...);
void checks_note(struct checks *checks);
enum status checks_status(const struct checks *checks);
const struct check *checks_find(const struct checks *checks, const char *name);
const char *status_name(enum status status);
enum status status_worse(enum status one, enum status other);
enum status report_status(const struct report *report);
void report_print(const struct report *report);

/* write.c: the report as JSON */
void report_write(const struct report *report);

/* host.c: kernel, modules, limits of this host */
void host_check(struct host *host);

/* programs.c: QEMU and libvirt */
void programs_check(struct host *host);
bool programs_version(const char *version, unsigned int *major, unsigned int *minor);

/* pci.c: which VFs there are */
bool pci_is_address(const char *text);
int pci_find_vfs(struct report *report);
int pci_name_vfs(struct report *report, char **addresses, size_t count);
void pci_check_none(struct report *report);

/* users.c: who has a VF open */
void users_find(struct vf *vfs, size_t count);

/* vf.c: one VF, by what can be seen without opening it, and the verdict */
void vf_look(struct vf *vf);
void vf_set_features(struct vf *vf, bool stop_copy, bool p2p, bool pre_copy);
uint64_t vf_bar_size(const struct vf *vf);
void vf_share(struct vf *vfs, size_t count);
void vf_check(struct vf *vf, const struct host *host);

/* vfio.c: what only an open VF has */
void vfio_query(struct vf *vf, bool may_open);

/* peer.c: another host's JSON */
int peer_compare(struct report *report, const char *file);
void peer_free(struct report *report);

#endif
