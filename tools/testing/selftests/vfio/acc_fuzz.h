/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the fuzzers share.
 */
#ifndef ACC_FUZZ_H
#define ACC_FUZZ_H

#include "acc_data.h"
#include "hisi_acc_vf.h"
#include "migration_random.h"

/* What valid data of a VF says of the VF */
static inline struct data_match data_match_of(const uint8_t *data)
{
	return (struct data_match) {
		.device = data_get(data, DEVICE, 4),
		.queues = data_get(data, QUEUES, 4),
		.isolation = data_get(data, ISOLATION, 4),
		.hw_version = data_get(data, HW_VERSION, 4),
		.bar_layout = data_get(data, BAR_LAYOUT, 4),
	};
}

#endif
