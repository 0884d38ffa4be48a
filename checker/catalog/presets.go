package catalog

import (
	"cmp"
	"slices"
)

// Preset has the settings of a program whose clients already look for updates elsewhere.
type Preset struct {
	Product
	Note string   // what else to do, or empty
	Asks []string // settings that the note is about, beside those of every product
}

// wantsReleases is the note of presets for any program.
const wantsReleases = "name the upstream of its releases, or add them by hand"

// presets are sorted by name. Those without a repository are for any program.
var presets = []Preset{
	hashicorp("consul", "Consul"),
	{Product{Name: "electron-app", Title: "Electron app", Dialects: "electron"}, wantsReleases, nil},
	{Product{Name: "gh", Title: "GitHub CLI", Repo: "cli/cli", Hosts: "api.github.com"}, "if api.github.com leads here, releases cannot be read from there: choose another upstream", nil},
	onGitHub("gitea", "Gitea", "go-gitea/gitea", "gitea"),
	{Product{Name: "go-tool", Title: "Go tool", Dialects: "go-selfupdate"}, wantsReleases, nil},
	onGitHub("grafana", "Grafana", "grafana/grafana", "grafana grafana-plugins"),
	rancher("k3s", "K3s", "k3s-io/k3s", "update.k3s.io"),
	{Product{Name: "kubernetes", Title: "Kubernetes", Repo: "kubernetes/kubernetes", Aliases: "kubeadm", Dialects: "kubeadm", Channels: "latest * prereleases\n"}, "", nil},
	{Product{Name: "linkerd", Title: "Linkerd", Repo: "linkerd/linkerd2", Prefixes: "stable- edge-", Dialects: "linkerd"}, "", nil},
	onGitHub("longhorn", "Longhorn", "longhorn/longhorn", "upgrade-responder"),
	onGitHub("mastodon", "Mastodon", "mastodon/mastodon", "mastodon"),
	onGitHub("mongosh", "MongoDB Shell", "mongodb-js/mongosh", "mongosh"),
	{Product{Name: "n8n", Title: "n8n", Repo: "n8n-io/n8n", Prefixes: "n8n@", Dialects: "n8n"}, "browsers ask: to record their checks, set the origin of n8n", []string{"origins"}},
	{Product{Name: "nextcloud", Title: "Nextcloud", Repo: "nextcloud/server", Upstreams: "github:nextcloud-releases/server", File: "nextcloud-{version}.zip", Dialects: "nextcloud"}, "", nil},
	hashicorp("nomad", "Nomad"),
	{Product{Name: "npm-tool", Title: "npm package", Dialects: "npm npm-dist-tags"}, "set the name of its package as an alias; " + wantsReleases, []string{"aliases"}},
	{Product{Name: "opa", Title: "Open Policy Agent", Repo: "open-policy-agent/opa", Module: "github.com/open-policy-agent/opa",
		Download: "https://openpolicyagent.org/downloads/{tag}/opa_{os}_{arch}{arm64:_static}{windows:.exe}",
		Notes:    "https://github.com/open-policy-agent/opa/releases/tag/{tag}", Dialects: "openpolicyagent"}, "", nil},
	hashicorp("packer", "Packer"),
	{Product{Name: "pgadmin", Title: "pgAdmin 4", Repo: "pgadmin-org/pgadmin4", Prefixes: "REL-", Dialects: "pgadmin"}, "", nil},
	{Product{Name: "rancher-desktop", Title: "Rancher Desktop", Repo: "rancher-sandbox/rancher-desktop", Hosts: "desktop.version.rancher.io", Dialects: "upgrade-responder"}, "", nil},
	rancher("rke2", "RKE2", "rancher/rke2", "update.rke2.io"),
	onGitHub("syncthing", "Syncthing", "syncthing/syncthing", "syncthing"),
	{Product{Name: "temporal", Title: "Temporal Server", Repo: "temporalio/temporal", Aliases: "temporal-server", Dialects: "temporal"}, "", nil},
	hashicorp("terraform", "Terraform"),
	{Product{Name: "traefik", Title: "Traefik", Repo: "traefik/traefik", Hosts: "update.traefik.io"}, "", nil},
	onGitHub("trivy", "Trivy", "aquasecurity/trivy", "trivy"),
	hashicorp("vault", "Vault"),
}

func onGitHub(name, title, repo, dialect string) Preset {
	return Preset{Product: Product{Name: name, Title: title, Repo: repo, Dialects: dialect}}
}

func hashicorp(name, title string) Preset {
	p := onGitHub(name, title, "hashicorp/"+name, "checkpoint")
	p.Download = "https://releases.hashicorp.com/" + name + "/{version}/" + name + "_{version}_{os}_{arch}.zip"
	return p
}

func rancher(name, title, repo, host string) Preset {
	p := onGitHub(name, title, repo, "channels")
	p.Hosts, p.Channels = host, "latest *\nstable *\n"
	return p
}

// Check returns a [FieldError] if a product that was made from the preset lacks a setting.
func (p *Preset) Check(made Product) error {
	if p.Repo == "" && made.Repo == "" {
		return fieldErrorf("repo", "preset %s is for any program: give the repository of yours, such as me/mytool", p.Name)
	}
	return nil
}

// Presets returns all presets, sorted by name.
func Presets() []Preset {
	all := slices.Clone(presets)
	for i := range all {
		if p := &all[i].Product; p.Repo != "" && p.Module == "" {
			p.Upstreams = cmp.Or(p.Upstreams, "github:"+p.Repo)
		}
	}
	return all
}

// PresetNamed returns the preset with a name, or nil.
func PresetNamed(name string) *Preset {
	for _, p := range Presets() {
		if p.Name == name {
			return &p
		}
	}
	return nil
}
