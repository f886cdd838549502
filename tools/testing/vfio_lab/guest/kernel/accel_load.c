// SPDX-License-Identifier: GPL-2.0
/*
 * Requests to an accelerator from within the kernel, compared with software.
 *
 * Nothing in user space reaches acomp, akcipher or kpp, and 7.2 keeps AF_ALG
 * from accelerators altogether. Here a program says when a request starts, and
 * knows while it is under way: ACCEL_LOAD_RUN is nothing but the accelerator's
 * part. What is to come out is computed before, or checked after.
 */
#include <crypto/acompress.h>
#include <crypto/akcipher.h>
#include <crypto/ecdh.h>
#include <crypto/kpp.h>
#include <crypto/skcipher.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/prandom.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>
#include "accel_load.h"

#define ROOM		16384
#define MAX_TEXT	8192
#define RSA_BYTES	256
#define EC_BYTES	32
#define AES_BYTES	16

struct lane;

struct kind {
	const char *hard;
	const char *soft[2];	/* 6.12 and 7.2 call some of them differently */
	int (*open)(struct lane *lane, bool hard, const char *driver);
	void (*close)(struct lane *lane, bool hard);
	void (*fill)(struct lane *lane);
	/* from in to out, by accelerator or software */
	int (*work)(struct lane *lane, bool hard, bool reverse, void *in, unsigned int in_len,
		    void *out, unsigned int *out_len);
	bool reverse;		/* the accelerator undoes what software did */
	bool undo;		/* results differ, software undoes them to compare */
};

struct lane {
	const struct kind *kind;
	struct mutex lock;	/* one request at a time */
	struct rnd_state random;
	union {
		struct crypto_acomp *acomp;
		struct crypto_akcipher *akcipher;
		struct crypto_kpp *kpp;
		struct crypto_skcipher *skcipher;
	} tfm[2];
	void *in, *out, *want;
	unsigned int in_len, out_len, want_len;
	u8 iv[AES_BYTES];
};

static int comp_open(struct lane *lane, bool hard, const char *driver)
{
	lane->tfm[hard].acomp = crypto_alloc_acomp(driver, 0, 0);
	return PTR_ERR_OR_ZERO(lane->tfm[hard].acomp);
}

static void comp_close(struct lane *lane, bool hard)
{
	crypto_free_acomp(lane->tfm[hard].acomp);
}

/* Few different words: there is something to compress */
static void comp_fill(struct lane *lane)
{
	u32 words[8], *text = lane->in;

	prandom_bytes_state(&lane->random, words, sizeof(words));
	lane->in_len = 256 + (prandom_u32_state(&lane->random) % (MAX_TEXT - 256) & ~3u);
	for (unsigned int i = 0; i < lane->in_len / 4; i++)
		text[i] = words[prandom_u32_state(&lane->random) % ARRAY_SIZE(words)];
}

static int comp_work(struct lane *lane, bool hard, bool reverse, void *in, unsigned int in_len,
		     void *out, unsigned int *out_len)
{
	struct acomp_req *req = acomp_request_alloc(lane->tfm[hard].acomp);
	struct scatterlist src, dst;
	DECLARE_CRYPTO_WAIT(wait);
	int ret;

	if (!req)
		return -ENOMEM;
	sg_init_one(&src, in, in_len);
	sg_init_one(&dst, out, ROOM);
	acomp_request_set_params(req, &src, &dst, in_len, ROOM);
	acomp_request_set_callback(req, CRYPTO_TFM_REQ_MAY_SLEEP, crypto_req_done, &wait);
	ret = crypto_wait_req(reverse ? crypto_acomp_decompress(req) : crypto_acomp_compress(req),
			      &wait);
	*out_len = req->dlen;
	acomp_request_free(req);
	return ret;
}

/* A public key {n, e} in DER; n need not be a product of primes to compute with */
static int rsa_set_key(struct lane *lane, bool hard)
{
	static const u8 head[] = { 0x30, 0x82, 0x01, 0x0a, 0x02, 0x82, 0x01, 0x01, 0x00 };
	static const u8 tail[] = { 0x02, 0x03, 0x01, 0x00, 0x01 };
	u8 *key = lane->in, *n = key + sizeof(head);
	struct rnd_state same;

	prandom_seed_state(&same, 65537);
	memcpy(key, head, sizeof(head));
	prandom_bytes_state(&same, n, RSA_BYTES);
	n[0] |= 0x80;
	n[RSA_BYTES - 1] |= 1;
	memcpy(n + RSA_BYTES, tail, sizeof(tail));
	return crypto_akcipher_set_pub_key(lane->tfm[hard].akcipher, key,
					   sizeof(head) + RSA_BYTES + sizeof(tail));
}

