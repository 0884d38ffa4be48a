// Released clients of other programs' update checks, in a module of their own so that
// relcheck does not depend on them.
module relcheck/tools/clients

go 1.26.0

require (
	github.com/creativeprojects/go-selfupdate v1.5.0
	github.com/google/go-github/v88 v88.0.0
	github.com/hashicorp/go-checkpoint v0.5.0
	github.com/longhorn/upgrade-responder v0.1.5
	github.com/syncthing/syncthing v1.30.0
	go.temporal.io/version v0.3.0
)

require (
	code.gitea.io/sdk/gitea v0.21.0 // indirect
	github.com/42wim/httpsig v1.2.2 // indirect
	github.com/Masterminds/semver/v3 v3.3.1 // indirect
	github.com/davidmz/go-pageant v1.0.2 // indirect
	github.com/ebitengine/purego v0.8.3 // indirect
	github.com/go-fed/httpsig v1.1.0 // indirect
	github.com/go-ole/go-ole v1.3.0 // indirect
	github.com/google/go-github/v30 v30.1.0 // indirect
	github.com/google/go-querystring v1.2.0 // indirect
	github.com/hashicorp/go-cleanhttp v0.5.2 // indirect
	github.com/hashicorp/go-retryablehttp v0.7.7 // indirect
	github.com/hashicorp/go-uuid v1.0.0 // indirect
	github.com/hashicorp/go-version v1.7.0 // indirect
	github.com/lufia/plan9stats v0.0.0-20240909124753-873cd0166683 // indirect
	github.com/power-devops/perfstat v0.0.0-20240221224432-82ca36839d55 // indirect
	github.com/shirou/gopsutil/v4 v4.25.4 // indirect
	github.com/tklauser/go-sysconf v0.3.14 // indirect
	github.com/tklauser/numcpus v0.9.0 // indirect
	github.com/ulikunitz/xz v0.5.12 // indirect
	github.com/xanzy/go-gitlab v0.115.0 // indirect
	github.com/yusufpapurcu/wmi v1.2.4 // indirect
	golang.org/x/crypto v0.38.0 // indirect
	golang.org/x/net v0.40.0 // indirect
	golang.org/x/oauth2 v0.29.0 // indirect
	golang.org/x/sys v0.33.0 // indirect
	golang.org/x/text v0.25.0 // indirect
	golang.org/x/time v0.11.0 // indirect
	gopkg.in/yaml.v3 v3.0.1 // indirect
)
