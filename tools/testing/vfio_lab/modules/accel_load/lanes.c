// SPDX-License-Identifier: GPL-2.0
/*
 * Requests to an accelerator from within the kernel, compared with software.
 *
 * User space cannot use acomp, akcipher and kpp, and 7.2 blocks AF_ALG for
 * accelerators altogether. Here a program starts each request and knows when it
 * is in progress: ACCEL_LOAD_RUN is only the accelerator's part. The expected
 * result is computed before, or the result is checked after.
 */
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include "accel_load.h"
#include "kinds.h"

#define CIPHER(mode, len)	{							\
	.name = mode, .hard = "hisi_sec_" mode, .soft = mode, .ops = &cipher_ops, .bytes = len }
#define AEAD(mode, len)		{							\
	.name = mode, .hard = "hisi_sec_" mode, .soft = mode, .ops = &aead_ops, .bytes = len }
#define AUTHENC(hash, len)	AEAD("authenc(hmac(" hash "),cbc(aes))", len)
#define ECDH(curve, len)	{							\
	.name = "ecdh-" curve, .hard = "hpre-ecdh-" curve, .soft = "ecdh-" curve "-generic",	\
	.ops = &ecdh_ops, .bytes = len }

static const struct kind kinds[] = {
	CIPHER("ecb(aes)", 24),
	CIPHER("cbc(aes)", 16),
	CIPHER("ctr(aes)", 32),
	CIPHER("xts(aes)", 32),
	CIPHER("cbc(sm4)", 16),
	CIPHER("ctr(sm4)", 16),
	CIPHER("xts(sm4)", 32),
	CIPHER("ecb(des3_ede)", 24),
	CIPHER("cbc(des3_ede)", 24),
	AEAD("ccm(aes)", 16),
	AEAD("gcm(aes)", 32),
	AEAD("ccm(sm4)", 16),
	AEAD("gcm(sm4)", 16),
	AUTHENC("sha1", 20),
	AUTHENC("sha256", 32),
	AUTHENC("sha512", 64),
	{ .name = "deflate", .hard = "hisi-deflate-acomp", .ops = &comp_ops },
	{ .name = "inflate", .hard = "hisi-deflate-acomp", .soft = "deflate", .ops = &inflate_ops,
	  .reverse = true },
	{ .name = "rsa", .hard = "hpre-rsa", .soft = "rsa-generic", .ops = &rsa_ops },
	{ .name = "dh", .hard = "hpre-dh", .soft = "dh-generic", .ops = &dh_ops },
	ECDH("nist-p192", 24),
	ECDH("nist-p256", 32),
	ECDH("nist-p384", 48),
};

static void lane_close(struct lane *lane)
{
	for (int hard = 0; lane->kind && hard < 2; hard++) {
		if (!IS_ERR_OR_NULL(lane->tfm[hard].any))
			lane->kind->ops->close(lane, hard);
	}
	kfree(lane->in);
	kfree(lane->out);
	kfree(lane->want);
	kfree(lane);
}

static int lane_open(struct lane *lane, const char __user *name)
{
	char wanted[ACCEL_LOAD_NAME];
	long len = strncpy_from_user(wanted, name, sizeof(wanted));
	int ret = 0;

	if (len < 0)
		return len;
	if (lane->kind || len == sizeof(wanted))
		return -EINVAL;
	for (unsigned int i = 0; i < ARRAY_SIZE(kinds) && !lane->kind; i++) {
		if (!strcmp(kinds[i].name, wanted))
			lane->kind = &kinds[i];
	}
	if (!lane->kind)
		return -ENOENT;
	if (lane->kind->soft)
		ret = lane->kind->ops->open(lane, false);
	return ret ?: lane->kind->ops->open(lane, true);
}

/* A request from in to out, by accelerator or software */
static int lane_work(struct lane *lane, bool hard, void *out, unsigned int *out_len)
{
	const struct kind_ops *ops = lane->kind->ops;
	struct task task = {
		.hard = hard, .in = lane->in, .in_len = lane->in_len, .out = out,
		.out_len = ops->max_out(lane->kind, lane->in_len),
	};
	int ret;

	sg_init_one(&task.src, task.in, task.in_len);
	sg_init_one(&task.dst, task.out, task.out_len);
	memcpy(task.iv, lane->iv, sizeof(task.iv));
	crypto_init_wait(&task.wait);
	ret = ops->work(lane, &task);
	*out_len = task.out_len;
	return ret;
}

/* Input and expected output */
static int lane_prepare(struct lane *lane, unsigned long seed)
{
	const struct kind *kind = lane->kind;
	int ret = 0;

	prandom_seed_state(&lane->random, seed);
	kind->ops->fill(lane);
	if (kind->ops->undo) {
		memcpy(lane->want, lane->in, lane->in_len);
		lane->want_len = lane->in_len;
	} else {
		ret = lane_work(lane, false, lane->want, &lane->want_len);
	}
	if (!ret && kind->reverse) {
		swap(lane->in, lane->want);
		swap(lane->in_len, lane->want_len);
	}
	memset(lane->out, 0xa5, MAX_OUT);
	return ret;
}

static int lane_check(struct lane *lane)
{
	if (lane->kind->ops->undo) {
		int ret = lane->kind->ops->undo(lane->out, lane->out_len, lane->in);

		if (ret < 0)
			return 1;
		swap(lane->in, lane->out);
		lane->out_len = ret;
	}
	return lane->out_len != lane->want_len || memcmp(lane->out, lane->want, lane->want_len);
}

static int load_open(struct inode *inode, struct file *file)
{
	struct lane *lane = kzalloc(sizeof(*lane), GFP_KERNEL);

	if (!lane)
		return -ENOMEM;
	mutex_init(&lane->lock);
	lane->in = kzalloc(MAX_OUT, GFP_KERNEL);
	lane->out = kzalloc(MAX_OUT, GFP_KERNEL);
	lane->want = kzalloc(MAX_OUT, GFP_KERNEL);
	if (!lane->in || !lane->out || !lane->want) {
		lane_close(lane);
		return -ENOMEM;
	}
	file->private_data = lane;
	return 0;
}

static int load_release(struct inode *inode, struct file *file)
{
	lane_close(file->private_data);
	return 0;
}

static long load_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct lane *lane = file->private_data;

	guard(mutex)(&lane->lock);
	if (cmd == ACCEL_LOAD_OPEN)
		return lane_open(lane, (const char __user *)arg);
	if (!lane->kind || IS_ERR_OR_NULL(lane->tfm[true].any))
		return -EINVAL;
	switch (cmd) {
	case ACCEL_LOAD_PREPARE:
		return lane_prepare(lane, arg);
	case ACCEL_LOAD_RUN:
		return lane_work(lane, true, lane->out, &lane->out_len);
	case ACCEL_LOAD_CHECK:
		return lane_check(lane);
	}
	return -ENOTTY;
}

static const struct file_operations load_fops = {
	.owner = THIS_MODULE,
	.open = load_open,
	.release = load_release,
	.unlocked_ioctl = load_ioctl,
};

static struct miscdevice load_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = ACCEL_LOAD_DEVICE,
	.fops = &load_fops,
};
module_misc_device(load_device);

MODULE_DESCRIPTION("Load for accelerators that checks itself");
MODULE_LICENSE("GPL");
