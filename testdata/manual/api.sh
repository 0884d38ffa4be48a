setup() {
  relcheck product add myapp
  relcheck serve
}
