// SPDX-License-Identifier: GPL-2.0
/*
 * Load for an accelerator that verifies each result against software. AES of SEC
 * is used through AF_ALG if the kernel allows that; everything else through the
 * module accel_load.
 *
 * Each lane is a thread with one request in the accelerator at a time, so as
 * many requests are in flight as there are lanes.  Every request has its own
 * data, IV and length; a result that belongs to another request, or to an
 * earlier one, does not match. Only the accelerator writes the pages with AF_ALG's
 * results, which are checked repeatedly (pages.h).
 *
 * It writes a report ten times a second, a line of JSON each.  "stop" on standard
 * input ends the run: lanes complete their requests, and the last line has
 * "final":true.  Exits 0 only if every submitted request completed correctly.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/if_alg.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "../modules/accel_load/accel_load.h"
#include "../../selftests/vfio/migration_random.h"
#include "pages.h"

#define MAX_LANES	64
#define MAX_LEN		PAGE_BYTES
#define IV_LEN		16
#define REPORT_MS	100

struct mode {
	const char *name;
	const char *hard;
	const char *soft[2];	/* 7.2 calls its plain C AES aes-lib, 6.12 aes-generic */
	unsigned int key_len;
	bool has_iv;
};

static const struct mode modes[] = {
	{ "cbc", "hisi_sec_cbc(aes)", { "cbc(aes-lib)", "cbc(aes-generic)" }, 16, true },
	{ "xts", "hisi_sec_xts(aes)", { "xts(ecb(aes-lib))", "xts(ecb(aes-generic))" }, 32, true },
	{ "ctr", "hisi_sec_ctr(aes)", { "ctr(aes-lib)", "ctr(aes-generic)" }, 32, true },
	{ "ecb", "hisi_sec_ecb(aes)", { "ecb(aes-lib)", "ecb(aes-generic)" }, 24, false },
};

#define N_MODES (sizeof(modes) / sizeof(modes[0]))

/*
 * What the last argument names, joined by "+": the lanes take them in turn, and of
 * each the algorithms of accel_load. Any other name is such an algorithm itself.
 */
#define MAX_NAMES	2
#define MAX_CHOSEN	4

static const struct work {
	const char *name;
	const char *algs[MAX_NAMES];	/* none: the modes above, through AF_ALG */
} works[] = {
	{ "sec", {} },
	{ "aes", { "cbc(aes)" } },
	{ "zip", { "deflate", "inflate" } },
	{ "hpre", { "rsa", "ecdh-nist-p256" } },
	{ "edu", { "factorial", "dma" } },
};

#define N_WORKS (sizeof(works) / sizeof(works[0]))

enum count { SUBMITTED, VERIFIED, MISMATCHED, FAILED, N_COUNTS };

struct lane {
	pthread_t thread;
	const char *name;
	const struct work *work;
	const struct way *way;
	const struct mode *mode;
	int hard, soft;			/* operation sockets, or accel_load */
	uint64_t random;
	uint8_t iv[IV_LEN];
	size_t len;
	bool decrypt;
	atomic_ulong count[N_COUNTS];
	atomic_long since_ms;		/* when the request in flight was submitted, 0: none */
	uint8_t plain[MAX_LEN], cipher[MAX_LEN];
	struct pages results;
	uint8_t *result;		/* the page of the request in flight */
};

static struct lane lanes[MAX_LANES];
static _Alignas(PAGE_BYTES) uint8_t results[MAX_LANES][PAGES_PER_LANE][PAGE_BYTES];
static atomic_ulong stale;
static unsigned int n_lanes = 24, max_len = 4096;
static const struct work *chosen[MAX_CHOSEN] = { &works[0] };
static struct work single[MAX_CHOSEN];
static unsigned int n_chosen = 1;
static atomic_bool stopping;

static long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000L + ts.tv_nsec / 1000000;
}

/* Data need only differ from request to request */
static void fill(uint8_t *buf, size_t len, uint64_t *state)
{
	for (size_t i = 0; i < len; i++)
		buf[i] = xorshift(state) >> 32;
}

