/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Migration files of a VFIO driver whose migration data has one size.
 */
#ifndef EDU_MIGF_H
#define EDU_MIGF_H

#include <linux/types.h>

struct edu_migf;
struct file;
struct vfio_device;

int edu_migf_open(struct vfio_device *vdev, int flags, const void *match, size_t match_size,
		  size_t size, struct edu_migf **opened);
struct file *edu_migf_file(struct edu_migf *migf);
void edu_migf_fill(struct edu_migf *migf, const void *data);
int edu_migf_read_all(struct edu_migf *migf, void *data);
void edu_migf_close(struct edu_migf *migf);

#endif
