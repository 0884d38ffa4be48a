setup() {
  relcheck product add myapp
  relcheck release add myapp v1.3.0
  relcheck release add relcheck v99.0.0
  relcheck serve
}
finish() {
  grep "$ADDR/p/myapp" myapp/last-report
  relcheck export myapp | grep '"version":"1.2.3"'
}
