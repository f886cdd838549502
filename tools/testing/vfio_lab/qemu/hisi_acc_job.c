/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * HiSilicon accelerator model: one request in the engine: read, computed,
 * written
 *
 * What takes long is computed in one of QEMU's threads, so that QEMU's lock is
 * free meanwhile. The PF or VF may be reset, stopped or gone when it is done.
 */

#include "qemu/osdep.h"
#include "block/thread-pool.h"
#include "hisi_acc.h"

static void job_free(HisiAccJob *job)
{
    g_free(job->in);
    g_free(job->out);
    g_free(job);
}

static int job_compute(void *opaque)
{
    HisiAccJob *job = opaque;

    job->engine->compute(job);
    return 0;
}

static void job_computed(void *opaque, int ret)
{
    HisiAccJob *job = opaque;

    job->at_work = false;
    if (job->f) {
        hisi_acc_wake(job->f);
    } else {
        job_free(job);
    }
}

/* Reads a request's data and begins to compute it */
HisiAccJob *hisi_acc_job_begin(HisiAccFunc *f, unsigned alg_type,
                               const uint8_t *sqe)
{
    const HisiAccEngine *engine = hisi_acc_engine(f);
    HisiAccJob *job = g_malloc0(engine->job_size);
    bool compute;

    job->f = f;
    job->engine = engine;
    f->processing = true;
    compute = engine->begin(f, alg_type, sqe, job);
    f->processing = false;
    if (compute && job->lengthy) {
        job->at_work = true;
        thread_pool_submit_aio(job_compute, job, job_computed, job);
    } else if (compute) {
        engine->compute(job);
    }
    return job;
}

/* Writes the result, and ends the job */
void hisi_acc_job_finish(HisiAccFunc *f, HisiAccJob *job, HisiAccRequest *r)
{
    f->processing = true;
    job->engine->finish(f, job, r->sqe, &r->first, &r->length);
    f->processing = false;
    job_free(job);
}

/* Ends a job, if there is one, whose result is no longer needed */
void hisi_acc_job_drop(HisiAccJob *job)
{
    if (job && job->at_work) {
        job->f = NULL;
    } else if (job) {
        job_free(job);
    }
}
