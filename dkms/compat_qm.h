/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For builds out of tree: what hisi_qm may lack.
 */
#ifndef HISI_ACC_COMPAT_QM_H
#define HISI_ACC_COMPAT_QM_H

#include <linux/types.h>

struct hisi_qm;

bool compat_qm_try_block_reset(struct hisi_qm *qm);
bool compat_qm_extend_reset_block(struct hisi_qm *qm);
void compat_qm_unblock_reset(struct hisi_qm *qm);

#endif
