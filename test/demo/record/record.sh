#!/bin/bash
# Records the demo's logs: a Debian tree with real services, in its own network, process and host name spaces, on
# loopback addresses only. Needs root, debootstrap and half an hour:  record.sh TREE [SECONDS_PER_MINUTE]
set -eu
tree=$1 minute=${2:-60}
here=$(cd "$(dirname "$0")" && pwd)

if [ ! -d "$tree/etc" ]; then
	debootstrap --variant=minbase --include=ca-certificates,procps,iproute2,rsyslog,cron,openssh-server,openssh-client,nginx-light,redis-server,postgresql,python3,python3-psycopg2,python3-redis,curl,logrotate,tzdata,sshpass \
		bookworm "$tree"
fi
"$here/setup.sh" "$tree"
cp "$here/orders.py" "$here/load.py" "$here/inside.sh" "$here/database.sh" "$tree/srv/"
exec unshare --net --pid --uts --mount --ipc --fork --kill-child --mount-proc="$tree/proc" /bin/bash -euc '
	hostname shop-01
	ip link set lo up
	ip addr add 10.20.0.11/32 dev lo
	for a in 10.20.0.12 10.20.0.13 10.20.0.14 10.20.1.5 203.0.113.77; do ip addr add $a/32 dev lo; done
	for i in $(seq 10 59); do ip addr add 10.20.1.$i/32 dev lo; done
	mount -t tmpfs none "$0/dev/shm"
	mount -t devpts -o ptmxmode=0666 none "$0/dev/pts"
	chroot "$0" /bin/bash /srv/database.sh
	exec chroot "$0" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 /bin/bash /srv/inside.sh "$1"
' "$tree" "$minute"
