setup() {
  certificate releases
  certificate hosts
  cp releases.pem cert.pem
  cp releases.key key.pem
  relcheck product add myapp
}
