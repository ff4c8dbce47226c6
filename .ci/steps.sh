# The steps of .ci/run, each a function that starts in the clean copy; read by it. $python, $work, $clone, $root, $here
# are set there.

# A clean copy of the last commit, and uv for the environments that do not show what the README's pip does.
prepare() {
  commit_into "$clone"
  if [ -n "$(git -c safe.directory='*' -C "$root" status --porcelain)" ]; then
    echo "note: changes that are not committed are not tested"
  fi
  "$python" -m venv "$work/tools"
  "$work/tools/bin/pip" install uv
  # uv does not read pip's settings
  local index
  index=${PIP_INDEX_URL:-$(PIP_QUIET=0 "$work/tools/bin/pip" config get global.index-url 2>/dev/null || true)}
  if [ -z "${UV_DEFAULT_INDEX:-}" ] && [ -n "$index" ]; then
    export UV_DEFAULT_INDEX=$index
  fi
  uv=$work/tools/bin/uv
}

# The last commit, into a new folder $1. That the clone belongs to another user (a container's, say) does not matter.
commit_into() {
  mkdir -p "$1"
  git -c safe.directory='*' -C "$root" archive HEAD | tar -x -C "$1"
}

# The command of the README that holds $1, without its comment.
readme_command() {
  local command
  command=$(sed -n '/^```bash$/,/^```$/p' README.md | grep -F -- "$1" | head -n 1 | sed 's/ \+#.*//' || true)
  if [ -z "$command" ]; then
    echo "README.md has no command with '$1'" >&2
    return 1
  fi
  echo "$command"
}

# A fresh environment $1 with pip alone, active until the step ends.
fresh() {
  "$python" -m venv "$work/$1"
  source "$work/$1/bin/activate"
}

step_demo() {
  fresh demo
  local command
  command=$(readme_command "gammajax demo")
  echo "$command"
  bash -euo pipefail -c "$command"
  rm -rf "$work/demo" gammajax-demo build
}

step_readme() {
  fresh main
  local command
  command=$(readme_command "python -m pytest")
  echo "$command"
  bash -euo pipefail -c "$command"
}

# The environment of step "readme", for steps that use it; made here where that step has not run.
main_environment() {
  if [ -d "$work/main" ]; then
    source "$work/main/bin/activate"
  else
    fresh main
    pip install -e ".[test]"
  fi
}

# From the parent folder the clone looks like a package of that name, and must not win.
step_beside() {
  main_environment
  cd ..
  [ -d gammajax ]
  python -c "import gammajax; print(gammajax.__version__, gammajax.fit.__name__)"
}

step_lint() {
  main_environment
  ruff check .
  ruff format --check .
}

# Over the package as it is installed: its folders lie elsewhere in the clone.
step_types() {
  main_environment
  mypy -p gammajax
}

step_peers() {
  fresh peers
  "$uv" pip install --quiet -e ".[peer]"
  python -c "import gammapy; print('gammapy', gammapy.__version__)"
  local tests=(tests/peer)
  [ -d tests/peer ] || tests=(tests/test_peer_*.py)
  python -m pytest -n 2 --dist worksteal "${tests[@]}"
}

step_examples() {
  local example
  main_environment
  mkdir "$work/examples"
  cd "$work/examples"
  for example in "$clone"/examples/*.py; do
    echo "- $(basename "$example")"
    python "$example"
  done
}

step_docs() {
  fresh docs
  "$uv" pip install --quiet -e ".[docs]"
  python -m sphinx -W --keep-going -b html docs "$work/html"
}

step_lowest() {
  fresh lowest
  "$uv" pip install --quiet --resolution lowest-direct -e ".[test]"
  quick_tests python
}

# On the newest Python that Debian has, with the newest of everything that it can take.
step_newest() {
  if [ -n "${PYTHON_NEWEST:-}" ]; then
    "$PYTHON_NEWEST" -m venv "$work/newest"
    "$uv" pip install --quiet --python "$work/newest/bin/python" -e ".[test]"
    quick_tests "$work/newest/bin/python"
    return
  fi
  source "$here/newest.sh"
  if ! can_make_root; then
    echo "=== newest was NOT RUN: it needs Debian, root and debootstrap, or an interpreter in PYTHON_NEWEST" |
      tee "$work/not-run"
    return
  fi
  make_root "$work/debian"
  quick_tests in_root "$work/debian"
}

# The tests that take less than about ten seconds each, with the interpreter (or wrapper of one) that is given.
quick_tests() {
  "$@" -c "
import sys
from importlib.metadata import version
names = 'jax', 'equinox', 'numpy', 'scipy', 'astropy', 'regions', 'optax', 'PyYAML'
print('Python', sys.version.split()[0], *(f'{name} {version(name)}' for name in names), sep=', ')"
  "$@" -m pytest -q -n 2 --dist worksteal -m "not slow"
}
