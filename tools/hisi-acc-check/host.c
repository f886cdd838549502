// SPDX-License-Identifier: GPL-2.0
/*
 * The host: kernel, modules, what a process may lock in memory, AppArmor.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "check.h"

#define MODULE		"hisi_acc_vfio_pci"
/* A function of this driver that the in-tree driver does not have */
#define OWN_FUNCTION	" hisi_acc_vf_data_decode"
#define CAP_IPC_LOCK	14
/* MiB; less than any guest has */
#define LEAST_GUEST	128

/* Of kernel/configs/hisi_acc_vfio_pci.config, what no other module can stand in for */
static const char *const options[] = {
	"PCI_IOV", "CRYPTO_DEV_HISI_SEC2", "CRYPTO_DEV_HISI_HPRE", "CRYPTO_DEV_HISI_ZIP",
	"ARM_SMMU_V3", "IOMMUFD", "VFIO", "VFIO_DEVICE_CDEV",
};

/* Of a copy of another machine's files: as the mappings of the process that made it have it */
static uint32_t host_copied_page_size(void)
{
	FILE *file = files_open("/proc/self/smaps");
	unsigned int kib = 0;
	char line[256];

	while (file && !kib && fgets(line, sizeof(line), file))
		if (sscanf(line, "KernelPageSize: %u kB", &kib) != 1)
			kib = 0;
	if (file)
		fclose(file);
	return kib > 1024 ? 0 : kib * 1024;
}

static void host_check_kernel(struct host *host)
{
	struct checks *checks = &host->checks;
	struct utsname name;

	if (files_root[0]) {
		files_read(host->kernel, NAME_SIZE, "/proc/sys/kernel/osrelease");
		files_read(host->machine, NAME_SIZE, "/proc/sys/kernel/arch");
		host->page_size = host_copied_page_size();
	} else if (!uname(&name)) {
		snprintf(host->kernel, NAME_SIZE, "%.63s", name.release);
		snprintf(host->machine, NAME_SIZE, "%.63s", name.machine);
		host->page_size = sysconf(_SC_PAGESIZE);
	}
	files_read(host->processor, NAME_SIZE,
		   "/sys/devices/system/cpu/cpu0/regs/identification/midr_el1");
	checks_add(checks, "kernel", strcmp(host->machine, "aarch64") ? STATUS_NO : STATUS_OK);
	checks_reason(checks, "Linux %s for %s", host->kernel, host->machine);
	if (strcmp(host->machine, "aarch64"))
		checks_remedy(checks, "none: only arm64 migrates these accelerators");
}

/* The configuration of the running kernel, where distributions put it as text */
static FILE *host_open_config(const struct host *host)
{
	static const char *const places[] = {
		"/boot/config-%s", "/lib/modules/%s/config", "/lib/modules/%s/build/.config",
	};
	char path[NAME_SIZE * 2];

	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		const char *rest = strstr(places[i], "%s") + 2;
		FILE *file;

		snprintf(path, sizeof(path), "%.*s%s%s", (int)(rest - places[i] - 2), places[i],
			 host->kernel, rest);
		file = files_open("%s", path);
		if (file)
			return file;
	}
	return NULL;
}

static void host_check_options(struct host *host)
{
	struct checks *checks = &host->checks;
	bool found[ARRAY_SIZE(options)] = { false };
	FILE *file = host_open_config(host);
	char line[512], lacks[TEXT_SIZE] = "";

	if (!file) {
		/* what follows from options is checked all the same */
		checks_add(checks, "options", STATUS_UNKNOWN);
		checks_note(checks);
		checks_reason(checks, "the kernel's configuration is not in /boot or /lib/modules");
		return;
	}
	while (fgets(line, sizeof(line), file)) {
		for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
			size_t len = strlen(options[i]);

			if (!strncmp(line, "CONFIG_", 7) && !strncmp(line + 7, options[i], len) &&
			    line[7 + len] == '=' && strchr("ym", line[8 + len]))
				found[i] = true;
		}
	}
	fclose(file);
	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		if (!found[i]) {
			size_t len = strlen(lacks);

			snprintf(lacks + len, sizeof(lacks) - len, " CONFIG_%s", options[i]);
		}
	checks_add(checks, "options", lacks[0] ? STATUS_NO : STATUS_OK);
	checks_reason(checks, "%s%.280s", lacks[0] ? "the kernel was configured without" :
		      "the kernel's configuration has all that is needed", lacks);
	if (lacks[0])
		checks_remedy(checks, "use a kernel with kernel/configs/hisi_acc_vfio_pci.config");
}

