/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * HiSilicon accelerator model: LZ4 for ZIP, compression only
 *
 * QEMU does not link a library for it. One pass, the latest occurrence of four
 * bytes is the candidate: not the tightest output, but a valid block.
 *
 * A block is a row of sequences: a token (literals 7:4, match - 4 3:0), more
 * length bytes where a field is 15, the literals, the distance in two bytes.
 * The last sequence has literals only: at least five of them, and no match
 * begins in the last twelve bytes.
 */

#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include "hisi_zip.h"

#define HASH_BITS       12
#define MIN_MATCH       4
#define LAST_LITERALS   5
#define NO_MATCH_IN     12
#define MAX_DISTANCE    65535
#define FIELD_MAX       15

typedef struct Output {
    uint8_t *data;
    size_t len;
    size_t size;
    bool full;
} Output;

static void put(Output *o, uint8_t byte)
{
    if (o->len < o->size) {
        o->data[o->len++] = byte;
    } else {
        o->full = true;
    }
}

/* The part of a length that does not fit its field of the token */
static void put_length(Output *o, size_t len)
{
    if (len < FIELD_MAX) {
        return;
    }
    for (len -= FIELD_MAX; len >= 255; len -= 255) {
        put(o, 255);
    }
    put(o, len);
}

static void put_literals(Output *o, const uint8_t *from, size_t len,
                         size_t match)
{
    put(o, MIN(len, FIELD_MAX) << 4 | MIN(match, FIELD_MAX));
    put_length(o, len);
    while (len--) {
        put(o, *from++);
    }
}

static unsigned hash(uint32_t four)
{
    return four * 2654435761u >> (32 - HASH_BITS);
}

/* Length of the result, 0 if it does not fit */
size_t hisi_zip_lz4(const uint8_t *in, size_t len, uint8_t *out, size_t size)
{
    uint32_t seen[1 << HASH_BITS] = { 0 };      /* position + 1 */
    Output o = { .data = out, .size = size };
    size_t literals = 0, at = 0;

    while (at + NO_MATCH_IN < len) {
        uint32_t four = ldl_le_p(in + at);
        size_t before = seen[hash(four)];
        size_t match = MIN_MATCH;

        seen[hash(four)] = at + 1;
        if (!before || at - (before - 1) > MAX_DISTANCE ||
            ldl_le_p(in + before - 1) != four) {
            at++;
            continue;
        }
        before--;
        while (at + match < len - LAST_LITERALS &&
               in[before + match] == in[at + match]) {
            match++;
        }
        put_literals(&o, in + literals, at - literals, match - MIN_MATCH);
        put(&o, at - before);
        put(&o, (at - before) >> 8);
        put_length(&o, match - MIN_MATCH);
        at += match;
        literals = at;
        if (o.full) {
            return 0;
        }
    }
    put_literals(&o, in + literals, len - literals, 0);
    return o.full ? 0 : o.len;
}
