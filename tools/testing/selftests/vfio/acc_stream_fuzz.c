// SPDX-License-Identifier: GPL-2.0
/*
 * Images that were changed at random, cut into writes at random, into functions of
 * an accelerator.
 *
 * usage: acc_stream_fuzz [-r] STREAMS SEED SOURCE DESTINATION...
 *
 * SOURCE is where real images come from, each DESTINATION takes its share. Taken
 * must be what acc_image_rules.h calls an image, and nothing else; what was taken
 * and is saved again must say the same. With -r all streams are such that must be
 * refused: of these nothing may reach a register, which only the device can tell.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "acc_fuzz.h"

#define MAX_FUNCTIONS	64
#define MAX_LENGTH	(IMAGE_END + 24)

struct share {
	pthread_t thread;
	const char *bdf;
	struct image_facts facts;
	uint64_t random;
	unsigned long taken, refused;
};

struct stream {
	uint8_t bytes[MAX_LENGTH];
	size_t length;
};

static struct stream seeds[7];
static unsigned int seed_count;
static bool refused_only;
static long left;

static void add_seed(const uint8_t *image, size_t length)
{
	memcpy(seeds[seed_count].bytes, image, length);
	seeds[seed_count++].length = length;
}

static void save(struct device *d, uint8_t *image)
{
	int fd;

	if (device_set_state(d, STOP_COPY, &fd) ||
	    receive_image(fd, image, IMAGE_END) != IMAGE_END) {
		fprintf(stderr, "acc_stream_fuzz: %s gives no image\n", d->bdf);
		exit(1);
	}
	close(fd);
}

/* What the source sends, and the same as older drivers would have sent it */
static void make_seeds(const char *source, bool guest_up)
{
	uint8_t image[IMAGE_END];
	struct device d;

	device_open(&d, source);
	if (guest_up)
		device_guest_up(&d);
	save(&d, image);
	device_close(&d);
	add_seed(image, IMAGE_END);
	if (guest_up) {
		uint8_t idle[IMAGE_END];

		/* the same, before its driver has told of the last of four addresses */
		memcpy(idle, image, sizeof(idle));
		image_put(idle, GUEST, 4, 2);
		memset(idle + EQ_RING, 0, SQC_TABLE - EQ_RING);
		image_put(idle, CQC_TABLE, 8, 0);
		image_put(idle, CHECKSUM, 4, image_sum(idle));
		add_seed(idle, IMAGE_END);
	}
	image_put(image, MINOR, 2, 0);
	image_put(image, HW_VERSION, 8, 0);
	memset(image + GUEST, 0, EQ_RING - GUEST);
	if (!guest_up)
		image_put(image, GUEST_STATE, 4, 1);
	add_seed(image, guest_up ? IMAGE_END : MATCH_END);
	image_put(image, MAGIC, 8, IMAGE_MAGIC_1);
	image_put(image, MAJOR, 4, 0);
	add_seed(image, IMAGE_END);
}

/* The function's own, which may have another number of queues than the source */
static void learn_facts(struct share *s, struct device *d)
{
	uint8_t image[IMAGE_END];

	save(d, image);
	s->facts = image_facts_of(image);
	if (device_set_state(d, RUNNING, NULL)) {
		fprintf(stderr, "acc_stream_fuzz: %s does not run again\n", d->bdf);
		exit(1);
	}
}

static void change(struct share *s, struct stream *stream)
{
	static const uint32_t values[] = { 0, 1, 2, 3, 4, 6, 8, 32, 0xff, 0xffff, 0x10000,
					   0x80000000, 0xffffffff };
	unsigned int word = below(&s->random, MAX_LENGTH / 4);

	switch (below(&s->random, 4)) {
	case 0:
		stream->bytes[below(&s->random, MAX_LENGTH)] ^= 1 << below(&s->random, 8);
		break;
	case 1:
		image_put(stream->bytes, 4 * word, 4,
			  values[below(&s->random, ARRAY_SIZE(values))]);
		break;
	case 2:
		image_put(stream->bytes, 4 * word, 4, 32 * below(&s->random, 0x8000000));
		break;
	default:
		if (!below(&s->random, 4))
			stream->length = below(&s->random, MAX_LENGTH + 1);
	}
}

