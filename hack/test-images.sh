#!/usr/bin/env bash
# Proves that `docker build` works in a fresh clone, for amd64 and arm64: builds the Dockerfiles of the operator, the drain sidecar, hello and the load generator from
# HEAD's files with buildah, checks each image, and runs the images of this machine's architecture. It needs no registry and no Docker: an image
# from a Debian package replaces the golang image, and the builds use the machine's Go toolchain, downloaded modules and build cache.
set -euo pipefail
cd "$(dirname "$0")/.."

. hack/check-image.sh

version=test-$(basename "$work") # in no binary that was built before
hello_pid=""
trap '[ -z "$hello_pid" ] || kill "$hello_pid" 2>/dev/null || true; clean' EXIT

# base makes an image with the name of the golang image.
base() {
  local name
  name=$(awk '$NF == "builder" { print $3 }' Dockerfile)
  hack/build-debian-image.sh golang "gracefulapp-lab-golang:$version" "$work/golang.tar"
  quietly buildah pull "oci-archive:$work/golang.tar"
  quietly buildah tag "gracefulapp-lab-golang:$version" "docker.io/library/$name"
  go mod download
  go -C test mod download
  volumes=(--volume "$(go env GOROOT):/usr/local/go:ro" --volume "$(go env GOMODCACHE)/cache/download:/modules:ro" --volume "$(go env GOCACHE):/cache")
}

# build builds the Dockerfile of a program for an architecture, in the clone, as a user would. buildah 1.28, that of Debian 12, does not set BUILDPLATFORM.
build() {
  (cd "$work/clone" && quietly buildah build --isolation chroot --pull=never "${volumes[@]}" --platform "linux/$2" \
    --build-arg "BUILDPLATFORM=linux/$host" --build-arg "VERSION=$version" -f "$3" -t "$1:$2" .)
}

# run_image runs a program as the image does, in its files and as its user.
run_image() { chroot --userspec="$user" "$root" "$@"; }

run_manager() {
  [[ $(run_image /manager --help 2>&1) == *-graceful-shutdown-timeout* ]] || die "manager --help does not show its flags"
  # The manager prints its version only when it reaches a cluster.
  grep -qa "$version" "$root/manager" || die "the manager does not have the version of the build argument"
}
run_drain-proxy() { run_image /drain-proxy --help >/dev/null 2>&1 || die "drain-proxy --help fails"; }
run_loadgen() { run_image /loadgen --help >/dev/null 2>&1 || die "loadgen --help fails"; }
run_hello() {
  local line="" log=""
  [ "$(run_image /hello version)" = "$version" ] || die "hello version does not print $version"
  exec {output}< <(PORT=18080 STARTUP_SEC=0 exec chroot --userspec="$user" "$root" /hello 2>&1)
  hello_pid=$!
  # The output ends when hello ends.
  until [[ $line == *'"serving"'* ]]; do
    read -r line <&"$output" || die "hello does not serve: $log$line"
    log+=$line$'\n'
  done
  run_image /hello get http://127.0.0.1:18080/livez >"$work/log" 2>&1 || die "hello does not answer: $(cat "$work/log")"
  kill "$hello_pid"
  wait "$hello_pid" || die "hello fails on SIGTERM: $(cat <&"$output")"
  hello_pid=""
}

host=$(go env GOHOSTARCH)
mkdir "$work/clone"
git archive HEAD | tar -x -C "$work/clone"
base
for image in manager:Dockerfile drain-proxy:cmd/drain-proxy/Dockerfile hello:hello/Dockerfile loadgen:test/loadgen/Dockerfile; do
  program=${image%:*}
  for arch in amd64 arm64; do
    build "$program" "$arch" "${image#*:}"
    check_image "$program" "$arch"
    if [ "$arch" = "$host" ]; then "run_$program"; fi
  done
done
