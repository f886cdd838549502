// SPDX-License-Identifier: GPL-2.0
/*
 * Migration data with random changes, in random writes, into VFs of a HiSilicon
 * accelerator.
 *
 * usage: acc_data_fuzz [[-r] INPUTS SEED SOURCE DESTINATION...]
 *
 * Without arguments, as run_kselftest.sh runs it, a few inputs for the VF that
 * VFIO_SELFTESTS_DESTINATION of the environment names, from that of
 * VFIO_SELFTESTS_BDF.
 *
 * SOURCE is saved for valid data. The DESTINATIONs share the inputs. An input must
 * be loaded if acc_data_rules.h calls it valid, and rejected otherwise; what was
 * loaded and is saved again must be the same. With -r all inputs are invalid:
 * nothing of these may reach a register, which only the device can count.
 */
#include <pthread.h>
#include <stdlib.h>

#include "acc_fuzz.h"

#define MAX_FUNCTIONS	64
#define MAX_LENGTH	(DATA_END + 24)
#define FEW		500

struct share {
	pthread_t thread;
	const char *bdf;
	struct data_match match;
	uint64_t random;
	unsigned long taken, refused;
};

struct input {
	uint8_t bytes[MAX_LENGTH];
	size_t length;
};

static struct input seeds[7];
static unsigned int seed_count;
static bool refused_only;
static long left;

static void add_seed(const uint8_t *data, size_t length)
{
	memcpy(seeds[seed_count].bytes, data, length);
	seeds[seed_count++].length = length;
}

static void save(struct hisi_acc_vf *vf, uint8_t *data)
{
	int fd;

	if (device_set_state(vf->fd, STOP_COPY, &fd) ||
	    data_receive(fd, data, DATA_END) != DATA_END) {
		fprintf(stderr, "acc_data_fuzz: %s cannot be saved\n", vf->bdf);
		exit(1);
	}
	close(fd);
}

/* What the source sends, and the same as older drivers would send it */
static void make_seeds(const char *source, bool guest_up)
{
	uint8_t data[DATA_END];
	struct hisi_acc_vf vf;

	hisi_acc_vf_open(&vf, source);
	if (guest_up)
		hisi_acc_guest_up(&vf.guest);
	save(&vf, data);
	hisi_acc_vf_close(&vf);
	add_seed(data, DATA_END);
	if (guest_up) {
		uint8_t idle[DATA_END];

		/* the same, before the guest driver has set the last of four addresses */
		memcpy(idle, data, sizeof(idle));
		data_put(idle, GUEST, 4, 2);
		memset(idle + EQ_RING, 0, SQC_TABLE - EQ_RING);
		data_put(idle, CQC_TABLE, 8, 0);
		data_put(idle, CHECKSUM, 4, data_sum(idle));
		add_seed(idle, DATA_END);
	}
	data_put(data, MINOR, 2, 0);
	data_put(data, HW_VERSION, 8, 0);
	memset(data + GUEST, 0, EQ_RING - GUEST);
	if (!guest_up)
		data_put(data, GUEST_STATE, 4, 1);
	add_seed(data, guest_up ? DATA_END : MATCH_END);
	data_put(data, MAGIC, 8, DATA_MAGIC_1);
	data_put(data, MAJOR, 4, 0);
	add_seed(data, DATA_END);
}

/* Of the destination, which may have another number of queues than the source */
static void save_match(struct share *s, struct hisi_acc_vf *vf)
{
	uint8_t data[DATA_END];

	save(vf, data);
	s->match = data_match_of(data);
	if (device_set_state(vf->fd, RUNNING, NULL)) {
		fprintf(stderr, "acc_data_fuzz: %s cannot be set to RUNNING\n", vf->bdf);
		exit(1);
	}
}

static void change(struct share *s, struct input *input)
{
	static const uint32_t values[] = { 0, 1, 2, 3, 4, 6, 8, 32, 0xff, 0xffff, 0x10000,
					   0x80000000, 0xffffffff };
	unsigned int word = below(&s->random, MAX_LENGTH / 4);

	switch (below(&s->random, 4)) {
	case 0:
		input->bytes[below(&s->random, MAX_LENGTH)] ^= 1 << below(&s->random, 8);
		break;
	case 1:
		data_put(input->bytes, 4 * word, 4,
			 values[below(&s->random, ARRAY_SIZE(values))]);
		break;
	case 2:
		data_put(input->bytes, 4 * word, 4, 32 * below(&s->random, 0x8000000));
		break;
	default:
		if (!below(&s->random, 4))
			input->length = below(&s->random, MAX_LENGTH + 1);
	}
}

static bool make_input(struct share *s, struct input *input)
{
	bool right;

	do {
		*input = seeds[below(&s->random, seed_count)];
		for (unsigned int changes = below(&s->random, 4); changes; changes--)
			change(s, input);
		if (data_minor(input->bytes) && below(&s->random, 8))
			data_put(input->bytes, CHECKSUM, 4, data_sum(input->bytes));
		right = is_valid_data(input->bytes, input->length, &s->match);
	} while (right && refused_only);
	return right;
}

