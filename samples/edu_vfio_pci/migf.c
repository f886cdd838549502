// SPDX-License-Identifier: GPL-2.0-only
/*
 * Migration files, through which userspace reads and writes migration data. Nothing here
 * is about one device.
 *
 * A file may outlive the device's session, and the device. No lock is held while memory of
 * userspace is touched: it may be a BAR of the device, whose page fault waits for a
 * reset, which may wait for the end of the session.
 */
#include <linux/anon_inodes.h>
#include <linux/cleanup.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/mutex.h>
#include <linux/poll.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vfio.h>

#include "migf.h"

struct edu_migf {
	struct vfio_device *vdev;
	struct file *file;
	wait_queue_head_t wait;
	const void *match;	/* what data of @match_size begins with */
	size_t match_size;
	size_t size;		/* of @data */
	struct mutex lock;	/* protects all below; bytes before @len do not change */
	size_t len;
	loff_t pos;		/* of the next read */
	bool whole;		/* @data is complete */
	int error;		/* what every access fails with */
	u8 data[] __counted_by(size);
};

static int edu_migf_release(struct inode *inode, struct file *file)
{
	struct edu_migf *migf = file->private_data;

	put_device(&migf->vdev->device);
	kfree(migf);
	return 0;
}

static ssize_t edu_migf_read(struct file *file, char __user *buf, size_t len, loff_t *ppos)
{
	struct edu_migf *migf = file->private_data;
	loff_t pos, before;
	size_t there;
	ssize_t got;

	do {
		scoped_guard(mutex, &migf->lock) {
			there = migf->len;
			before = migf->pos;
			if (migf->error)
				return migf->error;
			if (len && before == there && !migf->whole)
				return -ENOMSG;
		}
		pos = before;
		got = simple_read_from_buffer(buf, len, &pos, migf->data, there);
		guard(mutex)(&migf->lock);
		if (migf->error)
			return migf->error;
		if (migf->pos == before) {
			migf->pos = pos;
			return got;
		}
	} while (true);		/* another reader has these bytes */
}

static ssize_t edu_migf_write(struct file *file, const char __user *buf, size_t len, loff_t *ppos)
{
	struct edu_migf *migf = file->private_data;
	void *bounce;
	int err;

	/* a write beyond the size is rejected below */
	bounce = memdup_user(buf, min(len, migf->size));
	if (IS_ERR(bounce))
		return PTR_ERR(bounce);
	scoped_guard(mutex, &migf->lock) {
		if (!migf->error && len > migf->size - migf->len)
			migf->error = -EFBIG;
		if (!migf->error) {
			memcpy(migf->data + migf->len, bounce, len);
			migf->len += len;
			if (memcmp(migf->data, migf->match, min(migf->len, migf->match_size)))
				migf->error = -EINVAL;
		}
		err = migf->error;
	}
	kfree(bounce);
	return err ?: len;
}

static __poll_t edu_migf_poll(struct file *file, poll_table *wait)
{
	struct edu_migf *migf = file->private_data;

	poll_wait(file, &migf->wait, wait);
	guard(mutex)(&migf->lock);
	if (migf->error)
		return EPOLLERR | EPOLLIN | EPOLLOUT;
	if (file->f_mode & FMODE_WRITE)
		return EPOLLOUT | EPOLLWRNORM;
	return migf->whole || migf->pos < migf->len ? EPOLLIN | EPOLLRDNORM : 0;
}

static long edu_migf_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct edu_migf *migf = file->private_data;
	struct vfio_precopy_info info;
	int err;

	err = vfio_check_precopy_ioctl(migf->vdev, cmd, arg, &info);
	if (err)
		return err;
	if (file->f_mode & FMODE_WRITE)
		return -EINVAL;
	scoped_guard(mutex, &migf->lock) {
		if (migf->error || migf->whole)
			return migf->error ?: -EINVAL;
		info.initial_bytes = migf->len - migf->pos;
		info.dirty_bytes = 0;
	}
	return copy_to_user((void __user *)arg, &info, sizeof(info)) ? -EFAULT : 0;
}

static const struct file_operations edu_migf_fops = {
	.owner = THIS_MODULE,
	.read = edu_migf_read,
	.write = edu_migf_write,
	.poll = edu_migf_poll,
	.unlocked_ioctl = edu_migf_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.release = edu_migf_release,
};

/**
 * edu_migf_open() - begin a session
 * @vdev: the device
 * @flags: O_RDONLY to save, O_WRONLY to resume
 * @match: what the migration data begins with; constant while @vdev is registered
 * @match_size: how much that is. It can be read in PRE_COPY, and other data is rejected when
 *	it is written
 * @size: of all migration data
 * @opened: where the session goes, for edu_migf_close()
 *
 * Return: 0, or -errno.
 */
int edu_migf_open(struct vfio_device *vdev, int flags, const void *match, size_t match_size,
		  size_t size, struct edu_migf **opened)
{
	struct edu_migf *migf = kzalloc_flex(*migf, data, size, GFP_KERNEL_ACCOUNT);
	struct file *file;

	if (!migf)
		return -ENOMEM;
	migf->size = size;
	file = anon_inode_getfile("edu_migration", &edu_migf_fops, migf, flags);
	if (IS_ERR(file)) {
		kfree(migf);
		return PTR_ERR(file);
	}
	stream_open(file->f_inode, file);
	mutex_init(&migf->lock);
	init_waitqueue_head(&migf->wait);
	get_device(&vdev->device);
	migf->vdev = vdev;
	migf->file = file;
	migf->match = match;
	migf->match_size = match_size;
	if (flags == O_RDONLY) {
		memcpy(migf->data, match, match_size);
		migf->len = match_size;
	}
	*opened = migf;
	return 0;
}

/**
 * edu_migf_file() - the file for userspace
 * @migf: not closed
 *
 * Return: the file, with a reference for the caller.
 */
struct file *edu_migf_file(struct edu_migf *migf)
{
	return get_file(migf->file);
}

/**
 * edu_migf_fill() - let userspace read all migration data
 * @migf: opened to save
 * @data: all of it; its beginning is what was there before
 */
void edu_migf_fill(struct edu_migf *migf, const void *data)
{
	guard(mutex)(&migf->lock);
	memcpy(migf->data + migf->len, data + migf->len, migf->size - migf->len);
	migf->len = migf->size;
	migf->whole = true;
	wake_up_interruptible(&migf->wait);
}

/**
 * edu_migf_read_all() - what userspace has written
 * @migf: opened to resume
 * @data: where it goes
 *
 * Return: 0, the error of a write() that was rejected, or -EINVAL for incomplete data.
 */
int edu_migf_read_all(struct edu_migf *migf, void *data)
{
	guard(mutex)(&migf->lock);
	if (migf->error || migf->len < migf->size)
		return migf->error ?: -EINVAL;
	memcpy(data, migf->data, migf->size);
	return 0;
}

/**
 * edu_migf_close() - end the session
 * @migf: of no use to the caller afterwards; NULL is ignored
 *
 * The file fails from now on, for as long as userspace keeps it.
 */
void edu_migf_close(struct edu_migf *migf)
{
	if (!migf)
		return;
	scoped_guard(mutex, &migf->lock)
		migf->error = -ENODEV;
	wake_up_interruptible(&migf->wait);
	fput(migf->file);
}
