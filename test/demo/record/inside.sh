#!/bin/bash
# The recording itself, inside the namespaces and the chroot: starts the services, the load, and the faults at their
# minutes. Told: the seconds of one "minute" (60 for the shipped log; less to try it out).
set -eu
minute=${1:-60}
at() { # at MINUTE: sleeps until then
	local due=$((begin + $1 * minute)) now
	now=$(date +%s)
	[ "$due" -gt "$now" ] && sleep $((due - now))
	echo "$(date -u +%FT%TZ) minute $1: ${*:2}" | tee -a /var/log/faults.txt
}

rsyslogd
cron
/usr/sbin/sshd
pg_ctlcluster 15 main start
redis-server /etc/redis/redis.conf
su www-data -s /bin/sh -c 'exec python3 /srv/orders.py' >/tmp/orders.out 2>&1 &
sleep 2
nginx

begin=$(date +%s)
python3 /srv/load.py $((25 * minute)) 3.6 >/tmp/load.out 2>&1 &
load=$!
( while :; do curl -s -o /dev/null -A kube-probe/1.29 http://10.20.0.11/healthz; sleep 5; done ) &
probe=$!
( while :; do # a deployment robot looks after the machine
	ssh -o StrictHostKeyChecking=no -b 10.20.1.5 -i /root/.ssh/id_ed25519 deploy@10.20.0.11 'uptime; df -h /' >/dev/null 2>&1 || :
	sleep $((11 + RANDOM % 8))
done ) &
robot=$!

at 5 "a package is installed (dpkg)"
dpkg -i /srv/debs/*.deb >/tmp/dpkg.out 2>&1 || :

at 10 "a schema migration holds its lock for 9 seconds"
psql -q "host=10.20.0.13 user=orders password=orders dbname=shop application_name=migrate" \
	-c 'BEGIN; ALTER TABLE products ADD COLUMN weight integer; SELECT pg_sleep(9); COMMIT;' >/dev/null || :

at 15 "FAULT: kill -9 of the database server (postmaster and all its processes)"
master=$(head -1 /var/lib/postgresql/15/main/postmaster.pid)
children=$(ps -o pid= --ppid "$master")
kill -9 "$master" $children 2>/dev/null || :
sleep $((50 * minute / 60))
echo "$(date -u +%FT%TZ) the database server is started again" | tee -a /var/log/faults.txt
pg_ctlcluster 15 main start

at 20 "FAULT: somebody guesses SSH passwords from 203.0.113.77"
for user in root admin oracle test ubuntu postgres git pi user ftp www backup support guest root root admin deploy minecraft hadoop; do
	for password in 123456 password; do
		sshpass -p "$password" ssh -o StrictHostKeyChecking=no -o PubkeyAuthentication=no -o NumberOfPasswordPrompts=1 \
			-b 203.0.113.77 "$user@10.20.0.11" true >/dev/null 2>&1 || :
	done
done
echo "$(date -u +%FT%TZ) the guessing ends" | tee -a /var/log/faults.txt

wait $load || :
at 25 "end"
kill $probe $robot