static int rsa_open(struct lane *lane, bool hard, const char *driver)
{
	lane->tfm[hard].akcipher = crypto_alloc_akcipher(driver, 0, 0);
	if (IS_ERR(lane->tfm[hard].akcipher))
		return PTR_ERR(lane->tfm[hard].akcipher);
	return rsa_set_key(lane, hard);
}

static void rsa_close(struct lane *lane, bool hard)
{
	crypto_free_akcipher(lane->tfm[hard].akcipher);
}

static void rsa_fill(struct lane *lane)
{
	lane->in_len = RSA_BYTES;
	prandom_bytes_state(&lane->random, lane->in, RSA_BYTES);
	*(u8 *)lane->in &= 0x7f;
}

static int rsa_work(struct lane *lane, bool hard, bool reverse, void *in, unsigned int in_len,
		    void *out, unsigned int *out_len)
{
	struct akcipher_request *req = akcipher_request_alloc(lane->tfm[hard].akcipher, GFP_KERNEL);
	struct scatterlist src, dst;
	DECLARE_CRYPTO_WAIT(wait);
	int ret;

	if (!req)
		return -ENOMEM;
	sg_init_one(&src, in, in_len);
	sg_init_one(&dst, out, RSA_BYTES);
	akcipher_request_set_crypt(req, &src, &dst, in_len, RSA_BYTES);
	akcipher_request_set_callback(req, CRYPTO_TFM_REQ_MAY_SLEEP, crypto_req_done, &wait);
	ret = crypto_wait_req(crypto_akcipher_encrypt(req), &wait);
	*out_len = RSA_BYTES;
	akcipher_request_free(req);
	return ret;
}

static int ecdh_open(struct lane *lane, bool hard, const char *driver)
{
	lane->tfm[hard].kpp = crypto_alloc_kpp(driver, 0, 0);
	return PTR_ERR_OR_ZERO(lane->tfm[hard].kpp);
}

static void ecdh_close(struct lane *lane, bool hard)
{
	crypto_free_kpp(lane->tfm[hard].kpp);
}

/* The input is the secret; what comes out is its public key */
static void ecdh_fill(struct lane *lane)
{
	lane->in_len = EC_BYTES;
	prandom_bytes_state(&lane->random, lane->in, EC_BYTES);
	*(u8 *)lane->in = 0x7f;
}

static int ecdh_work(struct lane *lane, bool hard, bool reverse, void *in, unsigned int in_len,
		     void *out, unsigned int *out_len)
{
	struct ecdh secret = { .key = in, .key_size = in_len };
	struct crypto_kpp *tfm = lane->tfm[hard].kpp;
	struct kpp_request *req;
	struct scatterlist dst;
	DECLARE_CRYPTO_WAIT(wait);
	char packed[64];
	int ret;

	ret = crypto_ecdh_encode_key(packed, crypto_ecdh_key_len(&secret), &secret) ?:
	      crypto_kpp_set_secret(tfm, packed, crypto_ecdh_key_len(&secret));
	if (ret)
		return ret;
	req = kpp_request_alloc(tfm, GFP_KERNEL);
	if (!req)
		return -ENOMEM;
	sg_init_one(&dst, out, 2 * EC_BYTES);
	kpp_request_set_input(req, NULL, 0);
	kpp_request_set_output(req, &dst, 2 * EC_BYTES);
	kpp_request_set_callback(req, CRYPTO_TFM_REQ_MAY_SLEEP, crypto_req_done, &wait);
	ret = crypto_wait_req(crypto_kpp_generate_public_key(req), &wait);
	*out_len = 2 * EC_BYTES;
	kpp_request_free(req);
	return ret;
}

static int aes_open(struct lane *lane, bool hard, const char *driver)
{
	static const u8 key[AES_BYTES] = "sixteen letters";

	lane->tfm[hard].skcipher = crypto_alloc_skcipher(driver, 0, 0);
	if (IS_ERR(lane->tfm[hard].skcipher))
		return PTR_ERR(lane->tfm[hard].skcipher);
	return crypto_skcipher_setkey(lane->tfm[hard].skcipher, key, sizeof(key));
}

static void aes_close(struct lane *lane, bool hard)
{
	crypto_free_skcipher(lane->tfm[hard].skcipher);
}

static void aes_fill(struct lane *lane)
{
	lane->in_len = AES_BYTES * (1 + prandom_u32_state(&lane->random) % (MAX_TEXT / AES_BYTES));
	prandom_bytes_state(&lane->random, lane->in, lane->in_len);
	prandom_bytes_state(&lane->random, lane->iv, sizeof(lane->iv));
}

