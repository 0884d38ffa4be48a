setup() { relcheck release add opa v1.0.0; }
before_02() {
  stop
  cp backup/relcheck-2026-01-31.db backup/relcheck-1f0c9a7be2d45386-20260131T000000Z.db
}
finish() { relcheck release list opa | grep v1.0.0; }
