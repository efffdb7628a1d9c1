#!/bin/sh
# Builds the container image warren-rabbitmq:VERSION from Debian's packages, for machines that reach no
# image registry. VERSION is 3.10, 4.0 or 4.3. An image that is present is reused.
# Needs a container engine, root, and a Debian whose apt sources name an archive that carries the suite.
set -eu

version=${1:?usage: broker-image VERSION (3.10, 4.0 or 4.3)}
image=warren-rabbitmq:$version
case $version in
3.10) suite=bookworm ;;
4.0) suite=trixie ;;
4.3) suite=forky ;;
*) echo "broker-image: no Debian suite has RabbitMQ $version; use 3.10, 4.0 or 4.3" >&2; exit 2 ;;
esac

fail() { echo "broker-image: $*" >&2; exit 1; }

present() { docker image inspect "$image" >/dev/null 2>&1; }

if present; then echo "$image is present"; exit 0; fi
[ "$(id -u)" = 0 ] || fail "building $image needs root; or set RABBITMQ_IMAGE to an image you have"

# Of two builds at the same time the second waits and finds the image of the first.
exec 9>"${TMPDIR:-/tmp}/warren-broker-image.lock"
flock 9
if present; then echo "$image is present"; exit 0; fi

# The archive this machine uses. apt itself reads its sources, whatever their format.
codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
archive=$(apt-get indextargets --no-release-info --format '$(RELEASE) $(COMPONENT) $(REPO_URI)' 'Created-By: Packages' |
	sed -En "s/^($codename|stable|testing|unstable|sid) main //p" | head -n 1)
[ -n "$archive" ] || fail "the apt sources name no Debian archive with $codename main"

if ! command -v debootstrap >/dev/null 2>&1; then
	echo "installing debootstrap"
	apt-get update -q >/dev/null
	DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends debootstrap >/dev/null
fi
# A debootstrap older than the suite builds it by the script of sid.
scripts=/usr/share/debootstrap/scripts
script=$scripts/$suite
[ -e "$script" ] || script=$scripts/sid

dir=$(mktemp -d)
root=$dir/root
running=

# debootstrap mounts file systems in its tree: nothing below a mount is removed.
cleanup() {
	if [ -n "$running" ]; then # its group, or itself while it has none yet
		kill -KILL -- "-${!:-}" 2>/dev/null || kill -KILL "${!:-}" 2>/dev/null || true
		wait
	fi
	umount "$root/proc" "$root/sys" 2>/dev/null || true
	rm -rf --one-file-system "$dir"
}
trap cleanup EXIT
trap 'exit 1' HUP INT TERM

echo "building $image from Debian $suite, about a minute"
# In its own process group and waited for, so that a signal ends it at once.
running=yes
setsid debootstrap --variant=minbase --include=rabbitmq-server "$suite" "$root" "$archive" "$script" >"$dir/log" 2>&1 &
wait "$!" || { tail -n 20 "$dir/log" >&2; fail "debootstrap $suite failed"; }
running=
rm -rf "$root/var/cache/apt" "$root/var/lib/apt/lists" "$root/usr/share/doc" "$root/usr/share/man"
# Every container makes its own cookie. The directories stay: they belong to the user rabbitmq.
find "$root/var/lib/rabbitmq" "$root/var/log/rabbitmq" -mindepth 1 -delete

# Debian's wrappers in /usr/sbin are for root and hide the server's output and signals: the server's own
# scripts come first in PATH and run as its user. The volume keeps the data off the layered file system.
tar -C "$root" -c . | docker import \
	--change 'ENV PATH=/usr/lib/rabbitmq/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/var/lib/rabbitmq LANG=C.UTF-8 RABBITMQ_LOGS=-' \
	--change 'USER rabbitmq' \
	--change 'WORKDIR /var/lib/rabbitmq' \
	--change 'VOLUME /var/lib/rabbitmq' \
	--change 'EXPOSE 5671 5672 15672' \
	--change 'CMD ["rabbitmq-server"]' - "$image" >/dev/null
echo "$image is built"
