// SPDX-License-Identifier: GPL-2.0
/*
 * One operation of each kind of accelerator, in requests of the layout that V3 and
 * later have.
 */
#include <endian.h>
#include <string.h>

#include <linux/kernel.h>
#include <linux/pci_ids.h>

#include "hisi_acc_probe.h"

static void random_bytes(u8 *bytes, size_t len)
{
	u32 state = 1;

	while (len--) {
		state = state * 1664525 + 1013904223;
		*bytes++ = state >> 24;
	}
}

/* SEC: AES in ECB mode, in place: data that were encrypted twice differ */

#define SEC_MODE_ECB	0

static void sec_prepare(struct probe_vf *vf)
{
	random_bytes(vf->ram->key, 16);
	random_bytes(vf->ram->data, sizeof(vf->ram->data));
}

static void sec_fill(struct probe_vf *vf, void *request, u32 len)
{
	struct sec_bd bd = {
		.param = htole32(SEC_BD_TYPE3),
		.cipher = htole16(SEC_ENCRYPT),
		.mode_alg = SEC_MODE_ECB | SEC_ALG_AES,
		.src = htole64(probe_iova(vf, vf->ram->data)),
		.key = htole64(probe_iova(vf, vf->ram->key)),
		.len = htole32(len),
	};

	memcpy(request, &bd, sizeof(bd));
}

static void sec_spoil(void *request)
{
	struct sec_bd *bd = request;

	bd->mode_alg = 0xff;
}

static bool sec_failed(const void *request)
{
	const struct sec_bd *bd = request;

	return !(le16toh(bd->done) & SEC_DONE) || bd->error;
}

/* ZIP: raw deflate of half random data */

struct zip_sqe {
	__le32 consumed;
	__le32 produced;
	__le32 rsv0;
	__le32 status;			/* 7:0 */
	__le32 input_len;
	__le32 rsv1[2];
	__le32 dw7;			/* type of the request 31:28 */
	__le32 rsv2;
	__le32 dw9;			/* algorithm 7:0 */
	__le32 rsv3[4];
	__le32 output_len;
	__le32 rsv4[3];
	__le64 src;
	__le64 dst;
	__le32 rsv5[10];
} __packed __aligned(4);

#define ZIP_TYPE3	(3u << 28)
#define ZIP_DEFLATE	1
#define ZIP_NOT_SMALLER	0x0d	/* done, but the result is longer */

static_assert(sizeof(struct zip_sqe) == 128, "request to ZIP");

static void zip_prepare(struct probe_vf *vf)
{
	for (size_t at = 0; at < sizeof(vf->ram->data); at += 4096)
		random_bytes(vf->ram->data + at, 2048);
}

static void zip_fill(struct probe_vf *vf, void *request, u32 len)
{
	struct zip_sqe sqe = {
		.input_len = htole32(len),
		.dw7 = htole32(ZIP_TYPE3),
		.dw9 = htole32(ZIP_DEFLATE),
		.output_len = htole32(2 * len),
		.src = htole64(probe_iova(vf, vf->ram->data)),
		.dst = htole64(probe_iova(vf, vf->ram->result)),
	};

	memcpy(request, &sqe, sizeof(sqe));
}

static void zip_spoil(void *request)
{
	struct zip_sqe *sqe = request;

	sqe->dw9 = htole32(0xff);
}

static bool zip_failed(const void *request)
{
	const struct zip_sqe *sqe = request;
	u32 status = le32toh(sqe->status) & 0xff;

	return !sqe->consumed || (status && status != ZIP_NOT_SMALLER);
}

/* HPRE: Diffie-Hellman, a power of a number modulo another */

struct hpre_sqe {
	__le32 dw0;			/* algorithm 4:0, error 15:5, done 31:30 */
	__u8 size;			/* of a number in 8 bytes, less one */
	__u8 rsv0[3];
	__le64 key;			/* exponent, modulus */
	__le64 in;
	__le64 out;
	__le32 rsv1[8];
} __packed __aligned(4);

#define HPRE_DH		0x5
#define HPRE_VALID	(1u << 30)
#define HPRE_ERROR	(0x7ffu << 5)
#define HPRE_DONE	(3u << 30)

static_assert(sizeof(struct hpre_sqe) == 64, "request to HPRE");

static void hpre_prepare(struct probe_vf *vf)
{
	struct probe_ram *ram = vf->ram;

	/* odd, the highest bit set, and larger than the base, whatever the size */
	random_bytes(ram->key, sizeof(ram->key));
	for (size_t size = 64; size <= 512; size *= 2) {
		ram->key[size] |= 0x80;
		ram->key[2 * size - 1] |= 1;
	}
	random_bytes(ram->data, 512);
	ram->data[0] = 0;
}

static void hpre_fill(struct probe_vf *vf, void *request, u32 len)
{
	struct hpre_sqe sqe = {
		.dw0 = htole32(HPRE_VALID | HPRE_DH),
		.size = len / 8 - 1,
		.key = htole64(probe_iova(vf, vf->ram->key)),
		.in = htole64(probe_iova(vf, vf->ram->data)),
		.out = htole64(probe_iova(vf, vf->ram->result)),
	};

	memcpy(request, &sqe, sizeof(sqe));
}

static void hpre_spoil(void *request)
{
	struct hpre_sqe *sqe = request;

	sqe->dw0 |= htole32(0x1f);
}

static bool hpre_failed(const void *request)
{
	const struct hpre_sqe *sqe = request;
	u32 dw0 = le32toh(sqe->dw0);

	return (dw0 & HPRE_DONE) != HPRE_DONE || dw0 & HPRE_ERROR;
}

static const struct probe_engine engines[] = {
	{
		.name = "SEC",
		.device = PCI_DEVICE_ID_HUAWEI_SEC_VF,
		.entry = sizeof(struct sec_bd),
		.in_place = true,
		.brief = 4096,
		.some = 65536,
		.lengthy = PROBE_DATA,
		.prepare = sec_prepare,
		.fill = sec_fill,
		.spoil = sec_spoil,
		.failed = sec_failed,
	}, {
		.name = "ZIP",
		.device = PCI_DEVICE_ID_HUAWEI_ZIP_VF,
		.entry = sizeof(struct zip_sqe),
		.brief = 4096,
		.some = 65536,
		.lengthy = PROBE_DATA,
		.prepare = zip_prepare,
		.fill = zip_fill,
		.spoil = zip_spoil,
		.failed = zip_failed,
	}, {
		.name = "HPRE",
		.device = PCI_DEVICE_ID_HUAWEI_HPRE_VF,
		.entry = sizeof(struct hpre_sqe),
		.brief = 64,
		.some = 256,
		.lengthy = 512,
		.prepare = hpre_prepare,
		.fill = hpre_fill,
		.spoil = hpre_spoil,
		.failed = hpre_failed,
	},
};

const struct probe_engine *probe_engine_of(u16 device)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(engines); i++)
		if (engines[i].device == device)
			return &engines[i];
	return NULL;
}
