setup() {
  relcheck serve
  relcheck check --as 0.70.0 --url "http://$ADDR"
}
finish() { grep 'kept for 14d' policy.md; }