static int open_cipher(const char *driver, const uint8_t *key, unsigned int key_len)
{
	struct sockaddr_alg sa = { .salg_family = AF_ALG, .salg_type = "skcipher" };
	int tfm, op = -1;

	snprintf((char *)sa.salg_name, sizeof(sa.salg_name), "%s", driver);
	tfm = socket(AF_ALG, SOCK_SEQPACKET, 0);
	if (tfm < 0)
		return -1;
	if (!bind(tfm, (struct sockaddr *)&sa, sizeof(sa)) &&
	    !setsockopt(tfm, SOL_ALG, ALG_SET_KEY, key, key_len))
		op = accept(tfm, NULL, 0);
	close(tfm);
	return op;
}

/* One request from submission to result; 0 or -1 with errno. */
static int crypt_once(int op_fd, uint32_t op, const uint8_t *iv, const uint8_t *in,
		      uint8_t *out, size_t len)
{
	char control[CMSG_SPACE(sizeof(op)) + CMSG_SPACE(sizeof(struct af_alg_iv) + IV_LEN)] = {};
	struct iovec iov = { .iov_base = (void *)in, .iov_len = len };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
		.msg_controllen = iv ? sizeof(control) : CMSG_SPACE(sizeof(op)),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
	ssize_t n;

	cmsg->cmsg_level = SOL_ALG;
	cmsg->cmsg_type = ALG_SET_OP;
	cmsg->cmsg_len = CMSG_LEN(sizeof(op));
	memcpy(CMSG_DATA(cmsg), &op, sizeof(op));
	if (iv) {
		struct af_alg_iv *alg_iv;

		cmsg = CMSG_NXTHDR(&msg, cmsg);
		cmsg->cmsg_level = SOL_ALG;
		cmsg->cmsg_type = ALG_SET_IV;
		cmsg->cmsg_len = CMSG_LEN(sizeof(*alg_iv) + IV_LEN);
		alg_iv = (struct af_alg_iv *)CMSG_DATA(cmsg);
		alg_iv->ivlen = IV_LEN;
		memcpy(alg_iv->iv, iv, IV_LEN);
	}

	n = sendmsg(op_fd, &msg, 0);
	if (n != (ssize_t)len) {
		errno = n < 0 ? errno : EMSGSIZE;
		return -1;
	}
	n = read(op_fd, out, len);
	if (n != (ssize_t)len) {
		errno = n < 0 ? errno : EMSGSIZE;
		return -1;
	}
	return 0;
}

/* How a lane uses its algorithm; 0 or -1 with errno */
struct way {
	void (*set_up)(struct lane *lane, unsigned int index);
	int (*prepare)(struct lane *lane);
	int (*run)(struct lane *lane);	/* only the accelerator's own part */
	int (*check)(struct lane *lane);	/* 1: the result differs from software */
};

static int device_prepare(struct lane *lane)
{
	return ioctl(lane->hard, ACCEL_LOAD_PREPARE, xorshift(&lane->random));
}

static int device_run(struct lane *lane)
{
	return ioctl(lane->hard, ACCEL_LOAD_RUN, 0);
}

static int device_check(struct lane *lane)
{
	return ioctl(lane->hard, ACCEL_LOAD_CHECK, 0);
}

static const uint8_t *lane_iv(struct lane *lane)
{
	return lane->mode->has_iv ? lane->iv : NULL;
}

static int socket_prepare(struct lane *lane)
{
	lane->len = 16 + 16 * (xorshift(&lane->random) % (max_len / 16));
	lane->decrypt = xorshift(&lane->random) & 1;
	fill(lane->iv, sizeof(lane->iv), &lane->random);
	fill(lane->plain, lane->len, &lane->random);
	if (crypt_once(lane->soft, ALG_OP_ENCRYPT, lane_iv(lane), lane->plain, lane->cipher,
		       lane->len))
		return -1;
	lane->result = page_begin(&lane->results, &stale);
	return 0;
}

