setup() {
  relcheck release add opa v1.22.2
  relcheck serve
}
before_02() { command curl --silent --fail "$OPA_VERSION_CHECK_SERVICE_URL/repos/open-policy-agent/opa/releases/latest" >/dev/null; }
finish() {
  relcheck export opa | grep 0.70.0
  until relcheck stats opa --by checks | grep -B 1 '^v1.22.2 *linux'; do sleep 0.1; done
}
