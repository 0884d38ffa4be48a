package upstream

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/mod/module"
	"golang.org/x/mod/semver"
)

// moduleCases are modules of a proxy. Each version has the go.mod file of its
// name if there is one, otherwise a go.mod file with a go line. "none" means that the
// version has no go.mod file, so that the proxy generates one.
var moduleCases = []struct {
	name, versions string
	mods           map[string]string // retractions by version, or "none"
	latest         string            // that the go command reports, without +incompatible, or "" for none
	listed         string            // if not all
	hint           string            // path in the hint
}{
	{name: "release", versions: "v0.9.0 v1.0.0 v1.1.0-rc.1", latest: "v1.0.0"},
	{name: "prereleases", versions: "v1.0.0-alpha.1 v1.0.0-rc.2 v1.0.0-rc.10", latest: "v1.0.0-rc.10"},
	{name: "adopted", versions: "v1.5.0 v1.6.0 v2.0.0+incompatible", latest: "v1.6.0", listed: "v1.5.0 v1.6.0"},
	{name: "prerelease-adopted", versions: "v1.0.0 v1.1.0-rc.1 v2.0.0+incompatible v3.0.0+incompatible", mods: map[string]string{"v1.0.0": "none"},
		latest: "v1.0.0", listed: "v1.0.0 v1.1.0-rc.1"},
	{name: "old", versions: "v1.0.0 v1.6.0 v2.0.0+incompatible v2.1.0-rc.1+incompatible", mods: map[string]string{"v1.6.0": "none"}, latest: "v2.0.0"},
	{name: "incompatible-only", versions: "v6.0.0+incompatible v28.5.2+incompatible", mods: map[string]string{"v28.5.2+incompatible": "none"}, latest: "v28.5.2"},
	{name: "incompatible-prerelease", versions: "v2.0.0-rc.1+incompatible", mods: map[string]string{"v2.0.0-rc.1+incompatible": "none"}, latest: "v2.0.0-rc.1"},
	{name: "retracted-latest", versions: "v1.0.0 v1.1.0 v1.2.0", mods: map[string]string{"v1.2.0": "retract v1.2.0\n"}, latest: "v1.1.0"},
	{name: "retracted-by-older", versions: "v1.0.0 v1.1.0", mods: map[string]string{"v1.0.0": "retract v1.1.0\n"}, latest: "v1.1.0"},
	{name: "retracted-by-prerelease", versions: "v1.0.0 v1.1.0 v1.2.0-rc.1", mods: map[string]string{"v1.2.0-rc.1": "retract v1.1.0\n"}, latest: "v1.1.0"},
	{name: "all-releases-retracted", versions: "v1.0.0-rc.1 v1.0.0 v1.0.1", mods: map[string]string{"v1.0.1": "retract [v1.0.0, v1.0.1]\n"}, latest: "v1.0.0-rc.1"},
	{name: "all-retracted", versions: "v1.0.0 v1.0.1", mods: map[string]string{"v1.0.1": "retract [v1.0.0, v1.0.1]\n"}},
	{name: "adopted-and-retracted", versions: "v1.5.0 v1.6.0 v2.0.0+incompatible", mods: map[string]string{"v1.6.0": "retract v1.6.0\n"},
		latest: "v1.5.0", listed: "v1.5.0 v1.6.0"},
	{name: "adopted-only-in-retracted", versions: "v1.5.0 v1.6.0 v2.0.0+incompatible", mods: map[string]string{"v1.5.0": "none", "v1.6.0": "retract v1.6.0\n"}, latest: "v2.0.0"},
	{name: "compatible-retracted", versions: "v1.5.0 v1.6.0 v2.0.0+incompatible", mods: map[string]string{"v1.6.0": "retract [v1.0.0, v1.9.0]\n"}, latest: "v2.0.0"},
	{name: "retracted-incompatible", versions: "v1.0.0 v2.0.0+incompatible v2.1.0+incompatible",
		mods: map[string]string{"v1.0.0": "none", "v2.1.0+incompatible": "retract v2.1.0+incompatible\n"}, latest: "v2.0.0"},
	{name: "continued", versions: "v1.0.0 v1.1.0", latest: "v1.1.0", hint: "example.com/continued/v3"},
	{name: "continued/v2", versions: "v2.0.0", latest: "v2.0.0", hint: "example.com/continued/v3"},
	{name: "continued/v3", versions: "v3.0.0", latest: "v3.0.0"},
	{name: "adopted-later", versions: "v1.0.0 v3.0.0+incompatible", mods: map[string]string{"v1.0.0": "none", "v3.0.0+incompatible": "none"}, latest: "v3.0.0", hint: "example.com/adopted-later/v4"},
	{name: "adopted-later/v4", versions: "v4.0.0-rc.1", latest: "v4.0.0-rc.1"},
	{name: "digits", versions: "v1.9.0 v1.10.0 v1.10.0-rc.1", latest: "v1.10.0"},
	{name: "Upper/Case", versions: "v1.0.0-RC1 v1.0.0-alpha", latest: "v1.0.0-alpha"},
	{name: "other-major", versions: "v1.0.0 v1.0.0-0", latest: "v1.0.0"},
}

