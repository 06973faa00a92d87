#!/bin/sh
# Installs the three programs of a release for this machine, once their checksum is right:
#
#   sh install.sh [--from URL] [--to FOLDER] [PROGRAM…]
#
# URL is the folder that holds a release's files; the install.sh that comes with a release knows
# its own. Needs curl or wget, tar, and sha256sum or shasum.
set -eu

from=${DISTRIBUTOR_RELEASE_URL:-}
folder=/usr/local/bin
programs=

die() {
  printf 'install.sh: %s\n' "$*" >&2
  exit 1
}

usage() {
  sed -n '2,7s/^# \{0,1\}//p' "$0"
  exit "$1"
}

while [ $# -gt 0 ]; do
  case $1 in
    --from | --to)
      [ $# -ge 2 ] || die "Missing value for $1"
      if [ "$1" = --from ]; then from=$2; else folder=$2; fi
      shift
      ;;
    --from=*) from=${1#*=} ;;
    --to=*) folder=${1#*=} ;;
    -h | --help) usage 0 ;;
    distributor | analyzer | generator) programs="$programs $1" ;;
    *) usage 2 >&2 ;;
  esac
  shift
done
[ -n "$from" ] || die "Say with --from where the files of the release are"
[ -n "$programs" ] || programs='distributor analyzer generator'

case $(uname -s) in
  Linux) os=linux ;;
  Darwin) os=macos ;;
  *) die "There is no release for $(uname -s): on Windows, unpack the archive yourself" ;;
esac
case $(uname -m) in
  x86_64 | amd64) arch=amd64 ;;
  aarch64 | arm64) arch=arm64 ;;
  *) die "There is no release for $(uname -m)" ;;
esac

# $1 is a name in the release, $2 the file to write.
fetch() {
  if command -v curl >/dev/null 2>&1; then
    curl -fsSL --retry 3 -o "$2" "${from%/}/$1"
  elif command -v wget >/dev/null 2>&1; then
    wget -q -O "$2" "${from%/}/$1"
  else
    die "Cannot find curl or wget"
  fi || die "Cannot get $1 from $from"
}

digest() {
  if command -v sha256sum >/dev/null 2>&1; then
    sha256sum "$1"
  elif command -v shasum >/dev/null 2>&1; then
    shasum -a 256 "$1"
  else
    die "Cannot find sha256sum or shasum"
  fi
}

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' HUP INT TERM

fetch SHA256SUMS "$scratch/SHA256SUMS"
archive=$(sed -n "s/^[0-9a-f]\{64\}  \(distributor-.*-$os-$arch\.tar\.gz\)\$/\1/p" "$scratch/SHA256SUMS")
[ -n "$archive" ] || die "The release at $from has nothing for $os-$arch"
fetch "$archive" "$scratch/archive"
expected=$(grep "  $archive\$" "$scratch/SHA256SUMS")
actual=$(digest "$scratch/archive")
[ "${actual%% *}" = "${expected%% *}" ] ||
  die "The checksum of $archive is ${actual%% *}, not ${expected%% *}: nothing was installed"

tar -xzf "$scratch/archive" -C "$scratch"
mkdir -p "$folder" 2>/dev/null || die "Cannot make $folder: choose another with --to"
[ -w "$folder" ] || die "Cannot write to $folder: choose another with --to, or use sudo"
for program in $programs; do
  # In one step, so that a program that is running stays whole.
  cp "$scratch/$program" "$folder/.$program.$$"
  chmod 755 "$folder/.$program.$$"
  mv -f "$folder/.$program.$$" "$folder/$program"
  version=$("$folder/$program" --version) || die "$folder/$program does not run here"
  printf 'installed %s\n' "$version as $folder/$program"
done
