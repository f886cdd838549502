/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The mailbox takes a command from one store of 16 bytes. All VFs share its memory: a
 * narrower load may have the command of another one, says Linux' commit 3296992ffc43.
 */
#ifndef SELFTESTS_VFIO_HISI_ACC_MAILBOX_H
#define SELFTESTS_VFIO_HISI_ACC_MAILBOX_H

#include <err.h>
#include <stdint.h>

/* After what was written to memory */
static inline void mailbox_store(volatile void *mailbox, uint64_t low, uint64_t high)
{
#ifdef __aarch64__
	asm volatile("dsb st; stp %x0, %x1, [%2]"
		     :: "r" (low), "r" (high), "r" (mailbox) : "memory");
#else
	(void)mailbox, (void)low, (void)high;
	errx(1, "accelerators need arm64, which has accesses of 16 bytes");
#endif
}

/* Before what is read from memory */
static inline void mailbox_load(volatile void *mailbox, uint64_t *low, uint64_t *high)
{
#ifdef __aarch64__
	asm volatile("ldp %x0, %x1, [%2]; dmb oshld"
		     : "=&r" (*low), "=&r" (*high) : "r" (mailbox) : "memory");
#else
	(void)mailbox, (void)low, (void)high;
	errx(1, "accelerators need arm64, which has accesses of 16 bytes");
#endif
}

#endif
