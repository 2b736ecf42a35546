#!/usr/bin/env bash
# Implements `make demo`: starts the cluster, builds the images and runs the demo. $1 is make's origin of KUBECONFIG: the script uses that
# cluster only if KUBECONFIG was set on the command line of make, not if it is an exported variable. Reads the images from the environment; make sets
# them.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ "${1:-}" = "command line" ]; then
  make --no-print-directory bin/demo bin/kustomize
  bin/demo confirm ${YES:+--yes} # YES=1 skips the question
  make --no-print-directory deploy
  exec bin/demo run --workload-image "$WORKLOAD_IMG" --loadgen-image "$LOADGEN_IMG"
fi

export CLUSTER=demo
make --no-print-directory bin/cluster
bin/cluster up
make --no-print-directory build images bin/kustomize
bin/cluster load dist/*.tar
eval "$(bin/cluster env)"
make --no-print-directory deploy
exec bin/demo run --workload-image "$WORKLOAD_IMG" --loadgen-image "$LOADGEN_IMG" --cluster demo