static int send_in_pieces(struct share *s, const struct input *input, int fd)
{
	unsigned int longest = 1 + below(&s->random, MAX_LENGTH);

	for (size_t sent = 0; sent < input->length;) {
		size_t piece = 1 + below(&s->random, longest);
		ssize_t n;

		if (piece > input->length - sent)
			piece = input->length - sent;
		n = data_send(fd, input->bytes + sent, piece);
		if (n < 0)
			return n;
		sent += n;
	}
	return 0;
}

/* Whether a save has what was loaded */
static bool saves_the_same(struct hisi_acc_vf *vf, const struct input *input)
{
	const uint8_t *in = input->bytes;
	enum data_guest guest;
	uint8_t out[DATA_END];
	int fd, read;

	if (device_set_state(vf->fd, STOP_COPY, &fd))
		return false;
	read = data_receive(fd, out, sizeof(out));
	close(fd);
	if (read != DATA_END)
		return false;
	guest = input->length == MATCH_END ? GUEST_NONE : data_guest_of(in);
	if (guest != data_guest_of(out))
		return false;
	if (guest == GUEST_NONE)
		return true;
	/*
	 * The addresses of the rings are those in their contexts; that a message was
	 * pending cannot be loaded; of each mask, one bit has a meaning.
	 */
	for (unsigned int mask = FLAGS; mask < MESSAGE_SET; mask += 4)
		if (mask != MESSAGE_SOURCE && ((in[mask] ^ out[mask]) & 1))
			return false;
	return !memcmp(in + MESSAGE_SET, out + MESSAGE_SET, GUEST - MESSAGE_SET) &&
	       !memcmp(in + SQC_TABLE, out + SQC_TABLE, DATA_END - SQC_TABLE);
}

static void report(struct share *s, const struct input *input, const char *what, int got)
{
	printf("not ok %s: %s, %d:", s->bdf, what, got);
	for (size_t i = 0; i < input->length; i++)
		printf("%s%02x", i % 8 ? "" : " ", input->bytes[i]);
	printf("\n");
	exit(1);
}

static void reset(struct share *s, struct hisi_acc_vf *vf, const struct input *input)
{
	int err = device_reset(vf->fd);

	if (err || device_get_state(vf->fd) != RUNNING)
		report(s, input, "a reset", err);
}

/* A reset takes 0.1 s: only where the next input needs it */
static void one_input(struct share *s, struct hisi_acc_vf *vf)
{
	struct input input;
	bool right = make_input(s, &input);
	int fd, sent, err;

	err = device_set_state(vf->fd, RESUMING, &fd);
	if (err)
		report(s, &input, "RESUMING fails", err);
	sent = send_in_pieces(s, &input, fd);
	err = device_set_state(vf->fd, STOP, NULL);
	if (right && (sent || err))
		report(s, &input, "valid data is rejected", sent ?: err);
	if (!right && !err)
		report(s, &input, "invalid data is loaded", err);
	err = device_get_state(vf->fd);
	if (err != (right ? STOP : RESUMING))
		report(s, &input, "the state afterwards", err);
	if (right && !saves_the_same(vf, &input))
		report(s, &input, "a save differs", 0);
	if (!right)
		reset(s, vf, &input);
	close(fd);
	s->taken += right;
	s->refused += !right;
}

static void *work(void *arg)
{
	struct share *s = arg;
	struct hisi_acc_vf vf;

	hisi_acc_vf_open(&vf, s->bdf);
	save_match(s, &vf);
	while (__atomic_sub_fetch(&left, 1, __ATOMIC_RELAXED) >= 0)
		one_input(s, &vf);
	hisi_acc_vf_close(&vf);
	return NULL;
}

static int usage(const char *name)
{
	fprintf(stderr, "usage: %s [[-r] INPUTS SEED SOURCE DESTINATION...]\n", name);
	return 2;
}

static int fuzz(unsigned long seed, const char *source, const char *const *destinations,
		int count)
{
	static struct share shares[MAX_FUNCTIONS];
	unsigned long taken = 0, refused = 0;

	setlinebuf(stdout);
	make_seeds(source, true);
	make_seeds(source, false);
	for (int i = 0; i < count; i++) {
		shares[i].bdf = destinations[i];
		shares[i].random = random_of(seed, i);
		pthread_create(&shares[i].thread, NULL, work, &shares[i]);
	}
	for (int i = 0; i < count; i++) {
		pthread_join(shares[i].thread, NULL);
		taken += shares[i].taken;
		refused += shares[i].refused;
	}
	printf("ok %lu taken, %lu refused\n", taken, refused);
	return 0;
}

int main(int argc, char **argv)
{
	const char *bdfs[2];
	int first, count;
	unsigned long seed;
	char *end;

	if (argc == 1) {
		hisi_acc_vf_pair(&argc, argv, bdfs);
		left = FEW;
		return fuzz(1, bdfs[0], &bdfs[1], 1);
	}
	refused_only = !strcmp(argv[1], "-r");
	first = 1 + refused_only;
	count = argc - first - 3;
	if (count < 1 || count > MAX_FUNCTIONS)
		return usage(argv[0]);
	left = strtol(argv[first], &end, 10);
	if (*end || left < 1)
		return usage(argv[0]);
	seed = strtoul(argv[first + 1], &end, 10);
	if (*end)
		return usage(argv[0]);
	return fuzz(seed, argv[first + 2], (const char *const *)&argv[first + 3], count);
}
