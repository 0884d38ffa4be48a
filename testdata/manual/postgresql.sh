before_02() {
  stop
  unset RELCHECK_DB
  relcheck product add myapp
  export RELCHECK_DB=$POSTGRES_EMPTY
}
finish() { relcheck product list | grep myapp; }
