// SPDX-License-Identifier: GPL-2.0
/*
 * Load for an accelerator that checks itself: every result is compared with
 * software's. What the kernel lets a program reach, AES of SEC through AF_ALG,
 * is reached so; the rest, and AES where AF_ALG refuses accelerators, by the
 * module accel_load.
 *
 * Each lane is a thread with one request in the accelerator at a time, so as
 * many requests are in flight as there are lanes.  Every request has its own
 * data, IV and length; a result that belongs to another request, or to an
 * earlier one, does not compare. What AF_ALG's results came to lie in is written
 * by the accelerator alone, and looked at again and again (pages.h).
 *
 * A report goes out ten times a second, a line of JSON each.  The word "stop"
 * on standard input ends the run: lanes finish what they have in flight, and a
 * last line says "final":true.  Exit status 0 only when every request that was
 * submitted came back right.
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

#include "kernel/accel_load.h"
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

/* What the last argument names, joined by "+": the lanes take them in turn, and of
 * each the kinds of accel_load */
static const struct work {
	const char *name;
	unsigned int n_kinds;		/* 0: the modes above, through AF_ALG */
	enum accel_load_kind kinds[2];
} works[] = {
	{ "sec", 0, {} },
	{ "aes", 1, { ACCEL_LOAD_AES } },
	{ "zip", 2, { ACCEL_LOAD_DEFLATE, ACCEL_LOAD_INFLATE } },
	{ "hpre", 2, { ACCEL_LOAD_RSA, ACCEL_LOAD_ECDH } },
};

#define N_WORKS (sizeof(works) / sizeof(works[0]))
#define MAX_CHOSEN	4

enum count { SUBMITTED, VERIFIED, MISMATCHED, FAILED, N_COUNTS };

struct lane {
	pthread_t thread;
	const struct work *work;
	const struct mode *mode;
	int hard, soft;			/* operation sockets */
	uint64_t random;
	atomic_ulong count[N_COUNTS];
	atomic_long since_ms;		/* when the request in flight was submitted, 0: none */
	uint8_t plain[MAX_LEN], cipher[MAX_LEN];
	struct pages results;
};

static struct lane lanes[MAX_LANES];
static _Alignas(PAGE_BYTES) uint8_t results[MAX_LANES][PAGES_PER_LANE][PAGE_BYTES];
static atomic_ulong stale;
static unsigned int n_lanes = 24, max_len = 4096;
static const struct work *chosen[MAX_CHOSEN] = { &works[0] };
static unsigned int n_chosen = 1;
static atomic_bool stopping;

static long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000L + ts.tv_nsec / 1000000;
}