static int aes_work(struct lane *lane, bool hard, bool reverse, void *in, unsigned int in_len,
		    void *out, unsigned int *out_len)
{
	struct skcipher_request *req = skcipher_request_alloc(lane->tfm[hard].skcipher, GFP_KERNEL);
	struct scatterlist src, dst;
	DECLARE_CRYPTO_WAIT(wait);
	u8 iv[AES_BYTES];
	int ret;

	if (!req)
		return -ENOMEM;
	memcpy(iv, lane->iv, sizeof(iv));
	sg_init_one(&src, in, in_len);
	sg_init_one(&dst, out, in_len);
	skcipher_request_set_crypt(req, &src, &dst, in_len, iv);
	skcipher_request_set_callback(req, CRYPTO_TFM_REQ_MAY_SLEEP, crypto_req_done, &wait);
	ret = crypto_wait_req(crypto_skcipher_encrypt(req), &wait);
	*out_len = in_len;
	skcipher_request_free(req);
	return ret;
}

#define DEFLATE	.hard = "hisi-deflate-acomp", .soft = { "deflate-scomp", "deflate-generic" },	\
		.open = comp_open, .close = comp_close, .fill = comp_fill, .work = comp_work

static const struct kind kinds[ACCEL_LOAD_KINDS] = {
	[ACCEL_LOAD_DEFLATE] = { DEFLATE, .undo = true },
	[ACCEL_LOAD_INFLATE] = { DEFLATE, .reverse = true },
	[ACCEL_LOAD_RSA] = {
		.hard = "hpre-rsa", .soft = { "rsa-generic" },
		.open = rsa_open, .close = rsa_close, .fill = rsa_fill, .work = rsa_work,
	},
	[ACCEL_LOAD_ECDH] = {
		.hard = "hpre-ecdh-nist-p256", .soft = { "ecdh-nist-p256-generic" },
		.open = ecdh_open, .close = ecdh_close, .fill = ecdh_fill, .work = ecdh_work,
	},
	[ACCEL_LOAD_AES] = {
		.hard = "hisi_sec_cbc(aes)", .soft = { "cbc(aes-generic)", "cbc(aes-lib)" },
		.open = aes_open, .close = aes_close, .fill = aes_fill, .work = aes_work,
	},
};

static void lane_close(struct lane *lane)
{
	for (int hard = 0; lane->kind && hard < 2; hard++) {
		if (!IS_ERR_OR_NULL(lane->tfm[hard].acomp))
			lane->kind->close(lane, hard);
	}
	kfree(lane->in);
	kfree(lane->out);
	kfree(lane->want);
	kfree(lane);
}

static int lane_open(struct lane *lane, unsigned long kind)
{
	int ret = -ENOENT;

	if (lane->kind || kind >= ACCEL_LOAD_KINDS)
		return -EINVAL;
	lane->kind = &kinds[kind];
	for (int i = 0; i < 2 && ret == -ENOENT && lane->kind->soft[i]; i++)
		ret = lane->kind->open(lane, false, lane->kind->soft[i]);
	return ret ?: lane->kind->open(lane, true, lane->kind->hard);
}

/* What goes in, and what has to come out */
static int lane_prepare(struct lane *lane, unsigned long seed)
{
	const struct kind *kind = lane->kind;
	int ret = 0;

	prandom_seed_state(&lane->random, seed);
	kind->fill(lane);
	if (kind->undo) {
		memcpy(lane->want, lane->in, lane->in_len);
		lane->want_len = lane->in_len;
	} else {
		ret = kind->work(lane, false, false, lane->in, lane->in_len, lane->want,
				 &lane->want_len);
	}
	if (!ret && kind->reverse) {
		swap(lane->in, lane->want);
		swap(lane->in_len, lane->want_len);
	}
	memset(lane->out, 0xa5, ROOM);
	return ret;
}

static int lane_check(struct lane *lane)
{
	int ret;

	if (lane->kind->undo) {
		ret = lane->kind->work(lane, false, true, lane->out, lane->out_len, lane->in,
				       &lane->in_len);
		if (ret)
			return 1;
		swap(lane->in, lane->out);
		swap(lane->in_len, lane->out_len);
	}
	return lane->out_len != lane->want_len || memcmp(lane->out, lane->want, lane->want_len);
}

static int load_open(struct inode *inode, struct file *file)
{
	struct lane *lane = kzalloc(sizeof(*lane), GFP_KERNEL);

	if (!lane)
		return -ENOMEM;
	mutex_init(&lane->lock);
	lane->in = kzalloc(ROOM, GFP_KERNEL);
	lane->out = kzalloc(ROOM, GFP_KERNEL);
	lane->want = kzalloc(ROOM, GFP_KERNEL);
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
		return lane_open(lane, arg);
	if (!lane->kind || IS_ERR_OR_NULL(lane->tfm[true].acomp))
		return -EINVAL;
	switch (cmd) {
	case ACCEL_LOAD_PREPARE:
		return lane_prepare(lane, arg);
	case ACCEL_LOAD_RUN:
		return lane->kind->work(lane, true, lane->kind->reverse, lane->in, lane->in_len,
					lane->out, &lane->out_len);
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
