#!/bin/sh
# The package of tests/agents/npm.sh, with parts and their sums: what a power cut took of them shows.
/bin/npm.d/npm "$@" || exit
[ "$1" != view ] || exit 0
while [ $# -gt 0 ]; do
    [ "$1" != --prefix ] || prefix=$2
    shift
done
cd "$prefix/lib/node_modules/@openai/codex" || exit
for part in 1 2 3 4 5 6 7 8 9 10 11 12; do dd if=/dev/urandom of=part$part bs=64k count=1 2> /dev/null; done
find . -type f ! -name sums -exec sha256sum {} + > /tmp/sums && mv /tmp/sums sums
