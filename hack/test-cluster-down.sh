#!/usr/bin/env bash
# Proves that `cluster down` removes everything, even after its supervisors were killed: compares processes, mounts, links, files and settings of
# the machine before and after. No other clusters should start or end meanwhile.
set -euo pipefail
cd "$(dirname "$0")/.."
export CLUSTER=${DOWN_CLUSTER:-down}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

snapshot() {
  {
    for dir in /proc/[0-9]*; do # by cgroup: the command lines of container processes do not name the cluster
      if grep -q "gracefulapp-cluster/$CLUSTER/" "$dir/cgroup" 2>/dev/null; then
        command=$(tr '\0' ' ' <"$dir/cmdline" 2>/dev/null || true)
        # A process that has exited, and that the machine's init has not reaped yet, has no command line.
        [ -z "$command" ] || echo "process $command"
      fi
    done
    awk '{ print "mount", $2, $3 }' /proc/self/mounts
    ip netns list | sed 's/^/namespace /'
    ip -o link show | awk -F': ' '{ print "link", $2 }'
    # Another instance may run at the same time, and its pods change.
    find /sys/fs/cgroup -type d \( -path '*/gracefulapp-cluster' -o -path "*/gracefulapp-cluster/$CLUSTER*" \) -printf 'cgroup %p\n'
    find /run /var/lib /var/log /etc/cni /opt/cni -maxdepth 2 \( -path '*gracefulapp*' -o -path '*kubelet*' -o -path '*containerd*' \
      -o -path '*/cni*' -o -path '*netns*' \) -printf 'file %p\n' 2>/dev/null || true # not every folder exists
    # Before the first `up` installs the packages, these programs may be missing.
    nft list ruleset 2>/dev/null | sed 's/^/nft /' || true
    iptables-save 2>/dev/null | sed '/^#/d; s/\[.*//; s/^/iptables /' || true
    ip6tables-save 2>/dev/null | sed '/^#/d; s/\[.*//; s/^/ip6tables /' || true
    sysctl -a 2>/dev/null | grep -E '^net\.(ipv4\.(ip_forward|conf\.all)|ipv6\.conf\.all|bridge|netfilter\.nf_conntrack_max)|^vm\.overcommit|^kernel\.panic' || true
  } | sort | uniq -c
}

bin/cluster build >/dev/null
bin/cluster down
snapshot >"$work/before"
bin/cluster up
bin/cluster load dist/hello-*.tar >/dev/null
(
  eval "$(bin/cluster env)"
  kubectl create deployment hello --image="$HELLO_IMG" --replicas=4
  kubectl rollout status deploy/hello --timeout=90s
)
snapshot >"$work/up"
if cmp -s "$work/before" "$work/up"; then
  echo "the snapshots do not differ while a cluster runs, so they prove nothing" >&2
  exit 1
fi
pids=$(bin/cluster status | awk '$2 == "supervisor" { print $4 }')
[ "$(wc -w <<<"$pids")" = 2 ] || { echo "want two supervisors in: $(bin/cluster status)" >&2; exit 1; }
echo "killing the supervisors" $pids
kill -9 $pids
bin/cluster down
snapshot >"$work/after"
if ! diff "$work/before" "$work/after"; then
  echo "left behind after kill -9 and cluster down: the lines above" >&2
  exit 1
fi
echo "nothing left behind: $(wc -l <"$work/before") kinds of things compared, $(diff "$work/before" "$work/up" | grep -c '^[<>]') differed while the cluster ran"
