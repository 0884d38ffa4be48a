outside() { export RELCHECK_DB=outside.db FILES=outside; }
inside() { export RELCHECK_DB=inside.db FILES=inside; }
setup() {
  outside
  relcheck product add first
  relcheck product set opa --download ''
  for tag in v1.21.0 v1.22.0; do add_files opa $tag opa_linux_amd64 opa_linux_arm64; done
}
before_02() {
  inside
  relcheck product add first
}
before_03() {
  relcheck key generate partner.key
  relcheck product add partner-app
}
before_04() {
  outside
  rm 2026-11.bundle
}
before_05() { inside; }
before_07() { relcheck simulate --days 30 --instances 100 --db inside.db; }
before_08() { outside; }
before_09() { inside; }
before_10() {
  certificate releases
  certificate hosts
}
