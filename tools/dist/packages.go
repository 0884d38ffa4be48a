package main

import (
	"embed"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/goreleaser/nfpm/v2"
	_ "github.com/goreleaser/nfpm/v2/deb"
	"github.com/goreleaser/nfpm/v2/files"
	_ "github.com/goreleaser/nfpm/v2/rpm"
)

// packaged are the files that only packages have.
//
//go:embed files examples
var packaged embed.FS

const summary = "records version reports and answers with the latest release"

const longText = `Programs send anonymous version reports, and the service answers each with the
latest release. It shows maintainers which releases are in use. Service and client
are one program, which keeps its data in a SQLite file or in PostgreSQL.`

// writePackages writes the packages of a platform for Debian and RPM.
func (r *release) writePackages(p platform) error {
	for _, format := range []string{"deb", "rpm"} {
		if err := r.writePackage(p, format); err != nil {
			return err
		}
	}
	return nil
}

func (r *release) writePackage(p platform, format string) error {
	info := &nfpm.Info{
		Name: "relcheck", Arch: p.arch, Platform: p.os, Version: r.version, MTime: r.time,
		Section: "net", Priority: "optional", Maintainer: "relcheck", Description: summary + "\n" + longText,
		DisableGlobbing: true,
	}
	script := func(name string) string { return filepath.Join(r.packaged, "files", format, name) }
	if format == "deb" {
		info.Depends = []string{"systemd | systemd-standalone-sysusers | adduser", "init-system-helpers"}
		info.Scripts = nfpm.Scripts{PostInstall: script("postinst"), PreRemove: script("prerm"), PostRemove: script("postrm")}
	} else {
		// The format has fields for licence and group of packages, which must not be empty.
		info.License, info.RPM.Group = "not declared", "Unspecified"
		info.RPM.Summary, info.Description, info.RPM.BuildHost = summary, longText, "localhost"
		info.Depends = []string{"systemd"}
		info.Scripts = nfpm.Scripts{PostInstall: script("post"), PreRemove: script("preun"), PostRemove: script("postun")}
	}
	contents, err := r.contents(p, format)
	if err != nil {
		return err
	}
	info.Contents = contents
	nfpm.WithDefaults(info)
	packager, err := nfpm.Get(format)
	if err != nil {
		return err
	}
	if err := nfpm.PrepareForPackager(info, format); err != nil {
		return err
	}
	out, err := os.Create(r.output(p.os + "_" + p.arch + "." + format))
	if err != nil {
		return err
	}
	return errors.Join(packager.Package(info, out), out.Close())
}

// contents lists the files of a package.
func (r *release) contents(p platform, format string) (all files.Contents, err error) {
	add := func(source, destination string, mode fs.FileMode, kind string) {
		all = append(all, &files.Content{Source: source, Destination: destination, Type: kind,
			FileInfo: &files.ContentFileInfo{Owner: "root", Group: "root", Mode: mode, MTime: r.time}})
	}
	add(r.binaries[p], "/usr/bin/relcheck", 0o755, files.TypeFile)
	own := filepath.Join(r.packaged, "files")
	add(filepath.Join(own, "relcheck.service"), "/usr/lib/systemd/system/relcheck.service", 0o644, files.TypeFile)
	add(filepath.Join(own, "relcheck.sysusers"), "/usr/lib/sysusers.d/relcheck.conf", 0o644, files.TypeFile)
	add(filepath.Join(own, "relcheck.default"), "/etc/default/relcheck", 0o640, files.TypeConfigNoReplace) // it may contain passwords
	for _, f := range r.shared {
		destination, source := path.Join(docFolder, f.name), f.path
		switch folder, name := path.Split(f.name); folder {
		case "completions/":
			destination = completions[format][name]
		case "man/":
			destination = "/usr/share/man/man" + strings.TrimPrefix(path.Ext(name), ".") + "/" + name + ".gz"
			if source, err = r.compress(f.path); err != nil {
				return nil, err
			}
		}
		add(source, destination, 0o644, files.TypeFile)
	}
	examples, err := fs.ReadDir(packaged, "examples")
	for _, e := range examples {
		add(filepath.Join(r.packaged, "examples", e.Name()), docFolder+"/examples/"+e.Name(), 0o644, files.TypeFile)
	}
	return all, err
}

const docFolder = "/usr/share/doc/relcheck"

// completions are the places of completion scripts, by format and file.
var completions = map[string]map[string]string{
	"deb": {
		"relcheck.bash": "/usr/share/bash-completion/completions/relcheck",
		"_relcheck":     "/usr/share/zsh/vendor-completions/_relcheck",
		"relcheck.fish": "/usr/share/fish/vendor_completions.d/relcheck.fish",
	},
	"rpm": {
		"relcheck.bash": "/usr/share/bash-completion/completions/relcheck",
		"_relcheck":     "/usr/share/zsh/site-functions/_relcheck",
		"relcheck.fish": "/usr/share/fish/vendor_completions.d/relcheck.fish",
	},
}
