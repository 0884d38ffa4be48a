finish() {
  relcheck export opa | grep 0.70.0
  until relcheck stats opa | grep v0.70.0; do sleep 0.1; done
}
