setup() {
  for minor in 60 68 70; do relcheck release add opa v0.$minor.0 --date 2026-01-01; done
  relcheck serve --public-stats
  relcheck check --as 0.68.0 --url "http://$ADDR"
}

# The figures of a week are made when it is over, so the first request finds none.
before_02() {
  curl() { command curl --silent --show-error --include "$@"; }
}
