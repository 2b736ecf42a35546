#!/usr/bin/env bash
# Behind `make demo`: brings up what is missing and runs the demo. $1 is make's origin of KUBECONFIG: only one that stands on the
# command line means another cluster, an exported variable does not count.
set -euo pipefail
cd "$(dirname "$0")/.."
export IMG=${IMG:-gracefulapp:0.1.0} HELLO_IMG=${HELLO_IMG:-hello:0.1.0} LOADGEN_IMG=${LOADGEN_IMG:-gracefulapp-loadgen:0.1.0}

if [ "${1:-}" = "command line" ]; then
  make --no-print-directory bin/demo bin/kustomize
  bin/demo confirm ${YES:+--yes} # YES=1 for those who cannot be asked
  make --no-print-directory deploy IMG="$IMG"
  exec bin/demo run --hello-image "$HELLO_IMG" --loadgen-image "$LOADGEN_IMG"
fi

export CLUSTER=demo
make --no-print-directory bin/cluster
bin/cluster up
make --no-print-directory build images bin/kustomize
bin/cluster load dist/*.tar
eval "$(bin/cluster env)"
make --no-print-directory deploy IMG="$IMG"
exec bin/demo run --hello-image "$HELLO_IMG" --loadgen-image "$LOADGEN_IMG" --cluster demo
