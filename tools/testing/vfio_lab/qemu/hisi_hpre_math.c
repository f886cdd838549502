/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * HiSilicon accelerator model: the arithmetic of HPRE, over GMP
 *
 * Numbers come and go big-endian in fields of a fixed size. All of them are
 * the guest's: a modulus may be 0, even or no prime. What cannot be computed
 * is an error, and nothing here depends on the numbers being good ones.
 */

#include "qemu/osdep.h"
#include <gmp.h>
#include "hisi_hpre.h"

/* Short Weierstrass: y^2 = x^3 + ax + b over p */
typedef struct Curve {
    mpz_t p, a, b;
} Curve;

typedef struct Point {
    mpz_t x, y;
    bool infinite;
} Point;

static void get(mpz_t n, const uint8_t *field, size_t size)
{
    mpz_import(n, size, 1, 1, 1, 0, field);
}

static void put(const mpz_t n, uint8_t *field, size_t size)
{
    size_t len = (mpz_sizeinbase(n, 2) + 7) / 8;

    assert(len <= size || mpz_sgn(n) == 0);
    memset(field, 0, size);
    if (mpz_sgn(n)) {
        mpz_export(field + size - len, NULL, 1, 1, 1, 0, n);
    }
}

/* @out = @base ^ @exponent mod @modulus */
bool hisi_hpre_power(const uint8_t *base, const uint8_t *exponent,
                     const uint8_t *modulus, size_t size, uint8_t *out)
{
    mpz_t b, e, m;
    bool ok;

    mpz_inits(b, e, m, NULL);
    get(b, base, size);
    get(e, exponent, size);
    get(m, modulus, size);
    ok = mpz_sgn(m) != 0;
    if (ok) {
        mpz_powm(b, b, e, m);
        put(b, out, size);
    }
    mpz_clears(b, e, m, NULL);
    return ok;
}

/*
 * RSA by the Chinese remainder theorem. @key is dq, dp, q, p and the inverse
 * of q mod p, each half as long as @in.
 */
bool hisi_hpre_crt(const uint8_t *in, const uint8_t *key, size_t size,
                   uint8_t *out)
{
    size_t half = size / 2;
    mpz_t c, dq, dp, q, p, inverse, m1, m2;
    bool ok;

    mpz_inits(c, dq, dp, q, p, inverse, m1, m2, NULL);
    get(c, in, size);
    get(dq, key, half);
    get(dp, key + half, half);
    get(q, key + 2 * half, half);
    get(p, key + 3 * half, half);
    get(inverse, key + 4 * half, half);
    ok = mpz_sgn(p) && mpz_sgn(q);
    if (ok) {
        mpz_powm(m1, c, dp, p);
        mpz_powm(m2, c, dq, q);
        mpz_sub(m1, m1, m2);
        mpz_mul(m1, m1, inverse);
        mpz_mod(m1, m1, p);
        mpz_addmul(m2, m1, q);
        put(m2, out, size);
    }
    mpz_clears(c, dq, dp, q, p, inverse, m1, m2, NULL);
    return ok;
}

static void point_copy(Point *to, const Point *from)
{
    mpz_set(to->x, from->x);
    mpz_set(to->y, from->y);
    to->infinite = from->infinite;
}

/*
 * @to += @from along the line of slope @num / @den, which is lost. False if
 * @den has no inverse, as happens when p is no prime.
 */
static bool point_chord(const Curve *c, Point *to, const Point *from, mpz_t num,
                        mpz_t den)
{
    mpz_t x;

    mpz_mod(den, den, c->p);
    if (!mpz_invert(den, den, c->p)) {
        return false;
    }
    mpz_mul(num, num, den);
    mpz_mod(num, num, c->p);

    mpz_init(x);
    mpz_mul(x, num, num);
    mpz_sub(x, x, to->x);
    mpz_sub(x, x, from->x);
    mpz_mod(x, x, c->p);

    mpz_sub(to->x, to->x, x);
    mpz_mul(num, num, to->x);
    mpz_sub(to->y, num, to->y);
    mpz_mod(to->y, to->y, c->p);
    mpz_set(to->x, x);
    mpz_clear(x);
    return true;
}

static bool point_double(const Curve *c, Point *p)
{
    mpz_t num, den;
    bool ok;

    if (p->infinite || mpz_sgn(p->y) == 0) {
        p->infinite = true;
        return true;
    }
    mpz_inits(num, den, NULL);
    mpz_mul(num, p->x, p->x);
    mpz_mul_ui(num, num, 3);
    mpz_add(num, num, c->a);
    mpz_mul_2exp(den, p->y, 1);
    ok = point_chord(c, p, p, num, den);
    mpz_clears(num, den, NULL);
    return ok;
}

static bool point_add(const Curve *c, Point *to, const Point *from)
{
    mpz_t num, den;
    bool ok;

    if (from->infinite) {
        return true;
    }
    if (to->infinite) {
        point_copy(to, from);
        return true;
    }
    if (mpz_cmp(to->x, from->x) == 0) {
        if (mpz_cmp(to->y, from->y) == 0) {
            return point_double(c, to);
        }
        to->infinite = true;
        return true;
    }
    mpz_inits(num, den, NULL);
    mpz_sub(num, from->y, to->y);
    mpz_sub(den, from->x, to->x);
    ok = point_chord(c, to, from, num, den);
    mpz_clears(num, den, NULL);
    return ok;
}

