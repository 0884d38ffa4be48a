package main

import (
	"cmp"
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

// packaged are the files of archives and packages that belong to this program.
//
//go:embed systemd examples deb rpm
var packaged embed.FS

const summary = "records version reports and answers with the latest release"

const longText = `Programs send anonymous version reports, and the service answers each with the
latest release. It shows maintainers which releases are in use. Service and client
are one program, which keeps its data in a SQLite file or in PostgreSQL.`

// writePackage writes the package of a Linux platform for Debian (deb) or RPM (rpm).
func (r *release) writePackage(p platform, format string) error {
	info := &nfpm.Info{
		Name: "relcheck", Arch: p.arch, Platform: p.os, Version: r.version, MTime: r.time,
		Section: "net", Priority: "optional", Maintainer: "relcheck", Description: summary + "\n" + longText,
		DisableGlobbing: true,
	}
	info.Recommends = []string{"ca-certificates"} // to read releases over HTTPS
	script := func(name string) string { return filepath.Join(r.packaged, format, name) }
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
	for _, f := range r.shared {
		source, destination, mode, kind := f.path, cmp.Or(places[f.name], docFolder+"/"+f.name), f.mode, files.TypeFile
		switch {
		case f.name == "README.txt": // it starts a server, which packages have done
			continue
		case f.name == "completions/_relcheck" && format == "deb":
			destination = "/usr/share/zsh/vendor-completions/_relcheck"
		case strings.HasPrefix(f.name, "man/"):
			destination = "/usr/share/man/man" + strings.TrimPrefix(path.Ext(f.name), ".") + "/" + path.Base(f.name) + ".gz"
			if source, err = r.compress(f.path); err != nil {
				return nil, err
			}
		case strings.HasPrefix(destination, "/etc/"):
			mode, kind = 0o640, files.TypeConfigNoReplace // it may contain passwords
		}
		add(source, destination, mode, kind)
	}
	return all, nil
}

const docFolder = "/usr/share/doc/relcheck"

// places are where packages install files of archives that are not documentation.
var places = map[string]string{
	"completions/relcheck.bash": "/usr/share/bash-completion/completions/relcheck",
	"completions/_relcheck":     "/usr/share/zsh/site-functions/_relcheck",
	"completions/relcheck.fish": "/usr/share/fish/vendor_completions.d/relcheck.fish",
	"systemd/relcheck.service":  "/usr/lib/systemd/system/relcheck.service",
	"systemd/relcheck.sysusers": "/usr/lib/sysusers.d/relcheck.conf",
	"systemd/relcheck.default":  "/etc/default/relcheck",
}
