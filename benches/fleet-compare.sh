#!/usr/bin/env bash
# What becomes durable a second, side by side on one disk: our reports (TLS 1.3, signatures checked, each judged) against puts
# of etcd and commits of one row of PostgreSQL, both of the same size and without TLS.
# fleet-compare.sh INVENTORY ETCD_PUTS DIR [SECONDS] [ROUNDS]
set -euo pipefail

inventory=$(realpath "$1") etcd_puts=$(realpath "$2") dir=$3 seconds=${4:-20} rounds=${5:-3}
requests=256 bytes=26000
mkdir -p "$dir"
work=$(mktemp -d "$(realpath "$dir")/compare.XXXXXX")
etcd_pid=
cleanup() {
    [ -z "$etcd_pid" ] || { kill "$etcd_pid" 2>/dev/null; wait "$etcd_pid" 2>/dev/null; } || true
    [ ! -f "$work/postgres/postmaster.pid" ] || kill -INT "$(head -1 "$work/postgres/postmaster.pid")" || true
    for _ in $(seq 50); do [ -f "$work/postgres/postmaster.pid" ] || break; sleep 0.1; done
    rm -rf "$work"
}
trap cleanup EXIT

command -v etcd >/dev/null || { echo "fleet-compare.sh: there is no \`etcd\`: install etcd-server" >&2; exit 2; }
bin=$(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V | tail -1)
[ -x "$bin/postgres" ] || { echo "fleet-compare.sh: there is no PostgreSQL: install postgresql" >&2; exit 2; }
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

ours() {
    "$inventory" simulate --json --dir "$work" sustained --connections $requests --for "${seconds}s" --rate-min 1 2>/dev/null |
        python3 -c 'import json, sys; d = json.load(sys.stdin)["demands"]
print(next(x["found"] for x in d if x["what"] == "durable reports a second"))'
}

# A new data directory each time; `fsync` is on, as it always is. Nothing is compacted meanwhile.
of_etcd() {
    local port peer
    port=$(free_port) peer=$(free_port)
    rm -rf "$work/etcd"
    etcd --data-dir "$work/etcd" --listen-client-urls "http://127.0.0.1:$port" --advertise-client-urls \
        "http://127.0.0.1:$port" --listen-peer-urls "http://127.0.0.1:$peer" --initial-advertise-peer-urls \
        "http://127.0.0.1:$peer" --initial-cluster "default=http://127.0.0.1:$peer" --quota-backend-bytes 8589934592 \
        --log-level error >"$work/etcd.log" 2>&1 &
    etcd_pid=$!
    for _ in $(seq 100); do (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null && break; sleep 0.1; done
    sleep 1
    "$etcd_puts" --endpoint "127.0.0.1:$port" --requests $requests --bytes $bytes --seconds "$seconds" |
        python3 -c 'import json, sys; print(round(json.load(sys.stdin)["per_s"]))'
    kill $etcd_pid
    wait $etcd_pid || true
    etcd_pid=
}

# As root PostgreSQL does not start.
postgres() { if [ "$(id -u)" -eq 0 ]; then runuser -u postgres -- "$@"; else "$@"; fi; }
of_postgres() {
    local socket=$work/socket
    rm -rf "$work/postgres" "$socket"
    mkdir -p "$work/postgres" "$socket"
    chmod 755 "$work"
    [ "$(id -u)" -ne 0 ] || chown postgres "$work/postgres" "$socket"
    postgres "$bin/initdb" -D "$work/postgres" -A trust -U assay >/dev/null
    # Memory and log are large enough not to stand in its way; `fsync` and `synchronous_commit` are on, as they always are.
    postgres "$bin/pg_ctl" -D "$work/postgres" -w -l "$work/postgres/log" -o \
        "-c listen_addresses= -k $socket -c max_connections=300 -c shared_buffers=1GB -c max_wal_size=8GB" start >/dev/null
    local sql=(psql -q -h "$socket" -U assay -d postgres)
    "${sql[@]}" -c 'CREATE TABLE reports (revision bigserial PRIMARY KEY, bytes text NOT NULL)' \
        -c 'ALTER TABLE reports ALTER COLUMN bytes SET STORAGE EXTERNAL'
    python3 - $bytes >"$work/put.sql" <<'PY'
import random, sys
random.seed(1)
print("INSERT INTO reports (bytes) VALUES ('" + "".join(random.choices("0123456789abcdef", k=int(sys.argv[1]))) + "');")
PY
    pgbench -n -h "$socket" -U assay -d postgres -M prepared -c $requests -j 2 -T "$seconds" -f "$work/put.sql" \
        2>/dev/null | sed -n 's/^tps = \([0-9]*\).*/\1/p'
    postgres "$bin/pg_ctl" -D "$work/postgres" -w -m fast stop >/dev/null
}

echo "$(nproc) processors, $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1), Linux $(uname -r)"
echo "$bytes bytes each, $requests at once, $seconds s each, $rounds rounds in turn"
printf '%-6s %12s %12s %12s %8s\n' round "ours /s" "etcd /s" "postgres /s" load
for round in $(seq "$rounds"); do
    o=$(ours) e=$(of_etcd) p=$(of_postgres)
    printf '%-6s %12s %12s %12s %8s\n' "$round" "$o" "$e" "$p" "$(cut -d' ' -f1 /proc/loadavg)"
    echo "$o $e $p" >>"$work/rounds"
done
python3 - "$work/rounds" <<'PY'
import statistics, sys
ours, etcd, postgres = (statistics.median(c) for c in zip(*[map(float, l.split()) for l in open(sys.argv[1])]))
print(f"medians: ours {ours:.0f} /s; {ours / etcd:.2f} times etcd ({etcd:.0f} /s), "
      f"{ours / postgres:.2f} times PostgreSQL ({postgres:.0f} /s)")
sys.exit(0 if ours > etcd else 1)
PY
