// SPDX-License-Identifier: GPL-2.0
/* Public keys. Drivers and software are both selected by names that only they have. */
#include <crypto/akcipher.h>
#include <crypto/dh.h>
#include <crypto/ecdh.h>
#include <crypto/kpp.h>
#include <linux/err.h>
#include <linux/slab.h>
#include "kinds.h"

#define RSA_BYTES	256
#define DH_BYTES	256
#define DH_EXPONENT	32
#define ECDH_LEAST	32U

static const char *name(struct lane *lane, bool hard)
{
	return hard ? lane->kind->hard : lane->kind->soft;
}

/* The same odd number with its highest bit set, for each caller */
static void modulus(u8 *n, unsigned int len)
{
	struct rnd_state same;

	prandom_seed_state(&same, 65537);
	prandom_bytes_state(&same, n, len);
	n[0] |= 0x80;
	n[len - 1] |= 1;
}

/* A public key {n, e} in DER; n need not be a product of primes to compute with */
static int rsa_set_key(struct crypto_akcipher *tfm, u8 *key)
{
	static const u8 head[] = { 0x30, 0x82, 0x01, 0x0a, 0x02, 0x82, 0x01, 0x01, 0x00 };
	static const u8 tail[] = { 0x02, 0x03, 0x01, 0x00, 0x01 };

	memcpy(key, head, sizeof(head));
	modulus(key + sizeof(head), RSA_BYTES);
	memcpy(key + sizeof(head) + RSA_BYTES, tail, sizeof(tail));
	return crypto_akcipher_set_pub_key(tfm, key, sizeof(head) + RSA_BYTES + sizeof(tail));
}

static int rsa_open(struct lane *lane, bool hard)
{
	struct crypto_akcipher *tfm = crypto_alloc_akcipher(name(lane, hard), 0, 0);

	lane->tfm[hard].akcipher = tfm;
	return PTR_ERR_OR_ZERO(tfm) ?: rsa_set_key(tfm, lane->in);
}

static void rsa_close(struct lane *lane, bool hard)
{
	crypto_free_akcipher(lane->tfm[hard].akcipher);
}

static void number_fill(struct lane *lane, unsigned int len)
{
	lane->in_len = len;
	prandom_bytes_state(&lane->random, lane->in, len);
	*(u8 *)lane->in &= 0x7f;
	*(u8 *)lane->in |= 0x40;
}

static void rsa_fill(struct lane *lane)
{
	number_fill(lane, RSA_BYTES);
}

static unsigned int rsa_max_out(const struct kind *kind, unsigned int in_len)
{
	return RSA_BYTES;
}

static int rsa_work(struct lane *lane, struct task *task)
{
	struct akcipher_request *req = akcipher_request_alloc(lane->tfm[task->hard].akcipher,
							      GFP_KERNEL);
	int ret;

	if (!req)
		return -ENOMEM;
	akcipher_request_set_crypt(req, &task->src, &task->dst, task->in_len, task->out_len);
	akcipher_request_set_callback(req, CRYPTO_TFM_REQ_MAY_SLEEP, crypto_req_done, &task->wait);
	ret = crypto_wait_req(crypto_akcipher_encrypt(req), &task->wait);
	akcipher_request_free(req);
	return ret;
}

const struct kind_ops rsa_ops = {
	.open = rsa_open,
	.close = rsa_close,
	.fill = rsa_fill,
	.max_out = rsa_max_out,
	.work = rsa_work,
};

static int kpp_open(struct lane *lane, bool hard)
{
	lane->tfm[hard].kpp = crypto_alloc_kpp(name(lane, hard), 0, 0);
	return PTR_ERR_OR_ZERO(lane->tfm[hard].kpp);
}

static void kpp_close(struct lane *lane, bool hard)
{
	crypto_free_kpp(lane->tfm[hard].kpp);
}

/* The public key of a secret that is set */
static int kpp_public(struct crypto_kpp *tfm, struct task *task)
{
	struct kpp_request *req = kpp_request_alloc(tfm, GFP_KERNEL);
	int ret;

	if (!req)
		return -ENOMEM;
	kpp_request_set_input(req, NULL, 0);
	kpp_request_set_output(req, &task->dst, task->out_len);
	kpp_request_set_callback(req, CRYPTO_TFM_REQ_MAY_SLEEP, crypto_req_done, &task->wait);
	ret = crypto_wait_req(crypto_kpp_generate_public_key(req), &task->wait);
	kpp_request_free(req);
	return ret;
}

static void dh_fill(struct lane *lane)
{
	number_fill(lane, DH_EXPONENT);
}

static unsigned int dh_max_out(const struct kind *kind, unsigned int in_len)
{
	return DH_BYTES;
}

/* The input is the exponent */
static int dh_work(struct lane *lane, struct task *task)
{
	struct crypto_kpp *tfm = lane->tfm[task->hard].kpp;
	u8 p[DH_BYTES], g = 2;
	struct dh params = {
		.key = task->in, .key_size = task->in_len, .p = p, .p_size = DH_BYTES,
		.g = &g, .g_size = 1,
	};
	unsigned int len = crypto_dh_key_len(&params);
	char *packed = kmalloc(len, GFP_KERNEL);
	int ret;

	if (!packed)
		return -ENOMEM;
	modulus(p, sizeof(p));
	ret = crypto_dh_encode_key(packed, len, &params) ?:
	      crypto_kpp_set_secret(tfm, packed, len);
	kfree(packed);
	return ret ?: kpp_public(tfm, task);
}

const struct kind_ops dh_ops = {
	.open = kpp_open,
	.close = kpp_close,
	.fill = dh_fill,
	.max_out = dh_max_out,
	.work = dh_work,
};

static void ecdh_fill(struct lane *lane)
{
	number_fill(lane, lane->kind->bytes);
}

/* The accelerator's driver works with 32 bytes where a curve has fewer */
static unsigned int ecdh_max_out(const struct kind *kind, unsigned int in_len)
{
	return 2 * max(kind->bytes, ECDH_LEAST);
}

/* The input is the secret; two coordinates of the output are used */
static int ecdh_work(struct lane *lane, struct task *task)
{
	struct ecdh secret = { .key = task->in, .key_size = task->in_len };
	struct crypto_kpp *tfm = lane->tfm[task->hard].kpp;
	unsigned int len = crypto_ecdh_key_len(&secret);
	char packed[64];
	int ret;

	ret = crypto_ecdh_encode_key(packed, len, &secret) ?:
	      crypto_kpp_set_secret(tfm, packed, len) ?:
	      kpp_public(tfm, task);
	task->out_len = 2 * lane->kind->bytes;
	return ret;
}

const struct kind_ops ecdh_ops = {
	.open = kpp_open,
	.close = kpp_close,
	.fill = ecdh_fill,
	.max_out = ecdh_max_out,
	.work = ecdh_work,
};