/* The names of functions can be read by all users */
static enum known host_this_driver(void)
{
	FILE *file = files_open("/proc/kallsyms");
	enum known known = KNOWN_NOT;
	char line[512];

	while (file && known != KNOWN_YES && fgets(line, sizeof(line), file)) {
		if (strstr(line, OWN_FUNCTION))
			known = KNOWN_YES;
		else if (strstr(line, "[" MODULE "]"))
			known = KNOWN_NO;
	}
	if (file)
		fclose(file);
	return known;
}

/* Which module modprobe takes, below /lib/modules/RELEASE; empty if there is none */
static void host_find_module(const struct host *host, const char *name, char place[TEXT_SIZE])
{
	FILE *file = files_open("/lib/modules/%s/modules.dep", host->kernel);
	char line[4096];

	place[0] = 0;
	while (file && !place[0] && fgets(line, sizeof(line), file)) {
		size_t len = strcspn(line, ":");
		char *found;

		line[len] = 0;
		found = strrchr(line, '/');
		found = found ? found + 1 : line;
		if (!strncmp(found, name, strlen(name)) &&
		    !strncmp(found + strlen(name), ".ko", 3))
			snprintf(place, TEXT_SIZE, "%.*s", TEXT_SIZE / 2, line);
	}
	if (file)
		fclose(file);
}

static void host_check_module(struct host *host)
{
	struct checks *checks = &host->checks;
	char place[TEXT_SIZE], version[NAME_SIZE];

	host_find_module(host, MODULE, place);
	if (!files_exist("/sys/module/" MODULE)) {
		checks_add(checks, "module", STATUS_NO);
		checks_note(checks);
		checks_reason(checks, place[0] ? "hisi_acc_vfio_pci is not loaded" :
			      "this kernel has no module hisi_acc_vfio_pci");
		checks_remedy(checks, place[0] ? "modprobe hisi_acc_vfio_pci" :
			      "install the driver, see upgrade.rst");
		return;
	}
	host->this_driver = host_this_driver();
	/* with CONFIG_MODULE_SRCVERSION_ALL */
	if (files_read(version, sizeof(version), "/sys/module/" MODULE "/srcversion"))
		version[0] = 0;
	checks_add(checks, "module", host->this_driver == KNOWN_NOT ? STATUS_UNKNOWN : STATUS_OK);
	checks_note(checks);
	checks_reason(checks, "%s is loaded%s%s; modprobe takes %s",
		      host->this_driver == KNOWN_YES ? "this driver" :
		      host->this_driver == KNOWN_NO ? "the in-tree driver" : MODULE,
		      version[0] ? ", srcversion " : "", version, place[0] ? place : "none");
	if (host->this_driver == KNOWN_NO)
		checks_remedy(checks, strncmp(place, "updates/", 8) ?
			      "replace it by this driver, see upgrade.rst" :
			      "unload it and load the other one, see upgrade.rst");
}

static void host_check_iommufd(struct host *host)
{
	struct checks *checks = &host->checks;
	char place[TEXT_SIZE];

	host->iommufd = files_exist("/dev/iommu");
	checks_add(checks, "iommufd", host->iommufd ? STATUS_OK : STATUS_NO);
	if (host->iommufd) {
		checks_reason(checks, "/dev/iommu");
		return;
	}
	host_find_module(host, "iommufd", place);
	checks_reason(checks, place[0] ? "there is no /dev/iommu: iommufd is not loaded" :
		      "there is no /dev/iommu, and this kernel has no module iommufd");
	checks_remedy(checks, place[0] ? "modprobe iommufd" : "enable CONFIG_IOMMUFD");
}

/* Whether this process may lock what it wants, as one of root does */
static bool host_may_lock(void)
{
	unsigned long long capabilities = 0;
	FILE *file = fopen("/proc/self/status", "re");
	char line[256];

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "CapEff: %llx", &capabilities) == 1)
			break;
	if (file)
		fclose(file);
	return capabilities & 1ULL << CAP_IPC_LOCK;
}

