#!/usr/bin/env bash
# Installs the load tools that bench/peers compares loadgen with, as far as this
# machine can: Debian packages when run as root, Go programs into .tools/bin, and
# Molotov into a virtual environment under .tools. It can be run again: what is
# there already is left alone. What could not be installed is listed at the end,
# and is no failure; the comparison says so too.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

tools=$PWD/.tools
bin=$tools/bin
log=$tools/install.log
missing=()
mkdir -p "$bin"
: >"$log"

# Versions are pinned, so that a table can be made again. Later ones of fortio need a
# module that the Go proxy does not serve; Molotov 2.4 does not run on Python 3.10 or
# later, where asyncio.gather takes no loop.
go_tools=(
	github.com/codesenberg/bombardier@v1.2.6
	github.com/rakyll/hey@v0.1.5
	github.com/tsenart/vegeta/v12@v12.13.0
	fortio.org/fortio@v1.66.5
	go.k6.io/k6@v1.8.1
)
molotov=(molotov==2.6 aiohttp==3.14.5)

say() { printf '%s\n' "$*"; }

lacks() { # what, why
	missing+=("$1: $2")
	say "  $1: not installed ($2)"
}

# attempt runs a command with its output in the log; it fails if the command does.
attempt() {
	printf '\n$ %s\n' "$*" >>"$log"
	"$@" >>"$log" 2>&1
}

debian() { # program, package
	if command -v "$1" >/dev/null; then
		say "  $1: there"
	elif ! command -v apt-get >/dev/null; then
		lacks "$1" "no apt-get here; install it by hand"
	elif [ "$(id -u)" -ne 0 ]; then
		lacks "$1" "not root; run: apt-get install $2"
	else
		[ -n "${updated:-}" ] || attempt apt-get update || true
		updated=yes
		if attempt env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$2"; then
			say "  $1: installed"
		else
			lacks "$1" "apt-get install $2 failed, see $log"
		fi
	fi
}

# A file beside each program says which version it is: another pin is installed anew.
go_tool() { # module@version
	local module=${1%@*} name stamp
	name=$(basename "${module%/v[0-9]*}")
	stamp=$bin/.$name.version
	if [ -x "$bin/$name" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$1" ]; then
		say "  $name: there, ${1#*@}"
	elif attempt env GOBIN="$bin" GOFLAGS=-buildvcs=false go install "$1"; then
		printf '%s\n' "$1" >"$stamp"
		say "  $name: installed, ${1#*@}"
	else
		lacks "$name" "go install $1 failed, see $log"
	fi
}

python_tool() {
	local venv=$tools/molotov stamp
	stamp=$bin/.molotov.version
	if [ -x "$bin/molotov" ] && [ "$(cat "$stamp" 2>/dev/null)" = "${molotov[*]}" ]; then
		say "  molotov: there, ${molotov[*]}"
		return
	fi
	rm -rf "$venv" "$bin/molotov"
	if ! command -v python3 >/dev/null; then
		lacks molotov "no python3"
	elif ! attempt python3 -m venv "$venv"; then
		lacks molotov "python3 -m venv failed (Debian: apt-get install python3-venv)"
	elif ! attempt "$venv/bin/pip" install "${molotov[@]}"; then
		lacks molotov "pip install ${molotov[*]} failed, see $log"
	elif ! attempt "$venv/bin/molotov" --version; then
		lacks molotov "it does not run with $(python3 --version), see $log"
	else
		ln -s "$venv/bin/molotov" "$bin/molotov"
		printf '%s\n' "${molotov[*]}" >"$stamp"
		say "  molotov: installed, ${molotov[*]}"
	fi
}

say "Debian packages:"
debian nginx nginx-light
debian wrk wrk
debian ab apache2-utils
debian taskset util-linux
say "Go programs, into $bin:"
for tool in "${go_tools[@]}"; do
	go_tool "$tool"
done
say "Python, into $tools/molotov:"
python_tool
say "loadgen itself:"
go build -o "$bin/ours" ./bench/ours
say "  ours: built"

if [ ${#missing[@]} -gt 0 ]; then
	say
	say "Not installed; the comparison goes without:"
	printf '  %s\n' "${missing[@]}"
fi
