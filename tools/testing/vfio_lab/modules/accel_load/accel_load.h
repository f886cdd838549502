/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * Use an accelerator from a program through the kernel: one open file is one user
 * of one algorithm, with one request at a time.
 */
#ifndef ACCEL_LOAD_H
#define ACCEL_LOAD_H

#include <linux/ioctl.h>

#define ACCEL_LOAD_DEVICE	"accel_load"

/* of an algorithm, such as "cbc(aes)", with its end; lanes.c knows them */
#define ACCEL_LOAD_NAME		64

/* In this order; the argument is a name, then a number that data grow from */
#define ACCEL_LOAD_OPEN		_IO('v', 0xe0)
#define ACCEL_LOAD_PREPARE	_IO('v', 0xe1)
#define ACCEL_LOAD_RUN		_IO('v', 0xe2)
/* 0 if the accelerator's result is equal to software's, 1 if not */
#define ACCEL_LOAD_CHECK	_IO('v', 0xe3)

#endif