static bool point_multiply(const Curve *c, const mpz_t k, const Point *p,
                           Point *out)
{
    out->infinite = true;
    for (size_t i = mpz_sizeinbase(k, 2); i > 0; i--) {
        if (!point_double(c, out) ||
            (mpz_tstbit(k, i - 1) && !point_add(c, out, p))) {
            return false;
        }
    }
    return true;
}

static bool point_on_curve(const Curve *c, const Point *p)
{
    mpz_t left, right;
    bool on;

    if (mpz_cmp(p->x, c->p) >= 0 || mpz_cmp(p->y, c->p) >= 0) {
        return false;
    }
    mpz_inits(left, right, NULL);
    mpz_mul(left, p->y, p->y);
    mpz_mul(right, p->x, p->x);
    mpz_add(right, right, c->a);
    mpz_mul(right, right, p->x);
    mpz_add(right, right, c->b);
    on = mpz_congruent_p(left, right, c->p);
    mpz_clears(left, right, NULL);
    return on;
}

/* A field that curves can be defined over, as far as it is cheap to see */
static bool field_usable(const mpz_t p)
{
    return mpz_odd_p(p) && mpz_cmp_ui(p, 3) > 0;
}

/*
 * @out = k times the point @in. @key is p, a, k and b of the curve; points are
 * x and y. The point must be on the curve, the result not at infinity.
 */
bool hisi_hpre_ecc(const uint8_t *in, const uint8_t *key, size_t size,
                   uint8_t *out)
{
    Curve c;
    Point p = { 0 }, r = { 0 };
    mpz_t k;
    bool ok;

    mpz_inits(c.p, c.a, c.b, p.x, p.y, r.x, r.y, k, NULL);
    get(c.p, key, size);
    get(c.a, key + size, size);
    get(k, key + 2 * size, size);
    get(c.b, key + 3 * size, size);
    get(p.x, in, size);
    get(p.y, in + size, size);
    ok = field_usable(c.p) && point_on_curve(&c, &p) &&
         point_multiply(&c, k, &p, &r) && !r.infinite;
    if (ok) {
        put(r.x, out, size);
        put(r.y, out + size, size);
    }
    mpz_clears(c.p, c.a, c.b, p.x, p.y, r.x, r.y, k, NULL);
    return ok;
}

typedef struct Ladder {
    mpz_t x2, z2, x3, z3, u, p, a24;
    mpz_t a, b, c, d;
} Ladder;

/* {x3:z3} += {x2:z2}, their difference being u; {x2:z2} doubles: RFC 7748 */
static void ladder_step(Ladder *l)
{
    mpz_add(l->a, l->x2, l->z2);
    mpz_sub(l->b, l->x2, l->z2);
    mpz_add(l->c, l->x3, l->z3);
    mpz_sub(l->d, l->x3, l->z3);
    mpz_mul(l->d, l->d, l->a);
    mpz_mul(l->c, l->c, l->b);

    mpz_add(l->x3, l->d, l->c);
    mpz_mul(l->x3, l->x3, l->x3);
    mpz_mod(l->x3, l->x3, l->p);
    mpz_sub(l->z3, l->d, l->c);
    mpz_mul(l->z3, l->z3, l->z3);
    mpz_mul(l->z3, l->z3, l->u);
    mpz_mod(l->z3, l->z3, l->p);

    mpz_mul(l->a, l->a, l->a);
    mpz_mul(l->b, l->b, l->b);
    mpz_mul(l->x2, l->a, l->b);
    mpz_mod(l->x2, l->x2, l->p);
    mpz_sub(l->b, l->a, l->b);
    mpz_addmul(l->a, l->b, l->a24);
    mpz_mul(l->z2, l->b, l->a);
    mpz_mod(l->z2, l->z2, l->p);
}

/*
 * @out = the coordinate of k times the point @in on a Montgomery curve. @key
 * is p, (A - 2) / 4 and k. A result at infinity is 0, as in RFC 7748.
 */
bool hisi_hpre_montgomery(const uint8_t *in, const uint8_t *key, size_t size,
                          uint8_t *out)
{
    Ladder l;
    mpz_t k;
    bool ok;

    mpz_inits(l.x2, l.z2, l.x3, l.z3, l.u, l.p, l.a24, l.a, l.b, l.c, l.d, k,
              NULL);
    get(l.p, key, size);
    get(l.a24, key + size, size);
    get(k, key + 2 * size, size);
    get(l.u, in, size);
    ok = field_usable(l.p) && mpz_cmp(l.u, l.p) < 0;
    if (ok) {
        mpz_set_ui(l.x2, 1);
        mpz_set(l.x3, l.u);
        mpz_set_ui(l.z3, 1);
        for (size_t i = mpz_sizeinbase(k, 2); i > 0; i--) {
            bool swap = mpz_tstbit(k, i - 1);

            if (swap) {
                mpz_swap(l.x2, l.x3);
                mpz_swap(l.z2, l.z3);
            }
            ladder_step(&l);
            if (swap) {
                mpz_swap(l.x2, l.x3);
                mpz_swap(l.z2, l.z3);
            }
        }
        if (mpz_invert(l.z2, l.z2, l.p)) {
            mpz_mul(l.x2, l.x2, l.z2);
            mpz_mod(l.x2, l.x2, l.p);
        } else {
            mpz_set_ui(l.x2, 0);
        }
        put(l.x2, out, size);
    }
    mpz_clears(l.x2, l.z2, l.x3, l.z3, l.u, l.p, l.a24, l.a, l.b, l.c, l.d, k,
               NULL);
    return ok;
}