static bool make_stream(struct share *s, struct stream *stream)
{
	bool right;

	do {
		*stream = seeds[below(&s->random, seed_count)];
		for (unsigned int changes = below(&s->random, 4); changes; changes--)
			change(s, stream);
		if (image_minor(stream->bytes) && below(&s->random, 8))
			image_put(stream->bytes, CHECKSUM, 4, image_sum(stream->bytes));
		right = is_image(stream->bytes, stream->length, &s->facts);
	} while (right && refused_only);
	return right;
}

static int send_in_pieces(struct share *s, const struct stream *stream, int fd)
{
	unsigned int longest = 1 + below(&s->random, MAX_LENGTH);

	for (size_t sent = 0; sent < stream->length;) {
		size_t piece = 1 + below(&s->random, longest);
		ssize_t n;

		if (piece > stream->length - sent)
			piece = stream->length - sent;
		n = send_image(fd, stream->bytes + sent, piece);
		if (n < 0)
			return n;
		sent += n;
	}
	return 0;
}

/* What was loaded, as a save has it */
static bool says_the_same(struct device *d, const struct stream *stream)
{
	const uint8_t *in = stream->bytes;
	enum image_guest guest;
	uint8_t out[IMAGE_END];
	int fd, read;

	if (device_set_state(d, STOP_COPY, &fd))
		return false;
	read = receive_image(fd, out, sizeof(out));
	close(fd);
	if (read != IMAGE_END)
		return false;
	guest = stream->length == MATCH_END ? GUEST_NONE : image_guest_of(in);
	if (guest != image_guest_of(out))
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
	       !memcmp(in + SQC_TABLE, out + SQC_TABLE, IMAGE_END - SQC_TABLE);
}

static void complain(struct share *s, const struct stream *stream, const char *what, int got)
{
	printf("not ok %s: %s, %d:", s->bdf, what, got);
	for (size_t i = 0; i < stream->length; i++)
		printf("%s%02x", i % 8 ? "" : " ", stream->bytes[i]);
	printf("\n");
	exit(1);
}

static void reset(struct share *s, struct device *d, const struct stream *stream)
{
	int err = device_reset(d);

	if (err || device_state(d) != RUNNING)
		complain(s, stream, "a reset", err);
}

/* A reset takes a tenth of a second: only where the next stream wants it */
static void one_stream(struct share *s, struct device *d)
{
	struct stream stream;
	bool right = make_stream(s, &stream);
	int fd, sent, err;

	err = device_set_state(d, RESUMING, &fd);
	if (err)
		complain(s, &stream, "RESUMING was refused", err);
	sent = send_in_pieces(s, &stream, fd);
	err = device_set_state(d, STOP, NULL);
	if (right && (sent || err))
		complain(s, &stream, "an image was refused", sent ?: err);
	if (!right && !err)
		complain(s, &stream, "this was taken", err);
	err = device_state(d);
	if (err != (right ? STOP : RESUMING))
		complain(s, &stream, "the state then", err);
	if (right && !says_the_same(d, &stream))
		complain(s, &stream, "a save says otherwise", 0);
	if (!right)
		reset(s, d, &stream);
	close(fd);
	s->taken += right;
	s->refused += !right;
}

static void *work(void *arg)
{
	struct share *s = arg;
	struct device d;

	device_open(&d, s->bdf);
	learn_facts(s, &d);
	while (__atomic_sub_fetch(&left, 1, __ATOMIC_RELAXED) >= 0)
		one_stream(s, &d);
	device_close(&d);
	return NULL;
}

static int usage(const char *name)
{
	fprintf(stderr, "usage: %s [-r] STREAMS SEED SOURCE DESTINATION...\n", name);
	return 2;
}

int main(int argc, char **argv)
{
	static struct share shares[MAX_FUNCTIONS];
	unsigned long taken = 0, refused = 0, seed;
	int first, count;
	char *end;

	refused_only = argc > 1 && !strcmp(argv[1], "-r");
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

	setlinebuf(stdout);
	make_seeds(argv[first + 2], true);
	make_seeds(argv[first + 2], false);
	for (int i = 0; i < count; i++) {
		shares[i].bdf = argv[first + 3 + i];
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
