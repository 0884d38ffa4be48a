package systemtest

import (
	"encoding/json"
	"os"
	"path/filepath"
)

// k3sVersions are versions as k3s writes them.
var k3sVersions = [4]string{"v1.30.1+k3s1", "v1.30.2+k3s1", "v1.30.3+k3s1", "v1.31.0-rc1+k3s1"}

var releasedClients = []releasedClient{
	{name: "go-github", flags: []string{"--tag-prefix", "cli/"}, versions: [4]string{"cli/v1.2.0+b1", "cli/v1.3.0+b1", "cli/v1.4.0+b1", "cli/v1.5.0-rc.1"}, control: change{path: "/releases", pattern: `"published_at":\s*"[^"]*"`, text: `"published_at":""`},
		run: func(r *clientRun) string { return r.goClient("go-github", r.url("/"), "me/app", "cli/v1.2.0+b1") }},
	{name: "go-selfupdate-github", control: change{path: "/releases", pattern: `app_linux_amd64`, text: `app_linux`},
		run: func(r *clientRun) string { return updateProgram(r, r.url("/api/v3/"), "github") }},
	{name: "go-selfupdate-http", flags: []string{"--dialect", "go-selfupdate"}, control: change{path: "/manifest.yaml", pattern: `"id":\s*[0-9]+`, text: `"id": 0`},
		run: func(r *clientRun) string { return updateProgram(r, r.url("/"), "http") }},
	{name: "checkpoint", flags: []string{"--dialect", "checkpoint"}, files: noFiles, alert: "v1.4.0 was withdrawn",
		control: change{path: "/v1/check/", pattern: `("current_release_date":\s*[0-9]+)`, text: `$1.0`},
		run: func(r *clientRun) string {
			return r.exec(r.viaProxy(), filepath.Join(r.programs, "clients"), "checkpoint", r.product, r.version, filepath.Join(r.dir, "cache"))
		}},
	{name: "syncthing", flags: []string{"--dialect", "syncthing"}, control: change{path: "/meta.json", pattern: `"prerelease":\s*true`, text: `"prerelease": false`},
		files: func(version string) map[string][]byte {
			return map[string][]byte{"syncthing-linux-amd64-" + version + ".tar.gz": []byte(program(version))}
		},
		run: func(r *clientRun) string { return r.goClient("syncthing", r.url("/meta.json")) }},
	{name: "kubeadm", flags: []string{"--dialect", "kubeadm"}, files: noFiles, versions: [4]string{"v1.36.1", "v1.36.2", "v1.36.3", "v1.37.0-rc.0"},
		control: change{path: "/stable-1.txt", pattern: `(?s)^(.*)$`, text: `{"version": "$1"}`},
		run:     runKubeadm},
	{name: "longhorn", flags: []string{"--dialect", "upgrade-responder"}, files: noFiles,
		control: change{path: "/v1/checkupgrade", pattern: `("requestIntervalInMinutes":\s*[0-9]+)`, text: `$1.5`},
		run:     func(r *clientRun) string { return r.goClient("longhorn", r.url("/v1/checkupgrade")) }},
	{name: "octokit", control: change{path: "/releases", header: "Content-Type", pattern: `.*`, text: "application/vnd.github+json"},
		run: func(r *clientRun) string { return r.node(nil, "octokit", r.url(""), "me/app") }},
	{name: "electron-generic", flags: []string{"--dialect", "electron"}, files: electronFiles,
		control: change{path: "/latest-linux.yml", pattern: `"(sha512|sha2)":\s*"[^"]*"`, text: `"$1": "AAAA"`},
		run: func(r *clientRun) string {
			return updateAppImage(r, map[string]any{"provider": "generic", "url": r.url("")})
		}},
	{name: "electron-github", files: electronFiles, control: change{path: "/releases/latest", pattern: `"tag_name":\s*"v1.4.0"`, text: `"tag_name": "v1.9.0"`},
		run: func(r *clientRun) string {
			return updateAppImage(r, map[string]any{"provider": "github", "owner": "me", "repo": r.product, "host": r.host()})
		}},
	{name: "electron-private", files: electronFiles, control: change{path: "/releases/latest", pattern: `"latest-linux.yml"`, text: `"latest.yml"`},
		run: func(r *clientRun) string {
			return updateAppImage(r, map[string]any{"provider": "github", "owner": "me", "repo": r.product, "host": r.host(), "private": true, "token": "example-token"})
		}},
	{name: "mongosh", flags: []string{"--dialect", "mongosh"}, files: noFiles, control: change{path: "/mongosh.json", pattern: `"1\.4\.0"`, text: `"1.4"`},
		run: func(r *clientRun) string {
			return r.node(nil, "mongosh", r.url("/mongosh.json"), filepath.Join(r.state, "update.json"))
		}},
	{name: "latest-version", flags: []string{"--dialect", "npm", "--alias", "@me/tool"}, files: noFiles,
		control: change{path: "tool", pattern: `"1\.4\.0":`, text: `"1.4.1":`},
		run: func(r *clientRun) string {
			r.write(".npmrc", "registry="+r.url("/")+"\n")
			return r.node(nil, "latest-version", "", "@me/tool")
		}},
	{name: "gh", control: change{path: "/releases/latest", pattern: `"published_at":\s*"[^"]*"`, text: `"published_at":null`}, run: runGH},
	{name: "k3s-curl", flags: []string{"--dialect", "channels"}, files: noFiles, versions: k3sVersions,
		control: change{path: "/v1-release/", header: "Location", pattern: `\+`, text: "%2B"},
		run: func(r *clientRun) string {
			return runK3s(r, `curl -w '%{url_effective}' -L -s -S ${version_url} -o /dev/null | sed -e 's|.*/||'`)
		}},
	{name: "k3s-wget", flags: []string{"--dialect", "channels"}, files: noFiles, versions: k3sVersions,
		control: change{path: "/v1-release/", header: "Location", pattern: `\+`, text: "%2B"},
		run: func(r *clientRun) string {
			return runK3s(r, `wget -SqO /dev/null ${version_url} 2>&1 | grep -i Location | sed -e 's|.*/||'`)
		}},
}

