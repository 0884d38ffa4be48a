# Runs the shell blocks of a topic of the manual, which follow. Each may have a hook that runs
# before it: before_01 and so on.
set -e -o pipefail
mkdir -p backup dialects myapp upstream
trap 'kill $(jobs -p) 2>/dev/null || true; wait' EXIT
run_hook() {
  if declare -F "$1" >/dev/null; then "$1"; fi
}

# relcheck starts a server in the background, at the address of the test, and ends run after
# a second.
relcheck() {
  echo "+ relcheck $*" >&2
  case $1 in
  serve) serve "$@" ;;
  simulate) # briefly, and slowly, because the machine may be busy
    case "$*" in
    *--days*) command relcheck "$@" ;;
    *--rate*) command relcheck "$@" --url "http://$ADDR" --rate 50 --duration 500ms ;;
    *) command relcheck "$@" --url "http://$ADDR" --duration 500ms ;;
    esac
    ;;
  check) # a server notices changes within a second
    sleep 1
    command relcheck "$@"
    ;;
  run) timeout --signal INT --preserve-status 1 relcheck "$@" ;;
  *) command relcheck "$@" ;;
  esac
}

serve() {
  stop
  command relcheck "$@" --listen "$ADDR" &
  server=$!
  local scheme=http
  case "$*" in *--tls-cert*) scheme=https ;; esac
  until command curl --silent --fail --insecure "$scheme://$ADDR/readyz" >&2; do
    kill -0 $server
    sleep 0.05
  done
}

stop() {
  if [ -n "$server" ]; then
    kill $server
    wait $server || true
    server=
  fi
}

# curl repeats a request that fails, because a server notices changes within a second.
curl() {
  echo "+ curl $*" >&2
  command curl --silent --show-error --fail --retry 60 --retry-delay 1 --retry-all-errors "$@"
}

# opa sends and prints what an Open Policy Agent does.
opa() {
  echo "Version: 0.70.0"
  relcheck check --as 0.70.0
}

# certificate NAME makes NAME.pem and NAME.key.
certificate() {
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=localhost -keyout "$1.key" -out "$1.pem" 2>/dev/null
}

# add_files PRODUCT TAG NAME... adds a release with files that an upstream has.
add_files() {
  local product=$1 tag=$2 args=()
  shift 2
  mkdir -p "upstream/$tag"
  for name; do
    echo "$product $tag" >"upstream/$tag/$name"
    args+=(--file "$UPSTREAM/$tag/$name")
  done
  command relcheck release add "$product" "$tag" --date 2026-01-31 "${args[@]}"
}
