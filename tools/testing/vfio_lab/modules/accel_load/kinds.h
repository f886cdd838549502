/* SPDX-License-Identifier: GPL-2.0 */
/* Common definitions of the module's kinds of algorithms. */
#ifndef KINDS_H
#define KINDS_H

#include <linux/crypto.h>
#include <linux/mutex.h>
#include <linux/prandom.h>
#include <linux/scatterlist.h>
#include <linux/types.h>

#define MAX_OUT		16384
#define MAX_TEXT	8192
#define MAX_IV		16

struct kind;
struct lane;

/**
 * struct task - one request
 * @hard: use the accelerator, not software
 * @in: input of @in_len bytes; @src is the same
 * @out: output, at most MAX_OUT bytes, of which @out_len are used; @dst is the same
 * @iv: the request can overwrite it
 * @wait: completion
 */
struct task {
	bool hard;
	void *in, *out;
	unsigned int in_len, out_len;
	struct scatterlist src, dst;
	u8 iv[MAX_IV];
	struct crypto_wait wait;
};

/**
 * struct kind_ops - how one of the kernel's crypto interfaces is used
 * @open: make the accelerator's (@hard) or software's transform; 0 or -errno
 * @close: free it
 * @fill: generate input
 * @max_out: maximum length of the output
 * @work: do a request; 0 or -errno
 * @undo: if results may differ: from a result back to the input; its length or -errno
 */
struct kind_ops {
	int (*open)(struct lane *lane, bool hard);
	void (*close)(struct lane *lane, bool hard);
	void (*fill)(struct lane *lane);
	unsigned int (*max_out)(const struct kind *kind, unsigned int in_len);
	int (*work)(struct lane *lane, struct task *task);
	int (*undo)(void *in, unsigned int in_len, void *out);
};

/**
 * struct kind - one algorithm to work with
 * @name: name for programs
 * @hard: driver name of the accelerator's algorithm
 * @soft: software to compare with; none with @ops->undo
 * @ops: its interface
 * @bytes: length of its key, of the hash's key, or of its numbers
 * @reverse: the accelerator undoes what software did
 */
struct kind {
	const char *name;
	const char *hard;
	const char *soft;
	const struct kind_ops *ops;
	unsigned int bytes;
	bool reverse;
};

/**
 * struct lane - one user of an algorithm
 * @kind: the algorithm
 * @lock: one request at a time
 * @random: state of the random number generator
 * @tfm: software's transform and the accelerator's
 * @in: input of @in_len bytes
 * @out: output
 * @want: expected output
 * @iv: IV of the request
 */
struct lane {
	const struct kind *kind;
	struct mutex lock;
	struct rnd_state random;
	union {
		void *any;
		struct crypto_acomp *acomp;
		struct crypto_akcipher *akcipher;
		struct crypto_kpp *kpp;
		struct crypto_skcipher *skcipher;
		struct crypto_aead *aead;
	} tfm[2];
	void *in, *out, *want;
	unsigned int in_len, out_len, want_len;
	u8 iv[MAX_IV];
};

extern const struct kind_ops cipher_ops, aead_ops, comp_ops, inflate_ops, rsa_ops, dh_ops, ecdh_ops;

#endif
