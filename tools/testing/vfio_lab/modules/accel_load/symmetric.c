// SPDX-License-Identifier: GPL-2.0
/* Ciphers, plain and authenticated. */
#include <crypto/aead.h>
#include <crypto/authenc.h>
#include <crypto/skcipher.h>
#include <linux/err.h>
#include <linux/rtnetlink.h>
#include <linux/string.h>
#include "kinds.h"

#define TEXT_STEP	16
#define ASSOCIATED	16
#define TAG		16

/* Only software has algorithms that are not asynchronous */
static u32 mask(bool hard)
{
	return hard ? 0 : CRYPTO_ALG_ASYNC;
}

static const char *name(struct lane *lane, bool hard)
{
	return hard ? lane->kind->hard : lane->kind->soft;
}

static void fill(struct lane *lane)
{
	lane->in_len = TEXT_STEP * (1 + prandom_u32_state(&lane->random) % (MAX_TEXT / TEXT_STEP));
	prandom_bytes_state(&lane->random, lane->in, lane->in_len);
	prandom_bytes_state(&lane->random, lane->iv, sizeof(lane->iv));
}

static int cipher_open(struct lane *lane, bool hard)
{
	static const u8 key[] = "Each of these letters is a byte of the key that is used here.";
	struct crypto_skcipher *tfm = crypto_alloc_skcipher(name(lane, hard), 0, mask(hard));

	lane->tfm[hard].skcipher = tfm;
	return PTR_ERR_OR_ZERO(tfm) ?: crypto_skcipher_setkey(tfm, key, lane->kind->bytes);
}

static void cipher_close(struct lane *lane, bool hard)
{
	crypto_free_skcipher(lane->tfm[hard].skcipher);
}

static unsigned int cipher_max_out(const struct kind *kind, unsigned int in_len)
{
	return in_len;
}

static int cipher_work(struct lane *lane, struct task *task)
{
	struct skcipher_request *req = skcipher_request_alloc(lane->tfm[task->hard].skcipher,
							      GFP_KERNEL);
	int ret;

	if (!req)
		return -ENOMEM;
	skcipher_request_set_crypt(req, &task->src, &task->dst, task->in_len, task->iv);
	skcipher_request_set_callback(req, CRYPTO_TFM_REQ_MAY_SLEEP, crypto_req_done, &task->wait);
	ret = crypto_wait_req(crypto_skcipher_encrypt(req), &task->wait);
	skcipher_request_free(req);
	return ret;
}

const struct kind_ops cipher_ops = {
	.open = cipher_open,
	.close = cipher_close,
	.fill = fill,
	.max_out = cipher_max_out,
	.work = cipher_work,
};

/* authenc() takes a length and both keys in one, the others a key */
static unsigned int aead_key(const struct kind *kind, u8 *key)
{
	static const u8 letters[] = "Each of these letters is a byte of the keys that are used here, "
				    "the first for the hash, the others for the cipher.";
	struct crypto_authenc_key_param *param;
	struct rtattr *attribute = (void *)key;

	if (strncmp(kind->soft, "authenc", 7)) {
		memcpy(key, letters, kind->bytes);
		return kind->bytes;
	}
	attribute->rta_len = RTA_LENGTH(sizeof(*param));
	attribute->rta_type = CRYPTO_AUTHENC_KEYA_PARAM;
	param = RTA_DATA(attribute);
	param->enckeylen = cpu_to_be32(16);
	memcpy(key + RTA_SPACE(sizeof(*param)), letters, kind->bytes + 16);
	return RTA_SPACE(sizeof(*param)) + kind->bytes + 16;
}

static int aead_open(struct lane *lane, bool hard)
{
	struct crypto_aead *tfm = crypto_alloc_aead(name(lane, hard), 0, mask(hard));
	u8 key[128] __aligned(8);
	int ret;

	lane->tfm[hard].aead = tfm;
	if (IS_ERR(tfm))
		return PTR_ERR(tfm);
	ret = crypto_aead_setkey(tfm, key, aead_key(lane->kind, key));
	return ret ?: crypto_aead_setauthsize(tfm, TAG);
}

static void aead_close(struct lane *lane, bool hard)
{
	crypto_free_aead(lane->tfm[hard].aead);
}

static void aead_fill(struct lane *lane)
{
	fill(lane);
	lane->iv[0] = 3;	/* in CCM, how many bytes the length has, less one */
	lane->in_len += ASSOCIATED;
}

static unsigned int aead_max_out(const struct kind *kind, unsigned int in_len)
{
	return in_len + TAG;
}

static int aead_work(struct lane *lane, struct task *task)
{
	struct aead_request *req = aead_request_alloc(lane->tfm[task->hard].aead, GFP_KERNEL);
	int ret;

	if (!req)
		return -ENOMEM;
	memcpy(task->out, task->in, ASSOCIATED);	/* which not every driver copies */
	aead_request_set_crypt(req, &task->src, &task->dst, task->in_len - ASSOCIATED, task->iv);
	aead_request_set_ad(req, ASSOCIATED);
	aead_request_set_callback(req, CRYPTO_TFM_REQ_MAY_SLEEP, crypto_req_done, &task->wait);
	ret = crypto_wait_req(crypto_aead_encrypt(req), &task->wait);
	aead_request_free(req);
	return ret;
}

const struct kind_ops aead_ops = {
	.open = aead_open,
	.close = aead_close,
	.fill = aead_fill,
	.max_out = aead_max_out,
	.work = aead_work,
};
