#!/usr/bin/env bash
# Installs the browser that the tests of the lab's page need, on Debian and Ubuntu. On other systems these tests are skipped with a message.
set -euo pipefail
if command -v chromium >/dev/null; then exit 0; fi
if [ ! -e /etc/debian_version ] || [ "$(id -u)" != 0 ]; then
  echo "install-browser: there is no chromium; the tests of the lab's page will be skipped" >&2
  exit 0
fi
echo "install-browser: installing the Debian packages chromium and fonts-dejavu-core, for the tests of the lab's page" >&2
if ! { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core; } >/dev/null; then
  echo "install-browser: chromium could not be installed; the tests of the lab's page will be skipped" >&2
fi