func moduleTree(t *testing.T) files {
	t.Helper()
	tree := files{}
	for _, c := range moduleCases {
		path := "example.com/" + c.name
		escaped, err := module.EscapePath(path)
		if err != nil {
			t.Fatal(err)
		}
		versions := strings.Fields(c.versions)
		tree[escaped+"/@v/list"] = strings.Join(versions, "\n") + "\nv0.0.0-20200101000000-0123456789ab\n"
		for i, v := range versions {
			escapedVersion, err := module.EscapeVersion(v)
			if err != nil {
				t.Fatal(err)
			}
			tree[escaped+"/@v/"+escapedVersion+".info"] = fmt.Sprintf(`{"Version":%q,"Time":%q}`, v, day(i).Format("2006-01-02T15:04:05Z"))
			text := "module " + path + "\n"
			if c.mods[v] != "none" {
				text += "\ngo 1.20\n" + c.mods[v]
			}
			tree[escaped+"/@v/"+escapedVersion+".mod"] = text
		}
	}
	return tree
}

// TestConsideredVersions checks which versions are listed, and that the latest of them
// that is not retracted is the one that the go command reports.
func TestConsideredVersions(t *testing.T) {
	proxy := moduleTree(t).write(t)
	goLatest := goLatest(t, proxy)
	for _, c := range moduleCases {
		path := "example.com/" + c.name
		lists, err := quick(proxy).Releases(t.Context(), path)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		var all, offered []string
		for _, e := range lists[0].Entries {
			if all = append(all, e.Tag); !*e.Upstream.Withdrawn {
				offered = append(offered, e.Tag)
			}
		}
		got := ""
		if len(offered) > 0 {
			got = latest(offered)
		}
		if got != c.latest {
			t.Errorf("%s: latest is %q, want %q", c.name, got, c.latest)
		}
		if goLatest != nil && goLatest[path] != got {
			t.Errorf("%s: latest is %q, the go command reports %q", c.name, got, goLatest[path])
		}
		want := strings.Fields(c.listed)
		if c.listed == "" {
			want = strings.Fields(strings.ReplaceAll(c.versions, incompatible, ""))
			semver.Sort(want)
		}
		if strings.Join(all, " ") != strings.Join(want, " ") {
			t.Errorf("%s: got %s, want %s", c.name, all, want)
		}
		if hint := lists[0].Hint; (hint == "") != (c.hint == "") || !strings.Contains(hint, "continues as "+c.hint) && c.hint != "" {
			t.Errorf("%s: got hint %q, want %s in it", c.name, hint, c.hint)
		}
	}
	if goLatest == nil {
		t.Skip("missing: the go command, with which the latest versions are compared")
	}
}

