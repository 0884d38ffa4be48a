// Dist builds what a release of relcheck consists of: archives, packages for Debian and
// for systems with RPM, a container image, a list of the modules in it, and signed
// checksums. Two builds of a commit have the same bytes, also in different folders.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
)

// options are the flags.
type options struct {
	source    string // folder of the clone that is built
	out       string
	key       string // file of a secret key of relcheck key generate, or empty
	platforms []platform
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "dist: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	var o options
	f := flag.NewFlagSet("dist", flag.ContinueOnError)
	f.StringVar(&o.source, "source", ".", "`folder` of the clone to build")
	f.StringVar(&o.out, "out", "", "`folder` for the results, which are replaced (default: dist in the clone)")
	f.StringVar(&o.key, "key", "", "`file` with the secret key of relcheck key generate that signs the checksums (default: not signed)")
	list := f.String("platforms", "linux/amd64", "platforms, separated by spaces")
	if err := f.Parse(args); err != nil {
		return err
	}
	for _, name := range strings.Fields(*list) {
		system, arch, ok := strings.Cut(name, "/")
		if !ok {
			return fmt.Errorf("-platforms: %q is not a platform: enter names such as linux/amd64", name)
		}
		o.platforms = append(o.platforms, platform{system, arch})
	}
	o.out = cmp.Or(o.out, filepath.Join(o.source, "dist"))
	return dist(ctx, o)
}

// dist builds everything into an empty folder.
func dist(ctx context.Context, o options) error {
	if err := emptyFolder(o.out); err != nil {
		return err
	}
	stage, err := os.MkdirTemp("", "relcheck-dist")
	if err != nil {
		return err
	}
	defer os.RemoveAll(stage)
	r, err := newRelease(ctx, o, stage)
	if err != nil {
		return err
	}
	for _, p := range o.platforms {
		if err := r.writeArchive(p); err != nil {
			return fmt.Errorf("archive of %s: %w", p, err)
		}
		if p.os != "linux" {
			continue
		}
		for _, format := range []string{"deb", "rpm"} {
			if err := r.writePackage(p, format); err != nil {
				return fmt.Errorf("%s package of %s: %w", format, p, err)
			}
		}
	}
	return errors.Join(r.writeImage(), r.writeModules(), writeChecksums(o.out, o.key))
}

// emptyFolder creates a folder, or removes what an earlier run has written to it.
func emptyFolder(path string) error {
	entries, err := os.ReadDir(path)
	if errors.Is(err, os.ErrNotExist) {
		return os.MkdirAll(path, 0o755)
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), "relcheck_") && !strings.HasPrefix(e.Name(), checksumsName) {
			return fmt.Errorf("%s contains %s, which this program does not write: choose another folder with -out", path, e.Name())
		}
	}
	for _, e := range entries {
		if err := os.Remove(filepath.Join(path, e.Name())); err != nil {
			return err
		}
	}
	return nil
}