/* A guest with a VF has all of its memory locked. A QEMU that is started here has this limit */
static void host_check_memlock(struct host *host)
{
	struct checks *checks = &host->checks;
	struct rlimit limit;

	if (files_root[0])
		return;
	checks_add(checks, "memlock", STATUS_OK);
	/* which raises it for each QEMU */
	if (host->has_libvirt)
		checks_note(checks);
	if (host_may_lock()) {
		checks_reason(checks, "this user may lock all memory (CAP_IPC_LOCK)");
	} else if (getrlimit(RLIMIT_MEMLOCK, &limit)) {
		checks->list[checks->count - 1].status = STATUS_UNKNOWN;
		checks_reason(checks, "RLIMIT_MEMLOCK cannot be read");
	} else if (limit.rlim_cur == RLIM_INFINITY) {
		checks_reason(checks, "RLIMIT_MEMLOCK is unlimited");
	} else if (limit.rlim_cur >> 20 < LEAST_GUEST) {
		checks->list[checks->count - 1].status = STATUS_NO;
		checks_reason(checks, "RLIMIT_MEMLOCK is %llu KiB: no guest's memory fits",
			      (unsigned long long)limit.rlim_cur >> 10);
		checks_remedy(checks,
			      "ulimit -l, or LimitMEMLOCK= of the service; libvirt sets it for QEMU");
	} else {
		checks_reason(checks,
			      "RLIMIT_MEMLOCK is %llu MiB: all memory of the guest has to fit",
			      (unsigned long long)limit.rlim_cur >> 20);
	}
}

static bool host_profile_has(const char *place, const char *device)
{
	FILE *file = files_open("%s", place);
	bool found = false;
	char line[512];

	while (file && !found && fgets(line, sizeof(line), file))
		found = strstr(line, device) && !strchr("#", line[strspn(line, " \t")]);
	if (file)
		fclose(file);
	return found;
}

static bool host_profile_allows(const char *device)
{
	return host_profile_has("/etc/apparmor.d/abstractions/libvirt-qemu", device) ||
	       host_profile_has("/etc/apparmor.d/local/abstractions/libvirt-qemu", device);
}

/* It confines the QEMUs of libvirt, which from 12.2 on hands them their devices opened */
static void host_check_apparmor(struct host *host)
{
	struct checks *checks = &host->checks;
	unsigned int major = 0, minor = 0;
	char enabled[NAME_SIZE];

	/* of an unknown version: an old one */
	programs_version(host->libvirt, &major, &minor);

	checks_add(checks, "apparmor", STATUS_OK);
	checks_note(checks);
	if (files_read(enabled, sizeof(enabled), "/sys/module/apparmor/parameters/enabled") ||
	    enabled[0] != 'Y') {
		checks_reason(checks, "AppArmor is off");
	} else if (!host->has_libvirt) {
		checks_reason(checks,
			      "AppArmor confines libvirt's QEMUs only, and libvirt was not found");
	} else if (major > 12 || (major == 12 && minor >= 2)) {
		checks_reason(checks, "libvirt hands the opened devices to QEMU");
	} else if (host_profile_allows("/dev/iommu") && host_profile_allows("/dev/vfio/devices") &&
		   host_profile_allows("/vfio-dev/ ") && host_profile_allows("/vfio-dev/*/dev ")) {
		checks_reason(checks,
			      "libvirt's profile allows /dev/iommu, /dev/vfio/devices and vfio-dev");
	} else {
		checks->list[checks->count - 1].status = STATUS_NO;
		checks_reason(checks,
			      "libvirt's profile does not allow all of /dev/iommu, /dev/vfio/devices and vfio-dev");
		checks_remedy(checks,
			      "add libvirt.rst's lines to /etc/apparmor.d/local/abstractions/libvirt-qemu");
	}
}

/* The report of the host */
void host_check(struct host *host)
{
	host_check_kernel(host);
	host_check_options(host);
	host_check_module(host);
	host_check_iommufd(host);
	programs_check(host);
	host_check_memlock(host);
	host_check_apparmor(host);
}