/* xorshift64: data need only differ from request to request */
static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static void fill(uint8_t *buf, size_t len, uint64_t *state)
{
	for (size_t i = 0; i < len; i++)
		buf[i] = next_random(state) >> 32;
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

/* A lane of accel_load's: only the accelerator's own part counts as in flight */
static void *run_device_lane(void *arg)
{
	struct lane *lane = arg;

	while (!atomic_load(&stopping)) {
		int ret, err, differs;

		if (ioctl(lane->hard, ACCEL_LOAD_PREPARE, next_random(&lane->random))) {
			fprintf(stderr, "load: software: %s\n", strerror(errno));
			atomic_fetch_add(&lane->count[FAILED], 1);
			return NULL;
		}
		atomic_fetch_add(&lane->count[SUBMITTED], 1);
		atomic_store(&lane->since_ms, now_ms());
		ret = ioctl(lane->hard, ACCEL_LOAD_RUN, 0);
		err = errno;
		atomic_store(&lane->since_ms, 0);

		differs = ret ? 0 : ioctl(lane->hard, ACCEL_LOAD_CHECK, 0);
		if (ret) {
			fprintf(stderr, "load: %s: %s\n", lane->work->name, strerror(err));
			atomic_fetch_add(&lane->count[FAILED], 1);
		} else if (differs) {
			atomic_fetch_add(&lane->count[MISMATCHED], 1);
		} else {
			atomic_fetch_add(&lane->count[VERIFIED], 1);
		}
	}
	return NULL;
}

static void *run_lane(void *arg)
{
	struct lane *lane = arg;
	const struct mode *mode = lane->mode;

	while (!atomic_load(&stopping)) {
		size_t len = 16 + 16 * (next_random(&lane->random) % (max_len / 16));
		bool decrypt = next_random(&lane->random) & 1;
		const uint8_t *in = lane->plain, *want = lane->cipher;
		uint8_t iv_buf[IV_LEN], *result;
		const uint8_t *iv = mode->has_iv ? iv_buf : NULL;
		int ret, err;

		fill(iv_buf, sizeof(iv_buf), &lane->random);
		fill(lane->plain, len, &lane->random);
		if (crypt_once(lane->soft, ALG_OP_ENCRYPT, iv, lane->plain, lane->cipher, len)) {
			fprintf(stderr, "load: software %s: %s\n", mode->name, strerror(errno));
			atomic_fetch_add(&lane->count[FAILED], 1);
			return NULL;
		}
		if (decrypt) {
			in = lane->cipher;
			want = lane->plain;
		}
		result = page_begin(&lane->results, &stale);
		atomic_fetch_add(&lane->count[SUBMITTED], 1);
		atomic_store(&lane->since_ms, now_ms());
		ret = crypt_once(lane->hard, decrypt ? ALG_OP_DECRYPT : ALG_OP_ENCRYPT, iv, in,
				 result, len);
		err = errno;
		atomic_store(&lane->since_ms, 0);

		if (ret) {
			fprintf(stderr, "load: %s: %s\n", mode->hard, strerror(err));
			atomic_fetch_add(&lane->count[FAILED], 1);
		} else if (memcmp(result, want, len)) {
			atomic_fetch_add(&lane->count[MISMATCHED], 1);
		} else {
			atomic_fetch_add(&lane->count[VERIFIED], 1);
			page_end(&lane->results, want, len);
		}
	}
	return NULL;
}

/* The index is among the lanes of the same work */
static void set_up_device_lane(struct lane *lane, unsigned int index)
{
	const struct work *work = lane->work;

	lane->random = 0x9e3779b97f4a7c15ull * (index + 1);
	lane->hard = open("/dev/" ACCEL_LOAD_DEVICE, O_RDWR);
	if (lane->hard < 0 ||
	    ioctl(lane->hard, ACCEL_LOAD_OPEN, work->kinds[index % work->n_kinds])) {
		fprintf(stderr, "load: lane %u of %s: %s\n", index, work->name, strerror(errno));
		exit(2);
	}
}

static void set_up_lane(struct lane *lane, unsigned int index)
{
	uint8_t key[32];

	lane->mode = &modes[index % N_MODES];
	lane->random = 0x9e3779b97f4a7c15ull * (index + 1);
	lane->results.bytes = results[index];
	fill(key, sizeof(key), &lane->random);

	lane->hard = open_cipher(lane->mode->hard, key, lane->mode->key_len);
	if (lane->hard < 0) {
		fprintf(stderr, "load: lane %u: no %s: %s\n", index, lane->mode->hard,
			strerror(errno));
		exit(2);
	}
	lane->soft = open_cipher(lane->mode->soft[0], key, lane->mode->key_len);
	if (lane->soft < 0)
		lane->soft = open_cipher(lane->mode->soft[1], key, lane->mode->key_len);
	if (lane->soft < 0) {
		fprintf(stderr, "load: lane %u: no software %s: %s\n", index,
			lane->mode->name, strerror(errno));
		exit(2);
	}
}

static void set_up_any_lane(unsigned int index)
{
	struct lane *lane = &lanes[index];

	lane->work = chosen[index % n_chosen];
	if (lane->work->n_kinds)
		set_up_device_lane(lane, index / n_chosen);
	else
		set_up_lane(lane, index / n_chosen);
}

static void choose(char *names)
{
	char *name, *rest = NULL;

	for (n_chosen = 0; n_chosen < MAX_CHOSEN && (name = strtok_r(names, "+", &rest)); n_chosen++) {
		unsigned int i = 0;

		names = NULL;
		while (i < N_WORKS && strcmp(works[i].name, name))
			i++;
		if (i == N_WORKS) {
			fprintf(stderr, "load: there is no work '%s'\n", name);
			exit(2);
		}
		chosen[n_chosen] = &works[i];
	}
	if (!n_chosen) {
		fprintf(stderr, "load: no work\n");
		exit(2);
	}
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
		fprintf(stderr, "usage: load [LANES [MAX_LEN [WORK[+WORK...]]]], WORK of sec, aes, zip, hpre\n");
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
		set_up_any_lane(i);
	for (unsigned int i = 0; i < n_lanes; i++) {
		if (pthread_create(&lanes[i].thread, NULL,
				   lanes[i].work->n_kinds ? run_device_lane : run_lane, &lanes[i])) {
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
