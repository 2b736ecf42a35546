#!/usr/bin/env bash
# Implements `make lab`: starts the cluster, builds the images and runs the lab. $1 is make's origin of KUBECONFIG: the script uses that cluster
# only if KUBECONFIG was set on the command line of make, not if it is an exported variable. The other arguments are those of `lab`: run, soak or
# recipes, and its flags. Reads the images from the environment; make sets them.
set -euo pipefail
cd "$(dirname "$0")/.."
origin=${1:-} && shift

if [ "$origin" = "command line" ]; then
  [ "$1" != recipes ] || { echo "lab: the recipes run on the embedded cluster only, because their images are built here" >&2; exit 2; }
  make --no-print-directory bin/lab bin/kustomize
  bin/lab confirm ${YES:+--yes} # YES=1 skips the question
  make --no-print-directory deploy
  exec bin/lab "$@" # NGINX_IMG, HAPROXY_IMG and TOOLS_IMG name images that the cluster can pull; without one, the lab omits its clients
fi

export CLUSTER=${LAB_CLUSTER:-lab}
lab=$REGISTRY/gracefulapp-lab
export NGINX_IMG=$lab-nginx:$VERSION HAPROXY_IMG=$lab-haproxy:$VERSION TOOLS_IMG=$lab-tools:$VERSION
make --no-print-directory bin/cluster
bin/cluster up
make --no-print-directory build images "$([ "$1" = recipes ] && echo recipe-images || echo lab-images)" bin/kustomize
bin/cluster load dist/*.tar
eval "$(bin/cluster env)"
make --no-print-directory deploy
status=0
bin/lab "$@" --cluster "$CLUSTER" || status=$?
echo "The cluster stays up. Remove it: make cluster-down CLUSTER=$CLUSTER"
exit $status
