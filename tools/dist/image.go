package main

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	"github.com/opencontainers/image-spec/specs-go/v1"
)

// containerUser owns the data folder of the image. It has no name, because the image has no
// file of users.
const containerUser = 65532

const dataFolder = "/var/lib/relcheck"

// imageConfig is a configuration with the health check that Docker has added to it. Programs
// that do not know it must ignore it.
type imageConfig struct {
	v1.Image
	Config struct {
		v1.ImageConfig
		Healthcheck healthcheck
	} `json:"config"`
}

// healthcheck has durations in nanoseconds.
type healthcheck struct {
	Test                           []string
	Interval, Timeout, StartPeriod int64
}

// layout is an OCI image layout in memory: files by name.
type layout map[string][]byte

// writeImage writes the container image for all Linux platforms: an OCI image layout in a tar
// file. Each image has one layer with the binary and the data folder.
func (r *release) writeImage() error {
	files := layout{}
	index := v1.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageIndex}
	for _, p := range r.platforms {
		if p.os != "linux" {
			continue
		}
		d, err := r.addImage(files, p)
		if err != nil {
			return err
		}
		index.Manifests = append(index.Manifests, d)
	}
	if len(index.Manifests) == 0 {
		return nil
	}
	images, err := files.addJSON(v1.MediaTypeImageIndex, index)
	if err != nil {
		return err
	}
	images.Annotations = map[string]string{v1.AnnotationRefName: "relcheck:" + strings.ReplaceAll(r.version, "+", "-")} // a tag has no plus sign
	index.Manifests = []v1.Descriptor{images}
	if files[v1.ImageIndexFile], err = json.Marshal(index); err != nil {
		return err
	}
	if files[v1.ImageLayoutFile], err = json.Marshal(v1.ImageLayout{Version: v1.ImageLayoutVersion}); err != nil {
		return err
	}
	data, err := files.tar(r)
	if err != nil {
		return err
	}
	return os.WriteFile(r.output("image.tar"), data, 0o644)
}

// addImage adds the image of a platform, and returns the descriptor of its manifest.
func (r *release) addImage(files layout, p platform) (v1.Descriptor, error) {
	layer, err := r.layer(p)
	if err != nil {
		return v1.Descriptor{}, err
	}
	compressed, err := gzipped(layer)
	if err != nil {
		return v1.Descriptor{}, err
	}
	config, err := files.addJSON(v1.MediaTypeImageConfig, r.imageConfig(p, digest.FromBytes(layer)))
	if err != nil {
		return v1.Descriptor{}, err
	}
	d, err := files.addJSON(v1.MediaTypeImageManifest, v1.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageManifest,
		Config: config, Layers: []v1.Descriptor{files.add(v1.MediaTypeImageLayerGzip, compressed)},
	})
	d.Platform = &v1.Platform{OS: p.os, Architecture: p.arch}
	return d, err
}

func (r *release) imageConfig(p platform, layer digest.Digest) (c imageConfig) {
	c.Created, c.Platform = &r.time, v1.Platform{OS: p.os, Architecture: p.arch}
	c.RootFS = v1.RootFS{Type: "layers", DiffIDs: []digest.Digest{layer}}
	c.History = []v1.History{{Created: &r.time, CreatedBy: "tools/dist"}}
	c.Config.ImageConfig = v1.ImageConfig{
		User: "65532:65532", WorkingDir: dataFolder, Volumes: map[string]struct{}{dataFolder: {}},
		ExposedPorts: map[string]struct{}{"8080/tcp": {}},
		Env:          []string{"RELCHECK_DB=" + dataFolder + "/relcheck.db", "RELCHECK_LISTEN=:8080"},
		Entrypoint:   []string{"/relcheck"}, Cmd: []string{"serve"},
		Labels: map[string]string{v1.AnnotationTitle: "relcheck", v1.AnnotationVersion: r.version, v1.AnnotationRevision: r.commit},
	}
	c.Config.Healthcheck = healthcheck{[]string{"CMD", "/relcheck", "healthcheck"}, 30e9, 10e9, 30e9}
	return c
}

// layer returns the layer of a platform. A new volume gets the owner of the data folder.
func (r *release) layer(p platform) ([]byte, error) {
	binary, err := os.ReadFile(r.binaries[p])
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	t := tar.NewWriter(&out)
	for _, h := range []tar.Header{{Name: "tmp/", Mode: 0o1777}, {Name: "var/", Mode: 0o755}, {Name: "var/lib/", Mode: 0o755},
		{Name: strings.TrimPrefix(dataFolder, "/") + "/", Mode: 0o750, Uid: containerUser, Gid: containerUser}} {
		h.Typeflag, h.ModTime, h.Format = tar.TypeDir, r.time, tar.FormatUSTAR
		if err := t.WriteHeader(&h); err != nil {
			return nil, err
		}
	}
	if err := addFile(t, "relcheck", 0o755, r.time, binary); err != nil {
		return nil, err
	}
	err = t.Close()
	return out.Bytes(), err
}

// add adds a blob and returns its descriptor.
func (files layout) add(mediaType string, content []byte) v1.Descriptor {
	sum := digest.FromBytes(content)
	files[v1.ImageBlobsDir+"/sha256/"+sum.Encoded()] = content
	return v1.Descriptor{MediaType: mediaType, Digest: sum, Size: int64(len(content))}
}

func (files layout) addJSON(mediaType string, value any) (v1.Descriptor, error) {
	content, err := json.Marshal(value)
	return files.add(mediaType, content), err
}

// tar returns a tar file of the layout, with the index first.
func (files layout) tar(r *release) ([]byte, error) {
	names := []string{}
	for name := range files {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return -strings.Compare(a, b) })
	var out bytes.Buffer
	t := tar.NewWriter(&out)
	for _, name := range names {
		if err := addFile(t, name, 0o644, r.time, files[name]); err != nil {
			return nil, err
		}
	}
	err := t.Close()
	return out.Bytes(), err
}
