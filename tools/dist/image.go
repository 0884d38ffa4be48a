package main

import (
	"bytes"
	"compress/gzip"
	"encoding/pem"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// containerUser owns the data folder of the image. It has no name, because the image has no
// file of users.
const containerUser = 65532

const (
	dataFolder       = "/var/lib/relcheck"
	certificatesFile = "/etc/ssl/certs/ca-certificates.crt" // where Go looks first
)

// writeImage writes the container image for all Linux platforms: an OCI image layout in a tar
// file.
func (r *release) writeImage() error {
	var images []mutate.IndexAddendum
	for _, p := range r.platforms {
		if p.os != "linux" {
			continue
		}
		image, err := r.image(p)
		if err != nil {
			return err
		}
		images = append(images, mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: p.os, Architecture: p.arch}}})
	}
	if len(images) == 0 {
		return nil
	}
	folder := filepath.Join(r.stage, "image")
	path, err := layout.Write(folder, empty.Index)
	if err != nil {
		return err
	}
	name := "relcheck:" + strings.ReplaceAll(r.version, "+", "-") // a tag has no plus sign
	err = path.AppendIndex(mutate.AppendManifests(empty.Index, images...), layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": name}))
	if err != nil {
		return err
	}
	var files []file
	err = fs.WalkDir(os.DirFS(folder), ".", func(name string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			files = append(files, file{name: name, path: filepath.Join(folder, name), mode: 0o644})
		}
		return err
	})
	if err != nil {
		return err
	}
	data, err := tarFile(files, r.time)
	if err != nil {
		return err
	}
	return os.WriteFile(r.output("image.tar"), data, 0o644)
}

// image returns the image of a platform.
func (r *release) image(p platform) (v1.Image, error) {
	content, err := r.layer(p)
	if err != nil {
		return nil, err
	}
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil }
	layer, err := tarball.LayerFromOpener(open, tarball.WithMediaType(types.OCILayer), tarball.WithCompressionLevel(gzip.BestCompression), tarball.WithCompressedCaching)
	if err != nil {
		return nil, err
	}
	created := v1.Time{Time: r.time}
	image, err := mutate.Append(mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON),
		mutate.Addendum{Layer: layer, History: v1.History{Created: created, CreatedBy: "tools/dist"}})
	if err != nil {
		return nil, err
	}
	c, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	c = c.DeepCopy()
	c.OS, c.Architecture, c.Created = p.os, p.arch, created
	c.Config = v1.Config{
		User: "65532:65532", WorkingDir: dataFolder, Volumes: map[string]struct{}{dataFolder: {}},
		ExposedPorts: map[string]struct{}{"8080/tcp": {}},
		Env:          []string{"RELCHECK_DB=" + dataFolder + "/relcheck.db", "RELCHECK_LISTEN=:8080"},
		Entrypoint:   []string{"/relcheck"}, Cmd: []string{"serve"},
		Labels: map[string]string{"org.opencontainers.image.title": "relcheck", "org.opencontainers.image.version": r.version, "org.opencontainers.image.revision": r.commit},
		// The specification of the OCI does not have this field: Docker and Podman read it.
		Healthcheck: &v1.HealthConfig{Test: []string{"CMD", "/relcheck", "healthcheck"}, Interval: 30 * time.Second, Timeout: 10 * time.Second, StartPeriod: 30 * time.Second},
	}
	return mutate.ConfigFile(image, c)
}

// layer returns the only layer of a platform's image. A new volume gets the owner of the data
// folder.
func (r *release) layer(p platform) ([]byte, error) {
	certificates := filepath.Join(r.stage, "ca-certificates.crt")
	if err := os.WriteFile(certificates, authorities(), 0o644); err != nil {
		return nil, err
	}
	return tarFile([]file{
		{name: "etc/", mode: 0o755},
		{name: "etc/ssl/", mode: 0o755},
		{name: "etc/ssl/certs/", mode: 0o755},
		{name: certificatesFile[1:], path: certificates, mode: 0o644},
		{name: "relcheck", path: r.binaries[p], mode: 0o755},
		{name: "tmp/", mode: 0o1777},
		{name: "var/", mode: 0o755},
		{name: "var/lib/", mode: 0o755},
		{name: dataFolder[1:] + "/", mode: 0o750, owner: containerUser},
	}, r.time)
}

// authorities returns the certificates of the public authorities that Go's maintainers
// publish, which are Mozilla's. It leaves out those that are no longer trusted for new
// certificates, because the format cannot express that. Before a release, update them with
// go get golang.org/x/crypto/x509roots/fallback.
func authorities() []byte {
	var out bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint == nil {
			pem.Encode(&out, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate})
		}
	}
	return out.Bytes()
}
