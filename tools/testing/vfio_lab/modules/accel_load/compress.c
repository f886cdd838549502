// SPDX-License-Identifier: GPL-2.0
/* Compression, and its opposite. */
#include <crypto/acompress.h>
#include <linux/err.h>
#include <linux/zlib.h>
#include "kinds.h"

static int comp_open(struct lane *lane, bool hard)
{
	lane->tfm[hard].acomp = hard ? crypto_alloc_acomp(lane->kind->hard, 0, 0) :
				       crypto_alloc_acomp(lane->kind->soft, 0, CRYPTO_ALG_ASYNC);
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

static unsigned int comp_max_out(const struct kind *kind, unsigned int in_len)
{
	return MAX_OUT;
}

static int comp_work(struct lane *lane, struct task *task)
{
	struct acomp_req *req = acomp_request_alloc(lane->tfm[task->hard].acomp);
	bool back = task->hard && lane->kind->reverse;
	int ret;

	if (!req)
		return -ENOMEM;
	acomp_request_set_params(req, &task->src, &task->dst, task->in_len, task->out_len);
	acomp_request_set_callback(req, CRYPTO_TFM_REQ_MAY_SLEEP, crypto_req_done, &task->wait);
	ret = crypto_wait_req(back ? crypto_acomp_decompress(req) : crypto_acomp_compress(req),
			      &task->wait);
	task->out_len = req->dlen;
	acomp_request_free(req);
	return ret;
}

/*
 * Not by the kernel's own "deflate": its window is 2 KiB, the accelerator's drivers
 * ask for 16 KiB. 7.2 inflates page by page, loses what lies further back, and
 * zlib_inflate() then reads from anywhere.
 */
static int comp_undo(void *in, unsigned int in_len, void *out)
{
	return zlib_inflate_blob(out, MAX_OUT, in, in_len);
}

const struct kind_ops comp_ops = {
	.open = comp_open,
	.close = comp_close,
	.fill = comp_fill,
	.max_out = comp_max_out,
	.work = comp_work,
	.undo = comp_undo,
};

const struct kind_ops inflate_ops = {
	.open = comp_open,
	.close = comp_close,
	.fill = comp_fill,
	.max_out = comp_max_out,
	.work = comp_work,
};
