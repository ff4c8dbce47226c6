# A Debian root with a newer Python than this machine's; read by .ci/steps.sh.

suite=trixie # Python 3.13

# Whether a root can be made and entered here: made by root, with the packages and mirror of this machine's apt.
can_make_root() {
  [ "$(id -u)" -eq 0 ] && grep -qs '^ID=debian$' /etc/os-release || return 1
  command -v apt-get unshare chroot >/dev/null || return 1
  if ! command -v debootstrap >/dev/null; then
    apt-get update -qq >/dev/null && apt-get install -y -qq debootstrap >/dev/null || return 1
  fi
  unshare --mount true 2>/dev/null
}

# The root in folder $1: Python from Debian, and wheels beside it that the pip of this machine's own settings finds.
make_root() {
  local folder=$1 mirror release
  release=$(. /etc/os-release && echo "$VERSION_CODENAME")
  mirror=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages' |
    awk -v release="$release" '$2 == release && !found { found = $1 } END { print found }')
  echo "a $suite root by debootstrap"
  debootstrap --variant=minbase --include=python3 "$suite" "$folder" "$mirror" >"$work/debootstrap.log" 2>&1 || {
    tail -n 20 "$work/debootstrap.log" >&2
    return 1
  }
  # processes of one test find each other by the name of this machine
  cp /etc/hosts /etc/hostname "$folder/etc/"
  local version
  version=$(chroot "$folder" python3 -c "import sys; print('%d.%d' % sys.version_info[:2])")
  "$uv" pip install --quiet --python-version "$version" --python-platform "$(uname -m)-manylinux_2_28" \
    --only-binary :all: --no-binary gammajax \
    --target "$folder/usr/local/lib/python$version/dist-packages" "$clone[test]"
  commit_into "$folder/root/gammajax"
  if [ -n "${GAMMAJAX_TEST_DATA:-}" ]; then
    cp -rL "$GAMMAJAX_TEST_DATA" "$folder/root/data"
  fi
}

# Python of the root in folder $1 with the arguments that follow, in the copy of the clone there. XLA reads about the
# processor in /proc: it is mounted where only this process and its children see it.
in_root() {
  local folder=$1 data=()
  shift
  [ -d "$folder/root/data" ] && data=(GAMMAJAX_TEST_DATA=/root/data)
  unshare --mount --pid --fork --mount-proc="$folder/proc" chroot "$folder" /usr/bin/env -i \
    PATH=/usr/local/bin:/usr/bin:/bin HOME=/root LANG=C.UTF-8 MPLBACKEND=Agg "${data[@]}" \
    sh -c 'cd /root/gammajax && exec python3 "$@"' python3 "$@"
}
