#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Runs in the guest: third-party programs and parts of the kernel that use
# accelerators. A line "judge: NAME ok" reports a passed check.
[ "$1" = inner ] || exec keyctl session - sh "$0" inner

cd /tmp || exit 1
export DM_DISABLE_UDEV=1
mkdir -p /run/cryptsetup
release=$(uname -r)
failed=0

# judge NAME COMMAND...: the output of the command is shown only if it fails
judge() {
	name=$1
	shift
	if "$@" > said 2>&1; then
		echo "judge: $name ok"
	else
		echo "judge: $name FAILED"
		cat said
		failed=1
	fi
}

bytes() {
	head -c "$1" /dev/urandom
}

hex() {
	xxd -p "$1" | tr -d '\n'
}

# The kernel's way for programs, with OpenSSL and the kernel's own software for
# comparison. After 6.12 it is closed to accelerators.
kcapi() {
	alg=$1 key=$2 other=$3
	kcapi-enc -e -c "$alg" --keyfd 3 --iv "$(hex iv)" -i plain -o first 3< "$key" &&
	kcapi-enc -d -c "$alg" --keyfd 3 --iv "$(hex iv)" -i first -o back 3< "$key" &&
	cmp plain back &&
	case $other in
	-*) openssl enc "$other" -nopad -K "$(hex "$key")" -iv "$(hex iv)" -in plain -out second ;;
	*) kcapi-enc -e -c "$other" --keyfd 3 --iv "$(hex iv)" -i plain -o second 3< "$key" ;;
	esac &&
	cmp first second
}

aead() {
	alg=$1
	kcapi-enc -e -c "$alg" --keyfd 3 --iv "$2" --aad 00112233445566778899aabbccddeeff --taglen 16 \
		-i plain -o first 3< key16 &&
	kcapi-enc -e -c "$3" --keyfd 3 --iv "$2" --aad 00112233445566778899aabbccddeeff --taglen 16 \
		-i plain -o second 3< key16 &&
	cmp first second
}

programs() {
	bytes 65536 > plain
	bytes 16 > iv
	bytes 16 > key16
	bytes 32 > key32
	judge kcapi-cbc-aes-128 kcapi "hisi_sec_cbc(aes)" key16 -aes-128-cbc
	judge kcapi-cbc-aes-256 kcapi "hisi_sec_cbc(aes)" key32 -aes-256-cbc
	judge kcapi-ctr-aes kcapi "hisi_sec_ctr(aes)" key32 -aes-256-ctr
	judge kcapi-cbc-sm4 kcapi "hisi_sec_cbc(sm4)" key16 -sm4-cbc
	judge kcapi-xts-aes kcapi "hisi_sec_xts(aes)" key32 "xts(ecb(aes-generic))"
	judge kcapi-gcm-aes aead "hisi_sec_gcm(aes)" 00112233445566778899aabb \
		"gcm_base(ctr(aes-generic),ghash-generic)"
	judge benchmark-xts cryptsetup benchmark -c aes-xts -s 256
	judge benchmark-cbc cryptsetup benchmark -c aes-cbc -s 128
}

written() {
	dd if=disk of=/dev/mapper/volume bs=64k conv=fsync && echo 3 > /proc/sys/vm/drop_caches
}

same() {
	dd if=/dev/mapper/volume of=back bs=64k count=$((4 * 16)) && cmp disk back
}

plain_volume() {
	cryptsetup open --type plain -c "capi:$1-plain64" -s 256 --key-file key32 /dev/ram0 volume
}

closed() {
	cryptsetup close volume && echo 3 > /proc/sys/vm/drop_caches
}

# What the accelerator wrote, software has to read
plain_disk() {
	plain_volume "hisi_sec_xts(aes)" && written && same && closed && rmmod hisi_sec2 &&
	cryptsetup open --type plain -c aes-xts-plain64 -s 256 --key-file key32 /dev/ram0 volume &&
	same && closed && modprobe hisi_sec2 || return 1
	while grep -q 'selftest *: unknown' /proc/crypto; do
		usleep 100000
	done
}

