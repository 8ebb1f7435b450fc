#!/usr/bin/env bash
# Installs what the tests want as the other side: libzmq with its Python binding,
# a C compiler, tools to make faults with, readers of feeds, a browser, servers of
# PostgreSQL and IRC, none of which is left running. Debian; as root; again and again
# without harm. The program itself needs none of it.
set -euo pipefail
packages=(
	gcc libc6-dev make pkg-config # C peers; the race detector
	libzmq3-dev python3-zmq       # the original's transport
	strace                        # failing system calls
	e2fsprogs util-linux          # power cuts on a loop-mounted file system
	openssl curl                  # certificates and requests not made by us
	gnupg                         # keys and signatures not made by us
	libxml2-utils newsboat sfeed  # readers of feeds
	chromium                      # pages, as people see them
	postgresql                    # an archive in a server; tests start their own
	ngircd inspircd atheme-services # IRC; tests start their own
)
missing=()
for p in "${packages[@]}"; do
	dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing+=("$p")
done
if ((${#missing[@]} == 0)); then
	echo "peers: all there"
	exit 0
fi
echo "peers: installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
apt-get update -q
if [[ " ${missing[*]} " == *" postgresql "* ]]; then # no cluster of its own, so no service
	apt-get install -q -y --no-install-recommends postgresql-common
	sed -i 's/^#\?create_main_cluster.*/create_main_cluster = false/' /etc/postgresql-common/createcluster.conf
fi
if [[ ! -e /usr/sbin/policy-rc.d ]]; then # which lets nothing start that is installed here
	printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
	chmod +x /usr/sbin/policy-rc.d
	trap 'rm -f /usr/sbin/policy-rc.d' EXIT
fi
apt-get install -q -y --no-install-recommends "${missing[@]}"
for daemon in ngircd inspircd atheme-services; do # nor at the next boot
	if [[ " ${missing[*]} " == *" $daemon "* ]]; then update-rc.d "$daemon" disable; fi
done