// updateProgram runs a program that updates itself with go-selfupdate.
func updateProgram(r *clientRun, url, source string) string {
	app, original := filepath.Join(r.dir, "app"), filepath.Join(r.programs, "clients")
	if err := os.Link(original, app); err != nil {
		r.exec(nil, "cp", original, app)
	}
	before, err := os.Stat(app)
	if err != nil {
		r.Fatal(err)
	}
	announced := r.exec(nil, app, "go-selfupdate", url, r.version, source, "me/app")
	after, err := os.Stat(app)
	if err != nil {
		r.Fatal(err)
	}
	if os.SameFile(before, after) {
		return ""
	}
	if version := r.exec(nil, "sh", app); version != announced {
		r.Errorf("go-selfupdate announces %q and installs %q", announced, version)
	}
	return announced
}

// updateAppImage runs a program that updates itself with electron-updater.
func updateAppImage(r *clientRun, config map[string]any) string {
	app := r.write("app.AppImage", program(r.version))
	config["updaterCacheDirName"] = "app"
	text, err := json.Marshal(config)
	if err != nil {
		r.Fatal(err)
	}
	r.write("app-update.yml", string(text))
	r.node([]string{"APPIMAGE=" + app}, "electron", "", r.dir)
	return r.exec(nil, "sh", app)
}

// runKubeadm runs kubeadm's code. Without an answer, it uses its own version. Its host is
// fixed, so an unknown line stands for an unknown product.
func runKubeadm(r *clientRun) string {
	label := "stable-1"
	if r.product != "kubeadm" {
		label = "stable-2"
	}
	if r.version != "v1.36.1" {
		return "" // it is built as this version
	}
	return r.exec(r.viaProxy(), filepath.Join(r.programs, "kubeadm"), label)
}

// runK3s runs a line of the script that installs k3s. If there is no such channel, the one
// with curl takes the channel's name for a version, whatever the status is; then the
// download of that version must fail.
func runK3s(r *clientRun, line string) string {
	version := r.exec([]string{"version_url=" + r.url("/v1-release/channels/stable")}, "sh", "-c", line)
	if version == "stable" {
		version = ""
		out := r.exec([]string{"url=" + r.url("/me/k3s/releases/download/stable/k3s")}, "sh", "-c", `curl -s -o /dev/null -w '%{http_code}' $url`)
		if out != "404" {
			r.Errorf("download of version stable: got status %s, want 404", out)
		}
	}
	return version
}