luks_disk() {
	luks="-c $1 -s 256 --key-file key32 --batch-mode --disable-locks"	# the lab's kernels have no flock()
	# shellcheck disable=SC2086
	cryptsetup luksFormat --type luks2 --pbkdf pbkdf2 --pbkdf-force-iterations 1000 $luks /dev/ram1 &&
	cryptsetup open --disable-locks --key-file key32 /dev/ram1 volume && written && closed &&
	cryptsetup open --disable-locks --key-file key32 /dev/ram1 volume && same && closed
}

disks() {
	modprobe brd rd_nr=2 rd_size=32768 && modprobe dm_crypt || exit 1
	bytes 32 > key32
	bytes $((4 << 20)) > disk
	judge dm-crypt-plain plain_disk
	judge dm-crypt-luks luks_disk "$1"
	rm disk back
}

# One number of "openssl pkey -text", as bytes
number() {
	sed -n "/^$1:/,/^[^ ]/s/^ //p" dh.text | tr -d ' :\n' | sed 's/^00//' | xxd -r -p
}

# OpenSSL's public key has to come out of OpenSSL's private one
diffie_hellman() {
	openssl genpkey -quiet -algorithm DH -pkeyopt group:modp_2048 -text -out dh.pem > dh.text &&
	cat dh.pem >> dh.text &&
	openssl genpkey -quiet -genparam -algorithm DH -pkeyopt group:modp_2048 -out dh.param &&
	grep -v -- - dh.param | base64 -d | tail -c +10 | head -c 256 > prime &&
	printf '\002' > base &&
	number private-key > exponent && number public-key > public &&
	prime=$(keyctl padd user prime @s < prime) &&
	exponent=$(keyctl padd user exponent @s < exponent) &&
	base=$(keyctl padd user base @s < base) &&
	keyctl dh_compute "$exponent" "$prime" "$base" | tail -n +2 | tr -d ' \n' > shared &&
	echo "$(cat shared) for 2 to the $(hex exponent) modulo $(hex prime)" &&
	[ "$(cat shared)" = "$(hex public)" ]
}

rsa() {
	openssl genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out key.pem &&
	openssl pkcs8 -topk8 -nocrypt -in key.pem -outform DER -out key.der &&
	key=$(keyctl padd asymmetric lab @s < key.der) &&
	bytes 100 > secret &&
	keyctl pkey_encrypt "$key" 0 secret enc=pkcs1 > sealed &&
	openssl pkeyutl -decrypt -inkey key.pem -in sealed -out opened && cmp secret opened &&
	keyctl pkey_decrypt "$key" 0 sealed enc=pkcs1 > opened && cmp secret opened &&
	openssl dgst -sha256 -binary -out hash secret &&
	keyctl pkey_sign "$key" 0 hash enc=pkcs1 hash=sha256 > signature &&
	openssl pkeyutl -verify -inkey key.pem -in hash -sigfile signature -pkeyopt digest:sha256 &&
	keyctl pkey_verify "$key" 0 hash signature enc=pkcs1 hash=sha256 &&
	bytes 32 > hash &&
	! keyctl pkey_verify "$key" 0 hash signature enc=pkcs1 hash=sha256
}

keys() {
	modprobe pkcs8_key_parser || exit 1
	judge keyctl-dh diffie_hellman
	judge keyctl-rsa rsa
}

# More than fits, so it goes to the swap, which is compressed memory
swapped() {
	echo "$1" > /sys/module/zswap/parameters/compressor &&
	echo Y > /sys/module/zswap/parameters/enabled &&
	mkswap /dev/ram0 && swapon /dev/ram0 &&
	mkdir -p /tmp/cgroup && mount -t cgroup2 cgroup2 /tmp/cgroup &&
	echo +memory > /tmp/cgroup/cgroup.subtree_control &&
	mkdir -p /tmp/cgroup/small && echo $((12 << 20)) > /tmp/cgroup/small/memory.max &&
	mount -t debugfs debugfs /sys/kernel/debug &&
	sh -c 'echo $$ > /tmp/cgroup/small/cgroup.procs
	seq 1 4000000 | head -c 20971520 | tee /tmp/numbers | sha256sum > /tmp/sum
	[ "$(cat /sys/kernel/debug/zswap/stored_pages)" -gt 1000 ] &&
	sha256sum /tmp/numbers | sed s,/tmp/numbers,-, | cmp - /tmp/sum'
}

case $release in
6.12.*) programs ;;
esac
disks aes-xts-plain64
keys
judge zswap swapped deflate
exit $failed
