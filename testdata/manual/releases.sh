setup() {
  cat >upstream/myapp.json <<'END'
[{"tag_name": "v1.4.0", "published_at": "2026-10-02T00:00:00Z", "assets": []}]
END
  cp upstream/myapp.json releases.json
  local module=goproxy/github.com/open-policy-agent/opa/@v
  mkdir -p $module
  echo v1.22.2 >$module/list
  echo '{"Version": "v1.22.2", "Time": "2026-11-05T10:00:00Z"}' >$module/v1.22.2.info
  echo 'module github.com/open-policy-agent/opa' >$module/v1.22.2.mod
  mkdir -p upstream/api/v3/repos/me/myapp
  cp upstream/myapp.json upstream/api/v3/repos/me/myapp/releases
}
before_02() { relcheck product add myapp; }
before_03() { relcheck product set myapp --tag-prefix '' --match ''; }
before_06() {
  relcheck product remove terraform
  relcheck product remove mytool
}
finish() { jq --exit-status '.releases[0].tag == "v1.4.0"' myapp.json; }
