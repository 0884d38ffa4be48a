setup() {
  relcheck product add myapp
  relcheck product set opa --download ''
  add_files opa v1.22.0 opa_linux_amd64 opa_linux_arm64
  for tag in v1.2.3 v1.2.4; do add_files myapp $tag myapp-darwin-arm64; done
  echo program >myapp-linux-amd64
}
finish() { relcheck file list myapp | grep myapp-linux-amd64; }
