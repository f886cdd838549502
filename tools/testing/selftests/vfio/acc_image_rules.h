/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which migration data a VF must load: the rules in
 * Documentation/driver-api/hisi-acc-vfio-pci, implemented independently of the driver.
 * Fuzzers compare the two.
 */
#ifndef ACC_IMAGE_RULES_H
#define ACC_IMAGE_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum image_offset {
	MAGIC = 0, QUEUES = 8, DEVICE = 12, ISOLATION = 16, FIRST_QUEUE = 20,
	GUEST_STATE = 24, MAJOR = 28, MINOR = 30, HW_VERSION = 32, WINDOW = 36,
	MATCH_END = 40, FLAGS = 40, MESSAGE_SOURCE = 48, MESSAGE_MASK = 52,
	MESSAGE_SET = 56, PAGE_CODE = 60, EQC = 64, AEQC = 92, GUEST = 120,
	QUESTION = 124, RESERVED = 128, CHECKSUM = 136, PADDING = 140,
	EQ_RING = 144, AEQ_RING = 152, SQC_TABLE = 160, CQC_TABLE = 168,
	IMAGE_END = 176,
};

#define IMAGE_MAGIC_1	0xcdcdcdcdfeedaaccull
#define IMAGE_MAGIC_2	0xaaccfeeddecadedeull

/* What a guest driver did with a VF, according to its data */
enum image_guest {
	GUEST_NONE,	/* nothing, or too little to work: nothing of it is loaded */
	GUEST_IDLE,	/* set it up in part; no queue works */
	GUEST_UP,
};

/* What data must match, in the units of the data */
struct image_facts {
	uint64_t device, queues, isolation, hw_version, window;
};

/* Defined by the includer: CRC-32 as in Ethernet, in which the checksum counts as 0 */
static uint32_t image_sum(const uint8_t *image);

static inline uint64_t image_get(const uint8_t *image, unsigned int offset,
				 unsigned int size)
{
	uint64_t value = 0;

	while (size--)
		value = value << 8 | image[offset + size];
	return value;
}

static inline void image_put(uint8_t *image, unsigned int offset,
			     unsigned int size, uint64_t value)
{
	for (; size--; value >>= 8)
		image[offset++] = (uint8_t)value;
}

static inline bool image_zero(const uint8_t *image, unsigned int from, unsigned int to)
{
	while (from < to)
		if (image[from++])
			return false;
	return true;
}

static inline unsigned int image_minor(const uint8_t *image)
{
	return image_get(image, MAGIC, 8) == IMAGE_MAGIC_2 ?
	       (unsigned int)image_get(image, MINOR, 2) : 0;
}

static inline bool image_match_fits(const uint8_t *image,
				    const struct image_facts *facts)
{
	bool first = image_get(image, MAGIC, 8) == IMAGE_MAGIC_1;

	if (!first && (image_get(image, MAGIC, 8) != IMAGE_MAGIC_2 ||
		       image_get(image, MAJOR, 2) != 1))
		return false;
	if (image_get(image, DEVICE, 4) != facts->device ||
	    image_get(image, QUEUES, 4) != facts->queues ||
	    image_get(image, ISOLATION, 4) != facts->isolation ||
	    image_get(image, GUEST_STATE, 4) > 1)
		return false;
	if (image_minor(image))
		return image_get(image, HW_VERSION, 4) == facts->hw_version &&
		       image_get(image, WINDOW, 4) == facts->window;
	return image_zero(image, first ? MAJOR : HW_VERSION, MATCH_END);
}

/* The address of a ring in its context, and in version 2 also the separate one */
static inline bool image_has_ring(const uint8_t *image, unsigned int context,
				  unsigned int ring)
{
	return image_get(image, context + 4, 8) &&
	       (image_get(image, MAGIC, 8) == IMAGE_MAGIC_1 ||
		image_get(image, ring, 8));
}

static inline bool image_has_all(const uint8_t *image)
{
	return image_has_ring(image, EQC, EQ_RING) &&
	       image_has_ring(image, AEQC, AEQ_RING) &&
	       image_get(image, SQC_TABLE, 8) && image_get(image, CQC_TABLE, 8);
}

/* Of data that is complete */
static inline enum image_guest image_guest_of(const uint8_t *image)
{
	if (!image_minor(image))
		return image_has_all(image) ? GUEST_UP : GUEST_NONE;
	if (image_get(image, GUEST, 4) == 1)
		return GUEST_UP;
	return image_zero(image, EQC, GUEST) &&
	       image_zero(image, SQC_TABLE, IMAGE_END) ? GUEST_NONE : GUEST_IDLE;
}

/* Fields that minor version 1 added */
static inline bool image_words_fit(const uint8_t *image)
{
	unsigned int minor = image_minor(image);
	uint64_t question = image_get(image, QUESTION, 4);
	uint64_t guest = image_get(image, GUEST, 4);

	if (!minor)
		return image_zero(image, GUEST, EQ_RING);
	if (image_get(image, CHECKSUM, 4) != image_sum(image) ||
	    (question && (question < 4 || question > 6)))
		return false;
	if (minor == 1 && !(image_zero(image, RESERVED, CHECKSUM) &&
			    image_zero(image, PADDING, EQ_RING)))
		return false;
	/* with these two fields, older drivers would load it as GUEST_UP */
	if (guest == 2)
		return image_zero(image, EQ_RING, SQC_TABLE);
	return guest == 1 && image_has_all(image);
}

static inline bool image_ring_fits(const uint8_t *image, unsigned int context)
{
	uint64_t last = image_get(image, context + 24, 2);

	return !(image_get(image, context + 4, 8) % 32) &&
	       image_get(image, context, 2) <= last &&
	       image_get(image, context + 2, 2) <= last;
}

static inline bool image_rest_fits(const uint8_t *image)
{
	enum image_guest guest = image_guest_of(image);

	if (!image_words_fit(image))
		return false;
	if (guest == GUEST_NONE)
		return true;
	if (image_get(image, MESSAGE_SET, 4) || image_get(image, PAGE_CODE, 4) > 2 ||
	    !image_ring_fits(image, EQC) || !image_ring_fits(image, AEQC) ||
	    image_get(image, SQC_TABLE, 8) % 32 || image_get(image, CQC_TABLE, 8) % 32)
		return false;
	if (guest == GUEST_IDLE)
		return true;
	return !image_get(image, GUEST_STATE, 4) &&
	       (image_get(image, MAGIC, 8) == IMAGE_MAGIC_1 ||
		(image_get(image, EQ_RING, 8) == image_get(image, EQC + 4, 8) &&
		 image_get(image, AEQ_RING, 8) == image_get(image, AEQC + 4, 8)));
}

static inline bool is_image(const uint8_t *image, size_t len,
			    const struct image_facts *facts)
{
	if (len == MATCH_END)		/* of the in-tree driver, without a guest driver */
		return image_match_fits(image, facts) && !image_minor(image);
	return len == IMAGE_END && image_match_fits(image, facts) &&
	       image_rest_fits(image);
}

#endif
