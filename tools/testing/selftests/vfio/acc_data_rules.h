/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which migration data a VF must load: the rules in
 * Documentation/driver-api/hisi-acc-vfio-pci, implemented independently of the driver.
 * Fuzzers compare the two.
 */
#ifndef ACC_DATA_RULES_H
#define ACC_DATA_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum data_offset {
	MAGIC = 0, QUEUES = 8, DEVICE = 12, ISOLATION = 16, FIRST_QUEUE = 20,
	GUEST_STATE = 24, MAJOR = 28, MINOR = 30, HW_VERSION = 32, BAR_LAYOUT = 36,
	MATCH_END = 40, FLAGS = 40, MESSAGE_SOURCE = 48, MESSAGE_MASK = 52,
	MESSAGE_SET = 56, PAGE_CODE = 60, EQC = 64, AEQC = 92, GUEST = 120,
	PENDING_READ = 124, RESERVED = 128, CHECKSUM = 136, PADDING = 140,
	EQ_RING = 144, AEQ_RING = 152, SQC_TABLE = 160, CQC_TABLE = 168,
	DATA_END = 176,
};

#define DATA_MAGIC_1	0xcdcdcdcdfeedaaccull
#define DATA_MAGIC_2	0xaaccfeeddecadedeull

/* What a guest driver did with a VF, according to its data */
enum data_guest {
	GUEST_NONE,	/* nothing, or too little to work: nothing of it is loaded */
	GUEST_IDLE,	/* set it up in part; no queue works */
	GUEST_UP,
};

/* What data must match, in the units of the data */
struct data_match {
	uint64_t device, queues, isolation, hw_version, bar_layout;
};

/* Defined by the includer: CRC-32 as in Ethernet, in which the checksum counts as 0 */
static uint32_t data_sum(const uint8_t *data);

static inline uint64_t data_get(const uint8_t *data, unsigned int offset,
				unsigned int size)
{
	uint64_t value = 0;

	while (size--)
		value = value << 8 | data[offset + size];
	return value;
}

static inline void data_put(uint8_t *data, unsigned int offset,
			    unsigned int size, uint64_t value)
{
	for (; size--; value >>= 8)
		data[offset++] = (uint8_t)value;
}

static inline bool data_zero(const uint8_t *data, unsigned int from, unsigned int to)
{
	while (from < to)
		if (data[from++])
			return false;
	return true;
}

static inline unsigned int data_minor(const uint8_t *data)
{
	return data_get(data, MAGIC, 8) == DATA_MAGIC_2 ?
	       (unsigned int)data_get(data, MINOR, 2) : 0;
}

static inline bool data_match_fits(const uint8_t *data,
				   const struct data_match *match)
{
	bool first = data_get(data, MAGIC, 8) == DATA_MAGIC_1;

	if (!first && (data_get(data, MAGIC, 8) != DATA_MAGIC_2 ||
		       data_get(data, MAJOR, 2) != 1))
		return false;
	if (data_get(data, DEVICE, 4) != match->device ||
	    data_get(data, QUEUES, 4) != match->queues ||
	    data_get(data, ISOLATION, 4) != match->isolation ||
	    data_get(data, GUEST_STATE, 4) > 1)
		return false;
	if (data_minor(data))
		return data_get(data, HW_VERSION, 4) == match->hw_version &&
		       data_get(data, BAR_LAYOUT, 4) == match->bar_layout;
	return data_zero(data, first ? MAJOR : HW_VERSION, MATCH_END);
}

/* The address of a ring in its context, and in version 2 also the separate one */
static inline bool data_has_ring(const uint8_t *data, unsigned int context,
				 unsigned int ring)
{
	return data_get(data, context + 4, 8) &&
	       (data_get(data, MAGIC, 8) == DATA_MAGIC_1 ||
		data_get(data, ring, 8));
}

static inline bool data_has_all(const uint8_t *data)
{
	return data_has_ring(data, EQC, EQ_RING) &&
	       data_has_ring(data, AEQC, AEQ_RING) &&
	       data_get(data, SQC_TABLE, 8) && data_get(data, CQC_TABLE, 8);
}

/* Of data that is complete */
static inline enum data_guest data_guest_of(const uint8_t *data)
{
	if (!data_minor(data))
		return data_has_all(data) ? GUEST_UP : GUEST_NONE;
	if (data_get(data, GUEST, 4) == 1)
		return GUEST_UP;
	return data_zero(data, EQC, GUEST) &&
	       data_zero(data, SQC_TABLE, DATA_END) ? GUEST_NONE : GUEST_IDLE;
}

/* Fields that minor version 1 added */
static inline bool data_words_fit(const uint8_t *data)
{
	unsigned int minor = data_minor(data);
	uint64_t pending = data_get(data, PENDING_READ, 4);
	uint64_t guest = data_get(data, GUEST, 4);

	if (!minor)
		return data_zero(data, GUEST, EQ_RING);
	if (data_get(data, CHECKSUM, 4) != data_sum(data) ||
	    (pending && (pending < 4 || pending > 6)))
		return false;
	if (minor == 1 && !(data_zero(data, RESERVED, CHECKSUM) &&
			    data_zero(data, PADDING, EQ_RING)))
		return false;
	/* with these two fields, older drivers would load it as GUEST_UP */
	if (guest == 2)
		return data_zero(data, EQ_RING, SQC_TABLE);
	return guest == 1 && data_has_all(data);
}

static inline bool data_ring_fits(const uint8_t *data, unsigned int context)
{
	uint64_t last = data_get(data, context + 24, 2);

	return !(data_get(data, context + 4, 8) % 32) &&
	       data_get(data, context, 2) <= last &&
	       data_get(data, context + 2, 2) <= last;
}

static inline bool data_rest_fits(const uint8_t *data)
{
	enum data_guest guest = data_guest_of(data);

	if (!data_words_fit(data))
		return false;
	if (guest == GUEST_NONE)
		return true;
	if (data_get(data, MESSAGE_SET, 4) || data_get(data, PAGE_CODE, 4) > 2 ||
	    !data_ring_fits(data, EQC) || !data_ring_fits(data, AEQC) ||
	    data_get(data, SQC_TABLE, 8) % 32 || data_get(data, CQC_TABLE, 8) % 32)
		return false;
	if (guest == GUEST_IDLE)
		return true;
	return !data_get(data, GUEST_STATE, 4) &&
	       (data_get(data, MAGIC, 8) == DATA_MAGIC_1 ||
		(data_get(data, EQ_RING, 8) == data_get(data, EQC + 4, 8) &&
		 data_get(data, AEQ_RING, 8) == data_get(data, AEQC + 4, 8)));
}

static inline bool is_valid_data(const uint8_t *data, size_t len,
				 const struct data_match *match)
{
	if (len == MATCH_END)		/* of the in-tree driver, without a guest driver */
		return data_match_fits(data, match) && !data_minor(data);
	return len == DATA_END && data_match_fits(data, match) &&
	       data_rest_fits(data);
}

#endif