// goLatest returns the versions that the go command reports as the latest ones, without
// "+incompatible", or nil if there is no go command, except in CI, where one is required.
func goLatest(t *testing.T, proxy string) map[string]string {
	t.Helper()
	command, err := exec.LookPath("go")
	switch {
	case err != nil && os.Getenv("CI") == "true":
		t.Fatalf("the go command is missing: %v", err)
	case err != nil:
		return nil
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module example.com/main\n\ngo 1.20\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	args := []string{"list", "-m", "-e", "-f", "{{.Path}} {{.Version}}"}
	for _, c := range moduleCases {
		args = append(args, "example.com/"+c.name+"@latest")
	}
	cmd := exec.CommandContext(t.Context(), command, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOPROXY="+proxy, "GOSUMDB=off", "GONOPROXY=", "GOPRIVATE=", "GONOSUMDB=", "GOWORK=off", "GO111MODULE=on",
		"GOTOOLCHAIN=local", "GOMODCACHE="+filepath.Join(dir, "cache"), "GOENV=off")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, out)
	}
	versions := map[string]string{}
	for line := range strings.Lines(string(out)) {
		if fields := strings.Fields(line); len(fields) == 2 && semver.IsValid(fields[1]) {
			versions[fields[0]] = strings.TrimSuffix(fields[1], incompatible)
		}
	}
	if len(versions) < len(moduleCases)/2 {
		t.Fatalf("go list reported %d latest versions of %d modules:\n%s", len(versions), len(moduleCases), out)
	}
	return versions
}

func TestSeveralModules(t *testing.T) {
	proxy := moduleTree(t).write(t)
	lists, err := quick(proxy).Releases(t.Context(), "example.com/continued", "example.com/continued/v2", "example.com/continued/v3")
	if err != nil {
		t.Fatal(err)
	}
	got := ""
	for _, l := range lists {
		got += fmt.Sprintln(l.Name, l.Whole, len(l.Entries), l.Hint)
	}
	if want := "go:example.com/continued true 2 \ngo:example.com/continued/v2 true 1 \ngo:example.com/continued/v3 true 1 \n"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if lists, err := quick(proxy).Releases(t.Context(), "example.com/continued", "example.com/unknown"); err == nil || lists != nil {
		t.Errorf("with an unknown module: got %v, error %v, want an error only", lists, err)
	}
}

// TestHintErrors checks that an error of the search for later major versions is not an
// error of the list.
func TestHintErrors(t *testing.T) {
	tree := files{}.mod("example.com/x", "module example.com/x\n", "v1.0.0")
	tree["example.com/x/v2/@v/list"] = "<html>"
	for _, proxies := range []string{tree.serve(t), tree.serve(t) + ",direct", tree.serve(t) + ",off"} {
		lists, err := quick(proxies).Releases(t.Context(), "example.com/x")
		if err != nil || lists[0].Hint != "" {
			t.Errorf("%s: got %v, error %v, want no hint", proxies, lists, err)
		}
	}
	tree["example.com/x/v2/@v/list"] = "v2.0.0-20200101000000-0123456789ab\n"
	if lists, err := quick(tree.write(t)).Releases(t.Context(), "example.com/x"); err != nil || lists[0].Hint != "" {
		t.Errorf("pseudo-versions at /v2: got %v, error %v, want no hint", lists, err)
	}
	old := files{}.mod("gopkg.in/x.v1", "module gopkg.in/x.v1\n", "v1.0.0").mod("gopkg.in/x.v2", "module gopkg.in/x.v2\n", "v2.0.0")
	lists, err := quick(old.write(t)).Releases(t.Context(), "gopkg.in/x.v1")
	if err != nil || !strings.Contains(lists[0].Hint, "continues as gopkg.in/x.v2:") {
		t.Errorf("gopkg.in: got %v, error %v, want a hint to gopkg.in/x.v2", lists, err)
	}
}
