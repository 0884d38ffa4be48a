package main

import (
	"context"
	"debug/buildinfo"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// platform is what a binary is built for.
type platform struct{ os, arch string }

func (p platform) String() string { return p.os + "/" + p.arch }

// release is what is packaged.
type release struct {
	options
	stage    string // folder for intermediate files
	packaged string // folder with a copy of the embedded files
	version  string // without the leading v
	commit   string
	time     time.Time // of the commit: the time of all files
	binaries map[platform]string
	builds   map[platform]*buildinfo.BuildInfo
	shared   []file // what archives and packages have besides the binary
}

// file is a file of an archive, image or package, or a folder if its name ends with a slash.
type file struct {
	name  string // with slashes
	path  string // where its content is
	mode  fs.FileMode
	owner int // ID of the user and the group: 0 for root
}

// newRelease builds the binaries.
func newRelease(ctx context.Context, o options, stage string) (*release, error) {
	r := &release{options: o, stage: stage, binaries: map[platform]string{}, builds: map[platform]*buildinfo.BuildInfo{}}
	host := platform{runtime.GOOS, runtime.GOARCH} // whose binary writes the completions
	if err := r.build(ctx, host); err != nil {
		return nil, err
	}
	if err := r.identify(r.builds[host]); err != nil {
		return nil, err
	}
	for _, p := range o.platforms {
		if p == host {
			continue
		}
		if err := r.build(ctx, p); err != nil {
			return nil, err
		}
	}
	r.packaged = filepath.Join(stage, "packaged")
	return r, errors.Join(r.collect(ctx, r.binaries[host]), os.CopyFS(r.packaged, packaged))
}

// identify reads the version, the commit and its time from a binary.
func (r *release) identify(info *buildinfo.BuildInfo) (err error) {
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	r.commit = settings["vcs.revision"]
	if r.time, err = time.Parse(time.RFC3339, settings["vcs.time"]); err != nil {
		return fmt.Errorf("the Go command found no commit in %s: build in a clone that git can read, not in a linked worktree", r.source)
	}
	if settings["vcs.modified"] == "true" {
		fmt.Fprintln(os.Stderr, "the clone has changes that are not committed, so nobody can build the same files again")
	}
	r.version = strings.TrimPrefix(info.Main.Version, "v")
	return nil
}

// build builds a static binary. The Go command stores the version and the commit in it.
func (r *release) build(ctx context.Context, p platform) error {
	fmt.Fprintf(os.Stderr, "building for %s\n", p)
	name := filepath.Join(r.stage, p.os+"_"+p.arch)
	c := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=true", "-mod=readonly", "-ldflags=-s -w", "-o", name, ".")
	c.Dir, c.Stderr = r.source, os.Stderr
	c.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+p.os, "GOARCH="+p.arch, "GOFLAGS=", "GOEXPERIMENT=", "GOAMD64=v1", "GOARM64=v8.0", "GOWORK=off")
	if err := c.Run(); err != nil {
		return fmt.Errorf("build for %s: %w", p, err)
	}
	info, err := buildinfo.ReadFile(name)
	r.binaries[p], r.builds[p] = name, info
	return err
}

// printed are the files that the binary prints, with its arguments. README.md is about a clone,
// so it is not among them.
var printed = map[string][]string{
	"README.txt":                {"help", "quick-start"},
	"completions/relcheck.bash": {"completion", "bash"},
	"completions/_relcheck":     {"completion", "zsh"},
	"completions/relcheck.fish": {"completion", "fish"},
}

// collect lists the files of archives and packages besides the binary, and writes those that
// are not in the clone.
func (r *release) collect(ctx context.Context, binary string) error {
	r.shared = append(r.shared, file{name: "CHANGELOG.md", path: filepath.Join(r.source, "CHANGELOG.md"), mode: 0o644})
	for _, pattern := range []string{"systemd/*", "examples/*"} {
		names, err := fs.Glob(packaged, pattern)
		if err != nil {
			return err
		}
		for _, name := range names {
			r.shared = append(r.shared, file{name: name, path: filepath.Join(r.packaged, name), mode: 0o644})
		}
	}
	for name, args := range printed {
		text, err := exec.CommandContext(ctx, binary, args...).Output()
		if err != nil {
			return fmt.Errorf("relcheck %s: %w", strings.Join(args, " "), err)
		}
		path := filepath.Join(r.stage, filepath.Base(name))
		if err := os.WriteFile(path, text, 0o644); err != nil {
			return err
		}
		r.shared = append(r.shared, file{name: name, path: path, mode: 0o644})
	}
	pages, err := r.manPages(ctx, binary)
	r.shared = append(r.shared, pages...)
	slices.SortFunc(r.shared, func(a, b file) int { return strings.Compare(a.name, b.name) })
	return err
}

// manPages writes the man pages with the clone's program for that, and lists them.
func (r *release) manPages(ctx context.Context, binary string) (pages []file, err error) {
	folder := filepath.Join(r.stage, "man")
	c := exec.CommandContext(ctx, "go", "run", "./man", "-manual", "../checker/manual", "-relcheck", binary, "-out", folder)
	c.Dir, c.Stderr = filepath.Join(r.source, "tools"), os.Stderr
	if err := c.Run(); err != nil {
		return nil, fmt.Errorf("write the man pages: %w", err)
	}
	entries, err := os.ReadDir(folder)
	for _, e := range entries {
		pages = append(pages, file{name: "man/" + e.Name(), path: filepath.Join(folder, e.Name()), mode: 0o644})
	}
	return pages, err
}

// output returns the path of a result: relcheck_VERSION_SUFFIX.
func (r *release) output(suffix string) string {
	return filepath.Join(r.out, "relcheck_"+r.version+"_"+suffix)
}
