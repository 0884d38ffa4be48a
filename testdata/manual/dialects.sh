setup() {
  relcheck product add gitea
  relcheck product add editor
  relcheck release add editor v1.3.0
  relcheck release add gitea v1.22.0
  cat >upstream/terraform.json <<'END'
[{"tag_name": "v1.9.0", "published_at": "2026-10-02T00:00:00Z", "assets": []}]
END
  cat >editor.dialect <<'END'
---
title: Editor
path: /updates.json
var version: query current
type: application/json
connect: none
---
{"newest": {{.Latest.Version}}}
END
  cp editor.dialect dialects
  relcheck serve
}

# The releases of Terraform are not read from GitHub.
eval "$(declare -f relcheck | sed '1s/relcheck/any_relcheck/')"
relcheck() {
  if [ "$*" = "release sync terraform" ]; then
    command relcheck product set terraform --upstream "file:$PWD/upstream/terraform.json"
  fi
  any_relcheck "$@"
}

finish() {
  relcheck release list terraform | grep v1.9.0
  curl "http://$ADDR/p/editor/updates.json?current=1.2.0" | grep '"newest": "1.3.0"'
}