static int socket_run(struct lane *lane)
{
	return crypt_once(lane->hard, lane->decrypt ? ALG_OP_DECRYPT : ALG_OP_ENCRYPT,
			  lane_iv(lane), lane->decrypt ? lane->cipher : lane->plain,
			  lane->result, lane->len);
}

static int socket_check(struct lane *lane)
{
	const uint8_t *want = lane->decrypt ? lane->plain : lane->cipher;

	if (memcmp(lane->result, want, lane->len))
		return 1;
	page_end(&lane->results, want, lane->len);
	return 0;
}

static void give_up(unsigned int index, const char *what)
{
	fprintf(stderr, "load: lane %u: %s: %s\n", index, what, strerror(errno));
	exit(2);
}

static void device_set_up(struct lane *lane, unsigned int index)
{
	const char *const *algs = lane->work->algs;

	lane->name = algs[1] ? algs[index % MAX_NAMES] : algs[0];
	lane->hard = open("/dev/" ACCEL_LOAD_DEVICE, O_RDWR);
	if (lane->hard < 0 || ioctl(lane->hard, ACCEL_LOAD_OPEN, lane->name))
		give_up(index, lane->name);
}

static void socket_set_up(struct lane *lane, unsigned int index)
{
	/* Which soft name this kernel has: it starts modprobe for each one that it lacks */
	static unsigned int spelling;
	uint8_t key[32];

	lane->mode = &modes[index % N_MODES];
	lane->name = lane->mode->hard;
	lane->results.bytes = results[index];
	fill(key, sizeof(key), &lane->random);
	lane->hard = open_cipher(lane->mode->hard, key, lane->mode->key_len);
	if (lane->hard < 0)
		give_up(index, lane->mode->hard);
	lane->soft = open_cipher(lane->mode->soft[spelling], key, lane->mode->key_len);
	if (lane->soft < 0 && !spelling)
		lane->soft = open_cipher(lane->mode->soft[++spelling], key, lane->mode->key_len);
	if (lane->soft < 0)
		give_up(index, lane->mode->soft[spelling]);
}

static const struct way by_device = { device_set_up, device_prepare, device_run, device_check };
static const struct way by_socket = { socket_set_up, socket_prepare, socket_run, socket_check };

static void set_up_lane(unsigned int index)
{
	struct lane *lane = &lanes[index];

	lane->random = 0x9e3779b97f4a7c15ull * (index + 1);
	lane->work = chosen[index % n_chosen];
	lane->way = lane->work->algs[0] ? &by_device : &by_socket;
	lane->way->set_up(lane, index / n_chosen);
}

static void choose(char *names)
{
	char *name, *rest = NULL;
	unsigned int i;

	for (n_chosen = 0; n_chosen < MAX_CHOSEN && (name = strtok_r(names, "+", &rest)); n_chosen++) {
		names = NULL;
		for (i = 0; i < N_WORKS && strcmp(works[i].name, name); i++)
			;
		single[n_chosen] = (struct work){ name, { name } };
		chosen[n_chosen] = i < N_WORKS ? &works[i] : &single[n_chosen];
	}
	if (!n_chosen) {
		fprintf(stderr, "load: no work is named\n");
		exit(2);
	}
}

static void *run_lane(void *arg)
{
	struct lane *lane = arg;

	while (!atomic_load(&stopping)) {
		int ret, err;

		if (lane->way->prepare(lane)) {
			fprintf(stderr, "load: software's %s: %s\n", lane->name, strerror(errno));
			atomic_fetch_add(&lane->count[FAILED], 1);
			return NULL;
		}
		atomic_fetch_add(&lane->count[SUBMITTED], 1);
		atomic_store(&lane->since_ms, now_ms());
		ret = lane->way->run(lane);
		err = errno;
		atomic_store(&lane->since_ms, 0);

		if (ret) {
			fprintf(stderr, "load: %s: %s\n", lane->name, strerror(err));
			atomic_fetch_add(&lane->count[FAILED], 1);
			poll(NULL, 0, 1);	/* do not retry immediately */
		} else {
			atomic_fetch_add(&lane->count[lane->way->check(lane) ? MISMATCHED : VERIFIED],
					 1);
		}
	}
	return NULL;
}

