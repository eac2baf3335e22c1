#!/bin/bash
# Configures the services in the tree of record.sh: loopback addresses, verbose logs, the shop's database.
set -eu
tree=$1
cd "$tree"
ln -sfn pts/ptmx dev/ptmx; mkdir -p var/spool/rsyslog dev/pts dev/shm run/sshd var/log/orders srv/debs root/.ssh
[ -c dev/urandom ] || { mknod -m 666 dev/urandom c 1 9; mknod -m 666 dev/null c 1 3; }
rm -rf var/log/orders/* var/log/nginx/* var/log/redis/* var/log/postgresql/* var/log/syslog var/log/dpkg.log var/spool/rsyslog/* var/log/faults.txt run/*.pid run/nginx.pid run/crond.pid run/rsyslogd.pid run/redis/* var/lib/redis/*
echo shop-01 > etc/hostname
printf '127.0.0.1 localhost shop-01\n' > etc/hosts
chroot . chown www-data /var/log/orders

cat > etc/rsyslog.conf <<'C'
global(workDirectory="/var/spool/rsyslog")
module(load="imuxsock")
module(load="imfile")
input(type="imfile" File="/var/log/dpkg.log" Tag="dpkg" Severity="info" Facility="local7")
$ActionFileDefaultTemplate RSYSLOG_FileFormat
*.* -/var/log/syslog
C

cat > etc/nginx/nginx.conf <<'C'
user www-data;
worker_processes 2;
pid /run/nginx.pid;
error_log /var/log/nginx/error.log info;
events { worker_connections 512; }
http {
	log_format main '$remote_addr - - [$time_local] "$request" $status $body_bytes_sent "$http_user_agent" rt=$request_time urt=$upstream_response_time id=$request_id';
	access_log /var/log/nginx/access.log main;
	keepalive_timeout 20;
	limit_req_zone $binary_remote_addr zone=clients:1m rate=4r/s;
	server {
		listen 10.20.0.11:80;
		server_name shop.example;
		limit_req zone=clients burst=8 nodelay;
		location / {
			proxy_pass http://10.20.0.12:8000;
			proxy_set_header X-Request-ID $request_id;
			proxy_read_timeout 6s;
		}
	}
}
C

cat > etc/redis/redis.conf <<'C'
bind 10.20.0.14 127.0.0.1
protected-mode no
daemonize yes
dir /var/lib/redis
logfile /var/log/redis/redis-server.log
loglevel verbose
save 60 50
maxmemory 32mb
C

cat > etc/ssh/sshd_config <<'C'
ListenAddress 10.20.0.11
UsePAM yes
PermitRootLogin prohibit-password
PasswordAuthentication yes
LogLevel INFO
Subsystem sftp /usr/lib/openssh/sftp-server
C

cat > etc/postgresql/15/main/conf.d/shop.conf <<'C'
listen_addresses = '10.20.0.13'
log_line_prefix = '%m [%p] %q%u@%d/%a '
log_connections = on
log_disconnections = on
log_checkpoints = on
log_lock_waits = on
log_min_duration_statement = 0
log_autovacuum_min_duration = -1
autovacuum_naptime = 20s
checkpoint_timeout = 60s
log_timezone = 'UTC'
C
cat > etc/postgresql/15/main/pg_hba.conf <<'C'
local all all peer
host shop orders 10.20.0.0/16 scram-sha-256
C

cat > etc/cron.d/shop <<'C'
PATH=/usr/sbin:/usr/bin:/sbin:/bin
* * * * * root /srv/report.sh
*/5 * * * * postgres pg_dump -Fc shop -f /tmp/shop.dump && logger -t backup "shop dumped, $(stat -c %s /tmp/shop.dump) bytes"
*/2 * * * * www-data redis-cli -h 10.20.0.14 info stats | grep -c . | logger -t cache-stats
C
cat > srv/report.sh <<'C'
#!/bin/sh
psql -At "host=10.20.0.13 user=orders password=orders dbname=shop application_name=report" \
	-c "SELECT 'orders ' || count(*) || ' revenue ' || coalesce(sum(price), 0) FROM orders WHERE placed > now() - interval '1 minute'" 2>&1 |
	logger -t orders-report
C
chmod +x srv/report.sh
