#!/bin/sh
# npm as far as init sees it: `view PACKAGE version` and `install -g --prefix P PACKAGE[@VERSION]` of a package in codex's
# two-part shape, its command called like the package. The file `mode` beside it says how it behaves; `stop-N` halts at stage N, says so through the FIFO
# `reached`, and waits to be killed.
here=$(dirname "$0")
mode=$(cat "$here/mode")
printf '%s\n' "npm $*" >> "$here/argv"
env > "$here/environment"
latest=$(cat "$here/latest")
if [ "$1" = view ]; then echo "$latest"; exit 0; fi
while [ $# -gt 0 ]; do
    case $1 in
        --prefix) prefix=$2; shift ;;
        -*) ;;
        *) what=$1 ;;
    esac
    shift
done
version=${what##*@}
case $version in [0-9]*) name=${what%@*} ;; *) version=$latest name=$what ;; esac
binary=${name##*/}
case $binary in codex) words=codex-cli ;; *) words=$binary ;; esac

stage() {
    [ "$mode" = "stop-$1" ] || return 0
    echo $$ > "$here/reached"
    read -r _ < "$here/go"
}

stage 0
case $mode in
    404) echo "npm error code E404" >&2; exit 1 ;;
    chatty) grep -i '^npm_' "$here/environment" | sed 's/^/npm error /' >&2; echo "npm error argv $*" >&2; exit 1 ;;
esac
package=$prefix/lib/node_modules/$name
mkdir -p "$package/bin" "$prefix/bin"
stage 1
printed=$version
[ "$mode" != liar ] || printed=9.9.9
printf '{"name":"%s","version":"%s","bin":{"%s":"bin/%s.js"}}\n' "$name" "$version" "$binary" "$binary" > "$package/package.json"
stage 2
cat > "$package/bin/$binary.js" <<'CLI'
#!/bin/sh
here=$(dirname "$(readlink -f "$0")")
printf '%s\n' "@BINARY@ $*" >> "@HERE@/argv"
env >> "@HERE@/environment-cli"
[ -s "$here/../answer" ] || { echo "Error: Missing optional dependency" >&2; exit 1; }
# A copy that does not like its place: what proves itself in staging may still fail after the switch.
if [ -e "$here/../homesick" ]; then case $0 in */npm/bin/@BINARY@) echo "Error: not here" >&2; exit 1 ;; esac; fi
# One that somebody kills there (the OOM killer), which says nothing about the copy.
if [ -e "$here/../slain" ]; then case $0 in */npm/bin/@BINARY@) kill -9 $$ ;; esac; fi
case $1 in --version) echo "@WORDS@ $(cat "$here/../answer")" ;; *) exit 2 ;; esac
CLI
sed -i "s|@HERE@|$here|; s|@BINARY@|$binary|; s|@WORDS@|$words|" "$package/bin/$binary.js"
chmod 755 "$package/bin/$binary.js"
stage 3
[ "$mode" = stub ] || echo "$printed" > "$package/answer"
case $mode in homesick | slain) : > "$package/$mode" ;; esac
stage 4
ln -sf "../lib/node_modules/$name/bin/$binary.js" "$prefix/bin/$binary"
stage 5
exit 0