static unsigned long total(enum count which)
{
	unsigned long sum = 0;

	for (unsigned int i = 0; i < n_lanes; i++)
		sum += atomic_load(&lanes[i].count[which]);
	return sum;
}

static void report(const char *boot_id, unsigned int seq, bool final)
{
	long now = now_ms(), oldest = 0;
	unsigned int in_flight = 0, pages = 0;
	char line[2048];
	int n;

	for (unsigned int i = 0; i < n_lanes; i++) {
		long since = atomic_load(&lanes[i].since_ms);

		pages += pages_look(&lanes[i].results, &stale);
		if (!since)
			continue;
		in_flight++;
		if (now - since > oldest)
			oldest = now - since;
	}
	n = snprintf(line, sizeof(line),
		     "{\"seq\":%u,\"ms\":%ld,\"boot\":\"%s\",\"pid\":%d,\"in_flight\":%u,\"oldest_ms\":%ld,\"submitted\":%lu,\"verified\":%lu,\"mismatched\":%lu,\"failed\":%lu,\"pages\":%u,\"stale\":%lu,\"final\":%s,\"lanes\":[",
		     seq, now, boot_id, getpid(), in_flight, oldest,
		     total(SUBMITTED), total(VERIFIED), total(MISMATCHED), total(FAILED),
		     pages, atomic_load(&stale), final ? "true" : "false");
	for (unsigned int i = 0; i < n_lanes && n < (int)sizeof(line) - 32; i++)
		n += snprintf(line + n, sizeof(line) - n, "%s%lu", i ? "," : "",
			      atomic_load(&lanes[i].count[VERIFIED]));
	n += snprintf(line + n, sizeof(line) - n, "]}\n");
	if (write(STDOUT_FILENO, line, n) != n)
		exit(3);
}

static unsigned int number(const char *text, unsigned int min, unsigned int max)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (*end || value < min || value > max) {
		fprintf(stderr, "load: '%s' is not a number from %u to %u\n", text, min, max);
		exit(2);
	}
	return value;
}

int main(int argc, char **argv)
{
	struct pollfd in = { .fd = STDIN_FILENO, .events = POLLIN };
	char boot_id[64] = "", word[64];
	unsigned int seq = 0;
	int fd, n;

	if (argc > 4) {
		fprintf(stderr, "usage: load [LANES [MAX_LEN [WORK[+WORK...]]]], WORK of sec, aes, zip, hpre, edu or an algorithm\n");
		return 2;
	}
	if (argc > 1)
		n_lanes = number(argv[1], 1, MAX_LANES);
	if (argc > 2)
		max_len = number(argv[2], 16, MAX_LEN);
	if (argc > 3)
		choose(argv[3]);

	fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY);
	n = read(fd, boot_id, 36);
	boot_id[n > 0 ? n : 0] = 0;
	close(fd);

	for (unsigned int i = 0; i < n_lanes; i++)
		set_up_lane(i);
	for (unsigned int i = 0; i < n_lanes; i++) {
		if (pthread_create(&lanes[i].thread, NULL, run_lane, &lanes[i])) {
			fprintf(stderr, "load: no thread for lane %u\n", i);
			return 2;
		}
	}

	while (!atomic_load(&stopping)) {
		if (poll(&in, 1, REPORT_MS) > 0) {
			n = read(STDIN_FILENO, word, sizeof(word) - 1);
			if (n <= 0 || !strncmp(word, "stop", 4))
				atomic_store(&stopping, true);
		}
		report(boot_id, seq++, false);
	}
	for (unsigned int i = 0; i < n_lanes; i++)
		pthread_join(lanes[i].thread, NULL);
	report(boot_id, seq, true);
	return total(VERIFIED) != total(SUBMITTED) || atomic_load(&stale);
}
