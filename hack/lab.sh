#!/usr/bin/env bash
# Implements `make lab`: starts the cluster, builds the images and runs the lab. $1 is make's origin of KUBECONFIG: the script uses that cluster
# only if KUBECONFIG was set on the command line of make, not if it is an exported variable. The other arguments are those of `lab`: run, soak or
# recipes, and its flags.
set -euo pipefail
cd "$(dirname "$0")/.."
origin=${1:-} && shift
export IMG=${IMG:-gracefulapp:0.1.0} HELLO_IMG=${HELLO_IMG:-hello:0.1.0} LOADGEN_IMG=${LOADGEN_IMG:-gracefulapp-loadgen:0.1.0}
export WORKLOAD_IMG=${WORKLOAD_IMG:-gracefulapp-workload:0.1.0}

if [ "$origin" = "command line" ]; then
  [ "$1" != recipes ] || { echo "lab: the recipes run on the embedded cluster only, because their images are built here" >&2; exit 2; }
  make --no-print-directory bin/lab bin/kustomize
  bin/lab confirm ${YES:+--yes} # YES=1 skips the question
  make --no-print-directory deploy IMG="$IMG"
  exec bin/lab "$@" # NGINX_IMG, HAPROXY_IMG and TOOLS_IMG name images that the cluster can pull; without one, the lab omits its clients
fi

export CLUSTER=${LAB_CLUSTER:-lab}
export NGINX_IMG=gracefulapp-lab-nginx:0.1.0 HAPROXY_IMG=gracefulapp-lab-haproxy:0.1.0 TOOLS_IMG=gracefulapp-lab-tools:0.1.0
make --no-print-directory bin/cluster
bin/cluster up
make --no-print-directory build images "$([ "$1" = recipes ] && echo recipe-images || echo lab-images)" bin/kustomize
bin/cluster load dist/*.tar
eval "$(bin/cluster env)"
make --no-print-directory deploy IMG="$IMG"
status=0
bin/lab "$@" --cluster "$CLUSTER" || status=$?
echo "The cluster stays up. Remove it: make cluster-down CLUSTER=$CLUSTER"
exit $status
